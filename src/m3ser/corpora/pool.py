"""Utterances made ready to be divided: in an order of their own, each with an identity that no folder changes."""

from __future__ import annotations

import os
import unicodedata
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from m3ser.schema import EmotionScheme, Utterance

__all__ = ["Draft", "Pool", "identities"]


def identities(utterances: Sequence[Utterance]) -> tuple[str, ...]:
    """What each utterance is called, the same on every machine, in every folder and in any order; no two are alike.

    Its corpus and id (``extra``) where it has both; else where its recording lies below the folder that all such
    recordings have in common; else its words. Then its start, where it has one. Utterances that are still alike are
    numbered, in the order of what else is known of them.
    """
    paths = [u.audio for u in utterances if u.audio is not None and not _has_id(u)]
    root = _common_folder(paths)
    names = [_identity(utterance, root) for utterance in utterances]
    if len(set(names)) == len(names):
        return tuple(names)
    times = Counter(names)
    taken = set(names)
    seen: set[str] = set()
    alike = (i for i, name in enumerate(names) if times[name] > 1)
    for i in sorted(alike, key=lambda i: (names[i], _rest(utterances[i]))):
        name, number = names[i], 2
        if name in seen:
            while f"{name} #{number}" in taken:
                number += 1
            names[i] = f"{name} #{number}"
            taken.add(names[i])
        seen.add(name)
    return tuple(names)


@dataclass(frozen=True)
class Draft:
    """Folds over a pool.

    Attributes:
        folds: name -> part of each utterance of the pool, in its order.
        notes: for the split.
        left_out: reason -> utterances that no fold uses for it.
    """

    folds: Mapping[str, Sequence[str | None]]
    notes: tuple[str, ...] = ()
    left_out: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True)
class Pool:
    """The utterances of an emotion scheme, in the order of their identities.

    Attributes:
        utterances: as they were given.
        names: their identities.
        classes: of each, its class.
        positions: of each, its position among all utterances that were given.
        scheme: the classes; None: each emotion is one.
        left_out: reason -> utterances that were given and are not among these.
    """

    utterances: tuple[Utterance, ...]
    names: tuple[str, ...]
    classes: tuple[str, ...]
    positions: tuple[int, ...]
    scheme: EmotionScheme | None
    left_out: Mapping[str, int]

    @classmethod
    def of(cls, utterances: Sequence[Utterance], scheme: EmotionScheme | None) -> Pool:
        """The pool of these utterances."""
        names = identities(utterances)
        kept: list[tuple[str, int, str]] = []
        left_out: Counter[str] = Counter()
        for position, utterance in enumerate(utterances):
            label = utterance.emotion if scheme is None else scheme.class_of(utterance.emotion)
            if label is None and scheme is not None:
                left_out[f"'{utterance.emotion}' is not in {scheme.name}"] += 1
            elif label is not None:
                kept.append((names[position], position, label))
        kept.sort()
        return cls(
            utterances=tuple(utterances[position] for _, position, _ in kept),
            names=tuple(name for name, _, _ in kept),
            classes=tuple(label for _, _, label in kept),
            positions=tuple(position for _, position, _ in kept),
            scheme=scheme,
            left_out=dict(sorted(left_out.items())),
        )

    def __len__(self) -> int:
        return len(self.utterances)

    @cached_property
    def speakers(self) -> tuple[str | None, ...]:
        """Who speaks each."""
        return tuple(utterance.speaker for utterance in self.utterances)

    @cached_property
    def sessions(self) -> tuple[str | None, ...]:
        """In which session each was recorded."""
        return tuple(utterance.session for utterance in self.utterances)

    @cached_property
    def genders(self) -> tuple[str, ...]:
        """Of each speaker; empty where it is not known."""
        return tuple(utterance.extra.get("gender", "") for utterance in self.utterances)

    @cached_property
    def corpora(self) -> tuple[str, ...]:
        """Where each comes from; empty where it is not known."""
        return tuple(utterance.extra.get("corpus", "") for utterance in self.utterances)


def _has_id(utterance: Utterance) -> bool:
    return bool(utterance.extra.get("corpus") and utterance.extra.get("id"))


def _identity(utterance: Utterance, root: str) -> str:
    if _has_id(utterance):
        name = f"{utterance.extra['corpus']}/{utterance.extra['id']}"
    elif utterance.audio is not None:
        # Composed, for macOS may hand out file names decomposed.
        name = unicodedata.normalize("NFC", Path(os.path.relpath(_whole(utterance.audio), root)).as_posix())
    else:
        name = utterance.text or ""
    return name if utterance.start is None else f"{name}@{utterance.start:.3f}"


def _rest(utterance: Utterance) -> tuple[str, ...]:
    """All else that is known, but for where the recording lies."""
    known = (utterance.text, utterance.end, utterance.speaker, utterance.emotion, utterance.session, utterance.script)
    return (*map(str, known), str(sorted(utterance.extra.items())))


def _whole(path: Path) -> str:
    return os.path.abspath(path)  # noqa: PTH100 - unlike Path.resolve it does not follow links, which move


def _common_folder(paths: Sequence[Path]) -> str:
    if not paths:
        return os.curdir
    try:
        return os.path.commonpath({os.path.dirname(_whole(path)) for path in paths})  # noqa: PTH120
    except ValueError:  # on several drives
        return os.curdir
