"""Answers as files: CSV, JSON Lines or Parquet, written row by row, and whole or not at all."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from itertools import islice
from pathlib import Path
from typing import Any, TextIO, TypeAlias

from m3ser.errors import MissingExtraError, UsageError
from m3ser.files import PlainLineEnds, appearing_whole
from m3ser.inference.annotation.sources import Item

__all__ = ["FORMATS", "check_format", "failures_path", "write_failures", "write_results"]

Result: TypeAlias = "tuple[Item, dict[str, Any]]"
"""An item, and its prediction as a dictionary."""

FORMATS = (".parquet", ".csv", ".jsonl")
"""What a table's name may end in."""

_COLUMNS = ("file", "duration", "label")
_COLUMNS_BEHIND = ("text", "text_source", "model")
_NOTE = "note"
_SCORE = "p_"
_ROW_GROUP = 1024  # rows of a Parquet file that are in memory together


def check_format(out: Path) -> None:
    """Whether a table of this name can be written.

    Raises:
        UsageError: its name ends in something else.
        MissingExtraError: it is to be Parquet, and pyarrow is not installed.
    """
    if out.suffix.lower() not in FORMATS:
        raise UsageError(f"'{out}' ends in '{out.suffix}'; expected {', '.join(FORMATS[:-1])} or {FORMATS[-1]}.")
    if out.suffix.lower() == ".parquet" and find_spec("pyarrow") is None:
        raise MissingExtraError(f"Writing '{out}'", "parquet")


def failures_path(out: Path) -> Path:
    """Where failures are listed: "results.failed.csv" for "results.parquet"."""
    return out.with_name(f"{out.stem}.failed.csv")


def write_results(
    out: Path, results: Iterable[Result], *, labels: Sequence[str], further: Sequence[str], noted: bool = False
) -> None:
    """Write predictions in their order. Memory does not grow with their number.

    Args:
        out: the table; see :func:`check_format`.
        results: items with ``Prediction.to_dict()``.
        labels: the classes, each a column ``p_...`` of CSV and Parquet.
        further: the manifests' further columns. In CSV and Parquet they follow the others, and one whose name is taken
            is called ``manifest_...``; in JSON Lines what a row has of them is one more value, ``manifest``.
        noted: whether CSV and Parquet have a column for the predictions' notes.

    Raises:
        DataError: the file cannot be written.
    """
    write = {".csv": _write_csv, ".jsonl": _write_jsonl, ".parquet": _write_parquet}[out.suffix.lower()]
    with appearing_whole(out, "Table") as draft:
        write(draft, _named(results), _Layout(tuple(labels), tuple(further), noted))


def write_failures(path: Path, failures: Iterable[tuple[Item, str]], *, further: Sequence[str]) -> None:
    """Write what failed as CSV: the file as it was named, the manifests' further columns, and the reason.

    Raises:
        DataError: the file cannot be written.
    """
    with appearing_whole(path, "Table") as draft, _text(draft) as file:
        taken = {"file": "file", "reason": "reason"}
        _write_rows(
            file,
            ["file", *(_column(name, taken) for name in further), "reason"],
            ([item.file, *(_cell(item.further.get(name)) for name in further), reason] for item, reason in failures),
        )


def _named(results: Iterable[Result]) -> Iterator[Result]:
    """Each recording is called what the caller called it, and not by where a manifest's folder is."""
    for item, result in results:
        yield item, {**result, "file": item.file}


def _column(name: str, taken: Iterable[str]) -> str:
    return f"manifest_{name}" if name in taken else name


@dataclass(frozen=True)
class _Layout:
    """The columns of CSV and Parquet: the classes, the manifests' further ones, and whether there are notes."""

    labels: tuple[str, ...]
    further: tuple[str, ...]
    noted: bool

    @property
    def columns(self) -> list[str]:
        notes = (_NOTE,) if self.noted else ()
        own = [*_COLUMNS, *(f"{_SCORE}{label}" for label in self.labels), *_COLUMNS_BEHIND, *notes]
        return [*own, *(_column(name, own) for name in self.further)]

    def cells(self, item: Item, result: dict[str, Any]) -> list[Any]:
        return [
            *(result[name] for name in _COLUMNS),
            *(result["scores"][label] for label in self.labels),
            *(result[name] for name in _COLUMNS_BEHIND),
            *((result.get(_NOTE),) if self.noted else ()),
            *(_cell(item.further.get(name)) for name in self.further),
        ]


def _cell(value: Any) -> Any:
    """A manifest's value as one cell: JSON Lines may hold lists and objects."""
    return value if value is None or isinstance(value, (str, float)) else json.dumps(value)


# CSV


def _text(path: Path) -> TextIO:
    # Names of files that are not UTF-8 reach us with lone surrogates, and leave as the bytes that they were.
    return path.open("w", encoding="utf-8", errors="surrogateescape", newline="")


def _write_rows(file: TextIO, columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
    writer = csv.writer(PlainLineEnds(file), lineterminator="\r\n")
    writer.writerow(columns)
    writer.writerows(rows)


def _write_csv(path: Path, results: Iterable[Result], layout: _Layout) -> None:
    with _text(path) as file:
        _write_rows(file, layout.columns, (layout.cells(*result) for result in results))


# JSON Lines


def _write_jsonl(path: Path, results: Iterable[Result], layout: _Layout) -> None:  # noqa: ARG001
    with path.open("wb") as file:
        for item, result in results:
            file.write(_json(result | {"manifest": dict(item.further)} if item.further else result))


def _json(record: dict[str, Any]) -> bytes:
    try:
        return json.dumps(record, ensure_ascii=False).encode("utf-8") + b"\n"
    except UnicodeEncodeError:  # a file's name that is no UTF-8: JSON's own escapes, as in ``predict --json``
        return json.dumps(record).encode("ascii") + b"\n"


# Parquet


def _write_parquet(path: Path, results: Iterable[Result], layout: _Layout) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    numbers = {"duration", *(f"{_SCORE}{label}" for label in layout.labels)}
    columns, further = layout.columns, layout.further
    # The manifest's own numbers are start and end; whatever else it has came as text, or becomes it.
    numbers |= {column for column, name in zip(columns[-len(further) :], further, strict=False) if name in _NUMBERS}
    kinds = [pa.float64() if name in numbers else pa.string() for name in columns]
    schema = pa.schema(list(zip(columns, kinds, strict=True)))
    as_kind: list[Callable[[Any], Any]] = [_number if name in numbers else _string for name in columns]
    rows = (layout.cells(*result) for result in results)
    with pq.ParquetWriter(path, schema) as writer:
        while group := list(islice(rows, _ROW_GROUP)):
            values = [list(map(kind, column)) for kind, column in zip(as_kind, zip(*group, strict=True), strict=True)]
            arrays = [pa.array(column, kind) for column, kind in zip(values, kinds, strict=True)]
            writer.write_table(pa.Table.from_arrays(arrays, schema=schema), row_group_size=_ROW_GROUP)


_NUMBERS = ("start", "end")


def _number(value: Any) -> float | None:
    return None if value is None else float(value)


def _string(value: Any) -> str | None:
    if value is None:
        return None
    text = value if isinstance(value, str) else json.dumps(value)
    # Parquet's strings are UTF-8. Bytes of a file's name that are not are spelled as escapes.
    return text.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")
