"""What a manifest holds, counted: how many utterances, of whom, in which emotions, how long, in how many words.

Counting guesses nothing: an utterance without a speaker belongs to no speaker, and is counted as such.
"""

from __future__ import annotations

import math
import re
import statistics
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from types import MappingProxyType
from typing import Any

from m3ser.corpora.manifest import SPLITS
from m3ser.corpora.similarity import words_of
from m3ser.errors import UsageError
from m3ser.schema import EMOTIONS, EmotionScheme, Utterance

__all__ = ["Distribution", "Group", "Statistics", "summarise"]

_PART_COLUMN = re.compile(r"fold\d*")
_UNSPACED = re.compile(
    "[\u0e00-\u0fff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff\U00020000-\U0003ffff]"
)
"""Thai, Lao, Tibetan, Burmese, Khmer, Japanese, Chinese: no spaces between words, so that words cannot be counted."""


@dataclass(frozen=True)
class Distribution:
    """How values spread, in their unit.

    Attributes:
        count: how many values there are; at least one.
        total, mean: their sum and mean.
        minimum, low, lower, median, upper, high, maximum: what 0, 5, 25, 50, 75, 95 and 100% of them are at most, by
            linear interpolation between neighbours.
    """

    count: int
    total: float
    mean: float
    minimum: float
    low: float
    lower: float
    median: float
    upper: float
    high: float
    maximum: float


@dataclass(frozen=True)
class Group:
    """Utterances that have something in common.

    Attributes:
        value: what they have in common ("sad", "ravdess/03"); None: that it is not known.
        utterances: how many.
        speakers: how many different ones are named.
        emotions: every emotion (or class) of the whole -> how many of these utterances.
        with_text: how many have text.
        seconds: how long they are, where that is known; None where it is known of none.
        words: of their texts, where they can be counted; None where they can in none.
    """

    value: str | None
    utterances: int
    speakers: int
    emotions: Mapping[str, int]
    with_text: int
    seconds: Distribution | None
    words: Distribution | None

    def __post_init__(self) -> None:
        object.__setattr__(self, "emotions", MappingProxyType(dict(self.emotions)))

    def to_dict(self) -> dict[str, Any]:
        """The group as JSON-ready values."""
        return {
            "value": self.value,
            "utterances": self.utterances,
            "speakers": self.speakers,
            "emotions": dict(self.emotions),
            "with_text": self.with_text,
            "seconds": None if self.seconds is None else asdict(self.seconds),
            "words": None if self.words is None else asdict(self.words),
        }


@dataclass(frozen=True)
class Statistics:
    """What a manifest holds.

    Attributes:
        whole: all utterances that are counted.
        groups: by "emotion", "speaker", "gender", "language", "corpus", "split" and each column of folds, as far as
            any utterance has one. Emotions are in the scheme's (or m3ser's) order, parts from train to test, everything
            else by name; those without a value come last.
        missing: what is not known -> of how many utterances; only where there are any. "duration" counts those that
            have a recording, "words" those that have a text.
        left_out: emotion -> how many utterances the scheme leaves out; they are counted nowhere else.
        scheme: the classes that emotions were merged into; None: as they are.
    """

    whole: Group
    groups: Mapping[str, tuple[Group, ...]]
    missing: Mapping[str, int]
    left_out: Mapping[str, int]
    scheme: EmotionScheme | None

    def __post_init__(self) -> None:
        for name in ("groups", "missing", "left_out"):
            object.__setattr__(self, name, MappingProxyType(dict(getattr(self, name))))

    @property
    def part_columns(self) -> tuple[str, ...]:
        """The groups that are parts of a split: "split", "fold1", ..."""
        return tuple(name for name in self.groups if name == "split" or _PART_COLUMN.fullmatch(name))

    def to_dict(self) -> dict[str, Any]:
        """The statistics as JSON-ready values."""
        return {
            "scheme": None if self.scheme is None else self.scheme.name,
            "whole": self.whole.to_dict(),
            "groups": {name: [group.to_dict() for group in groups] for name, groups in self.groups.items()},
            "missing": dict(self.missing),
            "left_out": dict(self.left_out),
        }


@dataclass(frozen=True)
class _Item:
    """An utterance as it is counted."""

    emotion: str
    utterance: Utterance
    seconds: float | None
    words: int | None


def summarise(
    utterances: Sequence[Utterance], seconds: Sequence[float | None], *, scheme: EmotionScheme | None = None
) -> Statistics:
    """Count utterances.

    Args:
        utterances: of one or several corpora.
        seconds: how long each of them is (:func:`~m3ser.corpora.measure_durations`); None where that is not known.
        scheme: merges emotions into its classes, and leaves out the others; None: emotions as they are.

    Raises:
        UsageError: there are not as many durations as utterances.
    """
    if len(seconds) != len(utterances):
        raise UsageError(f"{len(utterances)} utterances need as many durations; found {len(seconds)}.")
    items: list[_Item] = []
    left_out: Counter[str] = Counter()
    for utterance, length in zip(utterances, seconds, strict=True):
        emotion = utterance.emotion if scheme is None else scheme.class_of(utterance.emotion)
        if emotion is None:
            left_out[utterance.emotion] += 1
        else:
            items.append(_Item(emotion, utterance, length, _words(utterance.text)))

    occurring = {item.emotion for item in items}
    emotions = scheme.classes if scheme is not None else tuple(name for name in EMOTIONS if name in occurring)
    groups: dict[str, tuple[Group, ...]] = {
        "emotion": tuple(_group(name, [i for i in items if i.emotion == name], emotions) for name in emotions)
    }
    for column in ("speaker", "gender", "language", "corpus", "split", *_part_columns(items)):
        parted = _by_value(items, column)
        if any(value is not None for value in parted):
            groups[column] = tuple(_group(value, members, emotions) for value, members in parted.items())
    return Statistics(
        whole=_group(None, items, emotions),
        groups=groups,
        missing=_missing(items),
        left_out={name: left_out[name] for name in EMOTIONS if left_out[name]},
        scheme=scheme,
    )


def _part_columns(items: Iterable[_Item]) -> list[str]:
    names = {name for item in items for name in item.utterance.extra if _PART_COLUMN.fullmatch(name)}
    return sorted(names, key=_natural)


def _by_value(items: Iterable[_Item], column: str) -> dict[str | None, list[_Item]]:
    parted: defaultdict[str | None, list[_Item]] = defaultdict(list)
    for item in items:
        parted[_value(item.utterance, column)].append(item)
    order = {value: (value is None, *_part_order(value or "", column)) for value in parted}
    return {value: parted[value] for value in sorted(parted, key=order.__getitem__)}


def _part_order(value: str, column: str) -> tuple[int, tuple[tuple[int, str], ...]]:
    is_part = value in SPLITS and (column == "split" or _PART_COLUMN.fullmatch(column) is not None)
    return (SPLITS.index(value) if is_part else len(SPLITS)), _natural(value)


def _natural(name: str) -> tuple[tuple[int, str], ...]:
    """Sorts "fold2" before "fold10"."""
    pieces = re.split(r"([0-9]{1,18})", name)
    return tuple((int(piece) if place % 2 else -1, piece) for place, piece in enumerate(pieces))


def _value(utterance: Utterance, column: str) -> str | None:
    if column in ("speaker", "language", "split", "session", "script", "text"):
        value: str | None = getattr(utterance, column)
        return value
    return utterance.extra.get(column) or None


def _words(text: str | None) -> int | None:
    return None if text is None or _UNSPACED.search(text) else len(words_of(text))


def _group(value: str | None, items: Sequence[_Item], emotions: Sequence[str]) -> Group:
    counts = Counter(item.emotion for item in items)
    return Group(
        value=value,
        utterances=len(items),
        speakers=len({item.utterance.speaker for item in items} - {None}),
        emotions={name: counts[name] for name in emotions},
        with_text=sum(item.utterance.text is not None for item in items),
        seconds=_distribution([item.seconds for item in items if item.seconds is not None]),
        words=_distribution([item.words for item in items if item.words is not None]),
    )


def _distribution(values: Sequence[float]) -> Distribution | None:
    if not values:
        return None
    # The "inclusive" method is NumPy's default; it wants two values at least.
    cuts = statistics.quantiles(values, n=20, method="inclusive") if len(values) > 1 else [float(values[0])] * 19
    total = math.fsum(values)
    return Distribution(
        count=len(values),
        total=total,
        mean=total / len(values),
        minimum=float(min(values)),
        low=cuts[0],
        lower=cuts[4],
        median=cuts[9],
        upper=cuts[14],
        high=cuts[18],
        maximum=float(max(values)),
    )


def _missing(items: Sequence[_Item]) -> dict[str, int]:
    counts = {"audio": sum(item.utterance.audio is None for item in items)}
    for column in ("text", "speaker", "session", "script", "gender", "language", "corpus"):
        counts[column] = sum(_value(item.utterance, column) is None for item in items)
    counts["duration"] = sum(item.seconds is None and item.utterance.audio is not None for item in items)
    counts["words"] = sum(item.words is None and item.utterance.text is not None for item in items)
    return {name: count for name, count in counts.items() if count}
