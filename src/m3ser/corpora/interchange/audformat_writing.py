"""Utterances as an audformat database; :mod:`~m3ser.corpora.interchange.audformat_database` shows how it looks."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from m3ser.corpora.folders import about, listed
from m3ser.corpora.interchange.audformat_database import iso_639_3
from m3ser.corpora.interchange.contract import Target
from m3ser.corpora.interchange.places import folder_appearing_whole, relative_name
from m3ser.corpora.manifest import SPLITS
from m3ser.errors import DataError, needing
from m3ser.schema import EMOTIONS, Utterance

__all__ = ["write"]

_TABLE = "emotion"
_TYPES = {"train": "train", "validation": "dev", "test": "test"}
# What audformat's conventions call one of m3ser's columns.
_THEIRS = {"text": "transcription"}
_NUMBERS = ("valence", "arousal", "dominance")
_TAKEN = ("file", *_THEIRS.values())
_COLUMNS = ("emotion", "text", "speaker", "session", "script", "language", *_NUMBERS)


def write(utterances: Sequence[Utterance], target: Target) -> None:
    """Write a database: a table for each part of the split, in Parquet.

    Args:
        utterances: all of them with recordings.
        target: a new folder, from which recordings, which stay where they are, are named; the comment becomes the
            database's description.

    Raises:
        MissingExtraError: the audformat package is not installed.
        UsageError: the target is there already, and not empty.
        DataError: a stretch of a recording is there more than once; or the database cannot be written.
    """
    with needing("interchange", "Writing audformat databases"):
        import audformat
    _refuse_doubles(utterances)
    parts = {part: [u for u in utterances if u.split == part] for part in (*SPLITS, None)}
    database = audformat.Database(
        target.path.absolute().name,
        usage=audformat.define.Usage.OTHER,
        languages=_languages(utterances, target.notes),
        description=target.comment or None,
    )
    taken = sorted({name for utterance in utterances for name in utterance.extra if name in _TAKEN})
    target.notes.extend(about(taken, "Written with _ after their names, which audformat has another use for"))
    used = {utterance.emotion for utterance in utterances}
    database.schemes["emotion"] = audformat.Scheme("str", labels=[name for name in EMOTIONS if name in used])
    for column in _COLUMNS[1:]:
        if any(getattr(u, column) is not None for u in utterances):
            database.schemes[_THEIRS.get(column, column)] = audformat.Scheme("float" if column in _NUMBERS else "str")
    for part, members in parts.items():
        if not members:
            continue
        if part is not None:
            database.splits[part] = audformat.Split(_TYPES[part])
        name = _TABLE if part is None else f"{_TABLE}.{part}"
        database[name] = audformat.Table(_index(members, target.path), split_id=part)
        _fill(database[name], members, database.schemes)
    with folder_appearing_whole(target.path, "audformat database") as draft:
        database.save(str(draft))


def _refuse_doubles(utterances: Iterable[Utterance]) -> None:
    counts = Counter((str(u.audio), u.start or 0.0, u.end) for u in utterances)
    doubles = [file for (file, *_), count in counts.items() if count > 1]
    if doubles:
        raise DataError(
            about(doubles, "An audformat table has each stretch of a recording once; here more than once")[0]
        )


def _languages(utterances: Iterable[Utterance], notes: list[str]) -> list[str]:
    """The header's languages, each once; m3ser's column language is kept beside it."""
    used = dict.fromkeys(u.language for u in utterances if u.language is not None)
    codes = {language: iso_639_3(language) for language in used}
    strange = [language for language, code in codes.items() if code is None]
    if strange:
        notes.append(f"Languages that ISO 639-3 has no code for are in column language alone: {listed(strange)}.")
    return list(dict.fromkeys(code for code in codes.values() if code is not None))


def _index(utterances: Sequence[Utterance], folder: Path) -> Any:
    import audformat
    import pandas as pd

    files = [relative_name(u.audio, folder) for u in utterances if u.audio is not None]
    if all(u.start is None and u.end is None for u in utterances):
        return audformat.filewise_index(files)
    starts = [pd.Timedelta(u.start or 0.0, "s") for u in utterances]
    ends = [pd.NaT if u.end is None else pd.Timedelta(u.end, "s") for u in utterances]
    return audformat.segmented_index(files, starts, ends)


def _fill(table: Any, utterances: Sequence[Utterance], schemes: Any) -> None:
    import audformat

    for column in _COLUMNS:
        name = _THEIRS.get(column, column)
        if name in schemes:
            table[name] = audformat.Column(scheme_id=name)
            table[name].set([getattr(u, column) for u in utterances])
    for name in dict.fromkeys(name for u in utterances for name in u.extra):
        column = _free(name)
        table[column] = audformat.Column()
        table[column].set([u.extra.get(name) for u in utterances])


def _free(name: str) -> str:
    """A further column's name, changed where it has another meaning in a database."""
    return f"{name}_" if name in _TAKEN else name
