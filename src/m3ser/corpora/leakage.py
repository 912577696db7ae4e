"""The leakage audit: what the parts of a split share that they should not."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Literal

from m3ser.corpora.contents import contents_of
from m3ser.corpora.manifest import SPLITS
from m3ser.corpora.same_audio import SameAudio, Stretch
from m3ser.corpora.similarity import LEAST_WORDS, near_duplicates, words_of
from m3ser.errors import DataError, UsageError
from m3ser.schema import Utterance

__all__ = ["PROTOCOLS", "Audit", "Kind", "Overlap", "audit", "protocol_rules"]

Kind = Literal["speaker", "session", "corpus", "script", "audio", "transcript", "sentence"]
"""What can overlap. A *transcript* is what a recording really says; a *sentence* is text that belongs to no voice,
alone or paired with one."""

_FREE_OF_RECORDINGS: frozenset[Kind] = frozenset({"audio", "sentence"})
PROTOCOLS: Mapping[str, frozenset[Kind]] = MappingProxyType(
    {
        # The published procedure, leaks and all.
        "paper": frozenset(),
        "random": _FREE_OF_RECORDINGS,
        # Sentences that a corpus has everybody speak recur in every part: a fact about it, not a leak here.
        "speaker": _FREE_OF_RECORDINGS | {"speaker"},
        "session": _FREE_OF_RECORDINGS | {"speaker", "session"},
        "session+script": _FREE_OF_RECORDINGS | {"speaker", "session", "script", "transcript"},
        "corpus": _FREE_OF_RECORDINGS | {"speaker", "corpus"},
        # Whatever else the corpus's authors let their parts share is their decision.
        "official": _FREE_OF_RECORDINGS,
    }
)
"""Protocol -> what no two parts may share under it."""


def protocol_rules(protocol: str) -> frozenset[Kind]:
    """What no two parts may share under a protocol.

    Raises:
        UsageError: there is no such protocol.
    """
    if protocol not in PROTOCOLS:
        raise UsageError(f"There is no protocol '{protocol}'; known are {', '.join(PROTOCOLS)}.")
    return PROTOCOLS[protocol]


@dataclass(frozen=True)
class Overlap:
    """One thing that is there more than once.

    Attributes:
        kind: what sort of thing.
        parts: where it is; a single part for identical recordings within it, which is a blemish but no leak.
        what: the identity, file names or texts concerned.
        utterances: how many utterances it concerns.
        similarity: 1 for identity; for texts the Jaccard similarity of their words.
    """

    kind: Kind
    parts: tuple[str, ...]
    what: str
    utterances: int
    similarity: float = 1.0

    @property
    def taints_a_score(self) -> bool:
        """Whether it makes a test easier than it should be.

        Corpora of few sentences cannot keep train and validation apart in them, too, and a few corpora are not enough
        to select on one of their own: that is allowed, as long as what is tested is new.
        """
        return self.kind not in ("script", "transcript", "corpus") or "test" in self.parts

    def __str__(self) -> str:
        near = "" if self.similarity == 1.0 else f" ({self.similarity:.0%} alike)"
        parts = [*(part for part in SPLITS if part in self.parts), *(part for part in self.parts if part not in SPLITS)]
        where = " and ".join(filter(None, [", ".join(parts[:-1]), parts[-1]]))
        return f"{self.kind} in {where}{near}: {self.what} ({self.utterances:,} utterances)"


@dataclass(frozen=True)
class Audit:
    """What an audit found.

    Attributes:
        utterances: part -> how many it has.
        speakers: part -> how many different ones it has.
        overlaps: everything found, whether a protocol minds it or not.
        notes: what could not be checked.
    """

    utterances: Mapping[str, int]
    speakers: Mapping[str, int]
    overlaps: tuple[Overlap, ...]
    notes: tuple[str, ...] = ()

    def violations(self, protocol: str) -> tuple[Overlap, ...]:
        """The overlaps between parts that a protocol does not allow.

        Raises:
            UsageError: there is no such protocol.
        """
        forbidden = protocol_rules(protocol)
        return tuple(o for o in self.overlaps if o.kind in forbidden and len(o.parts) > 1 and o.taints_a_score)

    def require(self, protocol: str) -> None:
        """Make sure that the split keeps to a protocol.

        Raises:
            UsageError: there is no such protocol.
            DataError: it does not; lists every violation, a line each.
        """
        violations = self.violations(protocol)
        if violations:
            count = "1 violation" if len(violations) == 1 else f"{len(violations):,} violations"
            raise DataError("\n  ".join([f"The split has {count} of protocol '{protocol}':", *map(str, violations)]))


def audit(utterances: Iterable[Utterance], *, same_audio: SameAudio | None = None) -> Audit:
    """Look for what the parts of a split share.

    Speakers, sessions and scripts by name; recordings by content (the same bytes, of the same stretch of time);
    transcripts and sentences of four words or more by the Jaccard similarity of their words, from 0.7. Where there are
    several corpora, they too.

    Args:
        utterances: all with ``split``; recordings that are not there are compared by path only, and noted.
        same_audio: which of them sound the same, where that is to be looked for beyond equal bytes
            (:func:`~m3ser.corpora.find_same_audio`).

    Raises:
        DataError: an utterance is in no part.
    """
    utterances = tuple(utterances)
    homeless = sum(not utterance.split for utterance in utterances)
    if homeless:
        raise DataError(f"{homeless:,} of {len(utterances):,} utterances are in no part; expected a split to audit.")
    speakers = {(u.split, u.speaker) for u in utterances if u.speaker is not None}
    recordings = {u.audio for u in utterances if u.audio is not None}
    content = contents_of(recordings)
    absent = sum(not path.exists() for path in recordings)
    overlaps = (
        *_shared("speaker", utterances, lambda u: u.speaker),
        *_shared("session", utterances, lambda u: u.session),
        *_shared_corpora(utterances),
        *_shared("script", utterances, lambda u: u.script),
        *_shared_audio(utterances, content),
        *_alike(utterances, content, same_audio),
        *_shared_texts("transcript", [u for u in utterances if not _unvoiced(u)]),
        *_shared_texts("sentence", [u for u in utterances if _unvoiced(u)]),
    )
    notes = [f"{absent:,} recordings are not there, so their content was not compared."] if absent else []
    if same_audio is not None and same_audio.unheard:
        notes.append(f"{same_audio.unheard:,} recordings have no fingerprint: unreadable, or too little sound.")
    notes += _conflicts(overlaps, utterances)
    return Audit(
        _by_part(u.split or "" for u in utterances),
        _by_part(part or "" for part, _ in speakers),
        overlaps,
        tuple(notes),
    )


def _by_part(parts: Iterable[str]) -> Mapping[str, int]:
    """How often each occurs, train first, other names (of people's own folds) last."""
    counts = Counter(parts)
    return MappingProxyType({part: counts[part] for part in dict.fromkeys((*SPLITS, *counts)) if part in counts})


def _unvoiced(utterance: Utterance) -> bool:
    return utterance.audio is None or "relation" in utterance.extra


def _shared(
    kind: Kind, utterances: Sequence[Utterance], identity: Callable[[Utterance], str | None]
) -> Iterator[Overlap]:
    parts: defaultdict[str, Counter[str]] = defaultdict(Counter)
    for utterance in utterances:
        name = identity(utterance)
        if name is not None:
            parts[name][utterance.split or ""] += 1
    for name, counts in sorted(parts.items()):
        if len(counts) > 1:
            yield Overlap(kind, tuple(sorted(counts)), name, counts.total())


def _shared_corpora(utterances: Sequence[Utterance]) -> Iterator[Overlap]:
    """One corpus alone is in all parts by its nature."""
    if len({utterance.extra.get("corpus") for utterance in utterances} - {None}) > 1:
        yield from _shared("corpus", utterances, lambda u: u.extra.get("corpus"))


def _shared_audio(utterances: Sequence[Utterance], content: Mapping[Path, Hashable]) -> Iterator[Overlap]:
    groups: defaultdict[Hashable, list[Utterance]] = defaultdict(list)
    for utterance in utterances:
        if utterance.audio is not None:
            groups[content[utterance.audio], utterance.start, utterance.end].append(utterance)
    for group in groups.values():
        parts = {utterance.split or "" for utterance in group}
        files = sorted({str(utterance.audio) for utterance in group})
        if len(parts) > 1 or len(files) > 1:
            yield Overlap("audio", tuple(sorted(parts)), " = ".join(files), len(group))


def _alike(
    utterances: Sequence[Utterance], content: Mapping[Path, Hashable], same_audio: SameAudio | None
) -> Iterator[Overlap]:
    """What sounds the same without being the same bytes."""
    if same_audio is None:
        return
    of_stretch: defaultdict[Stretch, list[Utterance]] = defaultdict(list)
    for utterance in utterances:
        if utterance.audio is not None:
            of_stretch[utterance.audio, utterance.start, utterance.end].append(utterance)
    for (a, b), error in same_audio.pairs.items():
        group = [*of_stretch.get(a, ()), *of_stretch.get(b, ())]
        if a in of_stretch and b in of_stretch and (content[a[0]], *a[1:]) != (content[b[0]], *b[1:]):
            parts = tuple(sorted({utterance.split or "" for utterance in group}))
            yield Overlap("audio", parts, f"{a[0]} ~ {b[0]}", len(group), 1.0 - error)


def _conflicts(overlaps: Iterable[Overlap], utterances: Iterable[Utterance]) -> Iterator[str]:
    """A sentence for each recording that is there twice under different emotions."""
    emotions: defaultdict[str, set[str]] = defaultdict(set)
    for utterance in utterances:
        emotions[str(utterance.audio)].add(utterance.emotion)
    for overlap in overlaps:
        if overlap.kind == "audio":
            named = sorted(set().union(*(emotions[file] for file in re.split(" [=~] ", overlap.what))))
            if len(named) > 1:
                yield f"One recording has different labels ({', '.join(named)}): {overlap.what}."


def _shared_texts(kind: Kind, utterances: Iterable[Utterance]) -> Iterator[Overlap]:
    counts: Counter[tuple[str, tuple[str, ...]]] = Counter()
    for utterance in utterances:
        words = words_of(utterance.text or "")
        if len(words) >= LEAST_WORDS:
            counts[utterance.split or "", words] += 1
    keys = sorted(counts)
    parts_of: defaultdict[tuple[str, ...], list[str]] = defaultdict(list)
    for part, words in keys:
        parts_of[words].append(part)
    for words, parts in parts_of.items():
        if len(parts) > 1:
            yield Overlap(kind, tuple(parts), " ".join(words), sum(counts[part, words] for part in parts))
    for a, b, similarity in near_duplicates([words for _, words in keys], [part for part, _ in keys]):
        if keys[a][1] != keys[b][1]:
            what = f"{' '.join(keys[a][1])} ~ {' '.join(keys[b][1])}"
            yield Overlap(kind, (keys[a][0], keys[b][0]), what, counts[keys[a]] + counts[keys[b]], similarity)
