"""A model's centre: the mean audio state of the recordings that it was trained on, which profiles are held against.

Every emotion of every corpus weighs the same in it: otherwise it would be that of the largest corpus, or of its
commonest emotion. How neutral recordings differ from the others is found with it, for profiles of recordings that are
mostly neutral, as most of what people say is. See :mod:`m3ser.profile`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from m3ser.errors import M3serError
from m3ser.schema import Utterance
from m3ser.training.states import Recording

__all__ = ["Centre", "Neutral", "centre_of", "recordings_by_group"]

_NEUTRAL = "neutral"


@dataclass(frozen=True)
class Neutral:
    """How neutral recordings differ from others.

    Attributes:
        offset: the mean state of neutral recordings, less that of others, as far as it is to be expected of recordings
            that the model has not met, (dim,) float32.
        share: that neutral recordings have in the centre.
    """

    offset: NDArray[np.float32]
    share: float


@dataclass(frozen=True)
class Centre:
    """What the recordings of a training part have in common.

    Attributes:
        mean: their mean state, (dim,) float32.
        neutral: None: they do not tell.
    """

    mean: NDArray[np.float32]
    neutral: Neutral | None

    def shift(self, mean: NDArray[np.float64], neutral: float | None) -> NDArray[np.float64]:
        """What is added to the states of those of whose recordings `mean` is the mean state, (dim,).

        Args:
            mean: (dim,).
            neutral: share of the neutral ones among them; None: not known, and taken for that of the centre.
        """
        shift: NDArray[np.float64] = self.mean - mean
        if neutral is not None and self.neutral is not None:
            shift += (neutral - self.neutral.share) * self.neutral.offset
        return shift


@dataclass(frozen=True)
class _Heard:
    """One recording's mean state, and whose it is."""

    corpus: Any
    speaker: str | None
    emotion: str | None
    mean: NDArray[np.float64]


def recordings_by_group(utterances: Iterable[Utterance]) -> dict[Any, dict[Recording, Utterance]]:
    """(corpus, emotion) -> its recordings, each once, in their order, and an utterance that tells of each."""
    found: dict[Any, dict[Recording, Utterance]] = {}
    for one in utterances:
        if one.audio is not None:
            group = found.setdefault((one.extra.get("corpus"), one.emotion), {})
            group.setdefault(Recording(one.audio, one.start, one.end), one)
    return found


def centre_of(
    groups: Mapping[Any, Mapping[Recording, Utterance]],
    states: Callable[[Recording], NDArray[np.float32]],
    *,
    each: int | None = None,
    on_each: Callable[[], object] = lambda: None,
) -> Centre | None:
    """The mean over groups of the mean over each one's recordings of their mean state.

    Args:
        groups: see :func:`recordings_by_group`.
        states: the audio states (steps, dim) of a recording.
        each: recordings of a group that are heard, at most, evenly over their order; None: all.
        on_each: called after each recording.

    Returns:
        None where no recording could be used. Single ones that cannot are left out.
    """
    heard: dict[Any, list[_Heard]] = {}
    for (corpus, emotion), recordings in groups.items():
        for recording in _evenly(list(recordings), each):
            try:
                found = states(recording)
            except M3serError:
                continue
            finally:
                on_each()
            if len(found):
                speaker, mean = recordings[recording].speaker, found.mean(axis=0, dtype=np.float64)
                heard.setdefault((corpus, emotion), []).append(_Heard(corpus, speaker, emotion, mean))
    if not heard:
        return None
    mean = np.mean([_mean(ones) for ones in heard.values()], axis=0).astype(np.float32)
    return Centre(mean, _neutral(heard))


def _neutral(heard: Mapping[Any, Sequence[_Heard]]) -> Neutral | None:
    """The offset of each corpus, averaged; shrunk to what one of them tells about another.

    Where there is one corpus, its speakers take the place of corpora: nothing is known of others then.
    """
    everything = [one for ones in heard.values() for one in ones]
    sources: tuple[Callable[[_Heard], Any], ...] = (lambda one: one.corpus, lambda one: (one.corpus, one.speaker))
    for source in sources:
        offsets = _offsets(everything, source)
        if len(offsets) > 1:
            break
    else:
        return None
    # In units of what states vary by, so that no dimension counts for more than it tells.
    scale = np.std([one.mean for one in everything], axis=0)
    scaled = np.array(offsets) / np.where(scale > 0, scale, 1.0)
    average = scaled.mean(axis=0)
    # The multiple of the average that is nearest, in expectation, to the offset of one more: of two that are
    # independent, the inner product is that of what they share. Its mean over pairs, by way of the square of the sum:
    count, size = len(scaled), average @ average
    shared = (count**2 * size - (scaled**2).sum()) / (count * (count - 1))
    kept = float(np.clip(shared / size, 0.0, 1.0)) if size > 0 else 0.0
    share = sum(emotion == _NEUTRAL for _, emotion in heard) / len(heard)
    return Neutral((kept * np.mean(offsets, axis=0)).astype(np.float32), share)


def _offsets(everything: Sequence[_Heard], source: Callable[[_Heard], Any]) -> list[NDArray[np.float64]]:
    """Of each source with both: the mean state of neutral ones, less that of others, whose emotions weigh the same."""
    sources: dict[Any, dict[Any, list[_Heard]]] = {}
    for one in everything:
        sources.setdefault(source(one), {}).setdefault(one.emotion, []).append(one)
    offsets = []
    for found in sources.values():
        others = [_mean(ones) for emotion, ones in found.items() if emotion != _NEUTRAL]
        if others and _NEUTRAL in found:
            offsets.append(_mean(found[_NEUTRAL]) - np.mean(others, axis=0))
    return offsets


def _mean(heard: Sequence[_Heard]) -> NDArray[np.float64]:
    found: NDArray[np.float64] = np.mean([one.mean for one in heard], axis=0)
    return found


def _evenly(recordings: Sequence[Recording], most: int | None) -> Sequence[Recording]:
    if most is None or len(recordings) <= most:
        return recordings
    return [recordings[i * len(recordings) // most] for i in range(most)]
