"""What every encoder yields, and the masks that keep padding out of it.

A mask is boolean and True where there is something real: (batch, steps) beside a sequence (batch, steps, ...). Padding
may hold anything, NaN included; it is overwritten, never multiplied away.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from m3ser.errors import UsageError

__all__ = ["EncoderStates", "check_mask", "lengths_to_mask", "safe_key_padding", "zero_padding"]


@dataclass(frozen=True)
class EncoderStates:
    """A sequence of states with its mask; unpacks as ``states, mask = encoder(...)``.

    Attributes:
        states: (batch, steps, dim) float; zero where there is padding.
        mask: (batch, steps) bool, True = real.

    Raises:
        UsageError: the mask is not boolean, or not of the states' shape.
    """

    states: Tensor
    mask: Tensor

    def __post_init__(self) -> None:
        check_mask(self.mask, self.states, name="mask of the states")

    def __iter__(self) -> Iterator[Tensor]:
        yield self.states
        yield self.mask


# torch.export and the ONNX exporter take apart only what they know.
torch.export.register_dataclass(EncoderStates, serialized_type_name="m3ser.EncoderStates")


def check_mask(mask: Tensor, sequence: Tensor, *, name: str = "mask") -> None:
    """Check that `mask` is a mask of `sequence`: (batch, steps) bool beside (batch, steps, ...).

    Does nothing while a graph is being traced, where lengths are symbols.

    Raises:
        UsageError: it is not.
    """
    if torch.compiler.is_compiling():
        return
    if mask.dtype != torch.bool:
        raise UsageError(f"The {name} is of type {mask.dtype}; it must be torch.bool, True where the sequence is real.")
    if mask.dim() != 2 or mask.shape != sequence.shape[:2]:
        raise UsageError(
            f"The {name} has the shape {tuple(mask.shape)}; beside a sequence of shape {tuple(sequence.shape)} "
            f"it must be (batch, steps) = {tuple(sequence.shape[:2])}."
        )


def lengths_to_mask(lengths: Tensor, *, steps: int | None = None) -> Tensor:
    """Lengths (batch,) as a mask (batch, steps); `steps` defaults to the longest."""
    longest = int(lengths.max()) if steps is None else steps
    return torch.arange(longest, device=lengths.device) < lengths[:, None]


def zero_padding(sequence: Tensor, mask: Tensor) -> Tensor:
    """`sequence` (batch, steps, ...) with zeros wherever `mask` (batch, steps) is False."""
    trailing = (1,) * (sequence.dim() - 2)
    return sequence.masked_fill(~mask.reshape(*mask.shape, *trailing), 0.0)


def safe_key_padding(mask: Tensor) -> Tensor:
    """The mask that PyTorch's attention calls ``key_padding_mask``: True where a key is to be ignored.

    A row without anything real is left open: a softmax over nothing is NaN, and NaN would travel through the gradient
    to the other rows. Whoever uses the output of such a row must discard it (see :func:`zero_padding`), and its input
    must be finite.

    Args:
        mask: (batch, steps) bool, True = real.

    Returns:
        (batch, steps) bool, True = ignore; never all True in a row.
    """
    return ~mask & mask.any(dim=1, keepdim=True)
