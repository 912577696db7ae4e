"""What REST, WebSocket and the page share: recordings and words in, predictions out, within limits."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Coroutine, Iterator
from concurrent.futures import CancelledError, Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from m3ser.audio import SAMPLE_RATE
from m3ser.inference import Recogniser, Request
from m3ser.inference.catalogue import BUNDLED
from m3ser.inference.requests import TRANSCRIBE, TextRequest
from m3ser.inference.timeline import Channels, Timeline
from m3ser.profile import Profile
from m3ser.schema import Prediction
from m3ser.serving.decoding import DecoderPool
from m3ser.serving.engine import Engine, overloaded
from m3ser.serving.keys import ApiKeys
from m3ser.serving.metrics import Metrics
from m3ser.serving.problems import ProblemError
from m3ser.serving.profiles import Profiles
from m3ser.serving.settings import ServiceSettings

__all__ = ["Buffer", "Recording", "Service"]

T = TypeVar("T")

_CLIP = BUNDLED / "clips" / "1001_DFA_ANG_XX.wav"


@dataclass(frozen=True, eq=False)
class Recording:
    """A recording as a client sent it.

    Attributes:
        content: the file's bytes.
        name: what the client calls it; it is echoed, and never opened.
    """

    content: bytes
    name: str | None = None


class Buffer:
    """The bytes of one request that are in memory. Made by :meth:`Service.buffer`."""

    def __init__(self, service: Service) -> None:
        self._service = service
        self.size = 0

    def grow(self, count: int) -> None:
        """Count `count` bytes more.

        Raises:
            ProblemError: 503, all requests together hold too many.
        """
        self._service._hold(count)
        self.size += count


class Service:
    """One model, its decoders and its queue, for everything that is mounted in the app.

    Args:
        settings: its limits.
        recogniser: the model; one processor thread for each call suits :attr:`ServiceSettings.lanes`.

    Attributes:
        settings, recogniser: as given.
        profiles: those that may be asked for.
        keys: who may ask.
        metrics: what is counted.
        ready: whether it answers.

    Raises:
        UsageError: the model does not take one of the profiles.
    """

    def __init__(self, settings: ServiceSettings, recogniser: Recogniser) -> None:
        self.settings = settings
        self.recogniser = recogniser
        for profile in settings.profiles:
            recogniser.bundle.check_profile(profile)
        self.profiles = Profiles(settings.profiles)
        self.keys = ApiKeys(settings.api_keys)
        self.metrics = Metrics()
        self.ready = False
        self._decoders = DecoderPool(
            size=settings.workers,
            max_seconds=settings.max_duration,
            max_bytes=settings.max_bytes,
            time_limit=settings.decode_seconds,
            restarted=lambda reason: self.metrics.decoder_restarts.labels(reason).inc(),
        )
        self._engine = Engine(
            recogniser,
            lanes=settings.lanes,
            batch_size=settings.batch_size,
            batch_wait=settings.batch_wait,
            max_wait=settings.max_wait,
            metrics=self.metrics,
        )
        self._timelines = ThreadPoolExecutor(1, thread_name_prefix="m3ser-timeline")
        self._taken_on = 0
        self._buffered = 0
        self._lock = threading.Lock()

    def start(self) -> None:
        """Start the decoders, load the model and have it answer once, so that the first client does not wait for that.

        Begun once, it is not begun again.

        Raises:
            M3serError: the model or a decoder cannot be started.
        """
        if self.ready:
            return
        self._decoders.start()
        self._engine.start()
        waveform = self._decoders.decode(_CLIP.read_bytes()).result()
        self._engine.submit(Request(waveform, text=TRANSCRIBE, sample_rate=SAMPLE_RATE)).result()
        self.ready = True

    def stop(self) -> None:
        """End everything; what is still waiting is cancelled."""
        self.ready = False
        self._timelines.shutdown(wait=False, cancel_futures=True)
        self._engine.stop()
        self._decoders.stop()
        self._timelines.shutdown()

    @contextmanager
    def admitted(self, count: int = 1) -> Iterator[None]:
        """Take on `count` requests for as long as this lasts.

        Raises:
            ProblemError: 503, there is no room for them.
        """
        with self._lock:
            self._require_room(count)
            self._taken_on += count
            self.metrics.taken_on.set(self._taken_on)
        try:
            yield
        finally:
            with self._lock:
                self._taken_on -= count
                self.metrics.taken_on.set(self._taken_on)

    def require_room(self) -> None:
        """Make sure that there is room for a request, before its body is read.

        Raises:
            ProblemError: 503, there is none.
        """
        with self._lock:
            self._require_room(1)

    def _require_room(self, count: int) -> None:
        seconds = self._engine.seconds_for(self._taken_on)
        if self._taken_on + count > self.settings.queue_size or seconds > self.settings.max_wait:
            raise overloaded(seconds)

    @contextmanager
    def buffer(self) -> Iterator[Buffer]:
        """What counts the bytes of one request, for as long as this lasts."""
        buffer = Buffer(self)
        try:
            yield buffer
        finally:
            self._hold(-buffer.size)

    def _hold(self, count: int) -> None:
        with self._lock:
            if count > 0 and self._buffered + count > self.settings.max_buffered:
                raise overloaded(self._engine.seconds_for(self._taken_on))
            self._buffered += count

    async def predict(
        self,
        recording: Recording | None,
        *,
        text: TextRequest = TRANSCRIBE,
        language: str | None = None,
        profile: Profile | None = None,
    ) -> Prediction:
        """Recognise one utterance; cancelling this drops it from whatever queue it is in.

        Args:
            recording: None: the text alone.
            text: as in :meth:`m3ser.inference.Recogniser.predict`.
            language: as there.
            profile: as there.

        Raises:
            M3serError: as there; ProblemError: 503 or 504, it could not be answered in time.
        """
        return await self._in_time(self._predict(recording, text, language, profile))

    async def _predict(
        self, recording: Recording | None, text: TextRequest, language: str | None, profile: Profile | None
    ) -> Prediction:
        asked = time.monotonic()
        waveform = None if recording is None else await self.decode(recording)
        rate = None if waveform is None else SAMPLE_RATE
        request = Request(waveform, text=text, sample_rate=rate, language=language, profile=profile)
        prediction = await _outcome(self._engine.submit(request, asked=asked))
        self.metrics.audio_seconds.inc(prediction.duration or 0.0)
        return replace(prediction, file=None if recording is None else recording.name)

    async def timeline(
        self,
        recording: Recording,
        *,
        text: TextRequest = TRANSCRIBE,
        language: str | None = None,
        profile: Profile | None = None,
        adapt: bool = False,
        neutral: float | None = None,
        channels: Channels = "mix",
    ) -> Timeline:
        """Emotions over time in a recording; the timeline has been gone through to its end.

        Args and raises as in :meth:`predict`; `adapt`, `neutral` and `channels` as in
        :meth:`m3ser.inference.Recogniser.timeline`. UsageError: more channels than two are to be kept apart.
        """
        return await self._in_time(
            self._timeline(
                recording, channels, text=text, language=language, profile=profile, adapt=adapt, neutral=neutral
            )
        )

    async def _timeline(self, recording: Recording, channels: Channels, **options: Any) -> Timeline:
        waveform = await self.decode(recording, may_be_silent=True, apart=channels == "split")
        timeline = self.recogniser.timeline(waveform, sample_rate=SAMPLE_RATE, channels=channels, **options)
        timeline.file = recording.name
        nobody_waits = threading.Event()

        def leave_off(_: Timeline) -> None:
            if nobody_waits.is_set():
                raise CancelledError

        # Told between its segments, too: there are none while it learns how the recording sounds.
        timeline.watch = leave_off

        def go_through() -> None:
            for _ in timeline:
                pass

        try:
            await _outcome(self._timelines.submit(go_through))
        finally:
            nobody_waits.set()
        self.metrics.audio_seconds.inc(timeline.duration or 0.0)
        return timeline

    async def decode(
        self, recording: Recording, *, may_be_silent: bool = False, apart: bool = False
    ) -> NDArray[np.float32]:
        """A recording as (samples,) float32, mono, 16 kHz, decoded where it can do no harm.

        Kept apart, its channels are (samples, channels).

        Raises:
            AudioError: the recording cannot be used.
            UsageError: more channels than two are to be kept apart.
            ProblemError: it takes too long (504), or nothing here reads its format (415).
        """
        return await _outcome(
            self._decoders.decode(recording.content, name=recording.name, may_be_silent=may_be_silent, apart=apart)
        )

    async def _in_time(self, work: Coroutine[Any, Any, T]) -> T:
        limit = self.settings.request_seconds
        try:
            return await asyncio.wait_for(work, limit)
        except asyncio.TimeoutError as error:
            raise ProblemError(504, "timeout", f"The answer took more than {limit:g} s.") from error


async def _outcome(future: Future[T]) -> T:
    return await asyncio.wrap_future(future)
