"""Which transcripts say the same, or nearly: the Jaccard similarity of their sets of words."""

from __future__ import annotations

import math
import re
import unicodedata
from collections import Counter, defaultdict
from collections.abc import Hashable, Iterator, Sequence

__all__ = ["LEAST_WORDS", "NEAR", "near_duplicates", "words_of"]

NEAR = 0.7
"""Jaccard similarity from which two transcripts count as near-identical."""

LEAST_WORDS = 4
"""Shorter transcripts ("Yeah.", "I don't know.") recur by chance and are not compared."""

_APOSTROPHES = re.compile("['\N{RIGHT SINGLE QUOTATION MARK}\N{MODIFIER LETTER APOSTROPHE}`]")
_BRACKETED = re.compile(r"\[[^\[\]]{1,100}\]")
_WORD = re.compile(r"\w+")


def words_of(text: str) -> tuple[str, ...]:
    """The words of a transcript, as nothing but words.

    Without case, punctuation, the difference between kinds of apostrophe, and what stands in square brackets: events
    ("[LAUGHTER]") and masks ("[NAME]") are not what was said.
    """
    plain = unicodedata.normalize("NFKC", _BRACKETED.sub(" ", text)).casefold()
    return tuple(_WORD.findall(_APOSTROPHES.sub("", plain)))


def near_duplicates(
    texts: Sequence[Sequence[str]],
    groups: Sequence[Hashable],
    *,
    threshold: float = NEAR,
    least_words: int = LEAST_WORDS,
) -> Iterator[tuple[int, int, float]]:
    """Pairs of texts of different groups that share most of their words.

    Prefix filtering (Chaudhuri, Ganti, Kaushik 2006; Bayardo, Ma, Srikant 2007): two sets as similar as that share a
    word among the rarest few of each, so only texts under the same rare word are ever compared.

    Args:
        texts: each as its words; shorter ones than `least_words` are passed over.
        groups: of each text; two texts of the same group are not compared.
        threshold: least Jaccard similarity, in (0, 1].
        least_words: words a text must have to be compared.

    Yields:
        Positions of two texts, and their similarity.
    """
    sets = {i: frozenset(words) for i, words in enumerate(texts) if len(words) >= least_words}
    frequency = Counter(word for words in sets.values() for word in words)
    index: defaultdict[str, list[int]] = defaultdict(list)
    # From small to large: whatever is in the index is at most as large as the text at hand.
    for i in sorted(sets, key=lambda i: (len(sets[i]), i)):
        words = sets[i]
        least_overlap = math.ceil(threshold * len(words) - 1e-9)
        rarest = sorted(words, key=lambda word: (frequency[word], word))[: len(words) - least_overlap + 1]
        candidates = {
            j for word in rarest for j in index[word] if groups[j] != groups[i] and len(sets[j]) >= least_overlap
        }
        for j in sorted(candidates):
            shared = len(words & sets[j])
            similarity = shared / (len(words) + len(sets[j]) - shared)
            if similarity >= threshold - 1e-9:
                yield min(i, j), max(i, j), similarity
        for word in rarest:
            index[word].append(i)
