"""How sure a score is, when its utterances come from few speakers.

Utterances of one speaker resemble each other, so a score over 500 utterances of five people rests on five samples more
than on 500. The cluster bootstrap therefore draws speakers, with all that they said: Field, Welsh (2007),
"Bootstrapping clustered data", JRSS B 69(3). The percentile interval: Efron, Tibshirani (1993), "An Introduction to the
Bootstrap".
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from m3ser.errors import DataError, UsageError
from m3ser.evaluation.checks import paired

__all__ = ["Interval", "speaker_bootstrap"]

_DRAWS_AT_ONCE = 10_000_000
"""Speakers drawn in one go; bounds the memory (80 MB) where there are thousands of speakers."""


@dataclass(frozen=True)
class Interval:
    """A confidence interval.

    Attributes:
        low, high: its ends, in the unit of the score.
        level: how often such an interval covers the score's true value, in (0, 1).
    """

    low: float
    high: float
    level: float


def speaker_bootstrap(
    truth: ArrayLike,
    predictions: ArrayLike,
    speakers: ArrayLike,
    *,
    level: float = 0.95,
    resamples: int = 10_000,
    seed: int = 0,
) -> dict[str, Interval]:
    """Confidence intervals of UA, WA and macro F1 over speakers, by the percentile method.

    Each resample draws as many speakers as there are, with replacement, and pools their utterances. A class that none
    of them has is left out of that resample's UA, as :func:`~m3ser.evaluation.unweighted_accuracy` leaves out a class
    that does not occur.

    With fewer than about ten speakers the intervals are too narrow; they are then better than none, not exact.

    Args:
        truth: the true class of each utterance.
        predictions: the predicted ones.
        speakers: who speaks each utterance: integers or strings.
        level: of the intervals, in (0, 1).
        resamples: how often speakers are drawn.
        seed: the same seed gives the same intervals.

    Returns:
        "unweighted_accuracy", "weighted_accuracy" and "macro_f1", each with its interval, in [0, 1].

    Raises:
        DataError: there is only one speaker.
        UsageError: the lengths differ, or `level` or `resamples` makes no sense.
    """
    truth, predictions = paired(truth, predictions)
    _, speakers = paired(truth, speakers)
    if not 0 < level < 1 or resamples < 1:
        raise UsageError(f"A bootstrap needs a level in (0, 1) and resamples; found {level} and {resamples}.")
    names = np.unique(speakers)
    if len(names) < 2:
        raise DataError(f"An interval over speakers needs at least two speakers; found one ({names[0]}).")

    counts = _confusion_per_speaker(truth, predictions, speakers)
    generator = np.random.default_rng(seed)
    scores: dict[str, list[NDArray[np.float64]]] = {}
    for first in range(0, resamples, rows := max(1, _DRAWS_AT_ONCE // len(names))):
        drawn = generator.multinomial(len(names), np.full(len(names), 1 / len(names)), min(rows, resamples - first))
        pooled = np.tensordot(drawn.astype(np.float64), counts, axes=1)
        for name, values in scores_of(pooled).items():
            scores.setdefault(name, []).append(values)
    tails = [(1 - level) / 2, (1 + level) / 2]
    ends = {name: np.quantile(np.concatenate(values), tails) for name, values in scores.items()}
    return {name: Interval(float(low), float(high), level) for name, (low, high) in ends.items()}


def _confusion_per_speaker(
    truth: NDArray[Any], predictions: NDArray[Any], speakers: NDArray[Any]
) -> NDArray[np.float64]:
    """(speakers, classes, classes): how often each speaker's utterances of one class are taken for another."""
    classes, columns = np.unique(np.concatenate([truth, predictions]), return_inverse=True)
    rows, columns = np.split(columns, 2)
    names, numbers = np.unique(speakers, return_inverse=True)
    counts = np.zeros((len(names), len(classes), len(classes)))
    np.add.at(counts, (numbers, rows, columns), 1)
    return counts


def scores_of(confusion: NDArray[np.float64]) -> dict[str, NDArray[np.float64]]:
    """The scores of many confusion matrices (resamples, classes, classes), each (resamples,)."""
    right = np.diagonal(confusion, axis1=1, axis2=2)
    said, guessed = confusion.sum(axis=2), confusion.sum(axis=1)
    recall = np.divide(right, said, out=np.zeros_like(right), where=said > 0)
    f1 = np.divide(2 * right, said + guessed, out=np.zeros_like(right), where=said + guessed > 0)
    return {
        "unweighted_accuracy": recall.sum(axis=1) / (said > 0).sum(axis=1),
        "weighted_accuracy": right.sum(axis=1) / said.sum(axis=1),
        "macro_f1": f1.sum(axis=1) / (said + guessed > 0).sum(axis=1),
    }
