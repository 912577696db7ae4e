"""Weights over the real states of a row, and what they gather."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from m3ser.models.masked import MaskedStates

__all__ = ["GlobalAttention", "gathered", "masked_softmax"]


def masked_softmax(scores: Tensor, mask: Tensor) -> Tensor:
    """Softmax of `scores` (batch, length) over the places where `mask` is true; zeros elsewhere.

    A row without a real place gets zeros throughout.
    """
    lowest = torch.finfo(scores.dtype).min
    return scores.masked_fill(~mask, lowest).softmax(dim=1).masked_fill(~mask, 0.0)


def gathered(weights: Tensor, states: Tensor) -> Tensor:
    """(batch, dim): the sum of `states` (batch, length, dim), each with its own of `weights` (batch, length)."""
    return (weights[..., None] * states).sum(dim=1)


class GlobalAttention(nn.Module):
    """One weight for each state of a row: the softmax of v' tanh(W x + b) (Bahdanau et al. 2015; Yang et al. 2016).

    Args:
        dim: features per state.
    """

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.inner = nn.Linear(dim, dim)
        self.score = nn.Linear(dim, 1, bias=False)

    def forward(self, states: MaskedStates) -> Tensor:
        """(batch, length): weights that add up to 1 over the real states of each row; zeros in a row without any."""
        return masked_softmax(self.score(torch.tanh(self.inner(states.states)))[..., 0], states.mask)
