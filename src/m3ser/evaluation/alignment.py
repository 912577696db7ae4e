"""Two runs side by side: the same utterances in the same order, or one sentence on why that cannot be."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from m3ser.errors import DataError, UsageError
from m3ser.evaluation.predictions import PredictionTable

__all__ = ["Aligned", "Answers", "align"]


@dataclass(frozen=True, eq=False)
class Answers:
    """What one run said, row by row.

    Attributes:
        utterances: (rows,) int64, the number of the row's utterance.
        seeds: (rows,) int64, the place of the row's seed among those of the run.
        guesses: (rows,) int64, the predicted class's column.
        seed_names: the run's seeds, ascending.
    """

    utterances: NDArray[np.int64]
    seeds: NDArray[np.int64]
    guesses: NDArray[np.int64]
    seed_names: tuple[int, ...]


@dataclass(frozen=True, eq=False)
class Aligned:
    """Two runs on the same utterances.

    Attributes:
        labels: the classes, in the order of their columns.
        truth: (utterances,) int64, the true class's column.
        speakers: (utterances,) who speaks each one; None where that is not known of all.
        first, second: what each run said.
        by_seed: both runs have the same seeds, and the same utterances under each.
    """

    labels: tuple[str, ...]
    truth: NDArray[np.int64]
    speakers: tuple[str, ...] | None
    first: Answers
    second: Answers
    by_seed: bool


def align(first: PredictionTable, second: PredictionTable, *, names: tuple[str, str]) -> Aligned:
    """Match the rows of two runs by utterance, and by seed where both have the same seeds.

    The order of rows and of classes may differ, and so may what the models were given. A speaker that only one of the
    runs knows is known.

    Args:
        first: one run, of one condition.
        second: the other, too.
        names: what the two are called in errors.

    Raises:
        UsageError: a run has no rows, or rows of several conditions.
        DataError: the classes, the utterances, their true classes or their speakers differ; an utterance stands twice
            under one seed; or the runs have different seeds, and one has not tested every utterance with each of its
            own.
    """
    for table, name in zip((first, second), names, strict=True):
        if len(set(table.conditions)) != 1:
            raise UsageError(
                f"{name} has predictions under {', '.join(dict.fromkeys(table.conditions)) or 'no condition'}; "
                "a comparison needs exactly one condition."
            )
    if set(first.labels) != set(second.labels):
        raise DataError(
            f"{names[0]} tells {', '.join(first.labels)} apart, {names[1]} {', '.join(second.labels)}; a comparison "
            "needs the same classes."
        )
    utterances = _same_utterances(first, second, names)
    answers = _answers(first, first.labels, utterances, names[0]), _answers(second, first.labels, utterances, names[1])
    by_seed = answers[0].seed_names == answers[1].seed_names
    if by_seed:
        _check_same_cells(*answers, tuple(utterances), names)
    else:
        for one, name in zip(answers, names, strict=True):
            _check_complete(one, len(utterances), name)
    return Aligned(
        labels=first.labels,
        truth=_same_truth(first, second, utterances, names),
        speakers=_speakers((first, second), utterances, names),
        first=answers[0],
        second=answers[1],
        by_seed=by_seed,
    )


def _same_utterances(first: PredictionTable, second: PredictionTable, names: tuple[str, str]) -> dict[str, int]:
    """Each utterance's number."""
    utterances = {name: number for number, name in enumerate(dict.fromkeys(first.utterances))}
    others = dict.fromkeys(second.utterances)
    only = [name for name in utterances if name not in others], [name for name in others if name not in utterances]
    if not any(only):
        return utterances
    lacking = " and ".join(
        f"{len(missing):,} only in {name} (such as '{missing[0]}')"
        for missing, name in zip(only, names, strict=True)
        if missing
    )
    raise DataError(
        f"{names[0]} and {names[1]} were not tested on the same utterances: {len(utterances) - len(only[0]):,} are in "
        f"both, {lacking}."
    )


def _answers(table: PredictionTable, labels: Sequence[str], utterances: dict[str, int], name: str) -> Answers:
    numbers = np.fromiter((utterances[one] for one in table.utterances), np.int64, len(table))
    seed_names, seeds = np.unique(table.seeds, return_inverse=True)
    cells = numbers * len(seed_names) + seeds
    counts = np.bincount(cells)
    if counts.max() > 1:
        row = int(np.flatnonzero(cells == counts.argmax())[0])
        raise DataError(
            f"In {name} utterance '{table.utterances[row]}' was tested {counts.max()} times with seed "
            f"{table.seeds[row]}; a comparison needs one prediction for each utterance and seed."
        )
    columns = np.array([labels.index(label) for label in table.labels])
    return Answers(numbers, seeds.astype(np.int64), columns[table.guesses], tuple(seed_names.tolist()))


def _check_same_cells(first: Answers, second: Answers, utterances: Sequence[str], names: tuple[str, str]) -> None:
    seeds = len(first.seed_names)
    one, two = (answers.utterances * seeds + answers.seeds for answers in (first, second))
    for missing, name, other in (
        (np.setdiff1d(one, two), names[0], names[1]),
        (np.setdiff1d(two, one), names[1], names[0]),
    ):
        if missing.size:
            utterance, seed = divmod(int(missing[0]), seeds)
            raise DataError(
                f"{name} has {missing.size:,} predictions for an utterance and seed that {other} has none for (such as "
                f"'{utterances[utterance]}' with seed {first.seed_names[seed]}); a comparison needs both."
            )


def _check_complete(answers: Answers, utterances: int, name: str) -> None:
    expected = utterances * len(answers.seed_names)
    if len(answers.guesses) != expected:
        raise DataError(
            f"{name} has {len(answers.guesses):,} predictions for {utterances:,} utterances with "
            f"{len(answers.seed_names)} seeds; against a run with other seeds, each utterance has to be tested with "
            f"every seed ({expected:,})."
        )


def _same_truth(
    first: PredictionTable, second: PredictionTable, utterances: dict[str, int], names: tuple[str, str]
) -> NDArray[np.int64]:
    truth = np.zeros(len(utterances), dtype=np.int64)
    tables = [
        (
            np.fromiter((utterances[one] for one in table.utterances), np.int64, len(table)),
            np.array([first.labels.index(label) for label in table.labels])[table.truth],
        )
        for table in (first, second)
    ]
    truth[tables[0][0]] = tables[0][1]
    for (numbers, said), table, name in zip(tables, (first, second), names, strict=True):
        rows = np.flatnonzero(truth[numbers] != said)
        if rows.size:
            row = int(rows[0])
            whose = f"The rows of {name}" if table is first else f"{names[0]} and {name}"
            label, other = first.labels[truth[numbers[row]]], first.labels[said[row]]
            raise DataError(
                f"{whose} do not agree on what {len(np.unique(numbers[rows])):,} of {len(utterances):,} utterances "
                f"truly are: '{table.utterances[row]}' is {label}, or {other}."
            )
    return truth


def _speakers(
    tables: Sequence[PredictionTable], utterances: dict[str, int], names: tuple[str, str]
) -> tuple[str, ...] | None:
    known: dict[str, str] = {}
    for table in tables:
        for utterance, speaker in zip(table.utterances, table.speakers, strict=True):
            if speaker and known.setdefault(utterance, speaker) != speaker:
                raise DataError(
                    f"{names[0]} and {names[1]} do not agree on who speaks '{utterance}': {known[utterance]}, or "
                    f"{speaker}."
                )
    return tuple(known[one] for one in utterances) if len(known) == len(utterances) else None
