"""A model's centre: the mean audio state of the recordings that it was trained on, which profiles are held against.

Every emotion of every corpus weighs the same in it: otherwise it would be that of the largest corpus, or of its
commonest emotion. See :mod:`m3ser.profile`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from m3ser.errors import M3serError
from m3ser.schema import Utterance
from m3ser.training.states import Recording

__all__ = ["centre_of", "recordings_by_group"]


def recordings_by_group(utterances: Iterable[Utterance]) -> dict[Any, list[Recording]]:
    """(corpus, emotion) -> its recordings, each once, in their order."""
    found: dict[Any, dict[Recording, None]] = {}
    for one in utterances:
        if one.audio is not None:
            group = found.setdefault((one.extra.get("corpus"), one.emotion), {})
            group[Recording(one.audio, one.start, one.end)] = None
    return {group: list(recordings) for group, recordings in found.items()}


def centre_of(
    groups: Mapping[Any, Sequence[Recording]],
    states: Callable[[Recording], NDArray[np.float32]],
    *,
    each: int | None = None,
    on_each: Callable[[], object] = lambda: None,
) -> NDArray[np.float32] | None:
    """The mean over groups of the mean over each one's recordings of their mean state, (dim,).

    Args:
        groups: see :func:`recordings_by_group`.
        states: the audio states (steps, dim) of a recording.
        each: recordings of a group that are heard, at most, evenly over their order; None: all.
        on_each: called after each recording.

    Returns:
        None where no recording could be used. Single ones that cannot are left out.
    """
    means = []
    for recordings in groups.values():
        heard = []
        for recording in _evenly(recordings, each):
            try:
                found = states(recording)
            except M3serError:
                continue
            finally:
                on_each()
            if len(found):
                heard.append(found.mean(axis=0, dtype=np.float64))
        if heard:
            means.append(np.mean(heard, axis=0))
    return np.mean(means, axis=0).astype(np.float32) if means else None


def _evenly(recordings: Sequence[Recording], most: int | None) -> Sequence[Recording]:
    if most is None or len(recordings) <= most:
        return recordings
    return [recordings[i * len(recordings) // most] for i in range(most)]
