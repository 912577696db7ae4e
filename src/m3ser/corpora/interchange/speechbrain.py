"""SpeechBrain's data manifests: a JSON object of utterances, or a CSV file, one for each part.

::

    {"Ses01F_impro01_F000": {"wav": "{data_root}/Session1/Ses01F_impro01_F000.wav", "length": 2.06, "emo": "neu"}}

    ID, duration, wav, wav_format, wav_opts, emo, emo_format, emo_opts
    Ses01F_impro01_F000, 2.06, $data_folder/Session1/Ses01F_impro01_F000.wav, wav, , neu, string,

``{data_root}`` and ``$data_folder``, whatever they are called, stand for a folder that a recipe is told of: paths begin
there. ``start`` and ``stop``, beside ``wav`` or in an object ``{"file": ..., "start": ..., "stop": ...}`` in its place,
count samples. A folder of ``train.json``, ``valid.json`` and ``test.json`` (or ``.csv``, or ``iemocap_train.json``)
says which part each utterance is in. Sources: ``speechbrain.dataio.dataio`` and the project's tutorial on data loading.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from typing import Any

from m3ser.corpora.interchange.contract import Reading, Row, Source
from m3ser.corpora.interchange.places import recordings_below
from m3ser.corpora.interchange.records import Problem, Record, csv_records, json_object
from m3ser.corpora.interchange.rows import part_of
from m3ser.errors import AudioError, DataError, MissingExtraError

__all__ = ["read", "recognises"]

_AUDIO = ("wav", "wav_path", "file_path", "path")
_FORMATS = (".json", ".csv")
_ROOT = re.compile(r"(?:\{\w+\}|\$\w+)[/\\]*")
_SAMPLES = ("start", "stop")
_LEGACY = ("_format", "_opts")
"""Columns of the CSV form that tell an old loader how to read the column before them."""


def recognises(source: Path) -> bool:
    """Whether `source` is such a file, or a folder of them for each part."""
    if source.is_dir():
        return any(recognises(path) for path, _ in _parts(source))
    try:
        if source.suffix.lower() == ".json":
            values = list(json_object(source, [])[0].values())
            return bool(values) and isinstance(values[0], dict) and _audio_of(values[0]) is not None
        if source.suffix.lower() == ".csv":
            record = next(iter(csv_records(source, [], blanks_after_commas=True)), None)
            return isinstance(record, tuple) and "ID" in record[1] and _audio_of(record[1]) is not None
    except DataError:
        return False
    return False


def read(given: Source) -> Reading:
    """Read such a file, or a folder of them.

    Raises:
        DataError: it cannot be read, or is something else.
    """
    source = given.path
    parts = _parts(source) if source.is_dir() else [(source, None)]
    if not parts:
        raise DataError(f"'{source}' holds no train.json, valid.json or test.json (or .csv); expected one at least.")
    notes: list[str] = []
    rows: list[Row | Problem] = []
    for path, part in parts:
        inside = "" if len(parts) == 1 else f"{path.name}, "
        rows += _rows(path, part, inside, notes)
    rows = list(_once(rows))
    folder = source if source.is_dir() else source.parent
    return Reading(
        f"SpeechBrain manifest '{source}'",
        folder,
        _in_seconds(rows, folder, given.root),
        notes=tuple(dict.fromkeys(notes)),
    )


def _parts(folder: Path) -> list[tuple[Path, str | None]]:
    found = [(path, part_of(path.stem)) for path in sorted(folder.iterdir()) if path.suffix.lower() in _FORMATS]
    # Where both forms are there, they say the same.
    forms = {path.suffix.lower() for path, part in found if part is not None}
    chosen = _FORMATS[0] if _FORMATS[0] in forms else _FORMATS[1]
    return [(path, part) for path, part in found if part is not None and path.suffix.lower() == chosen]


def _rows(path: Path, part: str | None, inside: str, notes: list[str]) -> Iterable[Row | Problem]:
    records: Iterable[Record]
    if path.suffix.lower() == ".csv":
        records = _csv(path, notes)
    else:
        entries, doubles = json_object(path, notes)
        records = [
            (f"'{name}'", {"id": name, **entry})
            if isinstance(entry, dict)
            else Problem(f"'{name}'", f"a JSON {type(entry).__name__}; expected an object")
            for name, entry in entries.items()
        ]
        records = [*records, *doubles]
    for record in records:
        if isinstance(record, Problem):
            yield replace(record, where=inside + record.where)
            continue
        where, values = record
        name = _audio_of(values)
        if name is None:
            yield Problem(inside + where, f"no recording; expected one of {', '.join(_AUDIO)}")
            continue
        audio = values.pop(name)
        if isinstance(audio, dict):
            values |= {key: audio[key] for key in _SAMPLES if key in audio}
            audio = audio.get("file")
        if not isinstance(audio, str):
            yield Problem(inside + where, f"{name} is {audio!r}; expected the path of one recording")
            continue
        if part is not None:
            values.setdefault("split", part)
        yield Row(inside + where, _ROOT.sub("", audio, count=1) if _ROOT.match(audio) else audio, values)


def _csv(path: Path, notes: list[str]) -> Iterable[Record]:
    for record in csv_records(path, notes, blanks_after_commas=True):
        if isinstance(record, tuple):
            where, cells = record
            legacy = {name + ending for name in cells for ending in _LEGACY}
            yield where, {("id" if name == "ID" else name): cell for name, cell in cells.items() if name not in legacy}
        else:
            yield record


def _audio_of(values: dict[str, Any]) -> str | None:
    return next((name for name in _AUDIO if values.get(name)), None)


def _once(rows: Iterable[Row | Problem]) -> Iterable[Row | Problem]:
    """The rows, with a complaint in place of each that has an earlier one's id."""
    seen: dict[str, str] = {}
    for row in rows:
        name = row.values.get("id") if isinstance(row, Row) else None
        if name is not None and str(name) in seen:
            yield Problem(row.where, f"id '{name}' is there already ({seen[str(name)]})")
        else:
            if name is not None:
                seen[str(name)] = row.where
            yield row


def _in_seconds(rows: Sequence[Row | Problem], folder: Path, root: Path | None) -> list[Row | Problem]:
    """The rows with times in seconds in place of samples, by each recording's own rate."""
    if not any(isinstance(row, Row) and _SAMPLES[1] in row.values for row in rows):
        return list(rows)
    place = recordings_below(folder, [row.audio for row in rows if isinstance(row, Row)], root, [])
    rate_of = lru_cache(maxsize=None)(_sample_rate)
    changed: list[Row | Problem] = []
    for row in rows:
        if isinstance(row, Problem) or _SAMPLES[1] not in row.values:
            changed.append(row)
            continue
        values = dict(row.values)
        begin, stop = values.pop("start", 0) or 0, values.pop("stop")
        try:
            first, last = int(begin), int(stop)
        except (TypeError, ValueError):
            changed.append(Problem(row.where, f"start and stop are {begin!r} and {stop!r}; expected counts of samples"))
            continue
        rate = rate_of(place(row.audio))
        if isinstance(rate, str):
            changed.append(Problem(row.where, f"start and stop count samples, but {rate}"))
            continue
        if first != last:  # as in SpeechBrain, start == stop means: to the end
            values["end"] = last / rate
        if first:
            values["start"] = first / rate
        changed.append(replace(row, values=values))
    return changed


def _sample_rate(path: Path) -> float | str:
    """The rate of a recording in Hz, or why it is not known."""
    from m3ser.audio import probe

    try:
        return probe(path).sample_rate
    except (AudioError, MissingExtraError) as error:
        return str(error)
