"""What the page asks of whatever is behind it: the service that it is mounted in, or a recogniser on its own."""

from __future__ import annotations

from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from m3ser.audio import SAMPLE_RATE, load_waveform
from m3ser.inference import TRANSCRIBE, Recogniser, Stream, Timeline
from m3ser.inference.requests import TextRequest
from m3ser.schema import Prediction

__all__ = ["LocalPageService", "PageService"]


class PageService(Protocol):
    """What answers the page. Its methods are called from several threads at once and may block.

    Every failure that a visitor should hear about is an :class:`~m3ser.errors.M3serError`.
    """

    @property
    def model(self) -> str:
        """Name and version of the model: "starter@1"."""
        ...

    @property
    def labels(self) -> tuple[str, ...]:
        """The classes, in the order of the scores."""
        ...

    @property
    def transcribes(self) -> bool:
        """Whether words are transcribed where none are given."""
        ...

    @property
    def max_bytes(self) -> int:
        """The largest file that is taken."""
        ...

    def decode(self, recording: bytes) -> NDArray[np.float32]:
        """A stranger's file as (samples,) float32 at 16 kHz, where a hang or a crash takes nothing else down.

        Raises:
            AudioError: it cannot be used.
        """
        ...

    def predict(self, waveform: NDArray[np.float32] | None, *, text: TextRequest) -> Prediction:
        """One emotion for the whole; see :meth:`m3ser.inference.Recogniser.predict`."""
        ...

    def timeline(self, waveform: NDArray[np.float32], *, text: TextRequest) -> Timeline:
        """Emotions over time; see :meth:`m3ser.inference.Recogniser.timeline`."""
        ...

    def stream(self, *, sample_rate: float, text: TextRequest) -> Stream:
        """Emotions of live speech; see :meth:`m3ser.inference.Recogniser.stream`."""
        ...


class LocalPageService:
    """A recogniser of this process behind the page, which decodes here: for recordings of people one trusts.

    Args:
        recogniser: what answers.
        max_bytes: the largest file that is taken.
        max_seconds: the longest recording that is taken.
    """

    def __init__(
        self, recogniser: Recogniser, *, max_bytes: int = 100 * 2**20, max_seconds: float | None = 600.0
    ) -> None:
        self._recogniser = recogniser
        self._max_seconds = max_seconds
        self.model = recogniser.name
        self.labels = recogniser.labels
        self.max_bytes = max_bytes

    @property
    def transcribes(self) -> bool:
        """Whether words are transcribed where none are given."""
        return self._recogniser.transcriber is not None

    def decode(self, recording: bytes) -> NDArray[np.float32]:
        """The recording as (samples,) float32 at 16 kHz.

        Raises:
            AudioError: it cannot be used.
        """
        return load_waveform(recording, max_seconds=self._max_seconds)

    def predict(self, waveform: NDArray[np.float32] | None, *, text: TextRequest = TRANSCRIBE) -> Prediction:
        """One emotion for the whole."""
        return self._recogniser.predict(waveform, text=text, sample_rate=None if waveform is None else SAMPLE_RATE)

    def timeline(self, waveform: NDArray[np.float32], *, text: TextRequest = TRANSCRIBE) -> Timeline:
        """Emotions over time."""
        return self._recogniser.timeline(waveform, text=text, sample_rate=SAMPLE_RATE)

    def stream(self, *, sample_rate: float, text: TextRequest = TRANSCRIBE) -> Stream:
        """Emotions of live speech."""
        return self._recogniser.stream(sample_rate=sample_rate, text=text)
