from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from m3ser.corpora import read_manifest

Run = Callable[..., Any]


@pytest.fixture
def emobox(tmp_path: Path) -> Path:
    rows = [
        {"key": "a", "wav": "wav/a.wav", "emo": "Angry", "spk": "anna"},
        {"key": "b", "wav": "wav/b.wav", "emo": "xxx", "spk": "ben"},
    ]
    path = tmp_path / "mine.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def test_to_a_manifest(m3ser: Run, emobox: Path, tmp_path: Path) -> None:
    out = tmp_path / "lists" / "all.csv"
    result = m3ser("corpora", "convert", str(emobox), str(out), "--label", "xxx=other")
    assert result.exit_code == 0
    assert result.stdout == f"2 utterances: {emobox} (emobox) -> {out} (m3ser)\n"
    assert result.stderr.startswith("m3ser: Recordings such as 'wav/a.wav' are neither in")
    first, second = read_manifest(out, check_audio=False).utterances
    assert (first.emotion, first.speaker, second.emotion) == ("angry", "anna", "other")
    assert first.audio == out.parent / "../wav/a.wav"


def test_json_says_what_was_converted(m3ser: Run, emobox: Path, tmp_path: Path) -> None:
    out = tmp_path / "all.jsonl"
    options = ("--from", "emobox", "--label", "xxx=sad", "--audio-root", str(tmp_path), "--json")
    result = m3ser("corpora", "convert", str(emobox), str(out), *options)
    assert (result.exit_code, result.stderr) == (0, "")
    assert json.loads(result.stdout) == {
        "source": str(emobox),
        "from": "emobox",
        "destination": str(out),
        "to": "m3ser",
        "utterances": 2,
        "speakers": 2,
        "emotions": {"angry": 1, "sad": 1},
        "notes": [],
    }


def test_unknown_labels_say_how_to_map_them(m3ser: Run, emobox: Path, tmp_path: Path) -> None:
    result = m3ser("corpora", "convert", str(emobox), str(tmp_path / "all.csv"))
    assert (result.exit_code, result.stdout) == (1, "")
    assert "labels that are not known: 'xxx' (1); say what each means with --label LABEL=EMOTION" in result.stderr
    assert not (tmp_path / "all.csv").exists()


@pytest.mark.parametrize("form", ["emobox", "audformat", "audiofolder"])
def test_from_a_manifest_and_back(m3ser: Run, demo_clips: Path, tmp_path: Path, form: str) -> None:
    if form == "audformat":
        pytest.importorskip("audformat")
    source = demo_clips / "manifest.csv"
    there = m3ser("corpora", "convert", str(source), str(tmp_path / "out"), "--to", form)
    assert there.exit_code == 0
    back = m3ser("corpora", "convert", str(tmp_path / "out"), str(tmp_path / "back.csv"))
    assert (back.exit_code, back.stderr) == (0, "")

    def told(path: Path) -> list[tuple[Any, ...]]:
        rows = read_manifest(path).utterances
        return sorted((u.audio.read_bytes(), u.emotion, u.text, u.speaker, u.language) for u in rows)

    assert told(tmp_path / "back.csv") == told(source)


def test_what_is_there_is_left_alone(m3ser: Run, emobox: Path, tmp_path: Path) -> None:
    out = tmp_path / "all.csv"
    out.write_text("precious")
    command = ("corpora", "convert", str(emobox), str(out), "--label", "xxx=sad")
    result = m3ser(*command)
    assert (result.exit_code, result.stdout) == (2, "")
    assert "is there already; --force replaces it." in result.stderr
    assert out.read_text() == "precious"
    assert m3ser(*command, "--force").exit_code == 0
    assert len(read_manifest(out, check_audio=False).utterances) == 2
    result = m3ser("corpora", "convert", str(emobox), str(tmp_path), "--to", "emobox", "--force")
    assert result.exit_code == 2
    assert "is not empty; name a new one." in result.stderr


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["out.txt"], "ends in '.txt'; expected .csv, .jsonl or .ndjson"),
        (["out", "--to", "kaldi"], "is no format to write; expected one of m3ser, emobox, audformat, audiofolder"),
        (["out.csv", "--from", "emodb"], "There is no format 'emodb'"),
        (["out.csv", "--label", "xxx"], "maps nothing; expected LABEL=EMOTION"),
        (["out.csv", "--label", "xxx=grumpy"], "maps to 'grumpy'"),
        (["out.csv", "--audio-root", "nowhere"], "is not a folder"),
        (["out.csv", "--table", "x"], "has no tables to choose from"),
    ],
)
def test_bad_use(
    m3ser: Run, emobox: Path, monkeypatch: pytest.MonkeyPatch, arguments: list[str], sentence: str
) -> None:
    monkeypatch.chdir(emobox.parent)
    result = m3ser("corpora", "convert", str(emobox), *arguments)
    assert (result.exit_code, result.stdout) == (2, "")
    assert sentence in result.stderr
    assert not list(emobox.parent.glob("out*"))


def test_help_names_every_format(m3ser: Run) -> None:
    from m3ser.corpora import FORMATS

    text = m3ser("corpora", "convert", "--help").stdout
    assert all(name in text for name in FORMATS)
