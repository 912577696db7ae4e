"""Pooling a sequence of states over consecutive windows of time."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor
from torch.nn import functional

from m3ser.encoders.states import EncoderStates, zero_padding

__all__ = ["Statistics", "pool_windows"]

Statistics = Literal["mean", "mean+std"]

# Under the square root, whose slope at 0 is infinite: a window of one state has no spread.
_LEAST_VARIANCE = 1e-12


def pool_windows(states: Tensor, mask: Tensor, *, window: int, statistics: Statistics) -> EncoderStates:
    """Mean, or mean and standard deviation, of every `window` states; padding does not count, the last may hold fewer.

    Args:
        states: (batch, steps, dim).
        mask: (batch, steps) bool, True = real.
        window: states in a window.
        statistics: ``mean+std`` puts the population standard deviation behind the mean: the width doubles.

    Returns:
        (batch, ceil(steps / window), dim or 2 dim); a window without anything real is padding.
    """
    batch, steps, width = states.shape
    windows = (steps + window - 1) // window
    states = functional.pad(zero_padding(states, mask), (0, 0, 0, window - 1))
    mask = functional.pad(mask, (0, window - 1))
    states = states[:, : windows * window].reshape(batch, windows, window, width)
    real = mask[:, : windows * window].reshape(batch, windows, window, 1)

    count = real.sum(dim=2).clamp_min(1)
    mean = states.sum(dim=2) / count
    pooled = mean
    if statistics == "mean+std":
        deviations = (states - mean.unsqueeze(2)).masked_fill(~real, 0.0)
        variance = deviations.square().sum(dim=2) / count
        pooled = torch.cat([mean, variance.clamp_min(_LEAST_VARIANCE).sqrt()], dim=-1)
    any_real = real.any(dim=2).squeeze(-1)
    return EncoderStates(zero_padding(pooled, any_real), any_real)
