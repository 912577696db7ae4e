"""Sequences of states of different lengths in one padded tensor, with the mask that says which are real."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

__all__ = ["MaskedStates"]


@dataclass(frozen=True)
class MaskedStates:
    """One modality of a batch.

    Attributes:
        states: (batch, length, dim) float. What stands where the mask is false means nothing.
        mask: (batch, length) bool, true = real. Real states may stand anywhere; a row without any: modality missing.
    """

    states: Tensor
    mask: Tensor

    @property
    def present(self) -> Tensor:
        """(batch,) bool: the rows that have at least one real state."""
        return self.mask.any(dim=1)

    def zeroed(self) -> MaskedStates:
        """The same with zeros wherever the mask is false, so that not even a NaN or an infinity gets out of padding."""
        return MaskedStates(self.states.masked_fill(~self.mask[..., None], 0.0), self.mask)

    def first(self) -> Tensor:
        """(batch, 1, dim): the first real state of each row; in a row without any, whatever stands first."""
        # argmax gives the first of several equal maxima.
        index = self.mask.int().argmax(dim=1)
        return self.states.gather(1, index[:, None, None].expand(-1, 1, self.states.shape[-1]))

    def last(self) -> Tensor:
        """(batch, dim): the last real state of each row; zeros in a row without any."""
        place = torch.arange(self.mask.shape[1], device=self.mask.device)
        index = (place * self.mask).amax(dim=1)
        found = self.states.gather(1, index[:, None, None].expand(-1, 1, self.states.shape[-1]))[:, 0]
        return found.masked_fill(~self.present[:, None], 0.0)

    def packed(self) -> MaskedStates:
        """The same, in each row the real states first and in their order, then zeros.

        What runs along time (a recurrence, a convolution) then finds no gap, whatever the mask looked like.
        """
        order = self.mask.int().cumsum(dim=1)
        padding = (~self.mask).int().cumsum(dim=1)
        # A stable sort by the mask would be the same; that one does not export.
        place = torch.where(self.mask, order, order[:, -1:] + padding).long() - 1
        states = self.zeroed().states
        moved = torch.zeros_like(states).scatter(1, place[..., None].expand(-1, -1, states.shape[-1]), states)
        return MaskedStates(moved, torch.zeros_like(self.mask).scatter(1, place, self.mask))

    def at_most(self, length: int) -> MaskedStates:
        """(batch, at most `length`, dim): the first real states of each row, packed; the others are cut off."""
        packed = self.packed()
        return MaskedStates(packed.states[:, :length], packed.mask[:, :length])

    def total(self) -> Tensor:
        """(batch, dim): the sum of the real states; zeros in a row without any."""
        return self.zeroed().states.sum(dim=1)

    def mean(self) -> Tensor:
        """(batch, dim): the mean of the real states; zeros in a row without any."""
        return self.total() / self.mask.sum(dim=1, keepdim=True).clamp(min=1)

    def maximum(self) -> Tensor:
        """(batch, dim): the greatest value of each feature over the real states; zeros in a row without any."""
        lowest = torch.finfo(self.states.dtype).min
        found = self.states.masked_fill(~self.mask[..., None], lowest).amax(dim=1)
        return found.masked_fill(~self.present[:, None], 0.0)

    def minimum(self) -> Tensor:
        """(batch, dim): the least value of each feature over the real states; zeros in a row without any."""
        return -MaskedStates(-self.states, self.mask).maximum()

    def never_empty(self) -> MaskedStates:
        """The same with one real state of zeros in each row that has none."""
        first = torch.arange(self.mask.shape[1], device=self.mask.device) == 0
        return MaskedStates(self.zeroed().states, self.mask | (first & ~self.present[:, None]))

    def min_max_scaled(self) -> MaskedStates:
        """(x - min) / (max - min), both over all real entries of a row's whole (length, dim) block.

        Where they are equal the fraction is undefined (the published code gives NaN there): zeros.
        """
        limits = torch.finfo(self.states.dtype)
        real = self.mask[..., None]
        low = self.states.masked_fill(~real, limits.max).amin(dim=(1, 2), keepdim=True)
        high = self.states.masked_fill(~real, limits.min).amax(dim=(1, 2), keepdim=True)
        constant = high <= low  # missing rows, too
        spread = (high - low).masked_fill(constant, 1.0)
        scaled = ((self.states - low) / spread).masked_fill(constant, 0.0)
        return MaskedStates(scaled, self.mask)

    def then(self, other: MaskedStates) -> MaskedStates:
        """Both sequences end to end: (batch, length + other length, dim).

        This one's padding then lies in the middle, which the mask makes harmless.
        """
        return MaskedStates(
            torch.cat((self.states, other.states), dim=1),
            torch.cat((self.mask, other.mask), dim=1),
        )
