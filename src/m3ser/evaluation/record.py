"""Everything that is said of a model on one test set, in one record."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from m3ser.errors import DataError, UsageError
from m3ser.evaluation import calibration, metrics
from m3ser.evaluation.checks import probable
from m3ser.evaluation.confidence import Interval, speaker_bootstrap

__all__ = ["Evaluation", "evaluate"]


@dataclass(frozen=True)
class Evaluation:
    """The scores of one model on one test set. Shares lie in [0, 1].

    Attributes:
        labels: the classes, in the order of everything below that has one value for each.
        utterances: how many were tested.
        speakers: how many people spoke them; None where that is not known.
        unweighted_accuracy: UA, the mean of the per-class recalls.
        weighted_accuracy: WA, accuracy.
        macro_f1, weighted_f1: F1 averaged over classes, and over classes as they occur.
        recall, precision: of each class; NaN where the class does not occur, or is never predicted.
        auc: area under the ROC curve of each class against the rest; NaN where a class does not occur.
        macro_auc: the mean of them; NaN where one is.
        confusion: rows are the truth.
        expected_calibration_error: ECE in 15 bins of equal width.
        brier_score: in [0, 2].
        intervals: of UA, WA and macro F1, by resampling speakers; empty where there are none.
        intervals_note: why there are none; empty where there are.
    """

    labels: tuple[str, ...]
    utterances: int
    speakers: int | None
    unweighted_accuracy: float
    weighted_accuracy: float
    macro_f1: float
    weighted_f1: float
    recall: tuple[float, ...]
    precision: tuple[float, ...]
    auc: tuple[float, ...]
    macro_auc: float
    confusion: tuple[tuple[int, ...], ...]
    expected_calibration_error: float
    brier_score: float
    intervals: Mapping[str, Interval]
    intervals_note: str

    def to_dict(self) -> dict[str, Any]:
        """The record as JSON-ready values; what is undefined is None."""
        return {
            "labels": list(self.labels),
            "utterances": self.utterances,
            "speakers": self.speakers,
            "unweighted_accuracy": self.unweighted_accuracy,
            "weighted_accuracy": self.weighted_accuracy,
            "macro_f1": self.macro_f1,
            "weighted_f1": self.weighted_f1,
            "recall": self._by_label(self.recall),
            "precision": self._by_label(self.precision),
            "auc": self._by_label(self.auc),
            "macro_auc": _defined(self.macro_auc),
            "confusion": [list(row) for row in self.confusion],
            "expected_calibration_error": self.expected_calibration_error,
            "brier_score": self.brier_score,
            "intervals": {name: {"low": i.low, "high": i.high, "level": i.level} for name, i in self.intervals.items()},
            "intervals_note": self.intervals_note,
        }

    def to_markdown(self) -> str:
        """The record as one table, shares in percent."""
        level = next((f"{100 * interval.level:g}% " for interval in self.intervals.values()), "")
        head = f"{level}interval over speakers"
        rows = [
            ("UA (unweighted accuracy = balanced accuracy)", "unweighted_accuracy"),
            ("WA (weighted accuracy = accuracy)", "weighted_accuracy"),
            ("macro F1", "macro_f1"),
            ("weighted F1", "weighted_f1"),
        ]
        lines = [f"| {self._tested()} | value | {head} |", "|---|---:|---:|"]
        lines += [f"| {title} | {_percent(getattr(self, name))} | {self._between(name)} |" for title, name in rows]
        lines.append(f"| macro AUC (each class against the rest) | {_area(self.macro_auc)} | |")
        for label, recall, precision, auc in zip(self.labels, self.recall, self.precision, self.auc, strict=True):
            shown = f"{_percent(recall)} / {_percent(precision)} / {_area(auc)}"
            lines.append(f"| {label}: recall / precision / AUC | {shown} | |")
        lines.append(f"| ECE (expected calibration error, 15 bins) | {_percent(self.expected_calibration_error)} | |")
        lines.append(f"| Brier score (0 to 2) | {self.brier_score:.3f} | |")
        return "\n".join(lines)

    def _by_label(self, values: Sequence[float]) -> dict[str, float | None]:
        return {label: _defined(value) for label, value in zip(self.labels, values, strict=True)}

    def _tested(self) -> str:
        people = "" if self.speakers is None else f", {self.speakers} speaker{'s' * (self.speakers != 1)}"
        return f"{self.utterances} utterance{'s' * (self.utterances != 1)}{people}"

    def _between(self, name: str) -> str:
        if name in self.intervals:
            interval = self.intervals[name]
            return f"{100 * interval.low:.2f} to {_percent(interval.high)}"
        return self.intervals_note if name == "unweighted_accuracy" else ""


def evaluate(
    truth: ArrayLike,
    probabilities: ArrayLike,
    *,
    labels: Sequence[str],
    speakers: ArrayLike | None = None,
    resamples: int = 10_000,
    seed: int = 0,
) -> Evaluation:
    """Judge a model's probabilities on one test set.

    Args:
        truth: (utterances,) the true classes' columns.
        probabilities: (utterances, classes); of logits take :func:`~m3ser.evaluation.softmax` first, with the model's
            temperature.
        labels: the classes' names, one for each column.
        speakers: (utterances,) who speaks each one: integers or strings; None where that is not known.
        resamples: how often the bootstrap draws speakers.
        seed: of the bootstrap.

    Raises:
        UsageError: the shapes do not match, or a row is no distribution.
        MissingExtraError: scikit-learn is not installed.
    """
    table, columns = probable(probabilities, truth)
    if len(labels) != table.shape[1]:
        raise UsageError(f"{table.shape[1]} columns of probabilities need as many labels; found {list(labels)}.")
    guesses = table.argmax(axis=1)
    auc = metrics.auc_per_class(columns, table)
    intervals: dict[str, Interval] = {}
    note = "" if speakers is not None else "none: the speakers are not known"
    if speakers is not None:
        try:
            intervals = speaker_bootstrap(columns, guesses, speakers, resamples=resamples, seed=seed)
        except DataError:
            note = "none: there is only one speaker"
    classes = range(len(labels))
    return Evaluation(
        labels=tuple(labels),
        utterances=len(columns),
        speakers=None if speakers is None else len(np.unique(np.asarray(speakers))),
        unweighted_accuracy=metrics.unweighted_accuracy(columns, guesses),
        weighted_accuracy=metrics.weighted_accuracy(columns, guesses),
        macro_f1=metrics.macro_f1(columns, guesses),
        weighted_f1=metrics.weighted_f1(columns, guesses),
        recall=tuple(metrics.recall_per_class(columns, guesses, labels=classes).tolist()),
        precision=tuple(metrics.precision_per_class(columns, guesses, labels=classes).tolist()),
        auc=tuple(auc.tolist()),
        macro_auc=float(auc.mean()),
        confusion=tuple(map(tuple, metrics.confusion_matrix(columns, guesses, labels=classes).tolist())),
        expected_calibration_error=calibration.expected_calibration_error(table, columns),
        brier_score=calibration.brier_score(table, columns),
        intervals=intervals,
        intervals_note=note,
    )


def _defined(value: float) -> float | None:
    return None if math.isnan(value) else value


def _area(value: float) -> str:
    return "undefined" if math.isnan(value) else f"{value:.3f}"


def _percent(value: float) -> str:
    return "undefined" if math.isnan(value) else f"{100 * value:.2f}%"
