"""Whether two runs differ, judged on the same utterances.

Two answers, to two questions:

- The **paired bootstrap** asks by how much. It draws speakers with all that they said, as in
  :mod:`m3ser.evaluation.confidence`, and scores both runs on each draw, so that what makes a draw easy or hard for both
  falls out of the difference. Where a run has several seeds, they are drawn as well (Owen, Eckles 2012, "Bootstrapping
  data arrays of arbitrary order", Annals of Applied Statistics 6(3)): the interval then covers new speakers *and* new
  trainings. With one seed it speaks of these two trained models alone. The p-value is that of the interval: the level
  at which it just reaches zero.
- **McNemar's test** (1947) asks which run is right on more of the utterances on which they disagree, by the exact
  binomial distribution, whatever their number. With several seeds an utterance goes to the run that is right on it in
  the larger share of its seeds (a sign test, which is what McNemar's test is with one seed), so that each utterance
  counts once: the answers of five seeds to one utterance are not five independent ones. It takes utterances for
  independent; they are not quite, and with few speakers the bootstrap is the one to believe.

A score of a run with several seeds is that of all its rows together: for UA and WA, the mean over the seeds.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from m3ser.errors import UsageError, needing
from m3ser.evaluation.alignment import Aligned, Answers, align
from m3ser.evaluation.confidence import Interval, scores_of
from m3ser.evaluation.predictions import PredictionTable

__all__ = ["Comparison", "Difference", "compare", "compare_with", "holm"]

_LEVEL = 0.95
_SIGNIFICANT = 0.05
_FEW_SPEAKERS = 10
_CELLS_AT_ONCE = 10_000_000
"""Numbers drawn in one go; bounds the memory (80 MB) where there are thousands of speakers."""


@dataclass(frozen=True)
class Difference:
    """One score of two runs.

    Attributes:
        first, second: the score of each, in [0, 1].
        interval: of second minus first, 95%.
        p_value: two-sided, of the hypothesis that they do not differ.
        p_adjusted: the same, corrected for the number of runs that are compared; see :func:`holm`.
    """

    first: float
    second: float
    interval: Interval
    p_value: float
    p_adjusted: float

    @property
    def value(self) -> float:
        """Second minus first."""
        return self.second - self.first

    def to_dict(self) -> dict[str, Any]:
        """The record as JSON-ready values."""
        return {
            "first": self.first,
            "second": self.second,
            "difference": self.value,
            "interval": {"low": self.interval.low, "high": self.interval.high, "level": self.interval.level},
            "p_value": self.p_value,
            "p_adjusted": self.p_adjusted,
        }


@dataclass(frozen=True)
class Comparison:
    """Two runs on the same utterances. Shares lie in [0, 1].

    Attributes:
        first, second: what the runs are called.
        utterances: how many both were tested on.
        speakers: how many people spoke them; None where that is not known.
        seeds: the seeds of each.
        by_seed: both have the same seeds and were paired seed by seed; else each is averaged over its own.
        resampled: what the bootstrap drew, "speakers", or "utterances" where speakers are not known or there is one.
        differences: "unweighted_accuracy", "weighted_accuracy" and "macro_f1".
        first_only, second_only: utterances on which only that run is right, or right in a larger share of its seeds.
        mcnemar_p: exact and two-sided, of those two counts.
        mcnemar_p_adjusted: the same, corrected for the number of runs that are compared.
        runs: how many were compared with the first; above 1 the adjusted values are larger.
        note: what the numbers do not cover; empty where there is nothing to say.
    """

    first: str
    second: str
    utterances: int
    speakers: int | None
    seeds: tuple[tuple[int, ...], tuple[int, ...]]
    by_seed: bool
    resampled: str
    differences: Mapping[str, Difference]
    first_only: int
    second_only: int
    mcnemar_p: float
    mcnemar_p_adjusted: float
    runs: int
    note: str

    def sentence(self) -> str:
        """What was found of UA, in plain language."""
        found = self.differences["unweighted_accuracy"]
        points, low, high = (100 * share for share in (found.value, found.interval.low, found.interval.high))
        p = "p < 0.001" if found.p_adjusted < 0.001 else f"p = {found.p_adjusted:.3f}"
        if self.runs > 1:
            p += f" (corrected for {self.runs} comparisons)"
        on = f"on {self.utterances:,} utterance{'s' * (self.utterances != 1)}"
        if self.speakers is not None:
            on += f" of {self.speakers:,} speaker{'s' * (self.speakers != 1)}"
        if found.p_adjusted >= _SIGNIFICANT:
            said = f"No difference between {self.first} and {self.second} can be shown: {points:+.1f}"
        else:
            better, low, high = ("better", low, high) if points > 0 else ("worse", -high, -low)
            said = f"{self.second} is {better} than {self.first} by {abs(points):.1f}"
        return f"{said} points UA (95% {low:.1f} to {high:.1f}), {p}, {on}."

    def to_dict(self) -> dict[str, Any]:
        """The record as JSON-ready values."""
        return {
            "first": self.first,
            "second": self.second,
            "utterances": self.utterances,
            "speakers": self.speakers,
            "seeds": {"first": list(self.seeds[0]), "second": list(self.seeds[1])},
            "paired_by": "utterance and seed" if self.by_seed else "utterance",
            "resampled": self.resampled,
            "differences": {name: one.to_dict() for name, one in self.differences.items()},
            "mcnemar": {
                "test": "exact binomial",
                "first_only": self.first_only,
                "second_only": self.second_only,
                "p_value": self.mcnemar_p,
                "p_adjusted": self.mcnemar_p_adjusted,
            },
            "runs": self.runs,
            "sentence": self.sentence(),
            "note": self.note,
        }


def compare(
    a: PredictionTable,
    b: PredictionTable,
    *,
    resamples: int = 10_000,
    seed: int = 0,
    names: tuple[str, str] = ("run a", "run b"),
) -> Comparison:
    """Judge whether run `b` does better or worse than run `a` on the same utterances.

    Rows are matched by utterance and seed where both runs have the same seeds, else by utterance, with the mean over
    the seeds of each. What the models were given may differ: the words alone against both is a fair question.

    Args:
        a: the baseline, of one condition.
        b: the other, of one condition.
        resamples: how often the bootstrap draws.
        seed: of the bootstrap.
        names: what the runs are called in the result and in errors.

    Raises:
        UsageError: a run has no rows or rows of several conditions, or there is no resample.
        DataError: the runs were not tested on the same utterances, or do not fit together in another way; see
            :func:`m3ser.evaluation.alignment.align`.
        MissingExtraError: SciPy is not installed.

    Reference:
        Dietterich (1998), "Approximate statistical tests for comparing supervised classification learning algorithms",
        Neural Computation 10(7), for McNemar's test between two trained models; Efron, Tibshirani (1993), "An
        Introduction to the Bootstrap".
    """
    if resamples < 1:
        raise UsageError(f"A bootstrap needs at least one resample; found {resamples}.")
    runs = align(a, b, names=names)
    first_only, second_only = _discordant(runs)
    exact = _binomial(first_only, second_only)
    people = None if runs.speakers is None else len(set(runs.speakers))
    over_speakers = people is not None and people > 1
    return Comparison(
        first=names[0],
        second=names[1],
        utterances=len(runs.truth),
        speakers=people,
        seeds=(runs.first.seed_names, runs.second.seed_names),
        by_seed=runs.by_seed,
        resampled="speakers" if over_speakers else "utterances",
        differences=_differences(runs, over_speakers, resamples, np.random.default_rng(seed)),
        first_only=first_only,
        second_only=second_only,
        mcnemar_p=exact,
        mcnemar_p_adjusted=exact,
        runs=1,
        note=_note(people, runs),
    )


def compare_with(
    baseline: PredictionTable,
    others: Mapping[str, PredictionTable],
    *,
    name: str = "the baseline",
    resamples: int = 10_000,
    seed: int = 0,
) -> tuple[Comparison, ...]:
    """Compare several runs with one baseline; the p-values of each score are corrected for their number (:func:`holm`).

    Args:
        baseline: the run that all are compared with.
        others: the others by name.
        name: what the baseline is called.
        resamples: as for :func:`compare`.
        seed: as for :func:`compare`.

    Raises:
        UsageError, DataError, MissingExtraError: as :func:`compare`.
    """
    found = [
        compare(baseline, table, resamples=resamples, seed=seed, names=(name, other)) for other, table in others.items()
    ]
    if len(found) < 2:
        return tuple(found)
    exact = holm([one.mcnemar_p for one in found])
    adjusted = {score: holm([one.differences[score].p_value for one in found]) for score in found[0].differences}
    return tuple(
        replace(
            one,
            runs=len(found),
            mcnemar_p_adjusted=float(exact[place]),
            differences=MappingProxyType(
                {
                    score: replace(difference, p_adjusted=float(adjusted[score][place]))
                    for score, difference in one.differences.items()
                }
            ),
        )
        for place, one in enumerate(found)
    )


def holm(p_values: ArrayLike) -> NDArray[np.float64]:
    """P-values of several tests, raised so that the chance of even one false alarm among them stays what it says.

    Args:
        p_values: (tests,) in [0, 1].

    Returns:
        (tests,), in the same order.

    Reference:
        Holm (1979), "A simple sequentially rejective multiple test procedure", Scandinavian Journal of Statistics 6(2).

    >>> holm([0.01, 0.04, 0.03, 0.005]).round(3).tolist()
    [0.03, 0.06, 0.06, 0.02]
    """
    values = np.asarray(p_values, dtype=np.float64)
    order = np.argsort(values, kind="stable")
    steps = np.maximum.accumulate(values[order] * np.arange(len(values), 0, -1))
    adjusted = np.empty_like(values)
    adjusted[order] = np.minimum(steps, 1.0)
    return adjusted


def _discordant(runs: Aligned) -> tuple[int, int]:
    """Utterances on which the first, and the second, is right in a larger share of its seeds."""
    size = len(runs.truth)
    rights, counts = [], []
    for answers in (runs.first, runs.second):
        right = answers.guesses == runs.truth[answers.utterances]
        rights.append(np.bincount(answers.utterances[right], minlength=size))
        counts.append(np.bincount(answers.utterances, minlength=size))
    lead = rights[0] * counts[1] - rights[1] * counts[0]  # the sign of the shares' difference, in whole numbers
    return int((lead > 0).sum()), int((lead < 0).sum())


def _binomial(first_only: int, second_only: int) -> float:
    with needing("train", "Comparing runs"):
        from scipy.stats import binomtest
    disagreements = first_only + second_only
    return float(binomtest(first_only, disagreements).pvalue) if disagreements else 1.0


def _differences(
    runs: Aligned, over_speakers: bool, resamples: int, generator: np.random.Generator
) -> Mapping[str, Difference]:
    if over_speakers:
        _, clusters = np.unique(np.array(runs.speakers), return_inverse=True)
    else:
        clusters = np.arange(len(runs.truth))
    classes = len(runs.labels)
    counts = [_counts(one, runs.truth, clusters, classes) for one in (runs.first, runs.second)]
    found = [scores_of(one.sum(axis=(0, 1)).reshape(1, classes, classes).astype(np.float64)) for one in counts]
    drawn: dict[str, list[NDArray[np.float64]]] = {name: [] for name in found[0]}
    for pooled in _draws(counts[0], counts[1], runs.by_seed, resamples, generator):
        first, second = (scores_of(one.reshape(-1, classes, classes)) for one in pooled)
        for name, values in drawn.items():
            values.append(second[name] - first[name])
    return MappingProxyType(
        {
            name: _difference(float(found[0][name][0]), float(found[1][name][0]), np.concatenate(values))
            for name, values in drawn.items()
        }
    )


def _difference(first: float, second: float, drawn: NDArray[np.float64]) -> Difference:
    low, high = np.quantile(drawn, [(1 - _LEVEL) / 2, (1 + _LEVEL) / 2])
    # Differences that are nothing but rounding are none.
    below, above = (drawn < 1e-12).sum(), (drawn > -1e-12).sum()
    # One is added to both: the runs themselves are one more draw, and no p-value is zero (Davison, Hinkley 1997, 4.2).
    p_value = min(1.0, 2 * float(min(below, above) + 1) / (len(drawn) + 1))
    return Difference(first, second, Interval(float(low), float(high), _LEVEL), p_value, p_value)


def _counts(answers: Answers, truth: NDArray[np.int64], clusters: NDArray[np.int64], classes: int) -> NDArray[np.int64]:
    """(clusters, seeds, classes x classes): how often each class is taken for each, the truth going first."""
    shape = (int(clusters.max()) + 1, len(answers.seed_names), classes, classes)
    cells = (clusters[answers.utterances], answers.seeds, truth[answers.utterances], answers.guesses)
    flat = np.bincount(np.ravel_multi_index(cells, shape), minlength=int(np.prod(shape)))
    return flat.reshape(*shape[:2], classes * classes).astype(np.int64, copy=False)


def _draws(
    first: NDArray[np.int64],
    second: NDArray[np.int64],
    by_seed: bool,
    resamples: int,
    generator: np.random.Generator,
) -> Iterator[tuple[NDArray[np.float64], NDArray[np.float64]]]:
    """Both runs' confusion counts (draws, classes x classes) on the same draws of clusters, a block at a time."""
    clusters = len(first)
    flat = np.concatenate([first.reshape(clusters, -1), second.reshape(clusters, -1)], axis=1)
    # Clusters that were answered alike are interchangeable: how many of each kind is drawn is all that matters. Of
    # single utterances there are but a few kinds.
    kinds, sizes = np.unique(flat, axis=0, return_counts=True)
    kinds = kinds.astype(np.float64)
    split = first.shape[1] * first.shape[2]
    rows = max(1, _CELLS_AT_ONCE // max(kinds.shape))
    for start in range(0, resamples, rows):
        draws = min(rows, resamples - start)
        times = generator.multinomial(clusters, sizes / clusters, draws).astype(np.float64)
        weights = [_seed_weights(one.shape[1], draws, generator) for one in (first, second)]
        if by_seed:
            weights[1] = weights[0]
        one, two = (
            np.einsum("ds,dsc->dc", weight, (times @ part).reshape(draws, *table.shape[1:]))
            for weight, part, table in zip(weights, (kinds[:, :split], kinds[:, split:]), (first, second), strict=True)
        )
        # Where not all seeds tested the same utterances, a draw may come out empty: it says nothing.
        some = (one.sum(axis=1) > 0) & (two.sum(axis=1) > 0)
        yield one[some], two[some]


def _seed_weights(seeds: int, draws: int, generator: np.random.Generator) -> NDArray[np.float64]:
    """(draws, seeds): how often each seed is drawn; one seed is always drawn once."""
    return generator.multinomial(seeds, np.full(seeds, 1 / seeds), draws).astype(np.float64)


def _note(people: int | None, runs: Aligned) -> str:
    notes: Sequence[str] = [
        *(["the speakers are not known, so utterances were drawn and the intervals are too narrow"] * (people is None)),
        *(["there is one speaker, so nothing is said of others"] * (people == 1)),
        *([f"with only {people} speakers the intervals are too narrow"] * (1 < (people or 0) < _FEW_SPEAKERS)),
        *(["one training each, so nothing is said of other seeds"] * _one_training(runs)),
    ]
    return "; ".join(notes)


def _one_training(runs: Aligned) -> bool:
    return len(runs.first.seed_names) == len(runs.second.seed_names) == 1
