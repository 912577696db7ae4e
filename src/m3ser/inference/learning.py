"""From recordings to a profile: how somebody, or a source of recordings, usually sounds; see :mod:`m3ser.profile`."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

import numpy as np
from numpy.typing import NDArray

from m3ser.audio import SAMPLE_RATE, AudioSource, open_blocks
from m3ser.errors import DataError, M3serError
from m3ser.inference.requests import Request, as_request
from m3ser.inference.timeline.cutting import Cutting
from m3ser.inference.timeline.segmenter import Segmenter
from m3ser.inference.usual import Listener, UsualVoice, check_name
from m3ser.profile import Profile

__all__ = ["LONGEST_UTTERANCE", "learn", "utterances_of"]

LONGEST_UTTERANCE = 30.0
"""Seconds beyond which a recording is taken for several utterances."""


def learn(
    recogniser: Listener,
    recordings: Iterable[Request | AudioSource],
    *,
    name: str,
    neutral: float | None = None,
    on_failure: Callable[[M3serError], None] | None = None,
    progress: Callable[[int], None] | None = None,
) -> Profile:
    """See :meth:`m3ser.inference.Recogniser.learn`."""
    usual = UsualVoice(recogniser, neutral)
    check_name(name)
    heard = 0
    for heard, recording in enumerate(recordings, 1):
        try:
            for utterance, seconds in utterances_of(as_request(recording)):
                usual.hear(utterance, seconds)
        except M3serError as error:
            if on_failure is None:
                raise
            on_failure(error)
        if progress is not None:
            progress(heard)
    if not usual.utterances:
        what = "none of the recordings holds speech that can be used" if heard else "there are no recordings"
        raise DataError(f"Nothing to learn from: {what}.")
    return usual.profile(name)


def utterances_of(request: Request) -> Iterator[tuple[Request, float]]:
    """A recording's utterances, with their lengths in seconds: itself, unless it is long (or does not say)."""
    assert request.audio is not None
    with open_blocks(request.audio, sample_rate=request.sample_rate, start=request.start, end=request.end) as blocks:
        if blocks.duration is None or blocks.duration > LONGEST_UTTERANCE:
            waveforms: Iterator[NDArray[np.float32]] = (one.cut.waveform for one in Cutting(blocks, Segmenter))
        else:
            waveforms = iter([np.concatenate(list(blocks))[:, 0]])
            blocks.check_not_silent()  # here it still has a name
        for waveform in waveforms:
            yield Request(waveform, text=None, sample_rate=SAMPLE_RATE), len(waveform) / SAMPLE_RATE
        blocks.check_not_silent()
