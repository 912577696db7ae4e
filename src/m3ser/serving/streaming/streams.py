"""What the streams of a service share: places, threads, counters, and an end."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from typing import Any, TypeVar

from m3ser.inference import Recogniser
from m3ser.serving.problems import ProblemError
from m3ser.serving.profiles import Profiles
from m3ser.serving.streaming.limits import StreamLimits
from m3ser.serving.streaming.metrics import StreamMetrics

__all__ = ["Streams", "stopping"]

_Result = TypeVar("_Result")


def stopping() -> ProblemError:
    """Why a stream ends with the service."""
    return ProblemError(
        503, "stopping", "The service is stopping; begin another stream, with an offset to go on with its times."
    )


class Streams:
    """All streams of a service. Made and used in one event loop; `work` is what leaves it.

    Args:
        recogniser: what answers.
        limits: bounds.
        metrics: what is counted.
        profiles: those that a client may name.

    Attributes:
        stopping: is set once the service stops.
    """

    def __init__(
        self, recogniser: Recogniser, limits: StreamLimits, metrics: StreamMetrics, *, profiles: Profiles
    ) -> None:
        self.recogniser = recogniser
        self.limits = limits
        self.metrics = metrics
        self.profiles = profiles
        self.stopping = asyncio.Event()
        self._places = limits.streams
        self._none_open = asyncio.Event()
        self._none_open.set()
        self._pool = ThreadPoolExecutor(limits.threads, thread_name_prefix="m3ser-stream")
        self._waiting = 0  # pieces of work that no thread has begun
        self._counting = threading.Lock()
        self._guessing = threading.Lock()

    @contextmanager
    def place(self) -> Iterator[None]:
        """A place among the open streams.

        Raises:
            ProblemError: 503, all are taken, or the service stops.
        """
        if self.stopping.is_set():
            raise stopping()
        if not self._places:
            raise ProblemError(
                503,
                "too-many-streams",
                f"All {self.limits.streams} streams of this service are taken; try again later.",
            )
        self._places -= 1
        self._none_open.clear()
        self.metrics.open.inc()
        try:
            yield
        finally:
            self._places += 1
            self.metrics.open.dec()
            if self._places == self.limits.streams:
                self._none_open.set()

    async def work(self, function: Callable[..., _Result], *args: Any, **options: Any) -> _Result:
        """Run what takes time in one of the threads. Cancelled before its turn, it is not run at all."""

        def begun() -> _Result:
            with self._counting:
                self._waiting -= 1
            return function(*args, **options)

        with self._counting:
            self._waiting += 1
        future = self._pool.submit(begun)
        try:
            return await asyncio.wrap_future(future)
        except asyncio.CancelledError:
            if future.cancelled():
                with self._counting:
                    self._waiting -= 1
            raise

    @contextmanager
    def spare(self) -> Iterator[bool]:
        """Whether there is time for a provisional segment: nobody waits, and no other stream makes one.

        Finals are what is owed. So the provisional ones of busy hours become fewer, and none is late for them.
        """
        free = self._waiting == 0 and self._guessing.acquire(blocking=False)
        try:
            yield free
        finally:
            if free:
                self._guessing.release()

    async def stop(self, seconds: float) -> None:
        """End all streams behind what they have heard, within `seconds`; there will be no more."""
        self.stopping.set()
        with suppress(asyncio.TimeoutError):
            await asyncio.wait_for(self._none_open.wait(), seconds)
        self._pool.shutdown(wait=False, cancel_futures=True)
