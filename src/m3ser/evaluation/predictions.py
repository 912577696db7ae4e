"""What a model said of every test utterance: the one record that every score, figure and comparison is computed from.

:mod:`m3ser.evaluation.prediction_files` keeps it as a file.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import compress
from types import MappingProxyType

import numpy as np
from numpy.typing import ArrayLike, NDArray

from m3ser.errors import DataError, UsageError
from m3ser.evaluation.checks import probable
from m3ser.evaluation.record import Evaluation, evaluate

__all__ = ["PredictionTable", "concatenate"]

COLUMNS = ("utterance", "speaker", "fold", "seed", "condition", "truth", "label")
"""The columns of the file that have a meaning, beside those of the probabilities."""

PROBABILITY = "p_"
"""In front of a class's name it names the column of its probabilities."""


@dataclass(frozen=True, eq=False)
class PredictionTable:
    """Predictions, one row for each utterance, seed and condition that a model was tested on.

    Attributes:
        labels: the classes, in the order of the columns of `probabilities`.
        utterances: what each row's utterance is called, the same in every run ("iemocap/Ses01F_impro01_F000").
        speakers: who speaks it; "" where that is not known.
        folds: the fold whose model was asked ("fold1").
        seeds: (rows,) int64, the seed that this model was trained with.
        conditions: what the model was given: "both", "audio" or "text"; "both-transcribed" or "text-transcribed" where
            the words are a speech recogniser's (:data:`m3ser.evaluation.CONDITIONS`).
        truth: (rows,) int64, the column of the true class.
        probabilities: (rows, classes) float64, each row summing to 1.
        extra: any other column by its name, with one string for each row ("relation", "corpus").

    Raises:
        UsageError: the lengths differ, a class is no column, a row of probabilities is no distribution, or an extra
            column has a name with a meaning of its own.
    """

    labels: tuple[str, ...]
    utterances: tuple[str, ...]
    speakers: tuple[str, ...]
    folds: tuple[str, ...]
    seeds: NDArray[np.int64]
    conditions: tuple[str, ...]
    truth: NDArray[np.int64]
    probabilities: NDArray[np.float64]
    extra: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for name in ("labels", "utterances", "speakers", "folds", "conditions"):
            object.__setattr__(self, name, tuple(getattr(self, name)))
        object.__setattr__(self, "extra", MappingProxyType({n: tuple(values) for n, values in self.extra.items()}))
        if not self.labels or not all(self.labels) or len(set(self.labels)) != len(self.labels):
            raise UsageError(f"Predictions need labels that are all different, at least one; found {self.labels}.")
        hidden = [name for name in self.extra if name in COLUMNS or name.startswith(PROBABILITY) or not name]
        if hidden:
            raise UsageError(f"An extra column of predictions cannot be called {listed(hidden)}.")
        self._check_lengths()
        for name, kind in (("seeds", np.int64), ("truth", np.int64), ("probabilities", np.float64)):
            values = np.asarray(getattr(self, name))
            if kind is np.int64 and values.size and not np.issubdtype(values.dtype, np.integer):
                raise UsageError(f"The {name} of predictions have to be integers; found {values.dtype}.")
            object.__setattr__(self, name, values.astype(kind, copy=False))
        if self.utterances:
            probable(self.probabilities, self.truth)

    def _check_lengths(self) -> None:
        rows = len(self.utterances)
        texts = {"speakers": self.speakers, "folds": self.folds, "conditions": self.conditions, **self.extra}
        shapes = {name: (len(values),) for name, values in texts.items()}
        shapes |= {name: np.shape(getattr(self, name)) for name in ("seeds", "truth", "probabilities")}
        for name, shape in shapes.items():
            expected = (rows, len(self.labels)) if name == "probabilities" else (rows,)
            if shape != expected:
                raise UsageError(f"{rows} utterances need {name} of shape {expected}; found {shape}.")

    def __len__(self) -> int:
        """How many rows there are."""
        return len(self.utterances)

    @property
    def guesses(self) -> NDArray[np.int64]:
        """(rows,) the column of the likeliest class; the first of equals."""
        guesses: NDArray[np.int64] = self.probabilities.argmax(axis=1).astype(np.int64, copy=False)
        return guesses

    def where(
        self,
        *,
        condition: str | None = None,
        seed: int | None = None,
        fold: str | None = None,
        mask: ArrayLike | None = None,
    ) -> PredictionTable:
        """The rows that meet everything that is given, in their order; possibly none.

        Args:
            condition: exactly this one.
            seed: of the model.
            fold: of the model.
            mask: (rows,) bool, true for the rows to keep.

        Raises:
            UsageError: the mask is not bool or of another shape.
        """
        rows = len(self)
        keep = np.ones(rows, dtype=np.bool_)
        if mask is not None:
            given = np.asarray(mask)
            if given.shape != (rows,) or given.dtype != np.bool_:
                raise UsageError(f"A mask of {rows} rows has to be bool; found {given.dtype} of shape {given.shape}.")
            keep &= given
        for wanted, values in ((condition, self.conditions), (fold, self.folds)):
            if wanted is not None:
                keep &= np.fromiter((value == wanted for value in values), np.bool_, rows)
        if seed is not None:
            keep &= self.seeds == seed
        return PredictionTable(
            labels=self.labels,
            utterances=tuple(compress(self.utterances, keep)),
            speakers=tuple(compress(self.speakers, keep)),
            folds=tuple(compress(self.folds, keep)),
            seeds=self.seeds[keep],
            conditions=tuple(compress(self.conditions, keep)),
            truth=self.truth[keep],
            probabilities=self.probabilities[keep],
            extra={name: tuple(compress(values, keep)) for name, values in self.extra.items()},
        )

    def evaluate(self, *, resamples: int = 10_000, seed: int = 0) -> Evaluation:
        """The scores over all rows together, whatever their fold and seed.

        An utterance that several seeds were tested on counts once for each. The intervals resample speakers, with all
        rows of each; there are none where a speaker is not known.

        Args:
            resamples: how often the bootstrap draws speakers.
            seed: of the bootstrap.

        Raises:
            UsageError: there are no rows, or rows of several conditions.
            MissingExtraError: scikit-learn is not installed.
        """
        conditions = dict.fromkeys(self.conditions)
        if len(conditions) > 1:
            raise UsageError(f"Predictions of {listed(conditions)} are no one result; choose one with where().")
        return evaluate(
            self.truth,
            self.probabilities,
            labels=self.labels,
            speakers=np.array(self.speakers) if all(self.speakers) else None,
            resamples=resamples,
            seed=seed,
        )


def concatenate(tables: Iterable[PredictionTable]) -> PredictionTable:
    """Several tables one after the other, as of a cross-validation's folds.

    An extra column that one of them lacks is "" in its rows.

    Raises:
        UsageError: there is no table.
        DataError: their labels differ, or two rows are of the same utterance, fold, seed and condition.
    """
    parts = list(tables)
    if not parts:
        raise UsageError("At least one table of predictions is needed; found none.")
    labels = parts[0].labels
    for part in parts:
        if part.labels != labels:
            raise DataError(
                f"Predictions of the classes {listed(labels)} and {listed(part.labels)} do not belong together."
            )
    table = joined(parts)
    if (pair := repeated(table)) is not None:
        raise DataError(f"Two rows of the predictions are of {identity(table, pair[1])}; expected one.")
    return table


def joined(parts: Sequence[PredictionTable]) -> PredictionTable:
    """Tables of the same labels one after the other, unchecked."""
    extra = dict.fromkeys(name for part in parts for name in part.extra)
    return PredictionTable(
        labels=parts[0].labels,
        utterances=tuple(value for part in parts for value in part.utterances),
        speakers=tuple(value for part in parts for value in part.speakers),
        folds=tuple(value for part in parts for value in part.folds),
        seeds=np.concatenate([part.seeds for part in parts]),
        conditions=tuple(value for part in parts for value in part.conditions),
        truth=np.concatenate([part.truth for part in parts]),
        probabilities=np.concatenate([part.probabilities for part in parts]),
        extra={name: tuple(v for part in parts for v in part.extra.get(name, ("",) * len(part))) for name in extra},
    )


def repeated(table: PredictionTable) -> tuple[int, int] | None:
    """Two rows of the same utterance, fold, seed and condition, the first such; None where all differ."""
    keys = list(zip(table.utterances, table.folds, table.seeds.tolist(), table.conditions, strict=True))
    if len(set(keys)) == len(keys):
        return None
    seen: dict[tuple[str, str, int, str], int] = {}
    return next((seen[key], row) for row, key in enumerate(keys) if seen.setdefault(key, row) != row)


def identity(table: PredictionTable, row: int) -> str:
    """What `row` is, for a message."""
    fold = f", {table.folds[row]}" if table.folds[row] else ""
    return f"utterance '{table.utterances[row]}' (seed {table.seeds[row]}, {table.conditions[row]}{fold})"


def listed(names: Iterable[str]) -> str:
    """Names for a message."""
    return ", ".join(f"'{name}'" for name in names)
