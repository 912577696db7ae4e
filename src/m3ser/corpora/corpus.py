"""What a corpus is to m3ser: what is published about it, and what one copy of it holds."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Literal, Protocol, TypeAlias

from m3ser.errors import UsageError
from m3ser.schema import EMOTIONS, Copyable, EmotionScheme, Utterance

__all__ = ["Corpus", "CorpusInfo", "LabelledReader", "Progress", "Reader"]


@dataclass(frozen=True)
class CorpusInfo(Copyable):
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
        access: how people get a copy, in a few words ("zenodo.org/records/1188976", "on request, from USC SAIL").
        counts: the corpus's own label -> how many utterances of a complete copy have it; empty where that is not known.
        splits: names of the parts of its official split, in m3ser's spelling; empty where it has none.
        label_sources: what the labels can be taken from, the default first ("intended", "perceived"); empty where
            there is no choice.
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
    access: str = ""
    counts: Mapping[str, int] = field(default_factory=dict)
    splits: tuple[str, ...] = ()
    label_sources: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        object.__setattr__(self, "labels", MappingProxyType(dict(self.labels)))
        object.__setattr__(self, "counts", MappingProxyType(dict(self.counts)))
        unknown = sorted({e for e in self.labels.values() if e is not None and e not in EMOTIONS})
        if unknown:
            raise UsageError(f"Corpus '{self.name}' maps labels to {unknown}; known are {', '.join(EMOTIONS)}.")
        strangers = sorted(set(self.counts) - set(self.labels))
        if strangers:
            raise UsageError(f"Corpus '{self.name}' counts labels that it does not have: {', '.join(strangers)}.")

    def label_map(self, scheme: EmotionScheme) -> dict[str, str | None]:
        """The corpus's own label -> the class of `scheme` that it counts as; None where the scheme leaves it out."""
        return {label: None if name is None else scheme.class_of(name) for label, name in self.labels.items()}

    def class_counts(self, scheme: EmotionScheme) -> dict[str, int]:
        """How many utterances of each class of `scheme` a complete copy has; empty where that is not known.

        It is not known either where utterances have several labels, so that the counts add up to more than there are.
        """
        if not self.counts or sum(self.counts.values()) > self.utterances:
            return {}
        totals = dict.fromkeys(scheme.classes, 0)
        for label, name in self.label_map(scheme).items():
            if name is not None:
                totals[name] += self.counts.get(label, 0)
        return totals


@dataclass(frozen=True)
class Corpus(Copyable):
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


Progress: TypeAlias = Callable[[int, int], None]
"""Told while a corpus is read: how many recordings, or tables, have been looked at, and of how many."""


class Reader(Protocol):
    """A module of this room that reads one corpus."""

    INFO: CorpusInfo

    def read(self, folder: str | os.PathLike[str], *, progress: Progress | None = None) -> Corpus:
        """Read a copy.

        Args:
            folder: where it lies.
            progress: told how far the reading is.

        Raises:
            DataError: the folder is not a copy of this corpus; says what was looked for.
        """
        ...


class LabelledReader(Reader, Protocol):
    """A reader whose corpus has labels of more than one source (``INFO.label_sources``)."""

    def read(
        self, folder: str | os.PathLike[str], *, labels: str | None = None, progress: Progress | None = None
    ) -> Corpus:
        """Read a copy, with the labels of one source; the others stay in ``extra``.

        Args:
            folder: where it lies.
            labels: one of ``INFO.label_sources``; None: the first of them.
            progress: as in :meth:`Reader.read`.

        Raises:
            DataError: the folder is not a copy of this corpus, or lacks the tables that these labels are in.
            UsageError: the corpus has no labels of that source.
        """
        ...
