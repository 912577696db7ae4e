from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from m3ser.corpora import Manifest, export_manifest, import_manifest
from m3ser.errors import DataError, MissingExtraError, UsageError
from m3ser.schema import Utterance


@pytest.fixture
def audformat() -> Any:
    return pytest.importorskip("audformat")


def table(audformat: Any, database: Any, name: str, index: Any, split: str | None = None, **columns: list[Any]) -> None:
    database[name] = audformat.Table(index, split_id=split)
    for column, values in columns.items():
        scheme = column if column in database.schemes else None
        database[name][column] = audformat.Column(scheme_id=scheme)
        database[name][column].set(values)


@pytest.fixture
def database(audformat: Any) -> Any:
    """As Emo-DB is published: emotions of files in tables for each part, and all else of files in another."""
    made = audformat.Database("emodb", usage="unrestricted", languages=["de"], description="Berlin")
    made.schemes["emotion"] = audformat.Scheme("str", labels=["anger", "happiness", "neutral"])
    made.schemes["speaker"] = audformat.Scheme(
        "int", labels={3: {"gender": "male", "age": 31}, 8: {"gender": "female"}}
    )
    made.schemes["transcription"] = audformat.Scheme("str", labels={"a01": "Der Lappen."})
    made.splits["train"] = audformat.Split("train")
    made.splits["tune"] = audformat.Split("dev")
    files = ["wav/03a01Wa.wav", "wav/08a01Fa.wav", "wav/08a01Na.wav"]
    index = audformat.filewise_index
    table(audformat, made, "emotion.train", index(files[:2]), "train", emotion=["anger", "happiness"])
    table(audformat, made, "emotion.tune", index(files[2:]), "tune", emotion=["neutral"])
    table(audformat, made, "files", index(files), speaker=[3, 8, 8], transcription=["a01", "a01", None])
    return made


@pytest.mark.parametrize("form", ["csv", "parquet"])
def test_a_database_as_published(database: Any, tmp_path: Path, form: str) -> None:
    database.save(str(tmp_path), storage_format=form)
    notes: list[str] = []
    found = import_manifest(tmp_path, note=notes.append)
    assert found.comment == "Berlin"
    first, second, third = found.utterances
    assert (first.audio, first.emotion, first.extra["label"]) == (tmp_path / "wav/03a01Wa.wav", "angry", "anger")
    assert (first.speaker, first.text, first.language, first.split) == ("3", "Der Lappen.", "de", "train")
    assert (first.extra["gender"], float(first.extra["age"])) == ("male", 31)
    assert (second.emotion, second.speaker, second.extra.get("age")) == ("happy", "8", None)
    assert (third.text, third.split, third.start) == (None, "validation", None)
    assert len(notes) == 1  # recordings are not there
    assert import_manifest(tmp_path / "db.yaml", note=[].append).utterances == found.utterances


def test_segments(audformat: Any, database: Any, tmp_path: Path) -> None:
    made = audformat.Database("calls")
    made.schemes["emotion"] = audformat.Scheme("str")
    segments = audformat.segmented_index(["a.wav", "a.wav", "b.wav"], [0, "1.5s", "0.25s"], ["1.5s", "2s", None])
    table(audformat, made, "segments", segments, emotion=["sad", "happy", "sad"])
    table(audformat, made, "files", audformat.filewise_index(["a.wav", "b.wav"]), caller=["x", "y"])
    made.save(str(tmp_path))
    found = import_manifest(tmp_path, note=[].append).utterances
    assert [(u.start, u.end, u.extra["caller"]) for u in found] == [(0.0, 1.5, "x"), (1.5, 2.0, "x"), (0.25, None, "y")]


def test_tables_that_contradict_each_other(audformat: Any, database: Any, tmp_path: Path) -> None:
    index = audformat.filewise_index(["wav/03a01Wa.wav"])
    table(audformat, database, "rated", index, emotion=["neutral"])
    database.save(str(tmp_path))
    with pytest.raises(DataError, match=r"choose tables \(emotion.train, emotion.tune, rated\) with --table"):
        import_manifest(tmp_path)
    (utterance,) = import_manifest(tmp_path, tables=["rated"], note=[].append).utterances
    assert (utterance.emotion, utterance.speaker) == ("neutral", "3")
    with pytest.raises(UsageError, match="has no table 'rates'; there are "):
        import_manifest(tmp_path, tables=["rates"])
    (tmp_path / "a.json").write_text('{"a": {"wav": "a.wav"}}')
    with pytest.raises(UsageError, match="has no tables to choose from"):
        import_manifest(tmp_path / "a.json", tables=["rated"])


def test_what_cannot_be_read(audformat: Any, database: Any, tmp_path: Path) -> None:
    database.drop_tables(["emotion.train", "emotion.tune"])
    database.save(str(tmp_path / "none"))
    with pytest.raises(DataError, match="has no emotions; it has speaker, gender, age, transcription"):
        import_manifest(tmp_path / "none")
    (tmp_path / "bad").mkdir()
    (tmp_path / "bad" / "db.yaml").write_text("{[")
    with pytest.raises(DataError, match="cannot be read as an audformat database"):
        import_manifest(tmp_path / "bad")


def test_audformat_opens_what_is_written(audformat: Any, tmp_path: Path, write_wav: Callable[..., Path]) -> None:
    clips = [write_wav(tmp_path / "wav" / f"{name}.wav", seconds=0.5) for name in "abc"]
    rows = (
        Utterance(clips[0], "angry", text="No.", speaker="1", language="en", split="train", extra={"file": "x"}),
        Utterance(clips[1], "sad", start=0.1, end=0.25, language="pt-BR", split="validation", valence=2.5),
        Utterance(clips[2], "sad", language="bh", split="test"),  # withdrawn from ISO 639-1
    )
    notes: list[str] = []
    out = tmp_path / "lists" / "mine"
    export_manifest(Manifest(Path("all.csv"), "licence: mine", rows), out, "audformat", note=notes.append)
    assert notes == [
        "Languages that ISO 639-3 has no code for are in column language alone: bh.",
        "Written with _ after their names, which audformat has another use for (1): file.",
    ]
    opened = audformat.Database.load(str(out))
    assert (opened.name, opened.description, opened.languages) == ("mine", "licence: mine", ["eng", "por"])
    assert {name: opened.splits[opened.tables[name].split_id].type for name in opened.tables} == {
        "emotion.train": "train",
        "emotion.validation": "dev",
        "emotion.test": "test",
    }
    assert list(opened.files) == ["../../wav/a.wav", "../../wav/b.wav", "../../wav/c.wav"]
    assert opened.get("emotion", ["transcription", "valence"]).shape == (3, 3)
    assert opened["emotion.train"]["transcription"].get().tolist() == ["No."]
    assert opened.schemes["emotion"].labels == ["angry", "sad"]


def test_a_stretch_is_there_once(audformat: Any, tmp_path: Path) -> None:
    rows = (Utterance(Path("a.wav"), "sad"), Utterance(Path("a.wav"), "happy", start=0.0))
    with pytest.raises(DataError, match=r"each stretch of a recording once; here more than once \(1\): a.wav"):
        export_manifest(Manifest(Path("all.csv"), "", rows), tmp_path / "out", "audformat")
    assert not (tmp_path / "out").exists()


def test_without_the_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "audformat", None)
    (tmp_path / "db.yaml").write_text("name: x\n")
    with pytest.raises(MissingExtraError, match=r'needs the .interchange. extra: pip install "m3ser\[interchange\]"'):
        import_manifest(tmp_path)
    manifest = Manifest(Path("all.csv"), "", (Utterance(Path("a.wav"), "sad"),))
    with pytest.raises(MissingExtraError, match="Writing audformat databases needs the 'interchange' extra"):
        export_manifest(manifest, tmp_path / "out", "audformat")
