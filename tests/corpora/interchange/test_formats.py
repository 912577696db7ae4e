from __future__ import annotations

import logging
from pathlib import Path

import pytest

from m3ser.corpora import FORMATS, Manifest, import_manifest, write_manifest
from m3ser.corpora.interchange import format_of
from m3ser.errors import DataError, UsageError
from m3ser.schema import Utterance


@pytest.mark.parametrize(
    ("name", "content", "form"),
    [
        ("a.csv", "audio,emotion\na.wav,sad\n", "m3ser"),
        ("a.csv", "# mine\nemotion,text\nsad,Oh.\n", "m3ser"),
        ("a.jsonl", '{"meta": {"comment": "mine"}}\n', "m3ser"),
        ("a.ndjson", '{"audio": "a.wav", "emotion": "sad"}\n', "m3ser"),
        ("a.jsonl", '{"key": "a", "wav": "a.wav", "emo": "sad"}\n', "emobox"),
        ("a.json", '{"a": {"wav": "a.wav", "emo": "sad"}}', "speechbrain"),
        ("a.csv", "ID, duration, wav, text, emotion\na, 1, a.wav, Oh., sad\n", "speechbrain"),
        ("a.csv", "file_name,text,emotion\na.wav,Oh.,sad\n", "audiofolder"),
        ("a.jsonl", '{"file_name": "a.wav", "text": "Oh.", "emotion": "sad"}\n', "audiofolder"),
        ("wav.scp", "a a.wav\n", "kaldi"),
        ("db.yaml", "name: x\n", "audformat"),
    ],
)
def test_the_format_is_told_from_the_content(tmp_path: Path, name: str, content: str, form: str) -> None:
    path = tmp_path / name
    path.write_text(content)
    assert format_of(path).name == form


def test_where_it_is_not_clear(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text("x,y\n1,2\n")
    known = "m3ser, emobox, audformat, audiofolder, speechbrain, kaldi"
    with pytest.raises(DataError, match=f"looks like none of {known}; say which with --from FORMAT"):
        format_of(path)
    with pytest.raises(DataError, match=f"is not there; expected a file or folder in one of {known}"):
        format_of(tmp_path / "nowhere")
    (tmp_path / "db.yaml").write_text("name: x\n")
    (tmp_path / "wav.scp").write_text("a a.wav\n")
    with pytest.raises(DataError, match="may be audformat and kaldi; say which with --from FORMAT"):
        format_of(tmp_path)
    with pytest.raises(UsageError, match=f"There is no format 'emodb'; known are {known}"):
        import_manifest(path, "emodb")
    with pytest.raises(DataError, match="is not there; expected a Kaldi data folder"):
        import_manifest(tmp_path / "nowhere", "kaldi")
    binary = tmp_path / "b.csv"
    binary.write_bytes(bytes(range(256)))
    with pytest.raises(DataError, match="looks like none of"):
        format_of(binary)


def test_a_manifest_is_a_format_too(tmp_path: Path) -> None:
    row = Utterance(tmp_path / "a.wav", "sad", extra={"note": "mine"})
    path = write_manifest(tmp_path / "all.csv", [row], comment="mine")
    assert import_manifest(path) == Manifest(path, "mine", (row,))
    with pytest.raises(UsageError, match="there is nothing to map"):
        import_manifest(path, labels={"sad": "calm"})


def test_notes_are_logged_where_nobody_asks_for_them(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "metadata.csv").write_text("file_name,emotion\na.wav,sad\n")
    with caplog.at_level(logging.WARNING, logger="m3ser"):
        import_manifest(tmp_path)
    assert "Recordings such as 'a.wav' are neither in" in caplog.text


def test_every_format_is_described() -> None:
    assert [name for name, known in FORMATS.items() if known.can_write] == [
        "m3ser",
        "emobox",
        "audformat",
        "audiofolder",
    ]
    assert all(known.name == name and known.description for name, known in FORMATS.items())
