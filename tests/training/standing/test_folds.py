"""A paired corpus in folds: whoever is tested in one is heard in none of its other parts."""

from __future__ import annotations

from pathlib import Path

import pytest

pytest.importorskip("torch")

from m3ser.training.corpus import prepare
from m3ser.training.recipe import PairedRecipe


def data(root: Path, held_out: str) -> PairedRecipe:
    return PairedRecipe.model_validate(
        {
            "root": root,
            "voices": {"emodb": "emodb"},
            "sentences": {"goemotions": "goemotions"},
            "held_out": held_out,
            "folds": 3,
            "shares": {"agree": 0.5, "neutral": 0.25, "conflict": 0.25},
        }
    )


def test_every_speaker_is_tested_in_one_fold_and_heard_there_in_no_other_part(paired_corpora: Path) -> None:
    prepared = prepare(data(paired_corpora, "speaker"))
    tested: list[str] = []
    for number in (1, 2, 3):
        utterances, names = prepared.fold(number)
        parts: dict[str | None, set[str | None]] = {}
        for one in utterances:
            parts.setdefault(one.split, set()).add(one.speaker)
        assert set(parts) == {"train", "validation", "test"}
        assert not parts["test"] & (parts["train"] | parts["validation"])
        assert len(names) == len(set(names)) == len(utterances)
        prepared.audited(number)
        tested += [speaker or "" for speaker in parts["test"]]
    assert len(tested) == len(set(tested)) == 6


def test_the_only_split_is_as_it_was(paired_corpora: Path) -> None:
    prepared = prepare(data(paired_corpora, "shares"))
    assert [fold.name for fold in prepared.split.folds] == ["speakers held out"]
    assert None not in prepared.split.folds[0].parts
