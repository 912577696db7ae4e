from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from m3ser.corpora import import_manifest
from m3ser.errors import DataError
from m3ser.schema import Utterance

ENTRY = {"wav": "{data_root}/Session1/a.wav", "length": 2.06, "emo": "neu"}


def write(path: Path, entries: dict[str, object]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(entries))
    return path


def test_json_as_recipes_have_it(tmp_path: Path, write_wav: Callable[..., Path]) -> None:
    clip = write_wav(tmp_path / "data" / "Session1" / "a.wav")
    entries = {"Ses01_a": {**ENTRY, "spk_id": 3, "words": "Oh no.", "val": 2.5}}
    source = write(tmp_path / "lists" / "iemocap.json", entries)
    (utterance,) = import_manifest(source, audio_root=tmp_path / "data").utterances
    assert utterance == Utterance(
        clip,
        "neutral",
        text="Oh no.",
        speaker="3",
        extra={"id": "Ses01_a", "duration": "2.06", "val": "2.5", "label": "neu"},
    )


def test_csv_with_its_columns_for_old_loaders(tmp_path: Path, write_wav: Callable[..., Path]) -> None:
    clip = write_wav(tmp_path / "Session1" / "a.wav")
    source = tmp_path / "all.csv"
    source.write_text(
        "ID, duration, wav, wav_format, wav_opts, emo, emo_format, emo_opts, note\n"
        'a1, 2.06, $data_folder/Session1/a.wav, wav, , Happiness, string, , "said, softly"\n\n'
    )
    (utterance,) = import_manifest(source).utterances
    assert (utterance.audio, utterance.emotion) == (clip, "happy")
    assert dict(utterance.extra) == {"id": "a1", "duration": "2.06", "note": "said, softly", "label": "Happiness"}


def test_files_for_each_part(tmp_path: Path) -> None:
    for name in ("train", "valid", "iemocap_test", "label_encoder"):
        write(tmp_path / f"{name}.json", {f"{name}1": {**ENTRY, "wav": f"/far/{name}.wav"}})
    found = {u.extra["id"]: u.split for u in import_manifest(tmp_path).utterances}
    assert found == {"iemocap_test1": "test", "train1": "train", "valid1": "validation"}
    write(tmp_path / "valid.json", {"train1": ENTRY})
    with pytest.raises(DataError, match=r"valid.json, 'train1': id 'train1' is there already \(train.json, 'train1'\)"):
        import_manifest(tmp_path)


def test_samples_become_seconds(tmp_path: Path, write_wav: Callable[..., Path]) -> None:
    write_wav(tmp_path / "a.wav", seconds=1)
    entries = {
        "inside": {"wav": {"file": "{root}/a.wav", "start": 8000, "stop": 12000}, "emo": "sad"},
        "beside": {"wav": "a.wav", "start": 1600, "stop": 3200, "emo": "sad"},
        "rest": {"wav": {"file": "a.wav", "start": 8000, "stop": 8000}, "emo": "sad"},
    }
    found = {u.extra["id"]: (u.start, u.end) for u in import_manifest(write(tmp_path / "a.json", entries)).utterances}
    assert found == {"inside": (0.5, 0.75), "beside": (0.1, 0.2), "rest": (0.5, None)}
    entries = {
        "x": {"wav": "b.wav", "start": 0, "stop": 9, "emo": "sad"},
        "y": {"wav": "a.wav", "stop": "z", "emo": "sad"},
    }
    with pytest.raises(DataError) as caught:
        import_manifest(write(tmp_path / "b.json", entries))
    assert "'x': start and stop count samples, but " in str(caught.value)
    assert "'y': start and stop are 0 and 'z'; expected counts of samples" in str(caught.value)


def test_faults(tmp_path: Path) -> None:
    source = tmp_path / "a.json"
    source.write_text('{"a": {"wav": "a.wav", "emo": "sad"}, "a": {}, "b": [], "c": {"emo": "sad"}, "d": {"wav": 3}}')
    with pytest.raises(DataError) as caught:
        import_manifest(source)
    assert str(caught.value).splitlines()[1:] == [
        "  'b': a JSON list; expected an object",
        "  'c': no recording; expected one of wav, wav_path, file_path, path",
        "  'd': wav is 3; expected the path of one recording",
        "  'a': there more than once",
    ]
    source.write_text("{")
    with pytest.raises(DataError, match="is not JSON"):
        import_manifest(source, "speechbrain")
    source.write_text("[]")
    with pytest.raises(DataError, match="is a JSON list; expected an object"):
        import_manifest(source, "speechbrain")
    table = tmp_path / "a.csv"
    table.write_text("ID,wav,emo\na,a.wav,sad\nb,b.wav\n")
    with pytest.raises(DataError, match="line 3: 2 fields; expected 3"):
        import_manifest(table)
    table.write_text("ID,wav,wav\na,a.wav,sad\n")
    with pytest.raises(DataError, match="columns more than once: 'wav'"):
        import_manifest(table, "speechbrain")
    with pytest.raises(DataError, match=r"holds no train\.json"):
        import_manifest(tmp_path, "speechbrain")
