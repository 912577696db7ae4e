"""What may not be on both sides of a split: given some utterances, which others share something with them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Collection, Hashable, Iterable, Sequence
from functools import cached_property

from m3ser.corpora.contents import contents_of
from m3ser.corpora.leakage import Kind
from m3ser.corpora.similarity import LEAST_WORDS, near_duplicates, words_of
from m3ser.schema import Utterance

__all__ = ["NEW_IN_TEST", "OF_PEOPLE", "Conflicts"]

OF_PEOPLE: frozenset[Kind] = frozenset({"speaker", "session"})
"""What whole speakers or sessions share; all else (words, recordings) is shared by single utterances."""

NEW_IN_TEST: frozenset[Kind] = frozenset({"corpus"})
"""What is kept out of what is tested, while training and validation may share it."""

_Touch = Callable[[Iterable[int]], set[int]]


class Conflicts:
    """Utterances that share something, by kind; each kind is looked into when it is first asked for.

    Args:
        utterances: they are called by their positions here.
    """

    def __init__(self, utterances: Sequence[Utterance]) -> None:
        self._utterances = utterances
        self._touch: dict[Kind, _Touch] = {}

    def touching(self, positions: Collection[int], kinds: Iterable[Kind]) -> set[int]:
        """All utterances that share something of these kinds with one of `positions`, themselves perhaps included."""
        found: set[int] = set()
        for kind in sorted(kinds):
            if kind not in self._touch:
                self._touch[kind] = self._look_into(kind)
            found |= self._touch[kind](positions)
        return found

    def _look_into(self, kind: Kind) -> _Touch:
        if kind == "speaker":
            return _by_label([u.speaker for u in self._utterances])
        if kind == "session":
            return _by_label([u.session for u in self._utterances])
        if kind == "corpus":
            return _by_label([u.extra.get("corpus") for u in self._utterances])
        if kind == "script":
            return _by_label([u.script for u in self._utterances])
        if kind == "audio":
            return _by_label(self._recordings)
        unvoiced = kind == "sentence"
        return _by_words([u.text or "" if _unvoiced(u) == unvoiced else "" for u in self._utterances])

    @cached_property
    def _recordings(self) -> list[Hashable | None]:
        contents = contents_of(u.audio for u in self._utterances if u.audio is not None)
        return [None if u.audio is None else (contents[u.audio], u.start, u.end) for u in self._utterances]


def _unvoiced(utterance: Utterance) -> bool:
    """As the audit has it: text that belongs to no voice, alone or paired with one."""
    return utterance.audio is None or "relation" in utterance.extra


def _by_label(labels: Sequence[Hashable | None]) -> _Touch:
    members: defaultdict[Hashable, list[int]] = defaultdict(list)
    for position, label in enumerate(labels):
        if label is not None:
            members[label].append(position)

    def touch(positions: Iterable[int]) -> set[int]:
        wanted = {labels[position] for position in positions} - {None}
        return {position for label in wanted for position in members[label]}

    return touch


def _by_words(texts: Sequence[str]) -> _Touch:
    """Equal or near-equal words; only direct neighbours, for being alike does not carry on from one to the next."""
    wordings: dict[frozenset[str], int] = {}
    spelled: list[tuple[str, ...]] = []
    wording_of: list[int | None] = []
    members: list[list[int]] = []
    for position, text in enumerate(texts):
        words = words_of(text)
        if len(words) < LEAST_WORDS:
            wording_of.append(None)
            continue
        number = wordings.setdefault(frozenset(words), len(wordings))
        if number == len(members):
            members.append([])
            spelled.append(words)
        members[number].append(position)
        wording_of.append(number)
    near: list[list[int]] = [[number] for number in range(len(members))]
    for a, b, _ in near_duplicates(spelled, range(len(spelled))):
        near[a].append(b)
        near[b].append(a)

    def touch(positions: Iterable[int]) -> set[int]:
        said = {wording_of[position] for position in positions} - {None}
        alike = {other for number in said if number is not None for other in near[number]}
        return {position for number in alike for position in members[number]}

    return touch
