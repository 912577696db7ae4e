"""What was taken in of a stream and is not answered yet: bounded in seconds of sound."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from m3ser.errors import M3serError
from m3ser.serving.streaming.messages import Gap

__all__ = ["Backlog", "End", "Item", "Sound"]

# What is answered at a time, at most: long enough to be worth a thread's while, short enough that other streams get
# their turn.
_PIECE_SECONDS = 1.0


@dataclass(frozen=True, eq=False)
class Sound:
    """Samples (samples, channels), and when the first of them came, by :func:`time.monotonic`."""

    samples: NDArray[Any]
    came: float


@dataclass(frozen=True)
class End:
    """There is no more to come; `problem` is why, where the client did not finish the stream."""

    problem: M3serError | None


Item: TypeAlias = "Sound | Gap | End"


class Backlog:
    """A queue between who reads a stream and who answers it.

    Args:
        rate: samples a second.
        ahead_seconds: of sound that it holds before `put` waits; one more piece may be in it.
    """

    def __init__(self, rate: int, ahead_seconds: float) -> None:
        self._rate = rate
        self._most = round(ahead_seconds * rate)
        self._items: deque[Item] = deque()
        self._samples = 0
        self._ended = False
        self._changed = asyncio.Condition()

    @property
    def seconds(self) -> float:
        """Of sound in it."""
        return self._samples / self._rate

    async def put(self, item: Sound | Gap) -> None:
        """Add one item, once there is room. Behind an end it is dropped."""
        async with self._changed:
            await self._changed.wait_for(lambda: self._samples < self._most or self._ended)
            if self._ended:
                return
            self._items.append(item)
            if isinstance(item, Sound):
                self._samples += len(item.samples)
            self._changed.notify_all()

    async def end(self, problem: M3serError | None = None) -> None:
        """There is no more to come; only the first end counts."""
        async with self._changed:
            if not self._ended:
                self._ended = True
                self._items.append(End(problem))
                self._changed.notify_all()

    async def get(self) -> Item:
        """The next item, once there is one: of sound as much as there is, up to a second and whole pieces."""
        async with self._changed:
            await self._changed.wait_for(lambda: bool(self._items))
            first = self._items[0]
            if not isinstance(first, Sound):
                if isinstance(first, Gap):
                    self._items.popleft()
                return first
            pieces: list[NDArray[Any]] = []
            count = 0
            while self._items and isinstance(piece := self._items[0], Sound):
                if pieces and count + len(piece.samples) > _PIECE_SECONDS * self._rate:
                    break
                pieces.append(piece.samples)
                count += len(piece.samples)
                self._items.popleft()
            self._samples -= count
            self._changed.notify_all()
        return Sound(pieces[0] if len(pieces) == 1 else np.concatenate(pieces), first.came)

    def sound(self, samples: NDArray[Any]) -> Sound:
        """Samples that have just come."""
        return Sound(samples, time.monotonic())
