"""EmoBox's metadata: JSON Lines, a line an utterance, with folds in folders beside them.

::

    ravdess/ravdess.jsonl
      {"key": "ravdess-03-01-05-01-02-01-18", "dataset": "ravdess", "wav": "downloads/ravdess/.../03-01-05-01.wav",
       "type": "raw", "sample_rate": 48000, "num_frame": 171371.0, "task": "category", "length": 3.57,
       "emo": "Angry", "channel": 1}
    ravdess/fold_1/ravdess_train_fold_1.jsonl, ravdess_test_fold_1.jsonl, and for some ravdess_valid_fold_1.jsonl
    ravdess/label_map.json            {"hap": "Happy", "exc": "Happy"}
    ravdess/data.seg.wrd.stm          key channel speaker start end <id=...,lang=en,spk=18,emotion=...> label

``wav`` begins in the folder that EmoBox is started in. Seconds of a part are in ``start_time`` and ``end_time``. Who
speaks is in the last file alone (its ``lang`` is "en" whatever is spoken, and is not read). m3ser's own columns are
written as further keys, which EmoBox passes over. Source: github.com/emo-box/EmoBox (Ma et al., Interspeech 2024).
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from m3ser.corpora.folders import lines_of
from m3ser.corpora.interchange.contract import Reading, Row, Source
from m3ser.corpora.interchange.records import Problem, json_object, jsonl_records, text_of
from m3ser.corpora.interchange.rows import part_of
from m3ser.errors import DataError

__all__ = ["LABEL_MAP", "fold_file", "read", "recognises"]

LABEL_MAP = "label_map.json"
_SPEAKERS = "data.seg.wrd.stm"
_FOLD_FILE = re.compile(r".+_(?P<part>train|valid|test)_fold_(?P<number>\d+)\.jsonl")
_FIXED = {"type": "raw", "task": "category"}
"""Fields that have to be so where they are there: features are no recordings, and ratings no categories."""
_IMPLIED = ("num_frame", *_FIXED)
"""Fields that say nothing that others do not."""


def fold_file(name: str, part: str, number: int) -> str:
    """The path, below the dataset's folder, of a fold's part ("train", "valid" or "test")."""
    return f"fold_{number}/{name}_{part}_fold_{number}.jsonl"


def recognises(source: Path) -> bool:
    """Whether `source` is such a file, or a dataset's folder."""
    if source.is_dir():
        return any(recognises(path) for path in [*source.glob("*.jsonl"), *source.glob("fold_*/*_fold_*.jsonl")][:1])
    if source.suffix.lower() != ".jsonl":
        return False
    try:
        first = next(iter(jsonl_records(source, [])), None)
    except DataError:
        return False
    return isinstance(first, tuple) and {"key", "wav", "emo"} <= set(first[1])


def read(given: Source) -> Reading:
    """Read a file, or a dataset's folder with its folds.

    One fold becomes the column split, several become fold1, fold2 and so on.

    Raises:
        DataError: it cannot be read, or holds no such files.
    """
    source = given.path
    notes: list[str] = []
    if source.is_file():
        rows = list(_rows(source, "", notes))
        return _reading(f"EmoBox file '{source}'", source.parent, rows, notes)
    lists = sorted(source.glob("*.jsonl"))
    if len(lists) > 1:
        raise DataError(
            f"'{source}' holds {len(lists)} lists ({lists[0].name}, {lists[1].name}); name the one to read."
        )
    rows = [row for path in lists for row in _rows(path, "", notes)]
    folds, in_folds = _folds(source, notes)
    if not lists and not folds:
        raise DataError(f"'{source}' holds no EmoBox metadata; expected a .jsonl file, or folders fold_1, fold_2, ...")
    listed = {_key(row) for row in rows}
    missing = {_key(row): row for row in in_folds if isinstance(row, Problem) or _key(row) not in listed}
    if lists and missing:
        notes.append(f"{len(missing):,} utterances are in folds of '{source}' alone, not in '{lists[0].name}'.")
    rows += missing.values()
    return _reading(f"EmoBox folder '{source}'", source, list(_in_folds(rows, folds)), notes)


def _reading(what: str, folder: Path, rows: Sequence[Row | Problem], notes: list[str]) -> Reading:
    speakers = _speakers(folder / _SPEAKERS, notes)
    found = [row if isinstance(row, Problem) else _spoken(row, speakers) for row in rows]
    return Reading(what, folder, found, label_map=_label_map(folder / LABEL_MAP, notes), notes=tuple(notes))


def _rows(path: Path, inside: str, notes: list[str]) -> Iterator[Row | Problem]:
    seen: dict[str, str] = {}
    for record in jsonl_records(path, notes):
        if isinstance(record, Problem):
            yield replace(record, where=inside + record.where)
            continue
        where, values = inside + record[0], dict(record[1])
        key, audio = values.get("key"), values.pop("wav", None)
        strange = {name: values[name] for name, fixed in _FIXED.items() if values.get(name, fixed) != fixed}
        if not isinstance(key, str) or not isinstance(audio, str):
            yield Problem(where, "expected at least the strings key and wav")
        elif key in seen:
            yield Problem(where, f"key '{key}' is there already ({seen[key]})")
        elif strange:
            named = ", ".join(f"{name} is '{value}'; expected '{_FIXED[name]}'" for name, value in strange.items())
            yield Problem(where, named)
        else:
            if values.get("channel") == 1:  # what EmoBox writes of every recording
                del values["channel"]
            yield Row(where, audio, {name: value for name, value in values.items() if name not in _IMPLIED})
        if isinstance(key, str):
            seen.setdefault(key, where)


def _key(row: Row | Problem) -> str:
    return str(row.values["key"]) if isinstance(row, Row) else row.where


def _folds(folder: Path, notes: list[str]) -> tuple[dict[int, dict[str, str]], list[Row | Problem]]:
    """The part of each key in each fold, and the rows of all folds."""
    folds: defaultdict[int, dict[str, str]] = defaultdict(dict)
    rows: list[Row | Problem] = []
    for path in sorted(folder.glob("fold_*/*.jsonl")):
        match = _FOLD_FILE.fullmatch(path.name)
        part = None if match is None else part_of(match["part"])
        if match is None or part is None:
            continue
        inside = f"{path.parent.name}/{path.name}, "
        for row in _rows(path, inside, notes):
            number = int(match["number"])
            if isinstance(row, Row) and folds[number].setdefault(_key(row), part) != part:
                rows.append(Problem(row.where, f"key '{_key(row)}' is in {folds[number][_key(row)]} of this fold too"))
            else:
                rows.append(row)
    return dict(folds), rows


def _in_folds(rows: Iterable[Row | Problem], folds: Mapping[int, Mapping[str, str]]) -> Iterator[Row | Problem]:
    for row in rows:
        if isinstance(row, Problem):
            yield row
            continue
        parts = {
            ("split" if len(folds) == 1 else f"fold{number}"): folds[number][_key(row)]
            for number in sorted(folds)
            if _key(row) in folds[number]
        }
        yield replace(row, values={**row.values, **parts})


def _speakers(path: Path, notes: list[str]) -> dict[str, str]:
    """Key -> who speaks, where the table of that is there."""
    if not path.is_file():
        return {}
    lines = [line.split(maxsplit=3) for line in lines_of(text_of(path, notes)) if line.strip()]
    return {fields[0]: fields[2] for fields in lines if len(fields) == 4}


def _spoken(row: Row, speakers: Mapping[str, str]) -> Row:
    values: dict[str, Any] = dict(row.values)
    key = str(values["key"])
    if key in speakers and not {"speaker", "spk"} & set(values):
        # As m3ser's own readers name them, so that speaker 1 of one corpus is not speaker 1 of another.
        dataset = values.get("dataset")
        values["speaker"] = f"{dataset}/{speakers[key]}" if dataset else speakers[key]
    if "id" in values:
        del values["key"]
    return replace(row, values=values)


def _label_map(path: Path, notes: list[str]) -> dict[str, str]:
    if not path.is_file():
        return {}
    return {label: meaning for label, meaning in json_object(path, notes)[0].items() if isinstance(meaning, str)}
