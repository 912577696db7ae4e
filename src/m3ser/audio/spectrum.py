"""The core that every spectral front end shares: framing, window, FFT, mel bands.

Frames are cut without padding, so frame ``t`` covers samples ``t * hop`` up to ``t * hop + window_length``; a front end
that wants centred frames pads the waveform first.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["MelSpectrum", "triangular_filters"]

# OpenBLAS hands a product of more than 2**19 multiply-adds to its thread pool. For products as small as these, waking
# the pool costs more than the product, and on a busy machine ten times more; tiles of 32 frames stay below.
_TILE_FRAMES = 32
# Frames in flight: with an FFT of 512 points, all buffers together (about 1 MB) stay in the second-level cache.
_BLOCK_FRAMES = 2 * _TILE_FRAMES


def triangular_filters(positions: NDArray[np.float64], edges: NDArray[np.float64]) -> NDArray[np.float64]:
    """Overlapping triangular bands, each with a peak of 1.

    Args:
        positions: (bins,) where the FFT bins lie, on the scale in which the triangles have straight sides.
        edges: (bands + 2,) ascending, on the same scale: band ``i`` rises from ``edges[i]`` to its peak at
            ``edges[i + 1]`` and falls to ``edges[i + 2]``.

    Returns:
        (bins, bands) weights in [0, 1].
    """
    lower, centre, upper = edges[:-2], edges[1:-1], edges[2:]
    rising = (positions[:, None] - lower) / (centre - lower)
    falling = (upper - positions[:, None]) / (upper - centre)
    return np.maximum(0.0, np.minimum(rising, falling))


class MelSpectrum:
    """Short-time mel spectrum with a periodic Hann window.

    The FFT runs in double precision: NumPy's is as fast as in single, and in quiet bands beside a loud one the
    logarithm that follows would magnify single precision's rounding to about 1e-4. Everything after it is float32.

    Args:
        window_length: samples in a frame.
        hop: samples between the starts of two frames.
        fft_length: points of the FFT; a frame is padded with zeros up to it.
        filters: (fft_length // 2 + 1, bands) weights of the bins in each band.
        power: weigh squared magnitudes instead of magnitudes.
    """

    def __init__(
        self, *, window_length: int, hop: int, fft_length: int, filters: NDArray[np.float64], power: bool = False
    ) -> None:
        self.window_length = window_length
        self.hop = hop
        self.fft_length = fft_length
        self.bands = filters.shape[1]
        self._window = 0.5 - 0.5 * np.cos(2 * np.pi / window_length * np.arange(window_length))
        # Bins that no band uses, at both ends of the spectrum, are neither measured nor multiplied.
        used = np.flatnonzero(filters.any(axis=1))
        self._bins = slice(int(used[0]), int(used[-1]) + 1)
        self._filters = np.ascontiguousarray(filters[self._bins], dtype=np.float32)
        self._power = power

    def frame_count(self, samples: int) -> int:
        """How many whole frames that many samples hold."""
        return 0 if samples < self.window_length else 1 + (samples - self.window_length) // self.hop

    def __call__(self, samples: NDArray[np.floating[Any]]) -> NDArray[np.float32]:
        """The mel spectrum of a waveform.

        Args:
            samples: (samples,) float32 or float64.

        Returns:
            (frames, bands) float32, not negative; ``frames`` is :meth:`frame_count`, 0 for less than one frame.
        """
        count = self.frame_count(len(samples))
        mel = np.empty((count, self.bands), dtype=np.float32)
        if not count:
            return mel
        frames = np.lib.stride_tricks.sliding_window_view(samples, self.window_length)[:: self.hop]
        padded = np.zeros((_BLOCK_FRAMES, self.fft_length))
        spectrum = np.empty((_BLOCK_FRAMES, self.fft_length // 2 + 1), dtype=np.complex128)
        magnitude = np.zeros((_BLOCK_FRAMES, len(self._filters)), dtype=np.float32)
        tiles = magnitude.reshape(-1, _TILE_FRAMES, len(self._filters))
        for first in range(0, count, _BLOCK_FRAMES):
            size = min(_BLOCK_FRAMES, count - first)
            np.multiply(frames[first : first + size], self._window, out=padded[:size, : self.window_length])
            np.fft.rfft(padded[:size], axis=1, out=spectrum[:size])
            np.abs(spectrum[:size, self._bins], out=magnitude[:size], casting="same_kind")
            if self._power:
                np.square(magnitude[:size], out=magnitude[:size])
            mel[first : first + size] = np.matmul(tiles, self._filters).reshape(_BLOCK_FRAMES, self.bands)[:size]
        return mel
