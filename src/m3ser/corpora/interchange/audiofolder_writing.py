"""Utterances as Hugging Face's ``audiofolder``; :mod:`~m3ser.corpora.interchange.audiofolder` shows how it looks.

``load_dataset("audiofolder", data_dir=FOLDER)`` reads it, and so does whatever reads JSON. It was chosen before what
``load_from_disk`` reads because it can be looked at, uploaded as it is, and written without the ``datasets`` package.
Recordings are copied: ``datasets`` reads none that lie outside of the folder.
"""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from m3ser.corpora.folders import about
from m3ser.corpora.interchange.audiofolder import FILE_NAME, METADATA
from m3ser.corpora.interchange.contract import Target
from m3ser.corpora.interchange.places import folder_appearing_whole
from m3ser.corpora.interchange.rows import PART_WORDS
from m3ser.corpora.manifest import COLUMNS, SPLITS
from m3ser.errors import DataError
from m3ser.schema import Utterance

__all__ = ["write"]

_AUDIO = "audio"
_UNASSIGNED = "unassigned"
_NUMBERS = ("start", "end", "valence", "arousal", "dominance")
_FILE_COLUMN = re.compile(r"(^|_)file_names?$")
# `datasets` guesses parts of a split from such words in the names of files as well.
_NAMES_A_PART = re.compile(rf"(?:^|[-._ 0-9])(?:{'|'.join(PART_WORDS)})(?:[-._ 0-9]|$)", re.IGNORECASE)


def write(utterances: Sequence[Utterance], target: Target) -> None:
    """Write a folder.

    Args:
        utterances: all of them with recordings.
        target: a new folder; the comment becomes its README.

    Raises:
        UsageError: the target is there already, and not empty.
        DataError: recordings are missing, or the folder cannot be written.
    """
    missing = dict.fromkeys(str(u.audio) for u in utterances if u.audio is None or not u.audio.is_file())
    if missing:
        raise DataError(about(list(missing), "Recordings that an audiofolder would hold are not there")[0])
    parts = _parts(utterances)
    columns = _columns(utterances)
    renamed = {name: f"{name}_" for name in columns if _FILE_COLUMN.search(name)}
    target.notes.extend(
        about(list(renamed), "Written with _ after their names, for datasets takes such columns for recordings")
    )
    as_text = [name for name in columns if name in _NUMBERS and _unknown_to_one(name, parts)]
    if as_text:
        target.notes.append(
            f"Written as text, for datasets refuses numbers that one part of the split has and another has not: "
            f"{', '.join(as_text)}."
        )
    if _UNASSIGNED in parts and len(parts) > 1:
        count = len(parts[_UNASSIGNED])
        target.notes.append(
            f"{count:,} utterances are in no part of the split: in '{_UNASSIGNED}', which datasets passes over."
        )
    done = 0
    with folder_appearing_whole(target.path, "audiofolder") as draft:
        for part, members in parts.items():
            # Where there is no split at all there are no folders for its parts.
            folder = draft if len(parts) == 1 and part == _UNASSIGNED else draft / part
            (folder / _AUDIO).mkdir(parents=True)
            names = _Names()
            rows = []
            for utterance in members:
                assert utterance.audio is not None
                name, is_new = names.of(utterance.audio)
                if is_new:
                    shutil.copyfile(utterance.audio, folder / _AUDIO / name)
                rows.append({FILE_NAME: f"{_AUDIO}/{name}"} | _values(utterance, columns, as_text, renamed))
                done += 1
                if target.progress is not None:
                    target.progress(done, len(utterances))
            lines = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
            (folder / METADATA).write_text(lines, encoding="utf-8", newline="\n")
        if target.comment:
            readme = f"# {target.path.absolute().name}\n\n{target.comment}\n"
            (draft / "README.md").write_text(readme, encoding="utf-8", newline="\n")


class _Names:
    """What recordings are called in one folder: as before, where that is free and `datasets` does not misread it."""

    def __init__(self) -> None:
        self._given: dict[Path, str] = {}
        self._taken: set[str] = set()

    def of(self, audio: Path) -> tuple[str, bool]:
        """The name, and whether it is asked for the first time."""
        source = audio.resolve()
        if source in self._given:
            return self._given[source], False
        number = len(self._given) + 1
        stem = f"clip-{number:06}" if _NAMES_A_PART.search(audio.stem) else audio.stem
        name = f"{stem}{audio.suffix}"
        while name.lower() in self._taken:  # not every file system tells A from a
            name = f"{stem}-{number}{audio.suffix}"
            number += 1
        self._given[source] = name
        self._taken.add(name.lower())
        return name, True


def _parts(utterances: Sequence[Utterance]) -> dict[str, list[Utterance]]:
    parts = {part: [u for u in utterances if u.split == part] for part in SPLITS}
    parts[_UNASSIGNED] = [u for u in utterances if u.split is None]
    return {part: members for part, members in parts.items() if members}


def _columns(utterances: Sequence[Utterance]) -> list[str]:
    """What is known of any utterance; every part's table has the same columns, or `datasets` refuses them."""
    own = [name for name in COLUMNS if name not in ("audio", "split")]
    used = {name for name in own for u in utterances if getattr(u, name) is not None}
    extra = dict.fromkeys(name for u in utterances for name in u.extra)
    return [*(name for name in own if name in used), *extra]


def _unknown_to_one(name: str, parts: dict[str, list[Utterance]]) -> bool:
    return any(all(getattr(u, name) is None for u in members) for members in parts.values())


def _values(
    utterance: Utterance, columns: Sequence[str], as_text: Sequence[str], renamed: Mapping[str, str]
) -> dict[str, Any]:
    values: dict[str, Any] = {}
    for name in columns:
        if name not in COLUMNS:
            values[renamed.get(name, name)] = utterance.extra.get(name, "")
        elif name in _NUMBERS:
            value = getattr(utterance, name)
            # A float even where it is whole: a column is of one type.
            number = None if value is None else float(value)
            values[name] = ("" if number is None else repr(number)) if name in as_text else number
        else:
            values[name] = getattr(utterance, name) or ""
    return values
