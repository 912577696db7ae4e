"""What the page asks of whatever is behind it, and the service as that."""

from __future__ import annotations

from typing import Protocol

import anyio.from_thread
import numpy as np
from numpy.typing import NDArray

from m3ser.audio import SAMPLE_RATE
from m3ser.inference import Timeline
from m3ser.inference.requests import TextRequest
from m3ser.schema import Prediction
from m3ser.serving.service import Recording, Service
from m3ser.text.asr import LanguageTranscriber

__all__ = ["PageService", "ServedPage"]


class PageService(Protocol):
    """What answers the page. Its methods are called from several threads at once and may block.

    Every failure that a visitor should hear about is an :class:`~m3ser.errors.M3serError`.
    """

    @property
    def transcribes(self) -> bool:
        """Whether words are transcribed where none are given."""
        ...

    @property
    def languages(self) -> tuple[str, ...] | None:
        """Codes of the languages that are transcribed; None: too many to list, or none are."""
        ...

    @property
    def max_bytes(self) -> int:
        """The largest file that is taken."""
        ...

    @property
    def body_seconds(self) -> float:
        """Within which a file has to come in."""
        ...

    def decode(self, recording: Recording) -> NDArray[np.float32]:
        """A stranger's file, silence too, as (samples,) float32 at 16 kHz, decoded where it can do no harm.

        Raises:
            AudioError: it cannot be used.
        """
        ...

    def predict(self, recording: Recording | None, *, text: TextRequest) -> Prediction:
        """One emotion for the whole; see :meth:`m3ser.inference.Recogniser.predict`."""
        ...

    def timeline(self, waveform: NDArray[np.float32], *, text: TextRequest) -> Timeline:
        """Emotions over time; see :meth:`m3ser.inference.Recogniser.timeline`."""
        ...


class ServedPage:
    """The service that the page is mounted in: its decoders, its queue, its limits.

    Its methods are for threads that the event loop's own ``anyio.to_thread`` has started, as Gradio's are.
    """

    def __init__(self, service: Service) -> None:
        self._service = service
        transcriber = service.recogniser.transcriber
        self.transcribes = transcriber is not None
        self.languages = transcriber.languages if isinstance(transcriber, LanguageTranscriber) else None
        self.max_bytes = service.settings.max_bytes
        self.body_seconds = service.settings.body_seconds

    def decode(self, recording: Recording) -> NDArray[np.float32]:
        """As :class:`PageService` has it.

        Raises:
            AudioError: it cannot be used.
            ProblemError: the service has no room for it, or it takes too long.
        """

        async def decode() -> NDArray[np.float32]:
            with self._service.admitted():
                return await self._service.decode(recording, may_be_silent=True)

        return anyio.from_thread.run(decode)

    def predict(self, recording: Recording | None, *, text: TextRequest) -> Prediction:
        """As :class:`PageService` has it.

        Raises:
            M3serError: as :meth:`m3ser.serving.service.Service.predict`.
        """

        async def predict() -> Prediction:
            with self._service.admitted():
                return await self._service.predict(recording, text=text)

        return anyio.from_thread.run(predict)

    def timeline(self, waveform: NDArray[np.float32], *, text: TextRequest) -> Timeline:
        """As :class:`PageService` has it; it is recognised in the thread that iterates it."""
        return self._service.recogniser.timeline(waveform, text=text, sample_rate=SAMPLE_RATE)
