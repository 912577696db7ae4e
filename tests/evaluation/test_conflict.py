"""How often words turn a right answer, by hand."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

pytest.importorskip("sklearn")

from m3ser.evaluation import PredictionTable
from m3ser.evaluation.conflict import conflict_flips


def table(rows: list[tuple[str, str, str, str, int, int]], *, relation: bool = True) -> PredictionTable:
    """Rows of (utterance, speaker, condition, relation, truth, guess), two classes."""
    names, speakers, conditions, relations, truth, guesses = zip(*rows, strict=True)
    return PredictionTable(
        labels=("angry", "sad"),
        utterances=names,
        speakers=speakers,
        folds=("fold1",) * len(rows),
        seeds=np.zeros(len(rows), np.int64),
        conditions=conditions,
        truth=np.array(truth),
        probabilities=np.eye(2)[list(guesses)] * 0.8 + 0.1,
        extra={"relation": relations} if relation else {},
    )


ROWS = [
    ("a", "x", "audio", "", 0, 0),
    ("b", "x", "audio", "", 0, 1),  # not understood: its words cannot turn anything
    ("c", "y", "audio", "", 1, 1),
    ("a+1", "x", "both", "conflict", 0, 1),  # turned
    ("a+2", "x", "both", "conflict", 0, 0),
    ("a+3", "x", "both", "agree", 0, 1),  # wrong, but not by conflicting words
    ("b+4", "x", "both", "conflict", 0, 1),
    ("c+5", "y", "both", "conflict", 1, 1),
    ("c+6", "y", "both", "conflict", 1, 1),
]


def test_only_right_answers_under_conflicting_words_can_be_turned() -> None:
    found = conflict_flips(table(ROWS))
    assert found is not None
    assert found.pairs == 4
    assert found.rate == pytest.approx(1 / 4)
    assert found.interval == pytest.approx((0.0, 0.5))  # of two speakers, drawn with replacement
    assert found.to_dict()["pairs"] == 4


def test_a_clearly_emotional_voice_is_not_neutral_and_more_likely_than_not() -> None:
    neutral = replace(table(ROWS), labels=("neutral", "sad"))
    found = conflict_flips(neutral, clearly_emotional=True)
    assert found is not None
    assert (found.pairs, found.rate) == (2, 0.0)  # of c, which is sad
    emotional = conflict_flips(table(ROWS), clearly_emotional=True)
    assert emotional is not None
    assert emotional.pairs == 4
    unsure = table(ROWS).probabilities.copy()
    unsure[0] = 0.5, 0.5  # a: right, being the first of two that are as likely
    found = conflict_flips(replace(table(ROWS), probabilities=unsure), clearly_emotional=True)
    assert found is not None
    assert found.pairs == 2
    assert conflict_flips(replace(neutral, truth=np.zeros(len(ROWS), np.int64)), clearly_emotional=True) is None


@pytest.mark.parametrize(
    "rows", [[row for row in ROWS if row[2] == "audio"], [row for row in ROWS if row[3] != "conflict"], ROWS[1:2]]
)
def test_where_nothing_is_at_risk_nothing_is_said(rows: list[tuple[str, str, str, str, int, int]]) -> None:
    assert conflict_flips(table(rows)) is None


def test_a_real_corpus_has_no_relations() -> None:
    assert conflict_flips(table(ROWS, relation=False)) is None
