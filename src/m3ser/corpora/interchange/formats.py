"""The formats that manifests are read from and written to, and which one a file or folder is."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

from m3ser.corpora.interchange import (
    audformat_database,
    audformat_writing,
    audiofolder,
    audiofolder_writing,
    emobox,
    emobox_writing,
    kaldi,
    speechbrain,
)
from m3ser.corpora.interchange.contract import Reading, Source, Target
from m3ser.corpora.interchange.records import csv_records, jsonl_records
from m3ser.errors import DataError, UsageError
from m3ser.schema import Utterance

__all__ = ["FORMATS", "MANIFEST", "Format", "format_of", "get_format"]

MANIFEST = "m3ser"
"""What m3ser's own manifest is called among the formats."""


@dataclass(frozen=True)
class Format:
    """A format.

    Attributes:
        name: what it is called.
        description: what it looks like, in a few words.
        recognises: whether a file or folder is of this format.
        read: reads one; None for m3ser's own, which :func:`~m3ser.corpora.read_manifest` reads.
        write: writes one; None: m3ser only reads this format (or, its own, writes it elsewhere).
        has_tables: whether there may be several sets of labels to choose from.
    """

    name: str
    description: str
    recognises: Callable[[Path], bool]
    read: Callable[[Source], Reading] | None = None
    write: Callable[[Sequence[Utterance], Target], None] | None = None
    has_tables: bool = False

    @property
    def can_write(self) -> bool:
        """Whether manifests can be written in it."""
        return self.name == MANIFEST or self.write is not None


_SUFFIXES = (".csv", ".jsonl", ".ndjson")


def _is_manifest(source: Path) -> bool:
    """Whether the first row has the columns of a manifest."""
    if not source.is_file() or source.suffix.lower() not in _SUFFIXES:
        return False
    if source.suffix.lower() == ".csv":
        with source.open(encoding="utf-8-sig", errors="replace") as file:
            if file.readline().startswith("#"):
                return True
    try:
        records = csv_records(source, []) if source.suffix.lower() == ".csv" else jsonl_records(source, [])
        first = next(iter(records), None)
    except DataError:
        return False
    if not isinstance(first, tuple):
        return False
    columns = set(first[1])
    return "meta" in columns or ("emotion" in columns and not columns.isdisjoint({"audio", "text"}))


FORMATS: Mapping[str, Format] = MappingProxyType(
    {
        known.name: known
        for known in (
            Format(MANIFEST, "m3ser's own manifest: .csv, .jsonl or .ndjson", _is_manifest),
            Format(
                "emobox",
                "EmoBox metadata: .jsonl, or a dataset's folder with its folds",
                emobox.recognises,
                emobox.read,
                emobox_writing.write,
            ),
            Format(
                "audformat",
                "an audformat database: a folder with db.yaml",
                audformat_database.recognises,
                audformat_database.read,
                audformat_writing.write,
                has_tables=True,
            ),
            Format(
                "audiofolder",
                "Hugging Face datasets' audiofolder: metadata.csv or .jsonl, or folders named after emotions",
                audiofolder.recognises,
                audiofolder.read,
                audiofolder_writing.write,
            ),
            Format(
                "speechbrain",
                "SpeechBrain manifests: .json or .csv, or a folder of train, valid and test",
                speechbrain.recognises,
                speechbrain.read,
            ),
            Format("kaldi", "a Kaldi data folder: wav.scp, utt2emo, ...", kaldi.recognises, kaldi.read),
        )
    }
)
"""Every format, by name."""


def get_format(name: str) -> Format:
    """The format called `name`.

    Raises:
        UsageError: there is none; lists the known ones.
    """
    if name not in FORMATS:
        raise UsageError(f"There is no format '{name}'; known are {', '.join(FORMATS)}.")
    return FORMATS[name]


def format_of(source: str | os.PathLike[str]) -> Format:
    """The format that a file or folder is in, by what it holds.

    Raises:
        DataError: there is no such file or folder, or it is in none of the formats, or may be in several.
    """
    path = Path(source)
    if not path.exists():
        raise DataError(f"'{path}' is not there; expected a file or folder in one of {', '.join(FORMATS)}.")
    found = [known for known in FORMATS.values() if known.recognises(path)]
    if len(found) > 1:
        # Any table with emotion and text may be a manifest; the others are told by more than that.
        found = [known for known in found if known.name != MANIFEST]
    if not found and audiofolder.recognises_classes(path):
        # Last, for recordings sorted into folders may also lie beside any of the lists.
        return FORMATS["audiofolder"]
    if len(found) == 1:
        return found[0]
    named = " and ".join(known.name for known in found)
    problem = f"may be {named}" if found else f"looks like none of {', '.join(FORMATS)}"
    raise DataError(f"'{path}' {problem}; say which with --from FORMAT.")
