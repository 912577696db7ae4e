"""Arrays of samples of any kind -> mono floating point."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from m3ser.errors import UsageError

__all__ = ["to_mono"]


def to_mono(samples: NDArray[Any], *, keep_double: bool = False) -> NDArray[np.floating[Any]]:
    """The average of the channels, in floating point.

    Args:
        samples: (samples,) or (samples, channels). Floats are taken as they are; integers are divided by full scale
            (``int16`` by 32,768), unsigned ones measured from their middle (``uint8`` from 128).
        keep_double: leave float64 as float64 instead of rounding it to float32.

    Returns:
        (samples,) float32, or float64 where kept. A value that float32 cannot hold becomes infinite.

    Raises:
        UsageError: another number of dimensions, or samples that are not real numbers.
    """
    if samples.ndim not in (1, 2) or samples.shape[1:] == (0,):
        raise UsageError(
            f"An array of shape {samples.shape} is not a waveform; expected (samples,) or (samples, channels)."
        )
    if samples.dtype.kind not in "fiu":
        raise UsageError(f"An array of {samples.dtype} is not a waveform; expected floats or integers.")
    dtype = np.float64 if keep_double and samples.dtype == np.float64 else np.float32
    with np.errstate(over="ignore"):
        if samples.ndim == 1:
            mono = samples.astype(dtype, copy=False)
        else:
            # Column by column: NumPy's own mean over so short an axis takes five times as long.
            mono = samples[:, 0].astype(dtype)
            for channel in range(1, samples.shape[1]):
                mono += samples[:, channel].astype(dtype, copy=False)
            mono /= samples.shape[1]
    if samples.dtype.kind == "f":
        return mono
    full_scale = 2.0 ** (8 * samples.dtype.itemsize - 1)
    if samples.dtype.kind == "u":
        mono = mono - dtype(full_scale)
    return mono / dtype(full_scale)
