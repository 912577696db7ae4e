"""Arrays of samples of any kind -> mono floating point."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from m3ser.errors import UsageError

__all__ = ["as_samples", "of_length", "to_mono"]

# More channels than this in an array, and more channels than samples: the axes have been swapped.
_MOST_CHANNELS = 64


def as_samples(waveform: ArrayLike) -> NDArray[Any]:
    """The array that a caller gave as a waveform, once it is known to be one.

    Returns:
        (samples,) or (samples, channels), floats or integers, not copied where that can be helped.

    Raises:
        UsageError: another number of dimensions, the axes swapped, or samples that are not real numbers.
    """
    samples = np.asarray(waveform)
    if samples.ndim not in (1, 2) or samples.shape[1:] == (0,):
        raise UsageError(
            f"An array of shape {samples.shape} is not a waveform; expected (samples,) or (samples, channels)."
        )
    if samples.ndim == 2 and samples.shape[1] > max(_MOST_CHANNELS, samples.shape[0]):
        raise UsageError(
            f"An array of shape {samples.shape} would have {samples.shape[1]} channels; expected (samples, channels), "
            "so pass its transpose."
        )
    if samples.dtype.kind not in "fiu":
        raise UsageError(f"An array of {samples.dtype} is not a waveform; expected floats or integers.")
    return samples


def to_mono(samples: NDArray[Any], *, keep_double: bool = False) -> NDArray[np.floating[Any]]:
    """The average of the channels, in floating point.

    Args:
        samples: (samples,) or (samples, channels). Floats are taken as they are; integers are divided by full scale
            (``int16`` by 32,768), unsigned ones measured from their middle (``uint8`` from 128).
        keep_double: leave float64 as float64 instead of rounding it to float32.

    Returns:
        (samples,) float32, or float64 where kept; `samples` itself where there is nothing to do. A value that float32
        cannot hold becomes infinite.
    """
    dtype = np.float64 if keep_double and samples.dtype == np.float64 else np.float32
    if samples.ndim == 1 and samples.dtype == dtype:
        return samples
    channels = samples[:, None] if samples.ndim == 1 else samples
    with np.errstate(over="ignore", invalid="ignore"):
        mono = channels[:, 0].astype(dtype)
        # Column by column: NumPy's own mean over so short an axis takes several times as long.
        for channel in range(1, channels.shape[1]):
            mono += channels[:, channel].astype(dtype, copy=False)
        if channels.shape[1] > 1:
            mono /= dtype(channels.shape[1])
    if samples.dtype.kind in "iu":
        full_scale = dtype(2.0 ** (8 * samples.dtype.itemsize - 1))
        if samples.dtype.kind == "u":
            mono -= full_scale
        mono /= full_scale
    return mono


def of_length(pieces: Iterable[NDArray[np.float32]], length: int) -> Iterator[NDArray[np.float32]]:
    """Pieces (samples,) of any length joined and cut into blocks of `length` samples; the last one may be shorter.

    Blocks are in memory of their own. A piece is kept until its block is full, so its memory must not be filled anew.
    """
    pending: list[NDArray[np.float32]] = []
    count = 0
    for piece in pieces:
        rest = piece
        while count + len(rest) >= length:
            pending.append(rest[: length - count])
            rest = rest[length - count :]
            yield np.concatenate(pending)
            pending, count = [], 0
        if len(rest):
            pending.append(rest)
            count += len(rest)
    if pending:
        yield np.concatenate(pending)
