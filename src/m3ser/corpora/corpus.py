"""What a corpus is to m3ser: what is published about it, and what one copy of it holds."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Literal, Protocol

from m3ser.errors import UsageError
from m3ser.schema import EMOTIONS, EmotionScheme, Utterance

__all__ = ["Corpus", "CorpusInfo", "Reader"]


@dataclass(frozen=True)
class CorpusInfo:
    """What is published about a corpus, whoever's copy it is.

    Attributes:
        name: how commands and recipes call it; also the prefix of its speaker and script identities ("ravdess/01").
        title: its full name.
        kind: "speech" (recordings, with words where they are known) or "text" (words alone).
        languages: BCP 47 codes.
        licence: SPDX identifier of the corpus's licence.
        citation: the publication that its authors ask to be cited.
        labels: the corpus's own label -> one of :data:`~m3ser.schema.EMOTIONS`; None where m3ser has no name for it.
        utterances: how many recordings, or annotated rows, a complete copy holds, before any label is left out.
        speakers: how many speakers it has; None where it does not tell them apart.
        layout: one path of a copy as published.
        splits: names of the parts of its official split, in m3ser's spelling; empty where it has none.
        notes: known blemishes, and what else a user should know.
    """

    name: str
    title: str
    kind: Literal["speech", "text"]
    languages: tuple[str, ...]
    licence: str
    citation: str
    labels: Mapping[str, str | None]
    utterances: int
    speakers: int | None
    layout: str
    splits: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        object.__setattr__(self, "labels", MappingProxyType(dict(self.labels)))
        unknown = sorted({e for e in self.labels.values() if e is not None and e not in EMOTIONS})
        if unknown:
            raise UsageError(f"Corpus '{self.name}' maps labels to {unknown}; known are {', '.join(EMOTIONS)}.")


@dataclass(frozen=True)
class Corpus:
    """One copy of a corpus, as it was found on disk.

    Attributes:
        info: what is published about it.
        folder: where it was read from.
        utterances: in the order of their file names or rows. ``extra`` always holds "corpus" (its name), "id" (the
            published name without extension, or the row's id) and "label" (the corpus's own), and where known
            "gender" ("female" or "male"), "age" (years), "intensity" and "duration" (seconds).
        findings: what is missing, damaged or unexpected in this copy, a sentence each; empty where nothing is.
        left_out: why annotated items are not among the utterances -> how many; they are not faults of the copy.
    """

    info: CorpusInfo
    folder: Path
    utterances: tuple[Utterance, ...]
    findings: tuple[str, ...] = ()
    left_out: Mapping[str, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        object.__setattr__(self, "left_out", MappingProxyType(dict(self.left_out)))

    def class_counts(self, scheme: EmotionScheme) -> dict[str, int]:
        """How many utterances each class of `scheme` has, in the scheme's order."""
        counts = Counter(scheme.class_of(utterance.emotion) for utterance in self.utterances)
        return {label: counts[label] for label in scheme.classes}


class Reader(Protocol):
    """A module of this room that reads one corpus."""

    INFO: CorpusInfo

    def read(self, folder: str | os.PathLike[str]) -> Corpus:
        """Read a copy.

        Raises:
            DataError: the folder is not a copy of this corpus; says what was looked for.
        """
        ...
