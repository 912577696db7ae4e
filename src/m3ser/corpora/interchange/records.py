"""Text files of other tools, taken apart: every record with where it stands, or what is wrong there.

What people's files have been through is accepted: a byte-order mark, CRLF, blank lines, and Windows' code page 1252 (so
Latin-1 as well) in place of UTF-8, which is said.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

from m3ser.corpora.folders import lines_of, read_text
from m3ser.errors import DataError

__all__ = ["Problem", "Record", "csv_records", "json_object", "jsonl_records", "text_of"]


@dataclass(frozen=True)
class Problem:
    """One thing that is wrong with a file.

    Attributes:
        where: the place, as the beginning of a line ("line 3", "'anna_01'").
        what: what was found and what was expected.
    """

    where: str
    what: str

    def __str__(self) -> str:
        return f"{self.where}: {self.what}"


Record: TypeAlias = "tuple[str, dict[str, Any]] | Problem"
"""Where a record stands with what it says; or what is wrong there."""


def text_of(path: Path, notes: list[str]) -> str:
    """The text of a file; goes into `notes` where it is not UTF-8.

    Raises:
        DataError: it cannot be read.
    """
    try:
        try:
            return path.read_bytes().decode("utf-8-sig")
        except UnicodeDecodeError:
            notes.append(f"'{path}' is not UTF-8; it was read as Windows-1252.")
            return read_text(path)
    except OSError as error:
        raise DataError(f"'{path}' cannot be read: {error.strerror}.") from None


def jsonl_records(path: Path, notes: list[str]) -> Iterator[Record]:
    """The objects of a JSON Lines file.

    Raises:
        DataError: it cannot be read.
    """
    for number, line in enumerate(lines_of(text_of(path, notes)), start=1):
        if not line.strip():
            continue
        where = f"line {number}"
        try:
            record = json.loads(line)
        except ValueError as error:
            yield Problem(where, f"not JSON: {error}")
            continue
        if isinstance(record, dict):
            yield where, record
        else:
            yield Problem(where, f"a JSON {type(record).__name__}; expected an object")


def json_object(path: Path, notes: list[str]) -> tuple[dict[str, Any], list[Problem]]:
    """The object that a JSON file is, and the names that stand in it more than once.

    Raises:
        DataError: it cannot be read, or is something else.
    """
    problems: list[Problem] = []

    def without_doubles(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        held: dict[str, Any] = {}
        for name, value in pairs:
            if name in held:
                problems.append(Problem(f"'{name}'", "there more than once"))
            held.setdefault(name, value)
        return held

    try:
        found = json.loads(text_of(path, notes), object_pairs_hook=without_doubles)
    except (ValueError, RecursionError) as error:
        raise DataError(f"'{path}' is not JSON: {error}.") from None
    if not isinstance(found, dict):
        raise DataError(f"'{path}' is a JSON {type(found).__name__}; expected an object.")
    return found, problems


def csv_records(path: Path, notes: list[str], *, blanks_after_commas: bool = False) -> Iterator[Record]:
    """The rows of a CSV file under the names in its first line.

    Args:
        path: the file.
        notes: told of another encoding than UTF-8.
        blanks_after_commas: they belong to the layout, not to the values.

    Raises:
        DataError: it cannot be read, or its first line is not a row of different names.
    """
    text = text_of(path, notes)
    reader = csv.reader(io.StringIO(text, newline=""), skipinitialspace=blanks_after_commas)
    header: list[str] | None = None
    while True:
        where = f"line {reader.line_num + 1}"
        try:
            cells = next(reader, None)
        except csv.Error as error:
            yield Problem(where, f"not CSV: {error}")
            continue
        if cells is None:
            break
        if not any(cell.strip() for cell in cells):
            continue
        if header is None:
            # pandas leaves the column of its row numbers without a name.
            header = [name.strip() or f"column{number}" for number, name in enumerate(cells, start=1)]
            twice = sorted({name for name in header if header.count(name) > 1})
            if twice:
                raise DataError(f"'{path}' has columns more than once: {', '.join(map(repr, twice))}.")
        elif len(cells) != len(header):
            yield Problem(where, f"{len(cells)} fields; expected {len(header)}, one for each column")
        else:
            yield where, dict(zip(header, cells, strict=True))
    if header is None:
        raise DataError(f"'{path}' is empty; expected a line with the names of its columns.")
