"""Paired (semi-synthetic) corpora: real recordings of one emotion with real sentences of the same, another or none.

The acted corpora say the same few sentences in every emotion, and text corpora have no voice. Pairing them is how
fusion can be tried where no recording has emotion in both, and how it can be taught, and tested, not to be fooled by
the words. What is measured on such a corpus is never to be mixed up with a real one's numbers; its manifest says so
first.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from itertools import cycle, islice
from pathlib import Path
from types import MappingProxyType

from m3ser.corpora.drawing import apportion, shuffled, uniform
from m3ser.corpora.manifest import SPLITS
from m3ser.corpora.similarity import near_duplicates, words_of
from m3ser.errors import DataError, UsageError
from m3ser.schema import Copyable, EmotionScheme, Utterance

__all__ = ["PLAIN", "RELATIONS", "PairedCorpus", "disjoint_sentences", "pair"]

RELATIONS = ("agree", "neutral", "conflict")
"""What a sentence with a label can be to the voice it is paired with."""

PLAIN = "plain"
"""A sentence that tells nothing, whatever the voice."""

_NEUTRAL = "neutral"


@dataclass(frozen=True)
class PairedCorpus(Copyable):
    """Recordings paired with sentences.

    Attributes:
        comment: begins "paired (semi-synthetic)" and states shares, seed and sources; for the head of a manifest.
        utterances: ``emotion`` is the voice's and ``text`` the sentence's; ``script`` is None. ``extra`` has the
            voice's columns and "relation" (one of :data:`RELATIONS`), "text_emotion" (the sentence's class),
            "text_corpus", "text_id" and "text_language" where known, and "spoken" (what is really said) where known.
        dropped: part -> how many of its sentences were left out because they recur in it or in another part.
    """

    comment: str
    utterances: tuple[Utterance, ...]
    dropped: Mapping[str, int]

    def __post_init__(self) -> None:
        object.__setattr__(self, "dropped", MappingProxyType(dict(self.dropped)))


def pair(
    voices: Iterable[Utterance],
    sentences: Iterable[Utterance],
    *,
    scheme: EmotionScheme,
    shares: Mapping[str, float],
    per_clip: int = 1,
    seed: int,
) -> PairedCorpus:
    """Pair each recording with `per_clip` sentences of its own part.

    For each part and class of voices, the relations come in exactly these shares (up to rounding to whole pairs), and
    evenly over corpora and speakers. *agree*: words of the voice's class. *neutral*: neutral words under another voice.
    *conflict*: words of another class that is not neutral, all such classes equally often. For a neutral voice, neutral
    words agree: its share of *agree* is that of agree and neutral together, and its share of conflict is as stated.

    Sentences are those of :func:`disjoint_sentences`. Within a part, those of one class are each used equally often, up
    to one; no recording gets the same one twice. The result depends on the names in the corpora (``extra``'s "corpus"
    and "id", else the file's name), the sentences and the seed, not on folders, order or machine.

    Args:
        voices: recordings with ``split``; those that `scheme` leaves out are left out.
        sentences: utterances with ``text`` and ``split``; likewise.
        scheme: the classes.
        shares: relation -> share; all of :data:`RELATIONS` and, where there shall be such pairs, :data:`PLAIN`; none
            below 0, together 1.
        per_clip: sentences that each recording is paired with.
        seed: another seed, another pairing.

    Raises:
        UsageError: shares or `per_clip` are not as above, or `scheme` has no class to be neutral or in conflict.
        DataError: an utterance lacks what is asked of it, a speaker is in two parts, or a part has too few sentences.
    """
    _check_options(scheme, shares, per_clip)
    clips = _clips_by_part_and_class(voices, scheme)
    kept, dropped = disjoint_sentences(s for s in sentences if scheme.class_of(s.emotion) is not None)
    pools: defaultdict[tuple[str, str], list[Utterance]] = defaultdict(list)
    for sentence in shuffled(kept, seed, "sentences", name=lambda s: " ".join(words_of(s.text or ""))):
        label = PLAIN if PLAIN in sentence.extra else scheme.class_of(sentence.emotion) or ""
        pools[sentence.split or "", label].append(sentence)

    decks: dict[tuple[str, str], Iterator[Utterance]] = {}
    pairs: list[Utterance] = []
    for (part, voice_class), group in sorted(clips.items(), key=lambda item: (SPLITS.index(item[0][0]), item[0][1])):
        plan = _plan(len(group) * per_clip, voice_class, scheme, shares)
        slots = iter(_spread(plan, seed, part, voice_class))
        for clip in _in_order(group, seed):
            for relation, text_class in islice(slots, per_clip):
                pool = pools[part, text_class]
                if len(pool) < per_clip:
                    need = f"expected {per_clip} or more"
                    raise DataError(f"The {part} part has {len(pool)} sentences of class '{text_class}'; {need}.")
                deck = decks.setdefault((part, text_class), cycle(pool))
                pairs.append(_paired(clip, next(deck), relation, text_class))
    sources = (_names(clip for group in clips.values() for clip in group), _names(kept))
    return PairedCorpus(_comment(scheme, shares, per_clip, seed, *sources), tuple(pairs), dropped)


def disjoint_sentences(sentences: Iterable[Utterance]) -> tuple[list[Utterance], dict[str, int]]:
    """Sentences without those that recur, in the same part or, identically or nearly so, in another.

    Of sentences in several parts, test keeps its own before validation, and validation before train, which has most. Of
    identical sentences within a part one stays, by id and text, or none where their emotions differ. Sentences without
    a word in them (emoji, "[NAME]") go.

    Args:
        sentences: utterances with ``text`` and ``split``.

    Returns:
        The sentences that stay, in their order, and part -> how many of it do not.

    Raises:
        DataError: one has no text, or no part.
    """
    sentences = list(sentences)
    same: defaultdict[tuple[str, tuple[str, ...]], list[int]] = defaultdict(list)
    for i, sentence in enumerate(sentences):
        if sentence.text is None or sentence.split not in SPLITS:
            raise DataError(f"Sentence '{sentence.text}' is of part '{sentence.split}'; expected text, and a part.")
        same[sentence.split, words_of(sentence.text)].append(i)
    stay = {
        key: min(group, key=lambda i: (sentences[i].extra.get("id", ""), sentences[i].text or ""))
        for key, group in same.items()
        if key[1] and len({sentences[i].emotion for i in group}) == 1
    }

    rank = {part: position for position, part in enumerate(reversed(SPLITS))}
    best: dict[tuple[str, ...], str] = {}
    for part, words in stay:
        best[words] = min(best.get(words, part), part, key=rank.__getitem__)
    keys = [key for key in stay if key[0] == best[key[1]]]
    losers = set()
    for a, b, _ in near_duplicates([words for _, words in keys], [part for part, _ in keys]):
        losers.add(max(keys[a], keys[b], key=lambda key: rank[key[0]]))
    kept = sorted(stay[key] for key in keys if key not in losers)
    dropped = Counter(s.split or "" for s in sentences)
    dropped.subtract(sentences[i].split or "" for i in kept)
    return [sentences[i] for i in kept], {part: dropped[part] for part in SPLITS if part in dropped}


def _check_options(scheme: EmotionScheme, shares: Mapping[str, float], per_clip: int) -> None:
    if (
        not set(RELATIONS) <= set(shares) <= {*RELATIONS, PLAIN}
        or min(shares.values()) < 0
        or abs(sum(shares.values()) - 1) > 1e-6
    ):
        raise UsageError(
            f"Shares for pairing are {dict(shares)}; expected {', '.join(RELATIONS)} (and {PLAIN}), none below 0, that "
            "sum to 1."
        )
    if per_clip < 1:
        raise UsageError(f"Each recording is to be paired with {per_clip} sentences; expected 1 or more.")
    if shares["neutral"] + shares.get(PLAIN, 0.0) > 0 and _NEUTRAL not in scheme.classes:
        raise UsageError(
            f"Emotion scheme '{scheme.name}' has no neutral class; expected a share of 0 for neutral words."
        )
    if shares["conflict"] > 0 and len(set(scheme.classes) - {_NEUTRAL}) < 2:
        raise UsageError(f"Emotion scheme '{scheme.name}' has no two emotions that could be in conflict.")


def _clips_by_part_and_class(
    voices: Iterable[Utterance], scheme: EmotionScheme
) -> dict[tuple[str, str], list[Utterance]]:
    """(part, class) -> recordings; makes sure that each has a part, and each speaker one."""
    groups: defaultdict[tuple[str, str], list[Utterance]] = defaultdict(list)
    part_of: dict[str, str] = {}
    for voice in voices:
        label = scheme.class_of(voice.emotion)
        if label is None:
            continue
        if voice.audio is None or voice.split not in SPLITS:
            raise DataError(
                f"Voice '{voice.audio or voice.text}' is of part '{voice.split}'; expected audio, and a part."
            )
        if voice.speaker is not None and part_of.setdefault(voice.speaker, voice.split) != voice.split:
            raise DataError(
                f"Speaker '{voice.speaker}' is in {part_of[voice.speaker]} and {voice.split}; expected one."
            )
        groups[voice.split, label].append(voice)
    return groups


def _in_order(group: Iterable[Utterance], seed: int) -> list[Utterance]:
    """Shuffled within each speaker of each corpus: what is spread over the group is spread over them too."""
    clips = shuffled(
        group, seed, "voices", name=lambda clip: (clip.extra.get("id") or Path(clip.audio or "").name, clip.start)
    )
    return sorted(clips, key=lambda clip: (clip.extra.get("corpus", ""), clip.speaker or ""))


def _plan(pairs: int, voice: str, scheme: EmotionScheme, shares: Mapping[str, float]) -> dict[tuple[str, str], int]:
    """How many of the pairs of one class of voices are of which relation and class of text."""
    agree, neutral, conflict = (shares[relation] for relation in RELATIONS)
    if voice == _NEUTRAL:
        agree, neutral = agree + neutral, 0.0
    agreeing, indifferent, conflicting, telling_nothing = apportion(
        pairs, (agree, neutral, conflict, shares.get(PLAIN, 0.0))
    )
    others = [label for label in scheme.classes if label not in (voice, _NEUTRAL)]
    plan = {("agree", voice): agreeing, ("neutral", _NEUTRAL): indifferent}
    for label, count in zip(others, apportion(conflicting, [1.0] * len(others)), strict=True):
        plan["conflict", label] = count
    if telling_nothing:
        plan[PLAIN, PLAIN] = telling_nothing
    return plan


def _spread(plan: Mapping[tuple[str, str], int], *key: object) -> list[tuple[str, str]]:
    """Each kind of pair as often as planned, all of them as evenly over the whole as can be."""
    places = (((k + uniform(*key, kind)) / count, kind) for kind, count in plan.items() for k in range(count))
    return [kind for _, kind in sorted(places)]


def _paired(clip: Utterance, sentence: Utterance, relation: str, text_class: str) -> Utterance:
    extra = {
        **clip.extra,
        "relation": relation,
        "text_emotion": _NEUTRAL if relation == PLAIN else text_class,
        "text_corpus": sentence.extra.get("corpus"),
        "text_id": sentence.extra.get("id"),
        "text_language": sentence.language,
        "spoken": clip.text,
    }
    # The script names what is really said, which nothing that reads this pair will ever see.
    return replace(clip, text=sentence.text, script=None, extra={name: value for name, value in extra.items() if value})


def _comment(
    scheme: EmotionScheme, shares: Mapping[str, float], per_clip: int, seed: int, voices: str, words: str
) -> str:
    stated = ", ".join(f"{relation} {shares[relation]:g}" for relation in (*RELATIONS, PLAIN) if relation in shares)
    return (
        f"paired (semi-synthetic): voices of {voices} with sentences of {words}, which their speakers never said; "
        f"scheme {scheme.name}; {stated} (under a neutral voice, neutral words agree); "
        f"sentences per recording {per_clip}; seed {seed}"
    )


def _names(utterances: Iterable[Utterance]) -> str:
    return " + ".join(sorted({utterance.extra.get("corpus", "an unnamed corpus") for utterance in utterances}))
