"""The core that every spectral front end shares: framing, window, Fourier transform, mel bands.

Frames are cut without padding, so frame ``t`` covers samples ``t * hop`` up to ``t * hop + window_length``; a front end
that wants centred frames pads the waveform first.

Why it is fast. NumPy's FFT takes one frame after another through scalar code; BLAS multiplies matrices near the
processor's limit. So the transform is two matrix products over a block of frames (Cooley and Tukey 1965). The samples
are dealt out to 16 phases, ``n = 16 j + phase``, and with ``L = fft_length / 16``

    Z[phase, g]  = sum over j of      window[n] * exp(-2 pi i g n / fft_length) * samples[n]       the inner product
    X[g + q * L] = sum over phase of  exp(-2 pi i q phase / 16) * Z[phase, g]                      the outer product

The samples are real, so that ``g`` up to ``L / 2`` gives every bin: the others are conjugates of these. For VGGish (400
samples, 512 points, 64 bands) that is 13,600 and 16,320 multiply-adds a frame, a sixth of the plain product's. A mel
band is made of neighbouring bins, so that 16 bands at a time are a product with the bins that they touch: 4,896.

How near that gets to the limit. One core of an AMD EPYC (family 25, model 17; 1 MB of second-level cache) does 100
GFLOP/s in large products of single precision, so that the three products take at least 0.69 us a frame. They take 0.70,
and all of it 1.05: copying frames to where BLAS wants them 0.14, squares and roots 0.17, logarithms 0.04
(``benchmarks/log_mel.py``). A transform with fewer multiply-adds would have to be compiled (docs/decisions.md).

What single precision costs. Rounding errors are some 1e-7 of the loudest bin, and the logarithm shows them in quiet
bands: on speech they reach 9e-5 in rare frames, and are 3e-7 on average. With 8 phases, whose sums are longer, they
reach 2e-4 at the same speed; in double precision everything takes twice as long.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from m3ser.cores import available_cores

__all__ = ["MelSpectrum", "triangular_filters"]

_PHASES = 16
# Frames of a product: what it reads and writes stays in the second-level cache. One VGGish example.
_BLOCK_FRAMES = 96
# Blocks computed together: each call of NumPy costs about a microsecond, and between two calls threads wait for each
# other. Every block has products of its own, so that a frame does not depend on how many there are.
_BLOCKS = 4
# OpenBLAS hands a product of more multiply-adds than this to its thread pool. For products as small as these, waking
# the pool costs more than the product, and on a busy machine ten times more; so larger ones are cut into pieces.
_UNTHREADED = 2**19
# Fewer turns than this for each thread are over sooner than another thread is started and a core that slept is awake: a
# minute of sound each, with frames every 10 ms.
_TURNS_PER_THREAD = 16
# Bands weighed in one product. A band is made of few bins: the fewer bands, the fewer zeros are multiplied; but BLAS
# is slow at products narrower than this.
_BANDS_TOGETHER = 16
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
        rows = _ascending_rows(fft_length)
        arranged = _rearranged(filters, fft_length)[rows]
        used = arranged.any(axis=(1, 2))  # the highest bins of VGGish belong to no band
        self._outer = _outer_matrix()[:, rows[used]].reshape(-1, 2 * _PHASES)
        self._groups = _groups_of_bands(arranged[used])
        self._power = power
        self._finish = finish
        # A call takes buffers from here, or makes some, and leaves them behind: one set for each thread at work.
        self._idle: list[list[_Buffers]] = []

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
        starts = range(0, len(mel), _BLOCKS * _BLOCK_FRAMES)
        remaining = iter(starts)
        if threads is None:
            threads = min(available_cores(), len(starts) // _TURNS_PER_THREAD)
        helpers = min(threads, len(starts)) - 1
        if helpers < 1:
            self._fill(mel, frames, remaining)
            return mel
        # Each takes its next turn when it is done with one: a core that has other work holds nobody up.
        with ThreadPoolExecutor(helpers, thread_name_prefix="m3ser-mel") as pool:
            tasks = [pool.submit(self._fill, mel, frames, remaining) for _ in range(helpers)]
            self._fill(mel, frames, remaining)
        for task in tasks:
            task.result()
        return mel

    def _fill(self, mel: NDArray[np.float32], frames: NDArray[np.floating[Any]], starts: Iterator[int]) -> None:
        """Compute the frames of `mel` from each of `starts` on, as many as there are buffers for."""
        try:
            buffers = self._idle.pop()
        except IndexError:
            buffers = _Buffers.for_blocks(self._inner, self._outer)
        for start in starts:
            rows = mel[start : start + _BLOCKS * _BLOCK_FRAMES]
            blocks = -(-len(rows) // _BLOCK_FRAMES)
            whole = len(rows) == blocks * _BLOCK_FRAMES
            target = rows if whole else np.empty((blocks * _BLOCK_FRAMES, self.bands), np.float32)
            self._compute(frames[start : start + len(rows)], buffers[blocks - 1], target)
            if not whole:
                rows[...] = target[: len(rows)]
        self._idle.append(buffers)

    def _compute(self, frames: NDArray[np.floating[Any]], buffers: _Buffers, mel: NDArray[np.float32]) -> None:
        """Compute whole blocks from as many frames as there are; the rest is silence."""
        buffers.fill(frames)
        np.matmul(self._inner, buffers.phases, out=buffers.inner)
        np.matmul(self._outer, buffers.inner_pieces, out=buffers.outer_pieces)
        np.square(buffers.outer, out=buffers.outer)
        buffers.magnitudes += buffers.imaginary
        if not self._power:
            np.sqrt(buffers.magnitudes, out=buffers.magnitudes)
        blocks = mel.reshape(-1, _BLOCK_FRAMES, self.bands)
        for group in self._groups:
            np.matmul(buffers.by_frame[..., group.bins], group.weights, out=blocks[..., group.bands])
        if self._finish is not None:
            self._finish(mel)


class _Group(NamedTuple):
    """Neighbouring bands, and the bins that any of them needs."""

    bands: slice
    bins: slice  # as the transform leaves them
    weights: NDArray[np.float32]  # (bins, bands)


class _Buffers:
    """What one thread needs to compute some blocks, and the shapes in which each step looks at it.

    Frames run along the last axis, so that every product reads and writes whole rows.

    Args:
        samples: (blocks, samples of a frame, frames).
        inner: (blocks, phases, real parts and then imaginary parts of each g, frames).
        outer: (blocks, real and imaginary, q, g and frames).
    """

    def __init__(self, samples: NDArray[np.float32], inner: NDArray[np.float32], outer: NDArray[np.float32]) -> None:
        blocks, phases, _, frames = inner.shape
        _, _, rows, columns = outer.shape
        self.samples = samples
        # (blocks, phases, samples of a phase in a frame, frames)
        self.phases = samples.reshape(blocks, -1, phases, frames).swapaxes(1, 2)
        self.inner = inner
        pieces = _pieces(columns, 2 * rows * 2 * phases)
        self.inner_pieces = inner.reshape(blocks, 2 * phases, pieces, -1).swapaxes(1, 2)
        self.outer_pieces = outer.reshape(blocks, 2 * rows, pieces, -1).swapaxes(1, 2)
        self.outer = outer
        self.imaginary = outer[:, 1]
        self.magnitudes = outer[:, 0]  # once the squared imaginary parts are added
        # (blocks, frames, bins)
        self.by_frame = outer.reshape(blocks, 2, -1, frames)[:, 0].swapaxes(1, 2)

    @classmethod
    def for_blocks(cls, inner: NDArray[np.float32], outer: NDArray[np.float32]) -> list[_Buffers]:
        """Buffers for one block, for two, ... up to as many as are computed together; all in the same memory.

        Args:
            inner: the matrices of the inner product.
            outer: the matrix of the outer product.
        """
        phases, parts, samples = inner.shape
        padded = np.empty((_BLOCKS, phases * samples, _BLOCK_FRAMES + _ROW_PADDING), np.float32)
        arrays = (
            padded[..., :_BLOCK_FRAMES],
            np.empty((_BLOCKS, phases, parts, _BLOCK_FRAMES), np.float32),
            np.empty((_BLOCKS, 2, len(outer) // 2, parts // 2 * _BLOCK_FRAMES), np.float32),
        )
        return [cls(*(array[: count + 1] for array in arrays)) for count in range(_BLOCKS)]

    def fill(self, frames: NDArray[np.floating[Any]]) -> None:
        """Take these frames (frames, samples); what they leave of the last block becomes silence."""
        blocks, rest = divmod(len(frames), _BLOCK_FRAMES)
        whole = frames[: blocks * _BLOCK_FRAMES]
        self.samples[:blocks] = whole.reshape(blocks, _BLOCK_FRAMES, self.samples.shape[1]).swapaxes(1, 2)
        if rest:
            self.samples[blocks, :, :rest] = frames[-rest:].T
            self.samples[blocks, :, rest:] = 0.0


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
    # In this order of axes in memory, too: `matmul` would copy any other before it hands it to BLAS, each time.
    return np.ascontiguousarray(np.concatenate([waves.real, waves.imag], axis=1), np.float32)


def _outer_matrix() -> NDArray[np.float32]:
    """The transform over the phases: (real and imaginary part, q, both parts of each phase in turn)."""
    turns = np.exp(-2j * np.pi / _PHASES * (np.outer(np.arange(_PHASES), np.arange(_PHASES)) % _PHASES))
    real = np.stack([turns.real, -turns.imag], axis=-1).reshape(_PHASES, -1)
    imaginary = np.stack([turns.imag, turns.real], axis=-1).reshape(_PHASES, -1)
    return np.stack([real, imaginary]).astype(np.float32)


def _bins(fft_length: int) -> NDArray[np.int64]:
    """Which bin each (q, g) is."""
    length = fft_length // _PHASES
    bins = length * np.arange(_PHASES)[:, None] + np.arange(length // 2 + 1)
    return np.where(bins > fft_length // 2, fft_length - bins, bins)


def _ascending_rows(fft_length: int) -> NDArray[np.int64]:
    """The q in the order of their bins, so that those of neighbouring bands lie together."""
    return np.argsort(_bins(fft_length).min(axis=1), kind="stable")


def _rearranged(filters: NDArray[np.float64], fft_length: int) -> NDArray[np.float32]:
    """The weights as the bins come out: (q, g, bands). A bin that comes out twice counts once."""
    bins = _bins(fft_length).ravel()
    arranged = np.zeros((len(bins), filters.shape[1]), np.float32)
    first = np.unique(bins, return_index=True)[1]
    arranged[first] = filters[bins[first]]
    return arranged.reshape(_PHASES, -1, filters.shape[1])


def _groups_of_bands(arranged: NDArray[np.float32]) -> list[_Group]:
    """The products that lead from bins to bands, each of the rows that its bands touch.

    Args:
        arranged: (rows, g, bands) weights, the rows in the order of their bins.
    """
    rows, columns, bands = arranged.shape
    groups = []
    for first in range(0, bands, _BANDS_TOGETHER):
        weights = arranged[:, :, first : first + _BANDS_TOGETHER]
        touched = np.flatnonzero(weights.any(axis=(1, 2)))
        start, end = (touched[0], touched[-1] + 1) if len(touched) else (0, rows)
        groups.append(
            _Group(
                slice(first, first + _BANDS_TOGETHER),
                slice(start * columns, end * columns),
                np.ascontiguousarray(weights[start:end].reshape(-1, weights.shape[-1])),
            )
        )
    return groups
