from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from m3ser.corpora import Manifest, export_manifest, import_manifest
from m3ser.errors import DataError
from m3ser.schema import Utterance


def test_csv_beside_recordings(tmp_path: Path) -> None:
    (tmp_path / "metadata.csv").write_text("file_name,label,transcription,meta\nwav/a.wav,Joy,Hello.,7\n\nb.wav,2,,\n")
    first, second = import_manifest(tmp_path, labels={"2": "sad"}, note=[].append).utterances
    assert first == Utterance(tmp_path / "wav" / "a.wav", "happy", text="Hello.", extra={"meta_": "7", "label": "Joy"})
    assert (second.audio, second.emotion, second.text) == (tmp_path / "b.wav", "sad", None)
    assert import_manifest(tmp_path / "metadata.csv", labels={"2": "sad"}, note=[].append).utterances[0] == first


def test_a_table_that_pandas_has_numbered(tmp_path: Path) -> None:
    (tmp_path / "metadata.csv").write_text(",file_name,emotion\n0,a.wav,sad\n")
    (utterance,) = import_manifest(tmp_path, note=[].append).utterances
    assert dict(utterance.extra) == {"column1": "0"}


def test_tables_for_each_part(tmp_path: Path) -> None:
    for part in ("train", "dev"):
        (tmp_path / "data" / part).mkdir(parents=True)
        rows = [{"file_name": "a.wav", "emotion": 1}, {"file_name": "b.wav", "emotion": 1, "split": "test"}]
        lines = "".join(json.dumps(row) + "\n" for row in rows)
        (tmp_path / "data" / part / "metadata.jsonl").write_text(lines)
    found = import_manifest(tmp_path, labels={"1": "angry"}, note=[].append).utterances
    assert [(u.audio.relative_to(tmp_path).as_posix(), u.split) for u in found] == [
        ("data/dev/a.wav", "validation"),
        ("data/dev/b.wav", "test"),
        ("data/train/a.wav", "train"),
        ("data/train/b.wav", "test"),
    ]


def test_folders_named_after_emotions(tmp_path: Path, write_wav: Callable[..., Path]) -> None:
    for name in ("train/anger/a.wav", "test/joy/b.wav", "test/anger/c.flac"):
        write_wav(tmp_path / name)
    found = import_manifest(tmp_path).utterances
    assert [(u.extra["id"], u.emotion, u.split) for u in found] == [
        ("test/anger/c", "angry", "test"),
        ("test/joy/b", "happy", "test"),
        ("train/anger/a", "angry", "train"),
    ]
    write_wav(tmp_path / "train" / "misc" / "d.wav")
    write_wav(tmp_path / "e.wav")
    with pytest.raises(DataError) as caught:
        import_manifest(tmp_path)
    assert "labels that are not known: 'misc' (1)" in str(caught.value)
    assert "'e.wav': no emotion" in str(caught.value)


def test_faults(tmp_path: Path) -> None:
    (tmp_path / "metadata.jsonl").write_text('{"emotion": "sad"}\n{"file_name": "a.wav", "emotion": "sad"}\nx\n')
    with pytest.raises(DataError) as caught:
        import_manifest(tmp_path)
    assert "line 1: no file_name; expected the path of a recording" in str(caught.value)
    assert "line 3: not JSON" in str(caught.value)
    (tmp_path / "metadata.jsonl").rename(tmp_path / "metadata.parquet")
    with pytest.raises(DataError, match=r"has its table as metadata\.parquet; expected metadata\.jsonl"):
        import_manifest(tmp_path)
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match="holds neither"):
        import_manifest(tmp_path / "empty", "audiofolder")


@pytest.fixture
def rows(tmp_path: Path, write_wav: Callable[..., Path]) -> list[Utterance]:
    clips = [write_wav(tmp_path / "wav" / name) for name in ("test_1.wav", "a.wav", "more/A.wav", "more/dev-2.wav")]
    return [
        Utterance(clips[0], "angry", text="No.", speaker="01", valence=1.0, extra={"video_file_name": "a.mp4"}),
        Utterance(clips[1], "sad", start=0.01, end=0.02),
        Utterance(clips[1], "sad", start=0.02),
        Utterance(clips[2], "calm"),
        Utterance(clips[3], "calm"),
    ]


def export(rows: list[Utterance], out: Path) -> list[str]:
    notes: list[str] = []
    export_manifest(Manifest(Path("all.csv"), "licence: mine", tuple(rows)), out, "audiofolder", note=notes.append)
    return notes


def test_without_a_split_there_is_one_table(rows: list[Utterance], tmp_path: Path) -> None:
    out = tmp_path / "out"
    assert export(rows, out) == [
        "Written with _ after their names, for datasets takes such columns for recordings (1): video_file_name."
    ]
    assert sorted(path.relative_to(out).as_posix() for path in out.rglob("*.*")) == [
        "README.md",
        "audio/A-3.wav",
        "audio/a.wav",
        "audio/clip-000001.wav",  # datasets would take test_1.wav and dev-2.wav for parts of a split
        "audio/clip-000004.wav",
        "metadata.jsonl",
    ]
    assert (out / "README.md").read_text() == "# out\n\nlicence: mine\n"
    first = json.loads((out / "metadata.jsonl").read_text().splitlines()[0])
    assert first == {
        "file_name": "audio/clip-000001.wav",
        "emotion": "angry",
        "text": "No.",
        "speaker": "01",
        "start": None,
        "end": None,
        "valence": 1.0,
        "video_file_name_": "a.mp4",
    }


@pytest.fixture
def datasets(monkeypatch: pytest.MonkeyPatch) -> Any:
    """The real package. It asks for torchcodec even to pass paths on, which is all that is asked of it here."""
    package = pytest.importorskip("datasets")
    encoders = ModuleType("torchcodec.encoders")
    encoders.AudioEncoder = None
    monkeypatch.setitem(sys.modules, "torchcodec", ModuleType("torchcodec"))
    monkeypatch.setitem(sys.modules, "torchcodec.encoders", encoders)
    return package


def test_datasets_reads_it(rows: list[Utterance], tmp_path: Path, datasets: Any) -> None:
    export(rows, tmp_path / "out")
    found = datasets.load_dataset("audiofolder", data_dir=str(tmp_path / "out"), cache_dir=str(tmp_path / "cache"))
    assert list(found) == ["train"]
    table = found["train"].cast_column("audio", datasets.Audio(decode=False))
    assert list(table["speaker"]) == ["01", "", "", "", ""]
    assert list(table["start"]) == [None, 0.01, 0.02, None, None]
    assert [Path(one["path"]).read_bytes() for one in table["audio"]] == [u.audio.read_bytes() for u in rows]


def test_datasets_reads_its_parts(rows: list[Utterance], tmp_path: Path, datasets: Any) -> None:
    parts = ("train", "train", "test", "validation", None)
    rows = [Utterance(**{**vars(u), "split": part}) for u, part in zip(rows, parts, strict=True)]
    notes = export(rows, tmp_path / "out")
    assert "refuses numbers that one part of the split has and another has not: start, end, valence." in notes[1]
    assert notes[2] == "1 utterances are in no part of the split: in 'unassigned', which datasets passes over."
    found = datasets.load_dataset("audiofolder", data_dir=str(tmp_path / "out"), cache_dir=str(tmp_path / "cache"))
    assert {name: table.num_rows for name, table in found.items()} == {"train": 2, "validation": 1, "test": 1}
    assert list(found["test"]["emotion"]) == ["sad"]
    assert len(import_manifest(tmp_path / "out").utterances) == 5
