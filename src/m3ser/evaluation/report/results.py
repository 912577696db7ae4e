"""What a report says in numbers, computed from the predictions of its runs."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from m3ser.errors import DataError, UsageError
from m3ser.evaluation.alignment import align
from m3ser.evaluation.calibration import ReliabilityCurve, reliability_curve
from m3ser.evaluation.comparison import Comparison, compare_with
from m3ser.evaluation.confidence import scores_of
from m3ser.evaluation.predictions import PredictionTable
from m3ser.evaluation.record import Evaluation
from m3ser.evaluation.report.runs import Run

__all__ = ["GroupScore", "Judged", "Results", "judge_runs"]

_GROUPS = ("relation", "corpus", "language", "gender")
"""Columns of the predictions that scores are also given by, where they tell utterances apart."""


@dataclass(frozen=True)
class GroupScore:
    """How well the utterances of one speaker, or of another group, are recognised.

    Attributes:
        name: of the group.
        utterances: how many there are.
        unweighted_accuracy: over the classes that the group has, in [0, 1].
        weighted_accuracy: in [0, 1].
    """

    name: str
    utterances: int
    unweighted_accuracy: float
    weighted_accuracy: float


@dataclass(frozen=True, eq=False)
class Judged:
    """One run and its scores. Where it has several folds and seeds, all of them together.

    Attributes:
        run: the run.
        name: what the report calls it.
        scores: condition -> scores.
        deviations: condition -> standard deviation of UA and WA between seeds; None where there is one seed.
        utterances: condition -> how many different utterances were tested.
        reliability: condition -> how sure it is, and how often right.
        speakers: each speaker's scores under the run's own condition, the hardest first; empty where one is not known.
        groups: column of the predictions -> scores of each of its values, under that condition.
    """

    run: Run
    name: str
    scores: Mapping[str, Evaluation]
    deviations: Mapping[str, Mapping[str, float] | None]
    utterances: Mapping[str, int]
    reliability: Mapping[str, ReliabilityCurve]
    speakers: tuple[GroupScore, ...]
    groups: Mapping[str, tuple[GroupScore, ...]]

    @property
    def condition(self) -> str:
        """The condition that the system is made for."""
        return self.run.conditions[0]

    @property
    def own(self) -> Evaluation:
        """The scores under it."""
        return self.scores[self.condition]

    def to_dict(self) -> dict[str, Any]:
        """The scores as JSON-ready values."""
        return {
            "name": self.name,
            "run": str(self.run.folder),
            "protocol": self.run.protocol,
            "optimistic": self.run.optimistic,
            "paired": self.run.paired,
            "expected": self.run.expected,
            "seeds": list(self.run.seeds),
            "folds": len(self.run.folds),
            "condition": self.condition,
            "conditions": {
                name: {
                    **one.to_dict(),
                    "utterances": self.utterances[name],
                    "predictions": one.utterances,
                    "deviation_over_seeds": None if (sd := self.deviations[name]) is None else dict(sd),
                }
                for name, one in self.scores.items()
            },
        }


@dataclass(frozen=True, eq=False)
class Results:
    """Everything that a report is written from.

    Attributes:
        runs: in the order in which they were given; the first one is the baseline.
        comparisons: the others with it, where they were tested on the same utterances.
        not_compared: name of another -> the sentence that says why not.
    """

    runs: tuple[Judged, ...]
    comparisons: tuple[Comparison, ...]
    not_compared: Mapping[str, str]

    def to_dict(self) -> dict[str, Any]:
        """All of it as JSON-ready values."""
        return {
            "runs": [one.to_dict() for one in self.runs],
            "comparisons": [one.to_dict() for one in self.comparisons],
            "not_compared": dict(self.not_compared),
        }


def judge_runs(
    runs: Sequence[Run], *, resamples: int = 10_000, seed: int = 0, progress: Callable[[], None] | None = None
) -> Results:
    """Compute the scores of runs, and whether the others differ from the first.

    Args:
        runs: one or more.
        resamples: how often the bootstrap of each interval draws.
        seed: of the bootstrap.
        progress: told after each run.

    Raises:
        UsageError: there is no run, or one is given twice.
        MissingExtraError: scikit-learn or SciPy is not installed.
    """
    if not runs:
        raise UsageError("A report needs at least one run; found none.")
    places = [run.folder.resolve() for run in runs]
    if twice := [place for place in places if places.count(place) > 1]:
        raise UsageError(f"The run in '{twice[0]}' is given more than once; a report needs different runs.")
    judged = []
    for run, name in zip(runs, _names(runs), strict=True):
        judged.append(_judge(run, name, resamples, seed))
        if progress is not None:
            progress()
    comparisons, not_compared = _compare(judged, resamples, seed)
    return Results(tuple(judged), comparisons, not_compared)


def _names(runs: Sequence[Run]) -> list[str]:
    """What each run is called: as its recipe has it; where that is not unique, with its folder, as far as needed."""
    short = [run.name for run in runs]
    longer = [f"{run.name} ({run.folder.resolve().name})" for run in runs]
    longest = [f"{run.name} ({run.folder})" for run in runs]
    chosen = [longer[i] if short.count(name) > 1 else name for i, name in enumerate(short)]
    return [longest[i] if chosen.count(name) > 1 else name for i, name in enumerate(chosen)]


def _judge(run: Run, name: str, resamples: int, seed: int) -> Judged:
    tables = {condition: run.predictions.where(condition=condition) for condition in run.conditions}
    own = tables[run.conditions[0]]
    return Judged(
        run=run,
        name=name,
        scores={condition: table.evaluate(resamples=resamples, seed=seed) for condition, table in tables.items()},
        deviations={condition: _deviation(table) for condition, table in tables.items()},
        utterances={condition: len(set(table.utterances)) for condition, table in tables.items()},
        reliability={
            condition: reliability_curve(table.probabilities, table.truth) for condition, table in tables.items()
        },
        speakers=_by_speaker(own),
        groups={
            column: tuple(_by(own, own.extra[column])) for column in _GROUPS if len(set(own.extra.get(column, ()))) > 1
        },
    )


def _deviation(table: PredictionTable) -> dict[str, float] | None:
    """Between seeds, whose folds together are one result each, as :mod:`m3ser.training.crossval` has it."""
    seeds, numbers = np.unique(table.seeds, return_inverse=True)
    if len(seeds) < 2:
        return None
    scores = scores_of(_confusions(table, numbers, len(seeds)))
    return {name: float(scores[name].std(ddof=1)) for name in ("unweighted_accuracy", "weighted_accuracy")}


def _by_speaker(table: PredictionTable) -> tuple[GroupScore, ...]:
    if not all(table.speakers):
        return ()
    return tuple(sorted(_by(table, table.speakers), key=lambda one: (one.unweighted_accuracy, one.name)))


def _by(table: PredictionTable, values: Sequence[str]) -> list[GroupScore]:
    """The scores of the rows of each value; rows without one are left out."""
    names, numbers = np.unique(np.array(values), return_inverse=True)
    scores = scores_of(_confusions(table, numbers, len(names)))
    tested: dict[str, set[str]] = {}
    for value, utterance in zip(values, table.utterances, strict=True):
        tested.setdefault(value, set()).add(utterance)
    return [
        GroupScore(
            name=name,
            utterances=len(tested[name]),
            unweighted_accuracy=float(scores["unweighted_accuracy"][place]),
            weighted_accuracy=float(scores["weighted_accuracy"][place]),
        )
        for place, name in enumerate(names.tolist())
        if name
    ]


def _confusions(table: PredictionTable, numbers: Any, groups: int) -> Any:
    """(groups, classes, classes): how often each class is taken for each in every group, the truth going first."""
    counts = np.zeros((groups, len(table.labels), len(table.labels)))
    np.add.at(counts, (numbers, table.truth, table.guesses), 1)
    return counts


def _compare(judged: Sequence[Judged], resamples: int, seed: int) -> tuple[tuple[Comparison, ...], Mapping[str, str]]:
    tables = {one.name: one.run.predictions.where(condition=one.condition) for one in judged}
    baseline, *others = tables
    why = {name: _misfit(tables[baseline], tables[name], (baseline, name)) for name in others}
    fitting = {name: tables[name] for name in others if not why[name]}
    not_compared = {name: sentence for name, sentence in why.items() if sentence}
    return compare_with(tables[baseline], fitting, name=baseline, resamples=resamples, seed=seed), not_compared


def _misfit(first: PredictionTable, second: PredictionTable, names: tuple[str, str]) -> str:
    """Why two runs cannot be compared; empty where they can."""
    try:
        align(first, second, names=names)
    except (DataError, UsageError) as error:
        return str(error)
    return ""
