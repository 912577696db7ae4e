"""What is to be annotated: folders, manifests, patterns and recordings, one item after the other.

====================  ================================================================================================
a folder              the recordings in it and below it, known by how their names end (``.wav``, ``.flac``, ...), folder
                      by folder in the order of their names
a manifest            ``.csv``, ``.jsonl`` or ``.ndjson``: a row each, in its order
a pattern             ``calls/**/*.wav`` and the like, in the order of the names; ``**`` is any number of folders
any other file        a recording
====================  ================================================================================================

In a folder, hidden files and folders (".x") and what macOS's archiver leaves behind are passed over. Links to
recordings are followed; links to folders are not, so that no link leads in circles (the folder that is named may itself
be one). A folder below it that cannot be read is an item that failed.
"""

from __future__ import annotations

import glob
import json
import os
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

from m3ser.errors import DataError, UsageError
from m3ser.text.language_codes import known_language

__all__ = ["Item", "find_items", "has_manifest"]

_MANIFESTS = (".csv", ".jsonl", ".ndjson")
_OWN = ("audio", "text")
"""Columns of a manifest that come back as ``file`` and ``text``; the others are carried along."""


@dataclass(frozen=True)
class Item:
    """One recording, or one row of a manifest.

    Attributes:
        file: the recording as the caller, or the manifest, names it; None: a row of text alone.
        audio: where it is.
        text: the words that a manifest has for it.
        start, end: the part that is meant, in seconds; None: from its beginning, to its end.
        row: whether it is a row of a manifest: these are answered as often as they are there.
        further: the manifest's other columns, start and end among them.
        problem: why it cannot be answered, where that is known already.
    """

    file: str | None
    audio: str | None
    text: str | None = None
    start: float | None = None
    end: float | None = None
    row: bool = False
    further: Mapping[str, Any] = field(default_factory=dict)
    problem: str | None = None

    def language(self, *, written: bool) -> str | None:
        """The manifest's code for the language of the words that are written there, or else of those that are spoken.

        None: it has none, or none that is a language's. In a paired corpus the two are not the same.
        """
        value = self.further.get("language")
        if written:
            value = self.further.get("text_language", value)
        return known_language(value) if isinstance(value, str) else None

    def to_line(self) -> bytes:
        """The item as a line of JSON, in ASCII: names of files that are no UTF-8 reach us with lone surrogates."""
        known = {name: value for name in _FIELDS if (value := getattr(self, name))}
        if self.audio == self.file:
            known.pop("audio", None)
        return json.dumps(known).encode("ascii") + b"\n"

    @classmethod
    def from_line(cls, line: bytes) -> Item:
        """What :meth:`to_line` made a line of; a start at 0 is none."""
        known = json.loads(line)
        file = known.pop("file", None)
        return cls(file, known.pop("audio", file), **known)


_FIELDS = tuple(one.name for one in fields(Item))


def has_manifest(sources: Iterable[str]) -> bool:
    """Whether one of the sources is a manifest."""
    return any(_is_manifest(source) for source in sources)


def find_items(sources: Iterable[str]) -> Iterator[Item]:
    """Everything that the sources hold, in their order.

    Memory holds the names of one folder at a time, or those that one pattern matches.

    Raises:
        UsageError: a source does not exist, or a pattern matches nothing.
        DataError: a folder holds no recording or cannot be read, or a manifest has faults (raised at its end).
    """
    for source in sources:
        if Path(source).is_dir():
            yield from _counted(_in_folder(source), f"Folder '{source}' holds no recordings")
        elif _is_manifest(source):
            yield from _counted(_in_manifest(source), f"Manifest '{source}' has no rows")
        elif os.path.lexists(source):
            yield Item(source, source)
        elif glob.has_magic(source):
            yield from _matching(source)
        else:
            raise UsageError(f"'{source}' does not exist; expected a folder, a manifest, a pattern or recordings.")


def _is_manifest(source: str) -> bool:
    return source.lower().endswith(_MANIFESTS) and Path(source).is_file()


def _counted(items: Iterator[Item], nothing: str) -> Iterator[Item]:
    count = 0
    for count, item in enumerate(items, 1):  # noqa: B007
        yield item
    if not count:
        raise DataError(f"{nothing}; expected at least one.")


def _in_folder(folder: str, *, within: bool = False) -> Iterator[Item]:
    # Here and not above: the rest of the corpora takes a while to import.
    from m3ser.corpora.recordings import EXTENSIONS

    endings = tuple(f".{extension}" for extension in EXTENSIONS)
    try:
        with os.scandir(folder) as found:
            entries = sorted((entry.name, _is_folder(entry)) for entry in found if not entry.name.startswith("."))
    except OSError as error:
        problem = f"Folder '{folder}' cannot be read: {error.strerror or error}."
        if not within:
            raise DataError(problem) from error
        yield Item(folder, folder, problem=problem)
        return
    for name, is_folder in entries:
        path = os.path.join(folder, name)  # noqa: PTH118
        if is_folder:
            if name != "__MACOSX":
                yield from _in_folder(path, within=True)
        elif name.lower().endswith(endings) and _may_be_recording(path):
            yield Item(path, path)


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir(follow_symlinks=False)
    except OSError:
        return False


def _may_be_recording(path: str) -> bool:
    # A pipe or device would be waited for; a link that leads nowhere is a recording that is not there, and said so.
    return os.path.isfile(path) or not os.path.exists(path)  # noqa: PTH110, PTH113


def _matching(pattern: str) -> Iterator[Item]:
    matches = sorted(glob.iglob(pattern, recursive=True))  # noqa: PTH207  (pathlib's has no absolute patterns)
    found = False
    for path in matches:
        if Path(path).is_file():
            found = True
            yield Item(path, path)
    if not found:
        raise UsageError(f"Nothing matches '{pattern}'; expected recordings.")


def _in_manifest(path: str) -> Iterator[Item]:
    from m3ser.corpora.manifest import stream_rows

    folder = os.path.dirname(path)  # noqa: PTH120
    for known in stream_rows(path):
        audio, start, end = (known.get(name) for name in ("audio", "start", "end"))
        further = {name: value for name, value in known.items() if name not in _OWN}
        stretch = {name: float(value) for name, value in (("start", start), ("end", end)) if value is not None}
        yield Item(
            file=audio,
            audio=None if audio is None else os.path.join(folder, audio),  # noqa: PTH118
            text=known.get("text"),
            row=True,
            start=stretch.get("start"),
            end=stretch.get("end"),
            further=further | stretch,
        )
