"""audformat databases, as ``audb`` publishes them: a header, and tables of files or segments.

::

    db.yaml                      languages: [deu]
                                 schemes: {emotion: {dtype: str, labels: [anger, neutral]}, speaker: {dtype: int}}
                                 splits: {test: {type: test}}
                                 tables: {emotion: {type: filewise, columns: {emotion: {scheme_id: emotion}}}}
    db.emotion.csv               file,emotion               or db.emotion.parquet
                                 wav/03a01Fa.wav,happiness
    db.segments.csv              file,start,end,emotion     start and end as "0 days 00:00:01.5"

The ``audformat`` package reads and writes them (extra ``interchange``): labels may stand in any table, or with a
speaker in the header. Files begin in the database's folder. Source: audeering.github.io/audformat.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product
from pathlib import Path
from string import ascii_lowercase
from typing import Any

from m3ser.corpora.interchange.contract import Reading, Row, Source
from m3ser.corpora.interchange.records import Problem
from m3ser.corpora.interchange.rows import NAMES, PART_WORDS
from m3ser.errors import DataError, UsageError, needing

__all__ = ["iso_639_3", "read", "recognises"]

_HEADER = "db.yaml"


def recognises(source: Path) -> bool:
    """Whether `source` is such a database's folder or header."""
    return source.is_file() if source.name == _HEADER else (source / _HEADER).is_file()


def read(given: Source) -> Reading:
    """Read a database.

    Raises:
        MissingExtraError: the audformat package is not installed.
        DataError: it cannot be read, has no emotions, or more than one for the same stretch of a recording.
        UsageError: there is no such table.
    """
    source = given.path
    with needing("interchange", "Reading audformat databases"):
        import audformat
    folder = source.parent if source.name == _HEADER else source
    notes: list[str] = []
    try:
        database = audformat.Database.load(str(folder), load_data=True)
    except Exception as error:  # whatever YAML, Parquet and pandas make of a damaged file
        raise DataError(f"'{folder}' cannot be read as an audformat database: {_one_line(error)}.") from error
    strangers = [name for name in given.tables if name not in database.tables]
    if strangers:
        raise UsageError(f"'{folder}' has no table '{strangers[0]}'; there are {', '.join(database.tables)}.")
    schemes = _schemes(database)
    name = next((scheme for alias in NAMES["emotion"] for scheme in schemes if scheme.lower() == alias), None)
    if name is None:
        raise DataError(f"'{folder}' has no emotions; it has {', '.join(schemes) or 'no columns'}.")
    tables = list(given.tables) or None
    try:
        labels = database.get(name, tables=tables)
    except (ValueError, TypeError) as error:
        named = ", ".join(table for table in database.tables if name in database.tables[table].columns)
        raise DataError(
            f"'{folder}' has more than one {name} for the same stretch; choose tables ({named}) with --table: "
            f"{_one_line(error)}."
        ) from error
    others = {
        scheme: _values(database, name, tables, scheme, labels.index, notes) for scheme in schemes if scheme != name
    }
    # The header says what all of it is in; a column, where there is one, whom that is not true of.
    language = None if {scheme.lower() for scheme in schemes} & set(NAMES["language"]) else _language(database)
    rows = _rows(labels, name, others, _parts(database, labels.index, notes), language)
    comment = str(database.description or "")
    return Reading(f"audformat database '{folder}'", folder, rows, comment=comment, notes=tuple(notes))


def _schemes(database: Any) -> list[str]:
    """Everything that the database says of files or segments: columns, schemes, and facts of speakers and the like."""
    names: dict[str, None] = {}
    for table in database.tables.values():
        for column_id, column in table.columns.items():
            names[column_id] = None
            scheme = database.schemes.get(column.scheme_id)
            if scheme is not None:
                names[column.scheme_id] = None
                if isinstance(scheme.labels, dict):
                    facts = (fact for entry in scheme.labels.values() if isinstance(entry, dict) for fact in entry)
                    names.update(dict.fromkeys(facts))
    return list(names)


def _values(database: Any, name: str, tables: list[str] | None, scheme: str, index: Any, notes: list[str]) -> Any:
    """What is known under `scheme` of each entry of `index`; None, and why in `notes`, where that is ambiguous."""
    import pandas as pd

    try:
        values = database.get(name, [scheme], tables=tables)[scheme]
    except (ValueError, TypeError, KeyError) as error:
        notes.append(f"Column '{scheme}' was left out: {_one_line(error)}.")
        return None
    if not isinstance(index, pd.MultiIndex) and isinstance(values.index, pd.MultiIndex):
        # One of the other tables has segments: a whole file is one from its beginning to no stated end.
        whole = values[
            (values.index.get_level_values("start") == pd.Timedelta(0)) & values.index.get_level_values("end").isna()
        ]
        values = whole.droplevel(["start", "end"])
    return values.reindex(index)


def _parts(database: Any, index: Any, notes: list[str]) -> list[str | None]:
    """The part of a split that each entry of `index` is in."""
    parts: list[str | None] = [None] * len(index)
    doubly = 0
    for table in database.tables.values():
        split = database.splits.get(table.split_id)
        part = None if split is None else PART_WORDS.get(str(split.type).lower())
        if part is None:
            continue
        files = set(table.files) if table.is_filewise else None
        members = None if files is not None else set(_keys(table.index))
        for i, key in enumerate(_keys(index)):
            if key[0] in files if files is not None else key in (members or ()):
                doubly += parts[i] not in (None, part)
                parts[i] = parts[i] or part
    if doubly:
        notes.append(f"{doubly:,} entries are in tables of more than one part of the split; the first is used.")
    return parts


def _keys(index: Any) -> list[tuple[str, float, float | None]]:
    """File, start and end in seconds of each entry; the end of one that goes to its file's end is None."""
    import pandas as pd

    if not isinstance(index, pd.MultiIndex):
        return [(str(file), 0.0, None) for file in index]
    second = pd.Timedelta(1, "s")
    return [(str(file), start / second, None if pd.isna(end) else end / second) for file, start, end in index]


def _rows(
    labels: Any, name: str, others: dict[str, Any], parts: Sequence[str | None], language: str | None
) -> list[Row | Problem]:
    columns = {column: values.tolist() for column, values in others.items() if values is not None}
    rows: list[Row | Problem] = []
    for i, (file, start, end) in enumerate(_keys(labels.index)):
        where = f"'{file}'" if end is None and not start else f"'{file}' from {start:g} s"
        values = {column: _plain(found[i]) for column, found in columns.items() if not _missing(found[i])}
        label = labels[name].iloc[i]
        if not _missing(label):
            values["emotion"] = str(label)
        if end is not None or start:
            values |= {"start": start, "end": end}
        if parts[i] is not None:
            values.setdefault("split", parts[i])
        if language is not None:
            values.setdefault("language", language)
        rows.append(Row(where, file, values))
    return rows


def _missing(value: Any) -> bool:
    import pandas as pd

    return bool(pd.api.types.is_scalar(value) and pd.isna(value))


def _plain(value: Any) -> Any:
    """A value as JSON has it."""
    if hasattr(value, "item"):
        value = value.item()
    return value if isinstance(value, (str, int, float, bool, dict, list)) else str(value)


def _language(database: Any) -> str | None:
    """The BCP 47 code of the one language that the database is in; None where there are several, or none is named."""
    if len(database.languages) != 1:
        return None
    code = str(database.languages[0])
    # BCP 47 takes the two letters where there are any, and audformat translates the other way alone.
    pairs = ("".join(letters) for letters in product(ascii_lowercase, repeat=2))
    return next((short for short in pairs if iso_639_3(short) == code), code)


def iso_639_3(language: str) -> str | None:
    """The three-letter code of a BCP 47 code's language; None where there is none."""
    import audformat

    try:
        return str(audformat.utils.map_language(language.partition("-")[0].lower())) or None
    except Exception:  # noqa: BLE001 - ValueError for what never was a code; one of its own library for "bh", which was
        return None


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split()).rstrip(".") or type(error).__name__
