"""The core that every spectral front end shares: framing, window, Fourier transform, mel bands.

Frames are cut without padding, so frame ``t`` covers samples ``t * hop`` up to ``t * hop + window_length``; a front end
that wants centred frames pads the waveform first.

Why it is fast. NumPy's FFT takes one frame after another through scalar code; BLAS multiplies matrices near the
processor's limit. So the transform is two matrix products over a block of frames (Cooley and Tukey 1965). The samples
are dealt out to 16 phases, ``n = 16 j + phase``, and with ``L = fft_length / 16``

    Z[phase, g]  = sum over j of      window[n] * exp(-2 pi i g n / fft_length) * samples[n]       the inner product
    X[g + q * L] = sum over phase of  exp(-2 pi i q phase / 16) * Z[phase, g]                      the outer product

The samples are real, so that ``g`` up to ``L / 2`` gives every bin: the others are conjugates of these. For VGGish (400
samples, 512 points, 64 bands) that is 13,600 and 16,320 multiply-adds a frame, a sixth of the plain product's; the mel
bands are a third product of 16,320.

How near that gets to the limit. One core of a Xeon with AVX-512 (2 MB of second-level cache) does 155 GFLOP/s in large
products of single precision, so that the three products take at least 0.60 us a frame. They take 0.78, and all of it
1.25: copying frames to where BLAS wants them 0.20, squares and roots 0.16, logarithms and the rest 0.11.

What single precision costs. Rounding errors are some 1e-7 of the loudest bin, and the logarithm shows them in quiet
bands: on speech they reach 9e-5 in rare frames, and are 3e-7 on average. With 8 phases, whose sums are longer, they
reach 2e-4 at the same speed; in double precision everything takes twice as long.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
from numpy.typing import NDArray

from m3ser.cores import available_cores

__all__ = ["MelSpectrum", "triangular_filters"]

_PHASES = 16
# Frames computed together: all buffers (0.7 MB with 512 points) stay in the second-level cache. One VGGish example.
_BLOCK_FRAMES = 96
# OpenBLAS hands a product of more multiply-adds than this to its thread pool. For products as small as these, waking
# the pool costs more than the product, and on a busy machine ten times more; so larger ones are cut into pieces.
_UNTHREADED = 2**19
# Fewer blocks than this for each thread are computed sooner than another thread is started and comes to work.
_BLOCKS_PER_THREAD = 8
# Rows of frames lie this many samples further apart than they are long: every sixteenth, which is what a product
# reads, would otherwise lie a multiple of 2 KB apart, and compete for the same lines of the first-level cache.
_ROW_PADDING = 8


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
    """Short-time mel spectrum with a periodic Hann window, in single precision. Threads may share it.

    Frames are computed in blocks of one shape whatever the length of the waveform and the number of threads, so that
    neither changes a frame.

    Args:
        window_length: samples in a frame, a multiple of 16.
        hop: samples between the starts of two frames.
        fft_length: points of the Fourier transform, a multiple of 16; frames count as padded with zeros up to it.
        filters: (fft_length // 2 + 1, bands) weights of the bins in each band.
        power: weigh squared magnitudes instead of magnitudes.
        finish: done to each block of the result, in place, while it is in the cache.

    Raises:
        ValueError: lengths that are no such multiples, or a window that is longer than the transform.
    """

    def __init__(
        self,
        *,
        window_length: int,
        hop: int,
        fft_length: int,
        filters: NDArray[np.float64],
        power: bool = False,
        finish: Callable[[NDArray[np.float32]], object] | None = None,
    ) -> None:
        if window_length % _PHASES or fft_length % _PHASES or window_length > fft_length:
            raise ValueError(
                f"A window of {window_length} samples in {fft_length} points; expected a multiple of {_PHASES} in "
                f"another that is no smaller."
            )
        self.window_length = window_length
        self.hop = hop
        self.bands = filters.shape[1]
        self._inner = _inner_matrices(window_length, fft_length)
        arranged = _rearranged(filters, fft_length)
        used = arranged.any(axis=(1, 2))  # the highest bins of VGGish belong to no band
        self._outer = _outer_matrix()[:, used].reshape(-1, 2 * _PHASES)
        self._filters = arranged[used].reshape(-1, self.bands)
        self._power = power
        self._finish = finish
        # A call takes buffers from here, or makes some, and leaves them behind: one set for each thread at work.
        self._idle: list[_Buffers] = []

    def frame_count(self, samples: int) -> int:
        """How many whole frames that many samples hold."""
        return 0 if samples < self.window_length else 1 + (samples - self.window_length) // self.hop

    def __call__(self, samples: NDArray[np.floating[Any]], *, threads: int | None = 1) -> NDArray[np.float32]:
        """The mel spectrum of a waveform.

        Args:
            samples: (samples,) float32 or float64.
            threads: how many share the work, the calling one included; None: as many as there are cores, where the
                waveform is long enough to be worth it.

        Returns:
            (frames, bands) float32, not negative before `finish`; ``frames`` is :meth:`frame_count`, 0 for less than
            one frame.
        """
        mel = np.empty((self.frame_count(len(samples)), self.bands), dtype=np.float32)
        if not len(mel):
            return mel
        frames = np.lib.stride_tricks.sliding_window_view(samples, self.window_length)[:: self.hop]
        starts = range(0, len(mel), _BLOCK_FRAMES)
        remaining = iter(starts)
        if threads is None:
            threads = min(available_cores(), len(starts) // _BLOCKS_PER_THREAD)
        helpers = min(threads, len(starts)) - 1
        if helpers < 1:
            self._fill(mel, frames, remaining)
            return mel
        # Each takes the next block when it is done with one: a core that has other work holds nobody up.
        with ThreadPoolExecutor(helpers, thread_name_prefix="m3ser-mel") as pool:
            tasks = [pool.submit(self._fill, mel, frames, remaining) for _ in range(helpers)]
            self._fill(mel, frames, remaining)
        for task in tasks:
            task.result()
        return mel

    def _fill(self, mel: NDArray[np.float32], frames: NDArray[np.floating[Any]], starts: Iterator[int]) -> None:
        """Compute the blocks of `mel` that begin at `starts`."""
        try:
            buffers = self._idle.pop()
        except IndexError:
            buffers = _Buffers(self._inner, self._outer, self._filters)
        for start in starts:
            rows = mel[start : start + _BLOCK_FRAMES]
            block = rows if len(rows) == _BLOCK_FRAMES else np.empty((_BLOCK_FRAMES, self.bands), np.float32)
            self._compute(frames[start : start + _BLOCK_FRAMES], buffers, block)
            if block is not rows:
                rows[...] = block[: len(rows)]
        self._idle.append(buffers)

    def _compute(self, frames: NDArray[np.floating[Any]], buffers: _Buffers, mel: NDArray[np.float32]) -> None:
        """Compute a block from as many frames as there are; the rest is silence."""
        buffers.samples[:, : len(frames)] = frames.T
        buffers.samples[:, len(frames) :] = 0.0
        np.matmul(self._inner, buffers.phases, out=buffers.inner)
        np.matmul(self._outer, buffers.inner_pieces, out=buffers.outer_pieces)
        np.square(buffers.outer, out=buffers.outer)
        buffers.magnitudes += buffers.outer[1]
        if not self._power:
            np.sqrt(buffers.magnitudes, out=buffers.magnitudes)
        pieces = buffers.magnitude_pieces
        np.matmul(pieces, self._filters, out=mel.reshape(len(pieces), -1, self.bands))
        if self._finish is not None:
            self._finish(mel)


class _Buffers:
    """What one thread needs to compute a block, and the shapes in which each step looks at it.

    Frames run along the last axis, so that every product reads and writes whole rows.
    """

    def __init__(self, inner: NDArray[np.float32], outer: NDArray[np.float32], filters: NDArray[np.float32]) -> None:
        phases, parts, samples = inner.shape
        columns = parts // 2 * _BLOCK_FRAMES  # g and frames
        rows, bins = len(outer) // 2, len(filters)

        self.samples = np.empty((phases * samples, _BLOCK_FRAMES + _ROW_PADDING), np.float32)[:, :_BLOCK_FRAMES]
        # (phases, samples of a phase in a frame, frames)
        self.phases = self.samples.reshape(samples, phases, _BLOCK_FRAMES).transpose(1, 0, 2)

        # (phases, real parts and then imaginary parts of each g, frames)
        self.inner = np.empty((phases, parts, _BLOCK_FRAMES), np.float32)
        # (real and imaginary, q, g and frames)
        self.outer = np.empty((2, rows, columns), np.float32)
        pieces = _pieces(columns, outer.size)
        self.inner_pieces = self.inner.reshape(2 * phases, pieces, -1).transpose(1, 0, 2)
        self.outer_pieces = self.outer.reshape(2 * rows, pieces, -1).transpose(1, 0, 2)

        self.magnitudes = self.outer[0]  # once the squared imaginary parts are added
        pieces = _pieces(_BLOCK_FRAMES, filters.size)
        self.magnitude_pieces = self.magnitudes.reshape(bins, pieces, -1).transpose(1, 2, 0)


def _pieces(rows: int, multiply_adds: int) -> int:
    """Into how many pieces of equal length a product is cut: `rows` rows of so many multiply-adds each."""
    return next(
        pieces for pieces in range(1, rows + 1) if not rows % pieces and rows // pieces * multiply_adds <= _UNTHREADED
    )


def _inner_matrices(window_length: int, fft_length: int) -> NDArray[np.float32]:
    """Window and Fourier transform of each phase: (phases, real and then imaginary parts of each g, its samples)."""
    window = 0.5 - 0.5 * np.cos(2 * np.pi / window_length * np.arange(window_length))
    positions = np.arange(window_length).reshape(-1, _PHASES).T[:, None, :]
    columns = np.arange(fft_length // _PHASES // 2 + 1)[:, None]
    waves = window[positions] * np.exp(-2j * np.pi / fft_length * (positions * columns % fft_length))
    return np.concatenate([waves.real, waves.imag], axis=1).astype(np.float32)


def _outer_matrix() -> NDArray[np.float32]:
    """The transform over the phases: (real and imaginary part, q, both parts of each phase in turn)."""
    turns = np.exp(-2j * np.pi / _PHASES * (np.outer(np.arange(_PHASES), np.arange(_PHASES)) % _PHASES))
    real = np.stack([turns.real, -turns.imag], axis=-1).reshape(_PHASES, -1)
    imaginary = np.stack([turns.imag, turns.real], axis=-1).reshape(_PHASES, -1)
    return np.stack([real, imaginary]).astype(np.float32)


def _rearranged(filters: NDArray[np.float64], fft_length: int) -> NDArray[np.float32]:
    """The weights as the bins come out: (q, g, bands). A bin that comes out twice counts once."""
    length = fft_length // _PHASES
    bins = (length * np.arange(_PHASES)[:, None] + np.arange(length // 2 + 1)).ravel()
    bins = np.where(bins > fft_length // 2, fft_length - bins, bins)
    arranged = np.zeros((len(bins), filters.shape[1]), np.float32)
    first = np.unique(bins, return_index=True)[1]
    arranged[first] = filters[bins[first]]
    return arranged.reshape(_PHASES, -1, filters.shape[1])
