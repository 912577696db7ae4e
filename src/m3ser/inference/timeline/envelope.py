"""How loud a recording is over time, in little memory: what stands above the emotions in a drawing."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from m3ser.audio import SAMPLE_RATE

__all__ = ["Envelope"]

_FIRST_WIDTH = SAMPLE_RATE // 100  # 10 ms
_MOST = 4096  # columns; when there are more, each two become one


class Envelope:
    """The highest and the lowest sample of every stretch of one channel; the stretches grow with the recording.

    Memory is the same whatever the length: at most 4,096 stretches of 10 ms, 20 ms, 40 ms, ... each.
    """

    def __init__(self) -> None:
        self._width = _FIRST_WIDTH
        self._low = np.empty(0, np.float32)
        self._high = np.empty(0, np.float32)
        self._pending = np.empty(0, np.float32)

    @property
    def seconds(self) -> float:
        """The length of a stretch."""
        return self._width / SAMPLE_RATE

    def push(self, waveform: NDArray[np.float32]) -> None:
        """Take the next samples: (samples,) float32 at 16 kHz."""
        samples = np.concatenate([self._pending, waveform])
        whole = len(samples) // self._width * self._width
        columns = samples[:whole].reshape(-1, self._width)
        self._pending = samples[whole:].copy()
        self._low = np.concatenate([self._low, columns.min(axis=1)])
        self._high = np.concatenate([self._high, columns.max(axis=1)])
        while len(self._low) > _MOST:
            self._widen()

    def _widen(self) -> None:
        even = len(self._low) // 2 * 2
        if even < len(self._low):
            # The odd one out waits for its other half; its two extremes stand for all of its samples.
            extremes = np.array([self._low[-1], self._high[-1]], np.float32)
            filled = np.resize(extremes, self._width)
            self._pending = np.concatenate([filled, self._pending])
        self._low = self._low[:even].reshape(-1, 2).min(axis=1)
        self._high = self._high[:even].reshape(-1, 2).max(axis=1)
        self._width *= 2

    def read(self) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """(lowest, highest): one value a stretch each, from the beginning; the last stretch may be shorter."""
        if not len(self._pending):
            return self._low, self._high
        return (
            np.append(self._low, self._pending.min()),
            np.append(self._high, self._pending.max()),
        )
