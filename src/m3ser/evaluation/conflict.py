"""How often words turn a right answer of the voice into a wrong one.

The paper's motivating claim is that voice and words together resolve what one of them leaves open ("cry" for joy). A
paired corpus can measure the reverse danger: words that contradict a voice which was understood.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from m3ser.evaluation.predictions import PredictionTable

__all__ = ["Flips", "conflict_flips"]

_CONFLICT = "conflict"
_NEUTRAL = "neutral"


@dataclass(frozen=True)
class Flips:
    """What conflicting words did to a model's answers.

    Attributes:
        rate: share, in [0, 1], of the pairs at risk that are recognised wrongly once the words are read.
        interval: 95%, resampling speakers; None where there are fewer than two.
        pairs: how many were at risk: their words conflict with their voice, and their voice alone is recognised. A
            pair counts once for each seed.
    """

    rate: float
    interval: tuple[float, float] | None
    pairs: int

    def to_dict(self) -> dict[str, Any]:
        """The record as JSON-ready values."""
        return {"rate": self.rate, "interval": self.interval, "pairs": self.pairs}


def conflict_flips(table: PredictionTable, *, clearly_emotional: bool = False) -> Flips | None:
    """Measure the flips of a model that was tested on a paired corpus.

    Args:
        table: with rows under "audio" and "both", the latter called after the former's ("ravdess/03-01-05+GE17"), and
            a column "relation".
        clearly_emotional: only pairs are at risk whose voice is not neutral, and is recognised without its words with
            a score above one half: as more likely than all other emotions together.

    Returns:
        None where there is nothing to measure: no such rows, or no pair at risk.
    """
    relation = table.extra.get("relation")
    if relation is None:
        return None
    right = table.guesses == table.truth
    conditions = np.array(table.conditions)
    names = [name.partition("+")[0] for name in table.utterances]
    keys = list(zip(names, table.folds, table.seeds.tolist(), strict=True))
    heard = (conditions == "audio") & right
    if clearly_emotional:
        emotional = np.array([label != _NEUTRAL for label in table.labels])[table.truth]
        heard &= emotional & (table.probabilities.max(axis=1) > 0.5)
    understood = {keys[row] for row in np.flatnonzero(heard)}
    conflicting = (conditions == "both") & (np.array(relation) == _CONFLICT)
    at_risk = np.zeros(len(table), bool)
    at_risk[[row for row in np.flatnonzero(conflicting) if keys[row] in understood]] = True
    if not at_risk.any():
        return None
    found = table.where(mask=at_risk).evaluate()
    interval = found.intervals.get("weighted_accuracy")
    return Flips(
        rate=1.0 - found.weighted_accuracy,
        interval=None if interval is None else (1.0 - interval.high, 1.0 - interval.low),
        pairs=found.utterances,
    )
