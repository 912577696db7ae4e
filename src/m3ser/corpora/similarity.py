"""Which transcripts say the same, or nearly: the Jaccard similarity of their sets of words."""

from __future__ import annotations

import math
import re
import unicodedata
from bisect import bisect_left
from collections import Counter, defaultdict
from collections.abc import Hashable, Iterator, Sequence

__all__ = ["LEAST_WORDS", "NEAR", "group_near_duplicates", "near_duplicates", "words_of"]

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
    word among the rarest few of each, so only texts under the same rare word are ever compared. The larger of the two
    is looked up by more of its words than the smaller is found under (Xiao, Wang, Lin, Yu 2008). Nothing is missed.

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
    rarity = {word: rank for rank, word in enumerate(sorted(frequency, key=lambda word: (frequency[word], word)))}
    # From small to large: whatever is in the index is at most as large as the text at hand. Texts are called by rank.
    order = sorted(sets, key=lambda i: (len(sets[i]), i))
    sizes = [len(sets[i]) for i in order]
    index: defaultdict[str, list[int]] = defaultdict(list)
    for rank, i in enumerate(order):
        words = sets[i]
        least_overlap = math.ceil(threshold * len(words) - 1e-9)
        from_rarest = sorted(words, key=rarity.__getitem__)
        smallest = bisect_left(sizes, least_overlap)
        candidates: set[int] = set()
        for word in from_rarest[: len(words) - least_overlap + 1]:
            if word in index:
                ranks = index[word]
                candidates.update(ranks[bisect_left(ranks, smallest) :])
        for other in sorted(candidates):
            j = order[other]
            if groups[j] == groups[i]:
                continue
            shared = len(words & sets[j])
            similarity = shared / (len(words) + len(sets[j]) - shared)
            if similarity >= threshold - 1e-9:
                yield min(i, j), max(i, j), similarity
        # What comes later is no smaller than this text, so that both share even more words than that.
        least_with_larger = math.ceil(2 * threshold / (1 + threshold) * len(words) - 1e-9)
        for word in from_rarest[: len(words) - least_with_larger + 1]:
            index[word].append(rank)


def group_near_duplicates(
    texts: Sequence[Sequence[str]], *, threshold: float = NEAR, least_words: int = LEAST_WORDS
) -> list[int]:
    """Texts in groups, such that near-duplicates are always in the same one.

    The groups are the connected components of :func:`near_duplicates`. Beware of chains: of three texts, each may be
    like the next, and the first unlike the last; all are one group. With short, formulaic texts a group can become
    large. Where that costs too much, compare texts pair by pair instead.

    Args:
        texts: each as its words; shorter ones than `least_words` are groups of their own, even where they are equal.
        threshold: as in :func:`near_duplicates`.
        least_words: as there.

    Returns:
        Of each text, the position of the first one of its group.
    """
    firsts: dict[frozenset[str], int] = {}
    parent = list(range(len(texts)))

    def root(i: int) -> int:
        while parent[i] != i:
            parent[i] = i = parent[parent[i]]
        return i

    for i, words in enumerate(texts):
        if len(words) >= least_words:
            parent[i] = firsts.setdefault(frozenset(words), i)
    distinct = list(firsts.values())
    pairs = near_duplicates([texts[i] for i in distinct], distinct, threshold=threshold, least_words=least_words)
    for a, b, _ in pairs:
        one, other = root(distinct[a]), root(distinct[b])
        parent[max(one, other)] = min(one, other)
    return [root(i) for i in range(len(texts))]
