"""How many words a speech recogniser gets wrong."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from m3ser.errors import UsageError, needing

__all__ = ["WordErrors", "word_errors"]


@dataclass(frozen=True)
class WordErrors:
    """What it takes to turn what was understood into what was said.

    Attributes:
        utterances: how many were compared.
        words: how many were said.
        substitutions, deletions, insertions: words that are other ones, are missing, or were never said.
    """

    utterances: int
    words: int
    substitutions: int
    deletions: int
    insertions: int

    @property
    def rate(self) -> float:
        """The word error rate (WER): all errors as a share of the words that were said; it can exceed 1."""
        return (self.substitutions + self.deletions + self.insertions) / self.words

    def to_dict(self) -> dict[str, Any]:
        """The record as JSON-ready values."""
        return {
            "word_error_rate": self.rate,
            "utterances": self.utterances,
            "words": self.words,
            "substitutions": self.substitutions,
            "deletions": self.deletions,
            "insertions": self.insertions,
        }


def word_errors(said: Sequence[str], understood: Sequence[str]) -> WordErrors:
    """Compare transcripts with what was said, by the fewest changes of words (Levenshtein's distance, by jiwer).

    Case, punctuation and spacing do not count; "don't" is one word, and "11" is not "eleven".

    Args:
        said: the words of each utterance.
        understood: what the recogniser made of each; "" where that is nothing.

    Raises:
        UsageError: the two are of different lengths, or nothing was said at all.
        MissingExtraError: jiwer is not installed.

    >>> word_errors(["Don't forget a jacket."], ["don't forget the jacket"]).rate
    0.25
    """
    with needing("train", "The word error rate"):
        import jiwer
    steps: Any = jiwer  # some of its transforms have no annotations
    if len(said) != len(understood):
        raise UsageError(f"{len(said)} utterances need as many transcripts; found {len(understood)}.")
    to_words = jiwer.Compose(
        [
            steps.ToLowerCase(),
            steps.RemovePunctuation(),
            steps.RemoveMultipleSpaces(),
            steps.Strip(),
            steps.ReduceToListOfListOfWords(),
        ]
    )
    words = sum(len(one) for one in to_words(list(said))) if said else 0
    if not words:
        raise UsageError("A word error rate needs words that were said; found none.")
    found = jiwer.process_words(
        list(said), list(understood), reference_transform=to_words, hypothesis_transform=to_words
    )
    return WordErrors(len(said), words, found.substitutions, found.deletions, found.insertions)
