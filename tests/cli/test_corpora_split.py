from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from m3ser.corpora import read_folds, read_manifest, write_manifest
from m3ser.schema import Utterance

Run = Callable[..., Any]


@pytest.fixture
def manifest(tmp_path: Path) -> Path:
    """Six speakers who say five sentences in five emotions; the recordings are not there."""
    utterances = [
        Utterance(
            tmp_path / f"{speaker}-{emotion}-{sentence}.wav",
            emotion,
            speaker=f"acted/{speaker}",
            script=f"acted/{sentence}",
            extra={"gender": "fm"[speaker % 2], "duration": "2.0" if sentence else "1.0"},
        )
        for speaker in range(6)
        for emotion in ("angry", "happy", "sad", "neutral", "bored")
        for sentence in range(5)
    ]
    return write_manifest(tmp_path / "all.csv", utterances, comment="made up")


def test_a_split_is_written_and_shown(m3ser: Run, manifest: Path, tmp_path: Path) -> None:
    out = tmp_path / "split.csv"
    result = m3ser(
        "corpora", "split", str(manifest), "--protocol", "speaker", "--scheme", "iemocap4", "--out", str(out)
    )
    assert (result.exit_code, result.stderr) == (0, "")
    lines = result.stdout.splitlines()
    assert lines[0].split() == ["fold", "part", "utterances", "speakers", "angry", "happy", "sad", "neutral"]
    assert lines[1].split() == ["1", "speaker", "acted/0", "train", "80", "4", *["20"] * 4]
    assert lines[2].split() == ["validation", "20", "1", *["5"] * 4]
    assert lines[3].split() == ["test", "20", "1", *["5"] * 4]
    assert "left out: 'bored' is not in iemocap4 (30)" in lines
    written = read_manifest(out, check_audio=False)
    assert written.comment.splitlines()[:2] == [
        "made up",
        "split: protocol speaker, seed 0, scheme iemocap4, m3ser 0.1.0",
    ]
    assert len(written.utterances) == 120
    assert len(read_folds(written.utterances).folds) == 6


def test_json(m3ser: Run, manifest: Path, tmp_path: Path) -> None:
    out = tmp_path / "split.jsonl"
    arguments = ("corpora", "split", str(manifest), "--protocol", "session+script", "--folds", "3", "--seed", "4")
    record = json.loads(m3ser(*arguments, "--out", str(out), "--json").stdout)
    assert {key: record[key] for key in ("manifest", "out", "protocol", "seed", "scheme", "utterances")} == {
        "manifest": str(manifest),
        "out": str(out),
        "protocol": "session+script",
        "seed": 4,
        "scheme": None,
        "utterances": 150,
    }
    assert len(record["folds"]) == 15
    assert sum(fold["parts"]["test"]["utterances"] for fold in record["folds"]) == 150
    first = record["folds"][0]
    assert first["fold"] == 1
    assert first["name"].endswith(", scripts 1 of 5")
    used = sum(part["utterances"] for part in first["parts"].values())
    assert used + first["left_out"] == 150


def test_one_fold_alone_is_column_split(m3ser: Run, manifest: Path, tmp_path: Path) -> None:
    out = tmp_path / "split.csv"
    result = m3ser("corpora", "split", str(manifest), "--protocol", "random", "--fold", "2", "--out", str(out))
    assert result.exit_code == 0
    assert result.stdout.splitlines()[1].startswith("2 random 2 of 5 train")
    written = read_manifest(out, check_audio=False)
    assert abs(Counter(u.split for u in written.utterances)["test"] - 30) <= 1
    assert "split: fold2 tests random 2 of 5" in written.comment


def test_the_published_protocol_is_marked_everywhere(m3ser: Run, manifest: Path, tmp_path: Path) -> None:
    out = tmp_path / "split.csv"
    result = m3ser("corpora", "split", str(manifest), "--protocol", "paper", "--out", str(out))
    marked = "optimistic: as published: speakers in both halves, best epoch chosen on the test set"
    assert f"note: {marked}" in " ".join(line.strip() for line in result.stdout.splitlines())
    assert "left out: shorter than 1.935 s (two VGGish examples) (30)" in result.stdout
    assert f"split: {marked}" in read_manifest(out, check_audio=False).comment


def test_a_protocol_that_cannot_be_is_refused_with_those_that_can(m3ser: Run, manifest: Path, tmp_path: Path) -> None:
    out = tmp_path / "split.csv"
    result = m3ser("corpora", "split", str(manifest), "--protocol", "session", "--out", str(out))
    assert (result.exit_code, result.stdout) == (1, "")
    assert result.stderr == (
        "m3ser: Protocol 'session' needs sessions, and no utterance names one "
        "(would work: paper, random, speaker, session+script).\n"
    )
    assert not out.exists()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--protocol", "loso"), "There is no protocol 'loso'"),
        (("--protocol", "random", "--fold", "6"), "There is no fold 6; protocol 'random' made 5"),
        (("--protocol", "paper", "--folds", "5"), "'paper' is one fold by its nature"),
        (("--protocol", "random", "--scheme", "big9"), "There is no emotion scheme 'big9'"),
        (("--protocol", "random", "--validation", "0"), "The validation share is 0"),
    ],
)
def test_bad_use(m3ser: Run, manifest: Path, tmp_path: Path, options: tuple[str, ...], message: str) -> None:
    result = m3ser("corpora", "split", str(manifest), "--out", str(tmp_path / "split.csv"), *options)
    assert (result.exit_code, result.stdout) == (2, "")
    assert message in result.stderr
    assert not (tmp_path / "split.csv").exists()


def test_nothing_is_replaced_unasked(m3ser: Run, manifest: Path, tmp_path: Path) -> None:
    before = manifest.read_bytes()
    arguments = ("corpora", "split", str(manifest), "--protocol", "random", "--out", str(manifest))
    result = m3ser(*arguments)
    assert result.exit_code == 2
    assert "is there already; --force replaces it" in result.stderr
    assert manifest.read_bytes() == before
    assert m3ser(*arguments, "--force").exit_code == 0
    assert len(read_folds(read_manifest(manifest, check_audio=False).utterances).folds) == 5
    result = m3ser("corpora", "split", str(manifest), "--protocol", "random", "--out", str(tmp_path / "split.txt"))
    assert (result.exit_code, "expected .csv, .jsonl or .ndjson" in result.stderr) == (2, True)


def test_splitting_again_leaves_one_account(m3ser: Run, manifest: Path, tmp_path: Path) -> None:
    once, twice = tmp_path / "once.csv", tmp_path / "twice.csv"
    m3ser("corpora", "split", str(manifest), "--protocol", "speaker", "--out", str(once))
    m3ser("corpora", "split", str(once), "--protocol", "random", "--folds", "3", "--out", str(twice))
    written = read_manifest(twice, check_audio=False)
    assert written.comment.count("protocol") == 1
    assert {name for u in written.utterances for name in u.extra if name.startswith("fold")} == {
        "fold1",
        "fold2",
        "fold3",
    }
