from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from m3ser.corpora import import_manifest
from m3ser.errors import DataError


@pytest.fixture
def folder(tmp_path: Path) -> Callable[..., Path]:
    """Write a data folder: tables by their names, utt2emo for "utt2emo", wav_scp for "wav.scp"."""

    def make(name: str = "data", **tables: str) -> Path:
        (tmp_path / name).mkdir(parents=True, exist_ok=True)
        for table, content in tables.items():
            (tmp_path / name / table.replace("wav_scp", "wav.scp")).write_bytes(content.encode())
        return tmp_path / name

    return make


def test_recordings_and_what_is_known_of_them(folder: Callable[..., Path], write_wav: Callable[..., Path]) -> None:
    source = folder(
        "s5/data/train",
        wav_scp="\ufeffa1  downloads/a 1.wav\r\n\r\nb1\tdownloads/b.wav\r\n",
        utt2emo="a1 anger\nb1 Happiness\nc1 sad\n",
        utt2spk="a1 anna\nb1 ben\n",
        spk2gender="anna f\nben m\n",
        utt2lang="a1 de\nb1 German\n",
        utt2dur="a1 1.25\n",
        text="a1  Der Lappen  liegt.\nb1\n",
    )
    clip = write_wav(source.parents[1] / "downloads" / "a 1.wav")
    notes: list[str] = []
    first, second = import_manifest(source, note=notes.append).utterances
    assert (first.audio, first.emotion, first.text) == (clip, "angry", "Der Lappen  liegt.")
    assert (first.speaker, first.language, first.start, first.split) == ("anna", "de", None, None)
    assert dict(first.extra) == {"id": "a1", "duration": "1.25", "gender": "female", "label": "anger"}
    assert (second.text, second.language, second.extra["language_name"]) == (None, None, "German")
    assert notes == [
        f"1 utterances of '{source / 'utt2emo'}' have no recording: left out.",
        "Languages that are no BCP 47 codes went to column language_name: 'German'.",
    ]


def test_segments(folder: Callable[..., Path]) -> None:
    source = folder(
        wav_scp="call /far/call.wav\n",
        segments="u1 call 0.25 1.9\nu2 call 2 -1\nu3 call 3.5 4 2\n",
        utt2emotion="u1 sad\nu2 sad\nu3 sad\n",
    )
    found = {u.extra["id"]: (u.audio, u.start, u.end) for u in import_manifest(source / "wav.scp").utterances}
    call = Path("/far/call.wav")
    assert found == {"u1": (call, 0.25, 1.9), "u2": (call, 2.0, None), "u3": (call, 3.5, 4.0)}


def test_a_folder_for_each_part(folder: Callable[..., Path], tmp_path: Path) -> None:
    for part in ("train", "dev", "test", "lang"):
        folder(f"data/{part}", wav_scp=f"{part}1 /far/{part}.wav\n", utt2label=f"{part}1 sad\n")
    found = {u.extra["id"]: u.split for u in import_manifest(tmp_path / "data").utterances}
    assert found == {"train1": "train", "dev1": "validation", "test1": "test"}


def test_commands_are_refused_and_never_run(folder: Callable[..., Path], tmp_path: Path) -> None:
    source = folder(
        wav_scp=f"a touch {tmp_path}/ran; cat a.wav |\nb /far/raw.ark:1234\nc -\nd\ne /far/e.wav\n",
        segments="a1 a 0 1\na2 a 1 2\nb1 b 0 1\nc1 c 0 1\nd1 d 0 1\ne1 e 0 1\n",
        utt2emo="a1 sad\na2 sad\nb1 sad\nc1 sad\nd1 sad\ne1 sad\n",
    )
    with pytest.raises(DataError) as caught:
        import_manifest(source)
    assert str(caught.value).splitlines()[1:] == [
        f"  wav.scp, line 1: 'touch {tmp_path}/ran; cat a.wav |' is a command, which m3ser does not run; "
        "expected the path of a recording",
        "  wav.scp, line 2: '/far/raw.ark:1234' is a place in an archive; expected the path of a recording",
        "  wav.scp, line 3: no recording; expected its path",
        "  wav.scp, line 4: no recording; expected its path",
    ]
    assert not (tmp_path / "ran").exists()


def test_faults_of_all_tables_at_once(folder: Callable[..., Path]) -> None:
    source = folder(
        wav_scp="a /far/a.wav\na /far/b.wav\n",
        segments="u1 a 2 1\nu2 x 0 1\nu3 a 0\nu4 a 0 1\nu5 a 1 2\n",
        utt2emo="u1 sad\nu2 sad\nu3 sad\nu4 hmm\n",
    )
    with pytest.raises(DataError) as caught:
        import_manifest(source)
    text = str(caught.value)
    for line in (
        "has 6 faults:",
        "labels that are not known: 'hmm' (1)",
        "wav.scp, line 2: 'a' is there already (wav.scp, line 1)",
        "'u1': end is 1 s; expected more than start, 2 s",
        "segments, line 2: recording 'x' is not in wav.scp",
        "segments, line 3: 'a 0'; expected a recording, start and end",
        "'u5': no emotion in utt2emo",
    ):
        assert line in text


def test_each_utterance_its_own_speaker_is_nobody(folder: Callable[..., Path]) -> None:
    source = folder(wav_scp="a /a.wav\nb /b.wav\n", utt2emo="a sad\nb sad\n", utt2spk="a a\nb b\n")
    notes: list[str] = []
    assert {u.speaker for u in import_manifest(source, note=notes.append).utterances} == {None}
    assert "speakers are not known" in notes[0]


def test_what_is_no_data_folder(folder: Callable[..., Path], tmp_path: Path) -> None:
    with pytest.raises(DataError, match="has no table of emotions; expected utt2emo"):
        import_manifest(folder(wav_scp="a a.wav\n"))
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match=r"is no Kaldi folder; expected wav\.scp"):
        import_manifest(tmp_path / "empty", "kaldi")
