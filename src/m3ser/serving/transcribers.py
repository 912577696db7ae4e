"""Several transcribers that look like one: one of Moonshine takes a single call at a time."""

from __future__ import annotations

import queue
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from m3ser.text.asr import MoonshineTranscriber, Transcriber, Transcript, default_transcriber, get_transcriber
from m3ser.text.asr.protocol import transcribe_in

__all__ = ["TranscriberPool", "transcriber_for"]


class TranscriberPool:
    """A :class:`~m3ser.text.asr.protocol.LanguageTranscriber` for several threads at once.

    Args:
        make: makes one; each loads its weights when it is first used.
        size: how many calls it takes at a time.
    """

    def __init__(self, make: Callable[[], MoonshineTranscriber], size: int) -> None:
        # The one that was used last comes first: more than are needed at a time are never loaded.
        self._free: queue.LifoQueue[MoonshineTranscriber] = queue.LifoQueue()
        for _ in range(size):
            one = make()
            self._free.put(one)
        self.name = one.name
        self.languages = one.languages

    def transcribe(self, waveform: NDArray[np.float32], *, language: str | None = None) -> Transcript:
        """See :class:`~m3ser.text.asr.protocol.LanguageTranscriber`."""
        one = self._free.get()
        try:
            return transcribe_in(one, waveform, language)
        finally:
            self._free.put(one)


def transcriber_for(name: str | None, lanes: int) -> Transcriber | None:
    """What transcribes for so many threads.

    Args:
        name: "auto", or as :func:`m3ser.text.asr.get_transcriber` takes it; None: nothing does.
        lanes: how many threads.

    Raises:
        UsageError, MissingExtraError: as there.
    """
    if name is None:
        return None
    found = default_transcriber() if name == "auto" else get_transcriber(name)
    return TranscriberPool(MoonshineTranscriber, lanes) if isinstance(found, MoonshineTranscriber) else found
