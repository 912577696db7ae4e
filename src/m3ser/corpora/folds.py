"""Folds: who is trained on, who is selected on, who is tested on, by one of the protocols.

==================  ==================================================================================================
``paper``           one random 80/20 split by utterance, as published: optimistic
``random``          k random folds by utterance
``session``         leave one session out (or one of k groups of sessions)
``speaker``         leave one speaker out (or one of k groups of speakers)
``session+script``  speakers and words both unseen; see :mod:`m3ser.corpora.script_folds` for the rule
``corpus``          leave one corpus out
``official``        the corpus's own split
==================  ==================================================================================================

All but ``paper`` and ``official`` select on a validation part of other speakers than train and test; under ``corpus``
they are speakers of the corpora trained on, so that nothing is chosen by the one left out.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from types import MappingProxyType

from m3ser.corpora.conflicts import Conflicts
from m3ser.corpora.corpus import Progress
from m3ser.corpora.manifest import SPLITS
from m3ser.corpora.pool import Draft, Pool
from m3ser.corpora.protocols import DRAFTERS
from m3ser.corpora.selection import Request
from m3ser.errors import DataError, UsageError
from m3ser.schema import Copyable, EmotionScheme, Utterance

__all__ = ["VALIDATION", "Fold", "PartSummary", "Split", "make_split", "supported_protocols"]

_FIXED = {"paper": "one fold", "official": "one fold", "corpus": "one fold a corpus"}

VALIDATION = 0.2
"""Share of the speakers (or sessions) that are not tested which selection uses."""


@dataclass(frozen=True)
class Fold:
    """One division into parts.

    Attributes:
        name: what is tested ("session iemocap/Ses01", "speaker ravdess/03+ravdess/17", "random 2 of 5").
        parts: of each utterance of the split, in order: "train", "validation", "test", or None: left out of this fold.
    """

    name: str
    parts: tuple[str | None, ...]


@dataclass(frozen=True)
class PartSummary(Copyable):
    """What one part of a fold holds.

    Attributes:
        utterances: how many.
        speakers: how many different ones are named.
        classes: class -> utterances, every class of the split in the scheme's order.
    """

    utterances: int
    speakers: int
    classes: Mapping[str, int]

    def __post_init__(self) -> None:
        object.__setattr__(self, "classes", MappingProxyType(dict(self.classes)))


@dataclass(frozen=True)
class Split(Copyable):
    """Utterances and their folds.

    Attributes:
        protocol: one of the protocols, or "own" for folds that came with a manifest.
        seed: what it was drawn with; 0 where nothing was drawn.
        utterances: all that were given, in their order.
        folds: at least one.
        left_out: reason -> how many utterances no fold uses for it.
        notes: what a reader of any number from this split must know, a sentence each.
        scheme: the classes; None: each emotion is a class of its own.
    """

    protocol: str
    seed: int
    utterances: tuple[Utterance, ...]
    folds: tuple[Fold, ...]
    left_out: Mapping[str, int] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    scheme: EmotionScheme | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "left_out", MappingProxyType(dict(self.left_out)))

    def fold(self, index: int) -> tuple[Utterance, ...]:
        """The utterances that fold `index` (from 0) uses, in their order, with ``split`` set."""
        parts = self.folds[index].parts
        return tuple(
            replace(utterance, split=part)
            for utterance, part in zip(self.utterances, parts, strict=True)
            if part is not None
        )

    def summary(self, index: int) -> dict[str, PartSummary]:
        """Part -> what it holds in fold `index` (from 0); parts that the fold does not have are not there."""
        used = self.fold(index)
        emotions = sorted({utterance.emotion for utterance in self.utterances})
        names = tuple(emotions) if self.scheme is None else self.scheme.classes
        summaries = {}
        for part in SPLITS:
            inside = [utterance for utterance in used if utterance.split == part]
            if inside:
                counts = Counter(_class_of(utterance, self.scheme) for utterance in inside)
                speakers = {utterance.speaker for utterance in inside} - {None}
                summaries[part] = PartSummary(len(inside), len(speakers), {name: counts[name] for name in names})
        return summaries


def make_split(
    utterances: Iterable[Utterance],
    protocol: str,
    *,
    seed: int,
    scheme: EmotionScheme | None = None,
    folds: int | None = None,
    validation: float = VALIDATION,
    progress: Progress | None = None,
) -> Split:
    """Divide utterances into the folds of a protocol.

    The result depends on the utterances' identities (:func:`~m3ser.corpora.pool.identities`), what they say of
    themselves, and the seed; not on their order, the folder they are in, or the machine. Where there is a choice, parts
    are alike in classes, genders and corpora.

    Args:
        utterances: of one or several corpora; ``split`` is looked at by ``official`` alone.
        protocol: one of :data:`~m3ser.corpora.protocols.DRAFTERS`.
        seed: another seed, another draw.
        scheme: utterances of emotions that it leaves out are in no fold. None: each emotion is a class of its own.
        folds: how many (``random``), or how many groups of speakers or sessions are held out in turn. None: 5 random
            folds; every speaker or session alone, or 5 groups of them where there are more than 12.
        validation: share of the speakers (or sessions) not tested that selection uses, above 0 and below 1; at least
            one of them is used, and at least one is not.
        progress: told how many folds are drafted (for ``paper``, how many recordings are measured), and of how many.

    Raises:
        UsageError: there is no such protocol, or the options make no sense for it.
        DataError: the utterances do not allow this protocol; says why, and which ones they allow.
    """
    utterances = tuple(utterances)
    if protocol not in DRAFTERS:
        raise UsageError(f"There is no protocol '{protocol}'; known are {', '.join(DRAFTERS)}.")
    request = replace(_request(utterances, seed, scheme, folds, validation), progress=progress)
    if folds is not None and protocol in _FIXED:
        raise UsageError(f"Protocol '{protocol}' is {_FIXED[protocol]} by its nature, so it takes no number of folds.")
    try:
        draft = _draft(protocol, request)
    except DataError as error:
        # The number of folds was meant for this protocol, so the others are tried without it.
        others = [
            name
            for name, reason in _reasons(replace(request, folds=None, progress=None), protocol).items()
            if reason is None
        ]
        advice = f"would work: {', '.join(others)}" if others else "none of the others would work either"
        raise DataError(f"Protocol '{protocol}' {str(error).rstrip('.')} ({advice}).") from None
    return _split(utterances, protocol, request, draft)


def supported_protocols(utterances: Iterable[Utterance], scheme: EmotionScheme | None = None) -> dict[str, str | None]:
    """Protocol -> None where :func:`make_split` can do it with these utterances, else why not, in one sentence.

    Found out by trying, with seed 0 and the default options.
    """
    reasons = _reasons(_request(tuple(utterances), 0, scheme, None, VALIDATION), None)
    return {name: None if reason is None else f"Protocol '{name}' {reason}" for name, reason in reasons.items()}


def _request(
    utterances: Sequence[Utterance], seed: int, scheme: EmotionScheme | None, folds: int | None, validation: float
) -> Request:
    if not 0 < validation < 1:
        raise UsageError(f"The validation share is {validation:g}; expected a number above 0 and below 1.")
    if folds is not None and folds < 2:
        raise UsageError(f"The number of folds is {folds}; expected 2 or more.")
    pool = Pool.of(utterances, scheme)
    return Request(pool, Conflicts(pool.utterances), seed, folds, validation)


def _draft(protocol: str, request: Request) -> Draft:
    if not len(request.pool):
        raise DataError("needs utterances, and there are none of its classes")
    return DRAFTERS[protocol](request)


def _reasons(request: Request, tried: str | None) -> dict[str, str | None]:
    """Of every protocol but the one that was tried."""
    reasons: dict[str, str | None] = {}
    for name in DRAFTERS:
        if name != tried:
            try:
                _draft(name, request)
                reasons[name] = None
            except DataError as error:
                reasons[name] = str(error)
    return reasons


def _split(utterances: tuple[Utterance, ...], protocol: str, request: Request, draft: Draft) -> Split:
    """The draft, which is in the pool's order and without what the scheme leaves out, in the order of `utterances`."""
    pool = request.pool
    folds = []
    for name, parts in draft.folds.items():
        ordered: list[str | None] = [None] * len(utterances)
        for position, part in zip(pool.positions, parts, strict=True):
            ordered[position] = part
        folds.append(Fold(name, tuple(ordered)))
    left_out = Counter(pool.left_out)
    left_out.update(draft.left_out)
    unused = sum(not any(fold.parts[i] for fold in folds) for i in pool.positions) - sum(draft.left_out.values())
    if unused:
        left_out["shares with others what the protocol keeps apart"] += unused
    return Split(protocol, request.seed, utterances, tuple(folds), dict(left_out), draft.notes, pool.scheme)


def _class_of(utterance: Utterance, scheme: EmotionScheme | None) -> str | None:
    return utterance.emotion if scheme is None else scheme.class_of(utterance.emotion)
