"""From recordings to a profile: how somebody, or a source of recordings, usually sounds; see :mod:`m3ser.profile`."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from m3ser.audio import SAMPLE_RATE, AudioSource, open_blocks
from m3ser.bundle import Bundle, slug
from m3ser.errors import DataError, M3serError, UsageError
from m3ser.inference.requests import Request, as_request
from m3ser.inference.timeline.cutting import Cutting
from m3ser.inference.timeline.segmenter import Segmenter
from m3ser.profile import Profile

__all__ = ["LONGEST_UTTERANCE", "learn"]

LONGEST_UTTERANCE = 30.0
"""Seconds beyond which a recording is taken for several utterances."""


class _Recogniser(Protocol):
    """What learning needs of a :class:`~m3ser.inference.Recogniser`."""

    @property
    def bundle(self) -> Bundle: ...
    def voice_state(self, utterance: Request) -> NDArray[np.float64]: ...


def learn(
    recogniser: _Recogniser,
    recordings: Iterable[Request | AudioSource],
    *,
    name: str,
    on_failure: Callable[[M3serError], None] | None = None,
    progress: Callable[[int], None] | None = None,
) -> Profile:
    """See :meth:`m3ser.inference.Recogniser.learn`.

    One recording at a time: which of them are heard together must not matter to the last digit, and there are few.
    """
    bundle = recogniser.bundle
    bundle.require_adaptable()
    if slug(name) != name:
        raise UsageError(f"A profile cannot be called '{name}'; expected letters, digits, '.', '_' and '-'.")
    total: Any = 0.0
    utterances = 0
    seconds = 0.0
    heard = 0
    for heard, recording in enumerate(recordings, 1):
        try:
            for request, length in _utterances(as_request(recording)):
                total = total + recogniser.voice_state(request)
                utterances += 1
                seconds += length
        except M3serError as error:
            if on_failure is None:
                raise
            on_failure(error)
        if progress is not None:
            progress(heard)
    if not utterances:
        what = "none of the recordings holds speech that can be used" if heard else "there are no recordings"
        raise DataError(f"Nothing to learn from: {what}.")
    assert bundle.encoder is not None
    mean = (total / utterances).astype(np.float32)
    return Profile(
        name=name,
        encoder=bundle.encoder,
        model=bundle.manifest.full_name.partition("+")[0],
        utterances=utterances,
        seconds=round(seconds, 3),
        mean=tuple(mean.tolist()),
    )


def _utterances(request: Request) -> Iterator[tuple[Request, float]]:
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
