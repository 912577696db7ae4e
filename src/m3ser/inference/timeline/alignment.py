"""Given words to the utterances that they were said in."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from m3ser.text.timed import Spoken, words_of

__all__ = ["REACH_SECONDS", "Alignment"]

REACH_SECONDS = 1.0
"""A word that no utterance holds goes to the nearest one that is at most this far away."""

_BEHIND = 300.0  # seconds before an utterance's start in which words are looked for: more than an utterance can last


@dataclass(eq=False)
class _Word:
    spoken: Spoken
    taken: bool = False


class Alignment:
    """Deals words out to utterances, in one pass over both.

    A word goes to the utterance that holds the middle of its time. A word between two utterances goes to the nearer
    one, where that is at most :data:`REACH_SECONDS` away; else it is left out. Phrases are taken word by word (see
    :func:`~m3ser.text.timed.words_of`), so that a phrase across a pause is divided there. Where channels are kept apart
    and a word's channel is not known, the first utterance that holds it has it.

    Args:
        spoken: phrases or words.
    """

    def __init__(self, spoken: Iterable[Spoken]) -> None:
        words = [word for phrase in spoken for word in words_of(phrase)]
        self._words = [_Word(word) for word in sorted(words, key=lambda word: word.middle)]
        self._first = 0

    @property
    def words(self) -> int:
        """How many there are."""
        return len(self._words)

    @property
    def left_out(self) -> int:
        """How many no utterance has had."""
        return sum(not word.taken for word in self._words)

    def text(
        self, start: float, end: float, *, after: float | None, before: float | None, channel: int | None
    ) -> str | None:
        """What was said in one utterance; None: nothing.

        Args:
            start: of the utterance, in seconds; not before the one of its channel that was asked for last.
            end: of the utterance.
            after: where the utterance before it ended; None: there is none.
            before: where the next one begins; None: there is none.
            channel: of the utterance; None: the recording is taken as a whole.
        """
        earliest = start - REACH_SECONDS if after is None else max(start - REACH_SECONDS, (start + after) / 2)
        latest = end + REACH_SECONDS if before is None else min(end + REACH_SECONDS, (end + before) / 2)
        earliest, latest = min(earliest, start), max(latest, end)
        while self._first < len(self._words) and self._words[self._first].spoken.middle < start - _BEHIND:
            self._first += 1
        taken = []
        for place in range(self._first, len(self._words)):
            word = self._words[place]
            if word.spoken.middle >= latest:
                break
            known = word.spoken.channel
            fits = channel is None or known is None or known == channel
            if fits and not word.taken and word.spoken.middle >= earliest:
                word.taken = True
                taken.append(word.spoken.text)
        return " ".join(taken) or None
