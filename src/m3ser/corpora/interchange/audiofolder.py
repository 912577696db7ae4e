"""Hugging Face's ``audiofolder``: recordings, and beside them a table of what is known of each.

::

    train/metadata.jsonl      {"file_name": "audio/anna_01.wav", "emotion": "angry", "text": "I said no."}
    train/audio/anna_01.wav
    metadata.csv              file_name,emotion            the same as CSV
    train/angry/anna_01.wav   where there is no table, the folder that a recording lies in is its label

``file_name`` begins in the table's folder, and cannot lead out of it: ``datasets`` refuses ".." and whole paths.
Folders called ``train``, ``validation`` (or ``dev``) and ``test`` are the parts of a split. Source: the ``datasets``
package, ``packaged_modules/folder_based_builder``.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path, PurePath
from typing import Any

from m3ser.corpora.interchange.contract import Reading, Row, Source
from m3ser.corpora.interchange.records import Problem, Record, csv_records, jsonl_records
from m3ser.corpora.interchange.rows import PART_WORDS
from m3ser.corpora.label_names import emotion_of
from m3ser.corpora.recordings import audio_files
from m3ser.errors import DataError

__all__ = ["FILE_NAME", "METADATA", "read", "recognises", "recognises_classes"]

METADATA = "metadata.jsonl"
FILE_NAME = "file_name"
_TABLES = (METADATA, "metadata.csv")
_PARQUET = "metadata.parquet"


def recognises(source: Path) -> bool:
    """Whether `source` is a table with ``file_name``, or a folder that holds one."""
    if source.is_dir():
        return bool(_tables(source)) or any(source.rglob(_PARQUET))
    if source.suffix.lower() not in (".csv", ".jsonl"):
        return False
    try:
        first = next(iter(_records(source, [])), None)
    except DataError:
        return False
    return isinstance(first, tuple) and FILE_NAME in first[1]


def recognises_classes(source: Path) -> bool:
    """Whether `source` is a folder with recordings in folders that are named after emotions."""
    return source.is_dir() and any(emotion_of(Path(path).parent.name) for path in audio_files(source)[0])


def read(given: Source) -> Reading:
    """Read a table, or a folder with tables, or else with recordings in folders named after their labels.

    Raises:
        DataError: it cannot be read, or holds neither tables nor recordings.
    """
    source = given.path
    notes: list[str] = []
    folder = source if source.is_dir() else source.parent
    lists = _tables(source) if source.is_dir() else [source]
    if not lists:
        if source.is_dir() and any(source.rglob(_PARQUET)):
            raise DataError(f"'{source}' has its table as {_PARQUET}; expected metadata.jsonl or metadata.csv.")
        rows, notes = _classes(folder)
        return Reading(f"Folder '{source}'", folder, rows, notes=tuple(notes))
    what = f"audiofolder '{source}'"
    return Reading(what, folder, [row for path in lists for row in _rows(path, folder, notes)], notes=tuple(notes))


def _tables(folder: Path) -> list[Path]:
    return sorted(path for name in _TABLES for path in folder.rglob(name) if not _hidden(path.relative_to(folder)))


def _hidden(path: PurePath) -> bool:
    return any(part.startswith((".", "__")) for part in path.parts)


def _records(path: Path, notes: list[str]) -> Iterable[Record]:
    return csv_records(path, notes) if path.suffix.lower() == ".csv" else jsonl_records(path, notes)


def _rows(path: Path, folder: Path, notes: list[str]) -> Iterator[Row | Problem]:
    below = path.parent.relative_to(folder)
    inside = "" if below == PurePath() else f"{(below / path.name).as_posix()}, "
    part = _part(below)
    for record in _records(path, notes):
        if isinstance(record, Problem):
            yield replace(record, where=inside + record.where)
            continue
        where, values = inside + record[0], dict(record[1])
        name = values.pop(FILE_NAME, None)
        if not isinstance(name, str) or not name:
            yield Problem(where, f"no {FILE_NAME}; expected the path of a recording")
            continue
        yield Row(where, (below / name).as_posix(), _with_part(values, part))


def _with_part(values: dict[str, Any], part: str | None) -> dict[str, Any]:
    # What a column says goes before where the table lies.
    return values if part is None or values.get("split") else {**values, "split": part}


def _part(below: PurePath) -> str | None:
    """The part of a split that a path goes through; None where it goes through none."""
    return next((PART_WORDS[name.lower()] for name in below.parts if name.lower() in PART_WORDS), None)


def _classes(folder: Path) -> tuple[list[Row | Problem], list[str]]:
    files, notes = audio_files(folder)
    if not files:
        raise DataError(f"'{folder}' holds neither metadata.jsonl nor metadata.csv nor recordings.")
    inside = sorted(PurePath(path).relative_to(folder) for path in files)
    rows: list[Row | Problem] = []
    for path in inside:
        name = path.as_posix()
        values = {"id": path.with_suffix("").as_posix(), "label": path.parent.name or None}
        rows.append(Row(f"'{name}'", name, _with_part(values, _part(path.parent))))
    return rows, notes
