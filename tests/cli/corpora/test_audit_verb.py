from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import soundfile

from m3ser.corpora import get_reader, make_split, read_manifest, split_comment, with_fold_columns, write_manifest
from m3ser.schema import IEMOCAP4, Utterance

Run = Callable[..., Any]


@pytest.fixture
def split_of_clips(demo_clips: Path, tmp_path: Path) -> Callable[..., Path]:
    """The package's clips as a split by speaker, and whatever is added to it."""

    def make(*more: Utterance) -> Path:
        clips = read_manifest(demo_clips / "manifest.csv").utterances
        parts = {"1001": "train", "1002": "test"}
        rows = [replace(u, split=parts.get((u.speaker or "").rpartition("/")[2], "train")) for u in clips]
        return write_manifest(tmp_path / "split.csv", [*rows, *more])

    return make


def test_a_clean_split_passes(m3ser: Run, split_of_clips: Callable[..., Path]) -> None:
    result = m3ser("corpora", "audit", str(split_of_clips()), "--protocol", "speaker")
    assert result.exit_code == 0, result.output
    assert "Violations of protocol 'speaker': none" in result.stdout
    assert "transcript" in result.stdout


def test_a_copy_in_another_format_breaks_it(
    m3ser: Run, split_of_clips: Callable[..., Path], demo_clip: Path, tmp_path: Path
) -> None:
    samples, rate = soundfile.read(demo_clip)
    soundfile.write(tmp_path / "copy.ogg", samples * 0.5, rate, format="OGG", subtype="VORBIS")
    path = split_of_clips(Utterance(tmp_path / "copy.ogg", "sad", split="test"))
    result = m3ser("corpora", "audit", str(path), "--protocol", "random", "--json")
    assert result.exit_code == 1
    record = json.loads(result.stdout)
    (finding,) = [one for one in record["findings"] if one["violation"]]
    assert finding["kind"] == "audio"
    assert "copy.ogg" in finding["what"]
    assert any("different labels (angry, sad)" in note for note in record["notes"])
    deaf = m3ser("corpora", "audit", str(path), "--protocol", "random", "--no-fingerprints")
    assert deaf.exit_code == 0
    assert "byte for byte alone" in deaf.stdout


def test_scripts_that_recur_are_found(m3ser: Run, iemocap_tree: Callable[..., Any], tmp_path: Path) -> None:
    tree = iemocap_tree(sessions=3, turns=6)
    utterances = get_reader("iemocap").read(tree.root).utterances
    made = make_split(utterances, "session", seed=0, scheme=IEMOCAP4)
    path = write_manifest(tmp_path / "s.csv", with_fold_columns(made), comment=split_comment(made))
    kept = m3ser("corpora", "audit", str(path), "--protocol", "session", "--json", "--no-fingerprints")
    assert kept.exit_code == 0, kept.stderr
    broken = m3ser("corpora", "audit", str(path), "--protocol", "session+script", "--json", "--no-fingerprints")
    assert broken.exit_code == 1
    record = json.loads(broken.stdout)
    assert {one["kind"] for one in record["findings"] if one["violation"]} == {"script", "transcript"}
    assert all(list(fold["utterances"]) == ["train", "validation", "test"] for fold in record["folds"])
    assert len(record["folds"]) == 3
    assert "violations" in broken.stderr


def test_what_else_tells_the_emotion_is_said_and_breaks_nothing(m3ser: Run, tmp_path: Path) -> None:
    emotions = ("angry", "happy", "sad", "neutral")
    rows = [
        Utterance(
            tmp_path / f"{i}.wav",
            emotions[i % 4],
            speaker=f"s{i % 8}" if i % 40 else "s9",
            split="test" if i % 3 == 0 else "train",
            extra={"gender": "female" if i % 8 < 4 else "male", "duration": "2.0"},
        )
        for i in range(240)
    ]
    path = write_manifest(tmp_path / "told.csv", rows)
    result = m3ser("corpora", "audit", str(path), "--protocol", "random", "--no-fingerprints")
    assert result.exit_code == 0, result.output
    shown = " ".join(result.stdout.split())
    assert "What else tells the emotion known alone values association" in shown
    assert "The speaker tells much of the emotion (association 0.9" in shown
    assert "values of speaker have a single emotion" in shown
    record = json.loads(m3ser("corpora", "audit", str(path), "--protocol", "random", "--json").stdout)
    found = {one["variable"]: one for one in record["confounds"]["variables"]}
    assert set(found) == {"speaker", "gender"}
    assert (found["speaker"]["strong"], found["gender"]["strong"]) == (True, False)
    assert found["speaker"]["guess"] > 0.9
    assert found["speaker"]["chance"] == 0.25
    merged = m3ser("corpora", "audit", str(path), "--protocol", "random", "--json", "--scheme", "basic7")
    assert json.loads(merged.stdout)["confounds"] == record["confounds"]


def test_a_manifest_without_folds_is_told_how_to_get_them(m3ser: Run, demo_clips: Path) -> None:
    result = m3ser("corpora", "audit", str(demo_clips / "manifest.csv"), "--protocol", "speaker")
    assert result.exit_code == 1
    assert "manifest.csv' cannot be audited" in result.stderr
    assert "'m3ser corpora split' writes them" in result.stderr


def test_many_folds_are_printed_as_one(m3ser: Run, tmp_path: Path) -> None:
    rows = [
        Utterance(
            tmp_path / f"{i}.wav",
            "sad",
            speaker=f"s{i % 10}",
            script=f"t{i % 3}",
            extra={f"fold{n}": "test" if i % 10 == n % 10 else "train" for n in range(1, 9)},
        )
        for i in range(60)
    ]
    path = write_manifest(tmp_path / "many.csv", rows)
    short = m3ser("corpora", "audit", str(path), "--protocol", "speaker", "--no-fingerprints").stdout
    assert "8 folds train 54 9 test 6 1" in " ".join(short.split())
    assert "in train and test: t0 (20 utterances) [all 8 folds]" in short
    full = m3ser("corpora", "audit", str(path), "--protocol", "speaker", "--no-fingerprints", "--all").stdout
    assert "fold8" in full


def test_folds_of_ones_own(m3ser: Run, split_of_clips: Callable[..., Path], tmp_path: Path) -> None:
    rows = read_manifest(split_of_clips()).utterances
    own = [replace(u, split=None, extra={**u.extra, "mine": str(i % 2)}) for i, u in enumerate(rows)]
    path = write_manifest(tmp_path / "own.csv", own)
    result = m3ser("corpora", "audit", str(path), "--protocol", "speaker", "--fold-column", "mine", "--json")
    assert result.exit_code == 1
    assert {one["kind"] for one in json.loads(result.stdout)["findings"] if one["violation"]} == {"speaker"}


def test_ravdess_has_one_recording_twice(m3ser: Run, shared_data: Path, tmp_path: Path) -> None:
    utterances = get_reader("ravdess").read(shared_data / "speech" / "ravdess").utterances
    parts = {"01": "train", "02": "test"}
    actor = [replace(u, split=parts[u.extra["repetition"]]) for u in utterances if u.speaker == "ravdess/07"]
    path = write_manifest(tmp_path / "r.csv", actor)
    result = m3ser("corpora", "audit", str(path), "--protocol", "random", "--json")
    assert result.exit_code == 1
    (found,) = [one for one in json.loads(result.stdout)["findings"] if one["kind"] == "audio"]
    assert "03-01-03-01-02-01-07" in found["what"]
    assert "03-01-03-01-02-02-07" in found["what"]


def test_an_unknown_protocol_is_bad_use(m3ser: Run, split_of_clips: Callable[..., Path]) -> None:
    result = m3ser("corpora", "audit", str(split_of_clips()), "--protocol", "loso")
    assert result.exit_code == 2
    assert "known are paper, random" in result.stderr
