"""Manifests: one file that lists utterances, as CSV or JSON Lines.

The CSV form, with comment lines first where the file says something about itself::

    # paired (semi-synthetic): seed 1, ...
    audio,emotion,text,speaker,language,split
    emodb/wav/03a01Wa.flac,angry,Der Lappen liegt auf dem Eisschrank.,emodb/03,de,train

The JSON Lines form has the same names as keys, and the comment in a first record ``{"meta": {"comment": "..."}}``.
``audio`` is relative to the manifest, with forward slashes. Columns that :class:`~m3ser.schema.Utterance` does not have
are kept in its ``extra``. An empty field is one whose value is not known.
"""

from __future__ import annotations

import csv
import json
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from io import TextIOWrapper
from pathlib import Path
from typing import Any, Literal, TextIO

from m3ser.corpora.corpus import Progress
from m3ser.corpora.manifest_rows import COLUMNS, SPLITS, Fault, FaultSample, known_of, problems_of, utterance_of
from m3ser.errors import DataError, UsageError
from m3ser.files import PlainLineEnds, appearing_whole
from m3ser.schema import Utterance

__all__ = [
    "COLUMNS",
    "SPLITS",
    "Fault",
    "FaultSample",
    "Manifest",
    "manifest_faults",
    "read_manifest",
    "stream_manifest",
    "stream_rows",
    "write_manifest",
]

_META = "meta"
_SHOWN = 100
"""Faults of one kind that an error lists."""

_PROGRESS_ROWS = 4096


@dataclass(frozen=True)
class Manifest:
    """A manifest that was read whole and found right.

    Attributes:
        path: the file.
        comment: what the file says about itself, its lines joined by newlines; empty where it says nothing.
        utterances: in the order of the file; ``audio`` is joined to the manifest's folder.
    """

    path: Path
    comment: str
    utterances: tuple[Utterance, ...]


def read_manifest(path: str | os.PathLike[str], *, check_audio: bool = True) -> Manifest:
    """Read a manifest into memory.

    Args:
        path: a ``.csv``, ``.jsonl`` or ``.ndjson`` file.
        check_audio: also make sure that every recording is there.

    Raises:
        UsageError: the extension is none of these.
        DataError: the file cannot be read, or has faults; lists them, a line each, the first hundred of each kind.
    """
    path = Path(path)
    comment: list[str] = []
    utterances = tuple(_without_faults(path, check_audio, comment))
    return Manifest(path, "\n".join(comment), utterances)


def stream_manifest(path: str | os.PathLike[str], *, check_audio: bool = True) -> Iterator[Utterance]:
    """Read a manifest row by row, in memory that does not grow with its length.

    Faulty rows are passed over while reading and raised together at the end.

    Raises:
        UsageError, DataError: as :func:`read_manifest`.
    """
    return _without_faults(Path(path), check_audio, [])


def stream_rows(path: str | os.PathLike[str]) -> Iterator[dict[str, Any]]:
    """The rows of a manifest as they stand, labelled or not, in memory that does not grow with their number.

    Of each row, the fields that have a value are yielded by their names. Only ``audio``, ``text``, ``start`` and
    ``end`` are looked at, of which the numbers may come as strings; ``audio`` is neither joined to the manifest's
    folder nor looked for. Faulty rows are passed over while reading and raised together at the end.

    Raises:
        UsageError, DataError: as :func:`read_manifest`.
    """
    return _right_rows(Path(path), [], check_audio=False, labelled=False)


def manifest_faults(
    path: str | os.PathLike[str], *, check_audio: bool = True, progress: Progress | None = None
) -> Iterator[Fault]:
    """Everything that is wrong with a manifest, as it is found; nothing where it is right.

    More is looked for than :func:`read_manifest` insists on: the same stretch of a recording twice is a fault here (not
    in a paired manifest, with other words). Of each row with audio a hash of 8 bytes is kept to that end, which takes
    about 70 bytes of memory; nothing else grows with the manifest.

    Args:
        path: as in :func:`read_manifest`.
        check_audio: also make sure that every recording is there.
        progress: told how many megabytes of the file have been read, and of how many.

    Raises:
        UsageError: the extension is none of those of :func:`read_manifest`.
        DataError: the file cannot be read at all.
    """
    path = Path(path)
    folder = str(path.parent)
    seen: set[int] = set()
    for line, record in _rows(path, [], progress, labelled=True):
        if isinstance(record, str):
            yield Fault(line, record, "rows")
            continue
        known = known_of(record)
        problems = problems_of(known, folder, check_audio=check_audio)
        for kind, problem in problems:
            yield Fault(line, problem, kind)
        if not problems and "audio" in known:
            stretch = [known["audio"], *(float(known[name]) if name in known else None for name in ("start", "end"))]
            # Two of a million hash alike by chance once in forty million manifests.
            key = hash((*stretch, known.get("text") if "relation" in known else None))
            if key in seen:
                yield Fault(line, f"{_told(*stretch)} was listed before; expected each utterance once", "repeated")
            seen.add(key)


def _told(audio: str, start: float | None, end: float | None) -> str:
    until = "" if end is None else f" to {end:g} s"
    return f"audio '{audio}'" if start is None and end is None else f"audio '{audio}' from {start or 0:g} s{until}"


def write_manifest(path: str | os.PathLike[str], utterances: Iterable[Utterance], *, comment: str = "") -> Path:
    """Write a manifest; it appears whole or not at all. Columns without any value are left out.

    Args:
        path: a ``.csv``, ``.jsonl`` or ``.ndjson`` file; its folder is made where it is missing.
        utterances: the rows. An empty value in ``extra`` reads back as one that is not there.
        comment: what the file says about itself, in any number of lines.

    Returns:
        `path`.

    Raises:
        UsageError: the extension is none of these, or a column in ``extra`` has the name of one that has a meaning.
        DataError: the file cannot be written, or a recording cannot be named relative to it (it is on another drive).
    """
    path = Path(path)
    form = _form(path)
    place = _Place(path)
    rows = [_row(utterance, place) for utterance in utterances]
    with appearing_whole(path, "Manifest") as draft, draft.open("w", encoding="utf-8", newline="") as file:
        if form == "csv":
            _write_csv(file, rows, comment)
        else:
            _write_jsonl(file, rows, comment)
    return path


def _form(path: Path) -> Literal["csv", "jsonl"]:
    if path.suffix.lower() == ".csv":
        return "csv"
    if path.suffix.lower() in (".jsonl", ".ndjson"):
        return "jsonl"
    raise UsageError(f"Manifest '{path}' ends in '{path.suffix}'; expected .csv, .jsonl or .ndjson.")


# Writing


class _Place:
    """Where a manifest lies, to name recordings from there."""

    def __init__(self, manifest: Path) -> None:
        self._manifest = manifest
        # Recordings share folders, and following a folder's links takes longer than all else about a row.
        self._prefixes: dict[Path, str] = {}

    def name(self, audio: Path) -> str:
        """The path of a recording relative to the manifest's folder, with forward slashes."""
        folder = audio.parent
        if folder not in self._prefixes:
            self._prefixes[folder] = self._prefix(folder)
        return self._prefixes[folder] + audio.name

    def _prefix(self, folder: Path) -> str:
        try:
            # "..", from a folder behind a link, leads to where the link points: name both folders as they really are.
            relative = os.path.relpath(os.path.realpath(folder), os.path.realpath(self._manifest.parent))
        except ValueError as error:
            raise DataError(f"'{folder}' cannot be named relative to '{self._manifest}': {error}.") from None
        return "" if relative == os.curdir else f"{Path(relative).as_posix()}/"


def _row(utterance: Utterance, place: _Place) -> dict[str, str | float]:
    """What is known of an utterance, in the order of COLUMNS and then of its extra columns."""
    hidden = [name for name in utterance.extra if name in COLUMNS or name == _META]
    if hidden:
        raise UsageError(f"An extra column cannot be called {', '.join(hidden)}: in a manifest that has a meaning.")
    values: dict[str, str | float | None] = {name: getattr(utterance, name) for name in COLUMNS}
    if utterance.audio is not None:
        values["audio"] = place.name(utterance.audio)
    return {name: value for name, value in (*values.items(), *utterance.extra.items()) if value not in (None, "")}


def _write_csv(file: TextIO, rows: Sequence[Mapping[str, str | float]], comment: str) -> None:
    used = dict.fromkeys(name for row in rows for name in row)
    columns = [name for name in COLUMNS if name in used or name in ("audio", "emotion")]
    columns += [name for name in used if name not in COLUMNS]
    file.writelines(f"# {line}\n" for line in comment.splitlines())
    writer = csv.DictWriter(PlainLineEnds(file), columns, restval="", lineterminator="\r\n")
    writer.writeheader()
    writer.writerows(rows)


def _write_jsonl(file: TextIO, rows: Iterable[Mapping[str, str | float]], comment: str) -> None:
    if comment:
        file.write(json.dumps({_META: {"comment": comment}}, ensure_ascii=False) + "\n")
    file.writelines(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)


# Reading


def _without_faults(path: Path, check_audio: bool, comment: list[str]) -> Iterator[Utterance]:
    for known in _right_rows(path, comment, check_audio=check_audio, labelled=True):
        yield utterance_of(known, path.parent)


def _right_rows(path: Path, comment: list[str], *, check_audio: bool, labelled: bool) -> Iterator[dict[str, Any]]:
    folder = str(path.parent)
    sample = FaultSample(_SHOWN)
    faults: list[Fault] = []
    for line, record in _rows(path, comment, None, labelled=labelled):
        if isinstance(record, str):
            found = [Fault(line, record, "rows")]
        else:
            known = known_of(record)
            problems = problems_of(known, folder, check_audio=check_audio, labelled=labelled)
            if not problems:
                yield known
            found = [Fault(line, problem, kind) for kind, problem in problems]
        faults += [fault for fault in found if sample.takes(fault)]
    total = sample.counts.total()
    if total:
        count = "1 fault" if total == 1 else f"{total:,} faults"
        raise DataError("\n  ".join([f"Manifest '{path}' has {count}:", *map(str, faults), *sample.rest()]))


def _rows(
    path: Path, comment: list[str], progress: Progress | None, *, labelled: bool
) -> Iterator[tuple[int, dict[str, Any] | str]]:
    """Line numbers with a row, or with what is wrong with it; comment lines go into `comment` before the first row."""
    records = partial(_csv_records, labelled=labelled) if _form(path) == "csv" else _jsonl_records
    try:
        # Bytes that are not UTF-8 become lone surrogates, which are found, and named with their line, further on.
        with (
            path.open("rb") as raw,
            TextIOWrapper(raw, encoding="utf-8-sig", errors="surrogateescape", newline="") as file,
        ):
            megabytes = os.fstat(raw.fileno()).st_size // 1_000_000
            for count, row in enumerate(records(file, comment)):
                if progress is not None and count % _PROGRESS_ROWS == 0:
                    progress(raw.tell() // 1_000_000, megabytes)
                yield row
    except OSError as error:
        raise DataError(f"Manifest '{path}' cannot be read: {error.strerror}.") from None


def _csv_records(file: TextIO, comment: list[str], *, labelled: bool) -> Iterator[tuple[int, dict[str, Any] | str]]:
    """Line numbers with a row, or with what is wrong with the line as such."""
    above = 0
    while (first := file.readline()).startswith("#"):
        comment.append(first[1:].strip())
        above += 1
    reader = csv.reader(_before(first, file))
    header: list[str] | None = None
    while True:
        line = above + reader.line_num + 1
        try:
            cells = next(reader, None)
        except csv.Error as error:
            yield line, f"not CSV: {error}"
            continue
        if cells is None:
            break
        if not cells:
            continue
        if header is None:
            header = [name.strip() for name in cells]
            problem = _header_problem(header, labelled=labelled)
            if problem:
                yield line, problem
                return
        elif len(cells) != len(header):
            yield line, f"{len(cells)} fields; expected {len(header)}, one for each column"
        else:
            yield line, dict(zip(header, cells, strict=True))
    if header is None:
        yield 1, f"empty; expected a line with the names of the columns, such as {', '.join(COLUMNS[:3])}"


def _before(first: str, rest: Iterable[str]) -> Iterator[str]:
    yield first
    yield from rest


def _header_problem(header: Sequence[str], *, labelled: bool) -> str | None:
    twice = sorted({name for name in header if header.count(name) > 1})
    if twice:
        return f"columns {', '.join(map(repr, twice))} are there more than once"
    if (labelled and "emotion" not in header) or not {"audio", "text"} & set(header):
        needed = "emotion, and audio or text" if labelled else "audio or text"
        return f"columns {', '.join(header)}; expected at least {needed}"
    return None


def _jsonl_records(file: TextIO, comment: list[str]) -> Iterator[tuple[int, dict[str, Any] | str]]:
    empty = True
    for line, text in enumerate(file, start=1):
        if not text.strip():
            continue
        empty = False
        try:
            record = json.loads(text.rstrip(), parse_constant=_not_a_number)
        except json.JSONDecodeError as error:
            yield line, f"not JSON: {error.msg} at column {error.colno}"
            continue
        except ValueError as error:
            yield line, f"not JSON: {error}"
            continue
        if not isinstance(record, dict):
            yield line, f"a JSON {type(record).__name__}; expected an object"
        elif _META in record:
            meta = record[_META]
            if isinstance(meta, dict):
                comment.extend(str(meta.get("comment", "")).splitlines())
        else:
            yield line, record
    if empty:
        yield 1, "empty; expected one JSON object a line"


def _not_a_number(name: str) -> float:
    raise ValueError(f"{name} is not a number")
