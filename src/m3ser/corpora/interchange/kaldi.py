"""Kaldi data folders, as ESPnet and others use them too: one table a property, one line an utterance.

::

    wav.scp     03a01Wa  emodb/wav/03a01Wa.wav
    segments    03a01Wa-1  03a01Wa  0.25  1.90         where recordings hold more than one utterance
    text        03a01Wa-1  Der Lappen liegt auf dem Eisschrank.
    utt2spk     03a01Wa-1  03
    utt2emo     03a01Wa-1  anger                       or utt2emotion, utt2label

Every other table ``utt2...`` (``utt2lang``, ``utt2dur``) is a column, and ``spk2gender`` one as well. A folder of such
folders (``train``, ``dev``, ``test``) says which part each utterance is in. In ``wav.scp`` a line may be a command
(``sox a.sph -t wav - |``) or a place in an archive: such lines are refused, and never executed. Source:
kaldi-asr.org/doc/data_prep.html.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from m3ser.corpora.folders import lines_of
from m3ser.corpora.interchange.contract import Reading, Row, Source
from m3ser.corpora.interchange.records import Problem, text_of
from m3ser.corpora.interchange.rows import part_of
from m3ser.errors import DataError

__all__ = ["read", "recognises"]

_LIST = "wav.scp"
_SEGMENTS = "segments"
_LABELS = ("emo", "emotion", "label")
_GENDERS = {"f": "female", "m": "male"}
_IN_ARCHIVE = re.compile(r".*\.ark:\d+$")


@dataclass(frozen=True)
class _Entry:
    where: str
    rest: str


def recognises(source: Path) -> bool:
    """Whether `source` is such a folder, a folder of them, or the ``wav.scp`` of one."""
    return bool(_parts(source))


def read(given: Source) -> Reading:
    """Read such a folder, or a folder of them for each part.

    Raises:
        DataError: it is no such folder, or there are no labels in it.
    """
    source = given.path
    parts = _parts(source)
    if not parts:
        raise DataError(f"'{source}' is no Kaldi folder; expected wav.scp in it, or in folders train, dev, test in it.")
    notes: list[str] = []
    rows: list[Row | Problem] = []
    for folder, part in parts:
        rows += _rows(folder, part, "" if len(parts) == 1 else f"{folder.name}/", notes)
    folder = source.parent if source.is_file() else source
    return Reading(f"Kaldi folder '{folder}'", folder, rows, notes=tuple(notes))


def _parts(source: Path) -> list[tuple[Path, str | None]]:
    if source.is_file():
        return [(source.parent, None)] if source.name == _LIST else []
    if (source / _LIST).is_file():
        return [(source, None)]
    if not source.is_dir():
        return []
    inside = [(path, part_of(path.name)) for path in sorted(source.iterdir()) if (path / _LIST).is_file()]
    return [(path, part) for path, part in inside if part is not None]


def _rows(folder: Path, part: str | None, inside: str, notes: list[str]) -> Iterable[Row | Problem]:
    problems: list[Problem] = []

    def table(name: str) -> dict[str, _Entry]:
        return _table(folder / name, inside, problems, notes)

    recordings = table(_LIST)
    columns = {path.name.removeprefix("utt2"): table(path.name) for path in sorted(folder.glob("utt2?*"))}
    label = next((name for name in _LABELS if name in columns), None)
    if label is None:
        raise DataError(f"'{folder}' has no table of emotions; expected utt2emo, utt2emotion or utt2label.")
    if (folder / "text").is_file():
        columns["text"] = table("text")
    speakers = columns.get("spk", {})
    if len(speakers) > 1 and all(entry.rest == name for name, entry in speakers.items()):
        # What Kaldi asks for where nobody knows who speaks.
        notes.append(f"'{folder / 'utt2spk'}' makes each utterance its own speaker: speakers are not known.")
        columns["spk"] = {}
    if (folder / "spk2gender").is_file():
        genders = table("spk2gender")
        columns["gender"] = {
            name: _Entry(entry.where, _GENDERS.get(genders[entry.rest].rest, genders[entry.rest].rest))
            for name, entry in speakers.items()
            if entry.rest in genders
        }
    segments = table(_SEGMENTS) if (folder / _SEGMENTS).is_file() else None
    utterances = recordings if segments is None else segments
    rows = [
        _row(name, entry, segments is not None, recordings, columns, label, inside)
        for name, entry in utterances.items()
    ]
    strangers = [name for name in columns[label] if name not in utterances]
    if strangers:
        notes.append(f"{len(strangers):,} utterances of '{folder / f'utt2{label}'}' have no recording: left out.")
    if part is not None:
        rows = [row if isinstance(row, Problem) else replace(row, values={**row.values, "split": part}) for row in rows]
    # A line of wav.scp that is wrong is wrong for all utterances of that recording, and said once.
    wrong = dict.fromkeys([*problems, *(row for row in rows if isinstance(row, Problem))])
    return [*wrong, *(row for row in rows if isinstance(row, Row))]


def _row(
    name: str,
    entry: _Entry,
    is_segment: bool,
    recordings: Mapping[str, _Entry],
    columns: Mapping[str, Mapping[str, _Entry]],
    label: str,
    inside: str,
) -> Row | Problem:
    recording, times = _segment(entry.rest) if is_segment else (name, {})
    if recording is None:
        return Problem(entry.where, f"'{entry.rest}'; expected a recording, start and end")
    if recording not in recordings:
        return Problem(entry.where, f"recording '{recording}' is not in {_LIST}")
    audio = recordings[recording]
    fault = _not_a_file(audio.rest)
    if fault is not None:
        return Problem(audio.where, fault)
    if name not in columns[label]:
        return Problem(f"{inside}'{name}'", f"no emotion in utt2{label}")
    values = {column: entries[name].rest for column, entries in columns.items() if name in entries}
    return Row(f"{inside}'{name}'", audio.rest, {**values, **times, "id": name})


def _table(path: Path, inside: str, problems: list[Problem], notes: list[str]) -> dict[str, _Entry]:
    """What each name stands before."""
    entries: dict[str, _Entry] = {}
    for number, line in enumerate(lines_of(text_of(path, notes)), start=1):
        name, *rest = line.split(maxsplit=1)[:2] or ("",)
        if not name:
            continue
        where = f"{inside}{path.name}, line {number}"
        if name in entries:
            problems.append(Problem(where, f"'{name}' is there already ({entries[name].where})"))
        else:
            entries[name] = _Entry(where, rest[0].strip() if rest else "")
    return entries


def _segment(rest: str) -> tuple[str | None, Mapping[str, str]]:
    """The recording of a line of ``segments``, and what it says of the part that is meant."""
    fields = rest.split()
    if len(fields) not in (3, 4):
        return None, {}
    recording, start, end, *channel = fields
    values = {"start": start, **({} if end == "-1" else {"end": end})}  # -1: to the end of the recording
    return recording, values | ({"channel": channel[0]} if channel else {})


def _not_a_file(audio: str) -> str | None:
    """Why an entry of ``wav.scp`` names no recording; None where it does."""
    if audio.endswith("|"):
        return f"'{audio}' is a command, which m3ser does not run; expected the path of a recording"
    if _IN_ARCHIVE.match(audio):
        return f"'{audio}' is a place in an archive; expected the path of a recording"
    if audio in ("", "-"):
        return "no recording; expected its path"
    return None
