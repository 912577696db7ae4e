"""Assigning utterances to train, validation and test so that no speaker is in two of them."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

from m3ser.corpora.drawing import apportion, shuffled, uniform
from m3ser.corpora.manifest import SPLITS
from m3ser.errors import DataError, UsageError
from m3ser.schema import Utterance

__all__ = ["split_by_speaker"]


def split_by_speaker(
    utterances: Iterable[Utterance], *, shares: tuple[float, float, float] = (0.6, 0.2, 0.2), seed: int
) -> tuple[Utterance, ...]:
    """Assign every utterance to a part by its speaker, within each corpus, so that every part has speakers of each.

    For each corpus (``extra["corpus"]``; utterances without one are one corpus together):

    1. The number of speakers of each part is `shares` of all, by largest remainders, at least one.
    2. Test and validation take turns to choose a speaker until they have theirs. They choose from the gender
       (``extra["gender"]``) whose share among their speakers is furthest below its share in the corpus; among equals,
       from the one that has been chosen from less often so far; among equals again, and within a gender, by a hash of
       the seed and the name.
    3. Everybody else is for training.

    The result depends on names and seed alone, not on the order of the utterances or the machine.

    Args:
        utterances: of one or several corpora; an earlier ``split`` is overwritten.
        shares: of the speakers, for train, validation and test; each above 0, together 1.
        seed: another seed, another assignment.

    Returns:
        The utterances in their order, with ``split`` set.

    Raises:
        UsageError: the shares are not three numbers as above.
        DataError: a corpus has fewer than three speakers, or an utterance names none.
    """
    if len(shares) != len(SPLITS) or min(shares) <= 0 or abs(sum(shares) - 1) > 1e-6:
        raise UsageError(f"Shares for train, validation and test are {shares}; expected three above 0 that sum to 1.")
    utterances = tuple(utterances)
    genders: defaultdict[str, dict[str, str]] = defaultdict(dict)
    for utterance in utterances:
        if utterance.speaker is None:
            raise DataError(f"Utterance '{utterance.audio or utterance.text}' names no speaker to split by.")
        genders[_corpus(utterance)].setdefault(utterance.speaker, utterance.extra.get("gender", ""))
    # Only corpora of three speakers or more have one for each part.
    small = [
        f"{corpus or 'the corpus'} has {len(speakers)}" for corpus, speakers in genders.items() if len(speakers) < 3
    ]
    if small:
        raise DataError(f"Too few speakers to keep them apart in three parts: {', '.join(small)}; expected 3 or more.")
    part_of = {
        (corpus, speaker): part
        for corpus, speakers in genders.items()
        for speaker, part in _assign(corpus, speakers, shares, seed).items()
    }
    return tuple(replace(u, split=part_of[_corpus(u), u.speaker or ""]) for u in utterances)


def _corpus(utterance: Utterance) -> str:
    return utterance.extra.get("corpus", "")


def _assign(corpus: str, genders: Mapping[str, str], shares: Sequence[float], seed: int) -> dict[str, str]:
    """Speaker -> part, for one corpus."""
    waiting: defaultdict[str, list[str]] = defaultdict(list)
    for speaker in shuffled(genders, seed, corpus, name=str):
        waiting[genders[speaker]].append(speaker)
    share_of = {gender: len(speakers) / len(genders) for gender, speakers in waiting.items()}
    seats = _seats(len(genders), shares)
    chosen: dict[str, Counter[str]] = {part: Counter() for part in seats}
    part_of = dict.fromkeys(genders, "train")
    for turn in range(max(seats.values())):
        for part in seats:
            if turn >= seats[part]:
                continue

            def need(gender: str, part: str = part) -> tuple[float, int, float]:
                lacking = share_of[gender] * seats[part] - chosen[part][gender]
                taken = sum(counts[gender] for counts in chosen.values())
                return (-round(lacking, 9), taken, uniform(seed, corpus, gender))

            gender = min((g for g, speakers in waiting.items() if speakers), key=need)
            chosen[part][gender] += 1
            part_of[waiting[gender].pop()] = part
    return part_of


def _seats(speakers: int, shares: Sequence[float]) -> dict[str, int]:
    """How many of the speakers are for test, and how many for validation."""
    counts = apportion(speakers, shares)
    while min(counts) == 0:
        counts[counts.index(0)] += 1
        counts[counts.index(max(counts))] -= 1
    train, validation, test = counts
    assert train > 0
    return {"test": test, "validation": validation}
