"""The waveform itself as what a speech model reads."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

__all__ = ["as_it_is", "normalised"]

_LEAST_VARIANCE = 1e-7  # what transformers' feature extractor adds


def as_it_is(waveform: NDArray[np.float32]) -> NDArray[np.float32]:
    """(samples,) float32: the same."""
    return np.ascontiguousarray(waveform, dtype=np.float32)


def normalised(waveform: NDArray[np.float32]) -> NDArray[np.float32]:
    """(samples,) float32 with mean 0 and variance 1, as wav2vec 2.0 and its like were trained.

    The mean and variance are of the whole utterance, and never of the padding behind it.
    """
    if not len(waveform):
        return np.empty(0, np.float32)
    samples = waveform.astype(np.float64)
    samples -= samples.mean()
    samples /= np.sqrt(samples.var() + _LEAST_VARIANCE)
    return samples.astype(np.float32)
