"""Predictions as CSV: what a run keeps as ``predictions.csv``, one row for each utterance, seed and condition.

::

    # 3m-ser-ln, session protocol
    utterance,speaker,fold,seed,condition,truth,label,p_angry,p_happy,p_sad,p_neutral,corpus
    iemocap/Ses01F_impro01_F000,Ses01F,fold1,0,both,neutral,sad,0.05,0.05,0.6,0.3,iemocap

The columns ``p_...`` name the classes and their order, ``label`` is the likeliest of them (the first of equals), and
every other column is kept as it is. Floats are written so that they read back as the same numbers.
"""

from __future__ import annotations

import csv
import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import TextIO

import numpy as np

from m3ser.errors import DataError, UsageError
from m3ser.evaluation.checks import probable
from m3ser.evaluation.predictions import COLUMNS, PROBABILITY, PredictionTable, identity, joined, listed, repeated
from m3ser.files import PlainLineEnds, appearing_whole

__all__ = ["read_predictions", "write_predictions"]

_NEEDED = ("utterance", "condition")
"""What no row can do without; the speaker and the fold may be unknown."""

_ROWS_AT_ONCE = 50_000
"""Rows read in one go: their cells are strings, which take ten times the memory of what is kept of them."""


# Writing


def write_predictions(path: str | os.PathLike[str], table: PredictionTable, comment: str = "") -> Path:
    """Write predictions as CSV (see the module's docstring); the file appears whole or not at all.

    Args:
        path: the file; its folder is made where it is missing.
        table: the predictions, at least one row.
        comment: what the file says about itself, on one line.

    Returns:
        `path`.

    Raises:
        UsageError: there are no rows.
        DataError: the file cannot be written.
    """
    path = Path(path)
    if not len(table):
        raise UsageError(f"There are no predictions to write to '{path}'.")
    # Names of files that are not UTF-8 reach us with lone surrogates, and leave as the bytes that they were.
    try:
        with (
            appearing_whole(path, "Predictions") as draft,
            draft.open("w", encoding="utf-8", errors="surrogateescape", newline="") as file,
        ):
            _write_rows(file, table, " ".join(comment.split()))
    except UnicodeError as error:
        raise DataError(f"Predictions '{path}' cannot be written: {error}.") from error
    return path


def _write_rows(file: TextIO, table: PredictionTable, comment: str) -> None:
    if comment:
        file.write(f"# {comment}\n")
    writer = csv.writer(PlainLineEnds(file), lineterminator="\r\n")
    writer.writerow([*COLUMNS, *(f"{PROBABILITY}{label}" for label in table.labels), *table.extra])
    labels = np.array(table.labels, dtype=object)
    writer.writerows(
        zip(
            table.utterances,
            table.speakers,
            table.folds,
            table.seeds.tolist(),
            table.conditions,
            labels[table.truth],
            labels[table.guesses],
            *table.probabilities.T.tolist(),  # csv writes a float's repr, which reads back as the same number
            *table.extra.values(),
            strict=True,
        )
    )


# Reading


@dataclass(frozen=True)
class _Layout:
    """Where a file has what: the header's columns by name, and the classes."""

    header: tuple[str, ...]
    labels: tuple[str, ...]
    extra: tuple[str, ...]

    @classmethod
    def of(cls, line: int, header: Sequence[str]) -> _Layout:
        """The layout that the header on `line` describes.

        Raises:
            _Fault: it is not that of predictions.
        """
        twice = sorted({name for name in header if header.count(name) > 1})
        if twice:
            raise _Fault(line, f"the columns {listed(twice)} are there more than once")
        if not header:
            raise _Fault(line, f"empty; expected a line with the columns {','.join(COLUMNS)},{PROBABILITY}...")
        if "" in header:
            raise _Fault(line, "a column has no name")
        if PROBABILITY in header:
            raise _Fault(line, f"the column '{PROBABILITY}' names no class; expected {PROBABILITY}angry and so on")
        missing = [name for name in COLUMNS if name not in header]
        labels = tuple(name.removeprefix(PROBABILITY) for name in header if name.startswith(PROBABILITY))
        if missing or not labels:
            missing += [] if labels else [f"{PROBABILITY}angry and so on"]
            raise _Fault(line, f"no column {listed(missing)}; expected {','.join(COLUMNS)},{PROBABILITY}...")
        known = {*COLUMNS, *(f"{PROBABILITY}{label}" for label in labels)}
        return cls(tuple(header), labels, tuple(name for name in header if name not in known))


_Row = tuple[int, list[str]]
"""The line that it begins on, and its cells."""


def read_predictions(path: str | os.PathLike[str]) -> PredictionTable:
    """Read predictions that :func:`write_predictions`, or another program in the same format, has written.

    Raises:
        DataError: the file cannot be read, is not in this format or holds no row; or a row is of another length, has a
            class without a column, no distribution, a label that is not the likeliest, or the utterance, fold, seed and
            condition of another row (the message names the line).
    """
    path = Path(path)
    lines: list[int] = []
    parts: list[PredictionTable] = []
    words: dict[str, str] = {}
    try:
        with path.open(encoding="utf-8-sig", errors="surrogateescape", newline="") as file:
            rows = _rows(file)
            layout = _Layout.of(*next(rows, (1, [])))
            while chunk := list(islice(rows, _ROWS_AT_ONCE)):
                parts.append(_table(layout, chunk, words))
                lines += [number for number, _ in chunk]
    except _Fault as fault:
        raise DataError(f"Predictions '{path}', line {fault.line}: {fault.problem}.") from None
    except OSError as error:
        raise DataError(f"Predictions '{path}' cannot be read: {error.strerror}.") from None
    if not parts:
        raise DataError(f"Predictions '{path}' hold no row below the names of the columns; expected at least one.")
    table = parts[0] if len(parts) == 1 else joined(parts)
    if (pair := repeated(table)) is not None:
        first, second = (lines[row] for row in pair)
        raise DataError(f"Predictions '{path}', line {second}: {identity(table, pair[1])} is on line {first} already.")
    return table


class _Fault(Exception):  # noqa: N818
    """What is wrong with a line."""

    def __init__(self, line: int, problem: str) -> None:
        self.line = line
        self.problem = problem


def _rows(file: TextIO) -> Iterator[_Row]:
    """The header and the rows below it; blank lines, and the comment above, are passed over."""
    above = 0
    while (first := file.readline()).startswith("#"):
        above += 1
    reader = csv.reader(_before(first, file), strict=True)
    while True:
        line = above + reader.line_num + 1
        try:
            cells = next(reader, None)
        except csv.Error as error:
            raise _Fault(line, f"not CSV ({error})") from None
        if cells is None:
            return
        if cells:
            yield line, cells


def _before(first: str, rest: Iterable[str]) -> Iterator[str]:
    yield first
    yield from rest


def _table(layout: _Layout, rows: Sequence[_Row], words: dict[str, str]) -> PredictionTable:
    """The rows as a table; `words` holds what recurs in them (speakers, folds, ...) once for the whole file.

    Raises:
        _Fault: a row is faulty.
    """
    try:
        columns = dict(zip(layout.header, zip(*(cells for _, cells in rows), strict=True), strict=True))
        place = {label: index for index, label in enumerate(layout.labels)}
        table = PredictionTable(
            labels=layout.labels,
            utterances=columns["utterance"],
            seeds=np.array([int(seed) for seed in columns["seed"]], dtype=np.int64),
            truth=np.array([place[name] for name in columns["truth"]], dtype=np.int64),
            probabilities=np.array([[float(p) for p in columns[f"{PROBABILITY}{c}"]] for c in layout.labels]).T.copy(),
            **{
                field_: tuple(words.setdefault(cell, cell) for cell in columns[name])
                for field_, name in (("speakers", "speaker"), ("folds", "fold"), ("conditions", "condition"))
            },
            extra={name: tuple(words.setdefault(cell, cell) for cell in columns[name]) for name in layout.extra},
        )
        said = np.array([place[name] for name in columns["label"]], dtype=np.int64)
        if (said == table.guesses).all() and all(all(columns[name]) for name in _NEEDED):
            return table
    except (ValueError, KeyError, OverflowError, UsageError):
        pass  # found again below, with its line
    for line, cells in rows:
        if (problem := _problem(layout, cells)) is not None:
            raise _Fault(line, problem)
    raise AssertionError("a fault that no row has")


def _problem(layout: _Layout, cells: Sequence[str]) -> str | None:
    """What is wrong with one row; None where nothing is."""
    if len(cells) != len(layout.header):
        return f"{len(cells)} fields; expected {len(layout.header)}, one for each column"
    record = dict(zip(layout.header, cells, strict=True))
    for name in _NEEDED:
        if not record[name]:
            return f"the {name} is empty; expected a name"
    for name in ("truth", "label"):
        if record[name] not in layout.labels:
            return f"the {name} is '{record[name]}'; expected one of {', '.join(layout.labels)}"
    try:
        np.array(int(record["seed"]), dtype=np.int64)
    except (ValueError, OverflowError):
        return f"the seed is '{record['seed']}'; expected an integer"
    shares = [record[f"{PROBABILITY}{label}"] for label in layout.labels]
    try:
        values = np.array([float(share) for share in shares])
        probable(values[None], [0])
    except (ValueError, UsageError):
        return f"the probabilities are {', '.join(shares)}; expected numbers in [0, 1] that sum to 1"
    if record["label"] != (likeliest := layout.labels[int(values.argmax())]):
        return f"the label is '{record['label']}', but '{likeliest}' has the highest probability"
    return None
