"""A stretch of given speech, and its words with a time each."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

from m3ser.errors import TextError

__all__ = ["Spoken", "words_of"]


@dataclass(frozen=True)
class Spoken:
    """Words and when they were said.

    Attributes:
        start, end: seconds from the beginning of the recording.
        text: one word or several.
        channel: the channel of the recording, counted from 1; None: not known.

    Raises:
        TextError: the times are no numbers, are negative, or the end is before the start.
    """

    start: float
    end: float
    text: str
    channel: int | None = None

    def __post_init__(self) -> None:
        if not (math.isfinite(self.start) and math.isfinite(self.end) and 0 <= self.start <= self.end):
            raise TextError(
                f"'{self.text[:40]}' is said from {self.start:g} to {self.end:g} s; expected a start of 0 or more and "
                "an end that is not before it."
            )

    @property
    def middle(self) -> float:
        """The middle of its time, in seconds."""
        return (self.start + self.end) / 2


def words_of(spoken: Spoken) -> Iterator[Spoken]:
    """Its words, one by one. Several share its time in proportion to their letters."""
    words = spoken.text.split()
    letters = sum(map(len, words))
    place = 0
    for word in words:
        start, end = (spoken.start + (spoken.end - spoken.start) * at / letters for at in (place, place + len(word)))
        yield Spoken(start, end, word, spoken.channel)
        place += len(word)
