from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from m3ser.corpora import read_manifest

Run = Callable[..., Any]


@pytest.fixture
def clips(tmp_path: Path, demo_clips: Path) -> Path:
    """A copy of CREMA-D of thirteen recordings."""
    shutil.copytree(demo_clips, tmp_path / "crema", ignore=shutil.ignore_patterns("*.csv", "*.md"))
    return tmp_path / "crema"


@pytest.fixture
def sorted_clips(tmp_path: Path, demo_clip: Path) -> Path:
    """Recordings sorted by emotion."""
    for name in ("anger/anna_1", "anger/ben_1", "joy/anna_2", "boredom/ben_2", "misc/ben_3"):
        clip = tmp_path / "sorted" / f"{name}.wav"
        clip.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(demo_clip, clip)
    (tmp_path / "sorted" / "anger" / "anna_1.txt").write_text("Leave me alone!\n")
    return tmp_path / "sorted"


def test_a_corpus_becomes_a_manifest(m3ser: Run, clips: Path, tmp_path: Path) -> None:
    (clips / "holiday.wav").write_bytes(b"")
    result = m3ser("corpora", "import", "crema-d", str(clips), "--out", str(tmp_path / "all.csv"))
    assert result.exit_code == 0
    table = [line.split() for line in result.stdout.splitlines()[-6:]]
    assert table == [
        ["emotion", "utterances", "speakers"],
        ["angry", "4", "3"],
        ["happy", "3", "3"],
        ["sad", "3", "3"],
        ["neutral", "3", "3"],
        ["all", "13", "6"],
    ]
    findings = [line for line in result.stderr.splitlines() if line.startswith("m3ser: ")]
    assert any("ignored (1): holiday.wav." in line for line in findings)
    assert all(line.endswith(".") for line in findings)
    manifest = read_manifest(tmp_path / "all.csv")
    assert len(manifest.utterances) == 13
    assert manifest.comment.splitlines()[:2] == [
        "CREMA-D (Crowd-sourced Emotional Multimodal Actors Dataset)",
        "licence: ODbL-1.0",
    ]
    assert manifest.comment.endswith("labels: intended")


def test_json_says_what_was_imported(m3ser: Run, clips: Path, tmp_path: Path) -> None:
    out = tmp_path / "all.jsonl"
    result = m3ser("corpora", "import", "crema-d", str(clips), "--out", str(out), "--json")
    record = json.loads(result.stdout)
    assert record["corpus"] == "crema-d"
    assert (record["folder"], record["manifest"]) == (str(clips), str(out))
    assert (record["utterances"], record["speakers"]) == (13, 6)
    assert record["emotions"] == {"angry": 4, "happy": 3, "sad": 3, "neutral": 3}
    assert record["left_out"] == {}
    assert len(record["findings"]) == 2
    assert len(read_manifest(out).utterances) == 13


def test_perceived_labels(m3ser: Run, clips: Path, tmp_path: Path) -> None:
    out = str(tmp_path / "all.csv")
    refused = m3ser("corpora", "import", "crema-d", str(clips), "--out", out, "--labels", "perceived")
    assert (refused.exit_code, refused.stdout) == (1, "")
    assert "no table of votes" in refused.stderr
    assert not Path(out).exists()

    (clips / "summaryTable.csv").write_text("FileName,VoiceVote\n1001_DFA_ANG_XX,D\n1001_DFA_SAD_XX,N:S\n")
    result = m3ser("corpora", "import", "crema-d", str(clips), "--out", out, "--labels", "perceived")
    assert result.exit_code == 0
    (utterance,) = read_manifest(out).utterances
    assert (utterance.emotion, utterance.extra["intended"]) == ("disgusted", "ANG")
    assert read_manifest(out).comment.endswith("labels: perceived")
    assert "left out: listeners' votes are tied (1)." in result.stderr
    assert "left out: no listener's vote in the tables (11)." in result.stderr


def test_a_scheme_keeps_its_classes(m3ser: Run, sorted_clips: Path, tmp_path: Path) -> None:
    out = tmp_path / "all.csv"
    result = m3ser("corpora", "import", "folder", str(sorted_clips), "--out", str(out), "--scheme", "iemocap4")
    assert [u.emotion for u in read_manifest(out).utterances] == ["angry", "angry", "happy"]
    assert "left out: bored, no class of iemocap4 (1)." in result.stderr
    assert m3ser("corpora", "import", "emodb", ".", "--out", "x.csv", "--scheme", "iemocap5").exit_code == 2


def test_any_labelled_folder(m3ser: Run, sorted_clips: Path, tmp_path: Path) -> None:
    out = tmp_path / "lists" / "all.csv"
    options = ("--map", "misc=calm", "--map", "joy=excited", "--speaker-pattern", "([a-z]+)_[0-9]", "--language", "en")
    result = m3ser("corpora", "import", "folder", str(sorted_clips), "--out", str(out), *options)
    assert (result.exit_code, result.stderr) == (0, "")
    found = [(u.emotion, u.text, u.speaker, u.language) for u in read_manifest(out).utterances]
    assert found == [
        ("angry", "Leave me alone!", "sorted/anna", "en"),
        ("angry", None, "sorted/ben", "en"),
        ("bored", None, "sorted/ben", "en"),
        ("excited", None, "sorted/anna", "en"),
        ("calm", None, "sorted/ben", "en"),
    ]


def test_without_speakers_the_table_says_so(m3ser: Run, sorted_clips: Path, tmp_path: Path) -> None:
    result = m3ser("corpora", "import", "folder", str(sorted_clips), "--out", str(tmp_path / "all.csv"))
    assert result.stdout.splitlines()[-1].split() == ["all", "4", "-"]
    assert "left out: in folder 'misc', which names no emotion (1)." in result.stderr


def test_what_is_there_is_replaced_with_force_only(m3ser: Run, sorted_clips: Path, tmp_path: Path) -> None:
    out = tmp_path / "all.csv"
    out.write_text("precious")
    command = ("corpora", "import", "folder", str(sorted_clips), "--out", str(out))
    result = m3ser(*command)
    assert (result.exit_code, result.stdout) == (2, "")
    assert "is there already; --force replaces it." in result.stderr
    assert out.read_text() == "precious"
    assert m3ser(*command, "--force").exit_code == 0
    assert len(read_manifest(out).utterances) == 4
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith(".")] == []


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["emodb", "FOLDER", "--out", "all.txt"], "ends in '.txt'; expected .csv, .jsonl or .ndjson"),
        (["emodub", "FOLDER", "--out", "all.csv"], "no corpus reader 'emodub'"),
        (["emodb", "FOLDER", "--out", "all.csv", "--labels", "perceived"], "no 'perceived' labels"),
        (["emodb", "FOLDER", "--out", "all.csv", "--map", "wut=angry"], "says itself what --map would"),
        (["folder", "FOLDER", "--out", "all.csv", "--labels", "perceived"], "its sub-folders are the labels"),
        (["folder", "FOLDER", "--out", "all.csv", "--map", "wut"], "maps nothing"),
        (["folder", "FOLDER", "--out", "all.csv", "--speaker-pattern", "("], "is not a regular expression"),
    ],
)
def test_bad_use(
    m3ser: Run, sorted_clips: Path, monkeypatch: pytest.MonkeyPatch, arguments: list[str], sentence: str
) -> None:
    monkeypatch.chdir(sorted_clips.parent)
    result = m3ser("corpora", "import", *(str(sorted_clips) if a == "FOLDER" else a for a in arguments))
    assert (result.exit_code, result.stdout) == (2, "")
    assert sentence in result.stderr
    assert not list(sorted_clips.parent.glob("all.*"))


def test_a_folder_that_is_no_copy_fails(m3ser: Run, sorted_clips: Path, tmp_path: Path) -> None:
    result = m3ser("corpora", "import", "emodb", str(sorted_clips), "--out", str(tmp_path / "all.csv"))
    assert (result.exit_code, result.stdout) == (1, "")
    assert "is not a copy of EmoDB" in result.stderr
