"""What every format is given, and what it gives back."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from m3ser.corpora.corpus import Progress
from m3ser.corpora.interchange.records import Problem

__all__ = ["Reading", "Row", "Source", "Target"]


@dataclass(frozen=True)
class Source:
    """What is to be read.

    Attributes:
        path: a file or folder that is there.
        root: where the recordings' paths begin; None: that is not said.
        tables: of databases with several sets of labels: which are meant; none: all.
    """

    path: Path
    root: Path | None = None
    tables: Sequence[str] = ()


@dataclass(frozen=True)
class Row:
    """One utterance as a foreign file describes it.

    Attributes:
        where: the place, for complaints ("line 3", "'anna_01'").
        audio: the recording's path as it stands there.
        values: all else, by the file's own names.
    """

    where: str
    audio: str
    values: Mapping[str, Any]


@dataclass(frozen=True)
class Reading:
    """What a reader found in a source.

    Attributes:
        what: the source, as the subject of a sentence ("Kaldi folder 'data/train'").
        folder: where paths of recordings begin, unless they lie further up.
        rows: its utterances, in order, and what is wrong.
        label_map: what the source itself says that its labels mean; asked for labels that are not known otherwise.
        comment: what the source says about itself.
        notes: what else is to be said, a sentence each.
    """

    what: str
    folder: Path
    rows: Sequence[Row | Problem]
    label_map: Mapping[str, str] = field(default_factory=dict)
    comment: str = ""
    notes: Sequence[str] = ()


@dataclass(frozen=True)
class Target:
    """What is to be written, and where.

    Attributes:
        path: a file, or a folder that is new or empty.
        comment: what the manifest says about itself.
        notes: takes up, a sentence each, what the format cannot hold.
        progress: told how far the writing is, where recordings are read or copied.
    """

    path: Path
    comment: str = ""
    notes: list[str] = field(default_factory=list)
    progress: Progress | None = None
