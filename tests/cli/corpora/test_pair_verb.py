from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from m3ser.corpora import read_manifest, write_manifest
from m3ser.schema import IEMOCAP4, Utterance

Run = Callable[..., Any]


@pytest.fixture
def manifests(tmp_path: Path) -> tuple[Path, Path]:
    voices = [
        Utterance(tmp_path / f"{speaker}{emotion}{take}.wav", emotion, speaker=f"s{speaker}", extra={"corpus": "acted"})
        for speaker in range(6)
        for emotion in IEMOCAP4.classes
        for take in range(4)
    ]
    sentences = [
        Utterance(None, emotion, text=" ".join(f"{part}{emotion}{i}{word}" for word in "abcde"), split=part)
        for part in ("train", "validation", "test")
        for emotion in IEMOCAP4.classes
        for i in range(6)
    ]
    return write_manifest(tmp_path / "voices.csv", voices), write_manifest(tmp_path / "sentences.csv", sentences)


def test_pairs_say_what_they_are(m3ser: Run, manifests: tuple[Path, Path], tmp_path: Path) -> None:
    out = tmp_path / "paired.csv"
    arguments = ["corpora", "pair", *map(str, manifests), "--out", str(out), "--split-speakers", "--seed", "3"]
    result = m3ser(*arguments)
    assert result.exit_code == 0, result.output
    assert "paired (semi-synthetic)" in result.stdout
    made = read_manifest(out, check_audio=False)
    assert made.comment.startswith("paired (semi-synthetic)")
    speakers = {}
    for utterance in made.utterances:
        assert speakers.setdefault(utterance.speaker, utterance.split) == utterance.split
    again = m3ser(*arguments)
    assert again.exit_code == 2
    assert "--force" in again.stderr
    forced = m3ser(*arguments, "--force", "--json")
    record = json.loads(forced.stdout)
    assert sum(row["pairs"] for row in record["pairs"]) == len(made.utterances) == 96


def test_voices_without_parts_are_told_how_to_get_them(
    m3ser: Run, manifests: tuple[Path, Path], tmp_path: Path
) -> None:
    result = m3ser("corpora", "pair", *map(str, manifests), "--out", str(tmp_path / "p.csv"))
    assert result.exit_code == 1
    assert "--split-speakers" in result.stderr
    assert not (tmp_path / "p.csv").exists()
