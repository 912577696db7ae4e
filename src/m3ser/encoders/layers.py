"""Which of a network's hidden states are yielded, how several become one, and how they are pooled over time.

Hidden states are numbered as transformers numbers them: 0 is the input of the first block, i the output of block i, and
the last one also passes the final LayerNorm where the network has one.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal

import torch
from torch import Tensor, nn

from m3ser.encoders.pooling import Statistics, pool_windows
from m3ser.encoders.states import EncoderStates, zero_padding
from m3ser.errors import UsageError

__all__ = ["Combine", "LayerMix", "StateSelection"]

Combine = Literal["concat", "mean", "mix"]
"""What becomes of several hidden states: side by side, their mean, or a learnt mix (:class:`LayerMix`)."""


class LayerMix(nn.Module):
    """A sum of hidden states weighed by a learnt softmax, all alike at first (as SUPERB mixes them).

    It learns with the fusion part while the network below stays frozen.

    Args:
        layers: how many hidden states lie side by side.
        parts: how many statistics of each; they lie outermost: all means, then all deviations.
    """

    def __init__(self, layers: int, *, parts: int = 1) -> None:
        super().__init__()
        self.layers = layers
        self.parts = parts
        self.scores = nn.Parameter(torch.zeros(layers))

    def forward(self, states: Tensor) -> Tensor:
        """(batch, steps, parts * layers * dim) to (batch, steps, parts * dim)."""
        shares = self.scores.softmax(dim=0).unsqueeze(-1)
        apart = states.unflatten(-1, (self.parts, self.layers, -1))
        mixed: Tensor = (apart * shares).sum(dim=-2)
        return mixed.flatten(-2)


class StateSelection:
    """The choice itself, the same for every encoder with blocks.

    Args:
        last: number of the network's last hidden state.
        layer: which hidden state, or several; None: the last, or with ``mix`` all of them.
        combine: what becomes of several.
        step_seconds: pool over consecutive windows of this length; None: no pooling.
        statistics: what a pooled state holds: ``mean``, or ``mean+std`` (doubles the width).
        state_seconds: time from one state to the next.

    Attributes:
        last: see above.
        picked: the numbers of the hidden states.
        window: states in a window; None: no pooling.

    Raises:
        UsageError: a layer that does not exist, a mix of one, or a step that is no multiple of `state_seconds`.
    """

    def __init__(
        self,
        *,
        last: int,
        layer: int | Sequence[int] | None = None,
        combine: Combine = "concat",
        step_seconds: float | None = None,
        statistics: Statistics = "mean",
        state_seconds: float = 0.02,
    ) -> None:
        self.last = last
        self.combine = combine
        self.step_seconds = step_seconds
        self.statistics = statistics
        self.picked = _picked_layers(layer, last, every=combine == "mix")
        self.window = None if step_seconds is None else _window(step_seconds, state_seconds)
        if combine == "mix" and len(self.picked) < 2:
            raise UsageError(f"combine: mix needs several hidden states, not layer {self.picked[0]} alone.")

    @property
    def parts(self) -> int:
        """How many statistics a yielded state holds."""
        return 2 if self.window is not None and self.statistics == "mean+std" else 1

    def width(self, dim: int) -> int:
        """Width of what is yielded in the end, for hidden states of width `dim`."""
        return dim * self.parts * (len(self.picked) if self.combine == "concat" else 1)

    def mix(self) -> LayerMix | None:
        """A new mix, where that is what becomes of several hidden states."""
        return LayerMix(len(self.picked), parts=self.parts) if self.combine == "mix" else None

    def options(self) -> dict[str, Any]:
        """JSON-ready options from which the same choice is made again."""
        return {
            "layer": list(self.picked),
            "combine": self.combine,
            "step_seconds": self.step_seconds,
            "statistics": self.statistics,
        }

    def __call__(self, hidden_states: Mapping[int, Tensor], mask: Tensor) -> EncoderStates:
        """What is yielded of a batch; for a mix, what :class:`LayerMix` takes.

        Args:
            hidden_states: number -> (batch, steps, dim); at least those that were picked.
            mask: (batch, steps) bool, True = real.

        Returns:
            (batch, steps or windows, width), zero in padding; for a mix the width of all of its layers together.
        """
        picked = [hidden_states[number] for number in self.picked]
        states = torch.stack(picked).mean(dim=0) if self.combine == "mean" else torch.cat(picked, dim=-1)
        if self.window is None:
            return EncoderStates(zero_padding(states, mask), mask)
        return pool_windows(states, mask, window=self.window, statistics=self.statistics)


def _picked_layers(layer: int | Sequence[int] | None, last: int, *, every: bool) -> tuple[int, ...]:
    """The numbers of the hidden states to yield."""
    if layer is None:
        return tuple(range(last + 1)) if every else (last,)
    picked = (layer,) if isinstance(layer, int) else tuple(layer)
    if not picked or any(not 0 <= number <= last for number in picked) or len(set(picked)) < len(picked):
        raise UsageError(f"layer must name different hidden states from 0 to {last}, not {list(picked)}.")
    return picked


def _window(step_seconds: float, state_seconds: float) -> int:
    """How many states make up `step_seconds`."""
    window = round(step_seconds / state_seconds)
    if window < 1 or abs(window - step_seconds / state_seconds) > 1e-6:
        raise UsageError(f"step_seconds must be a multiple of {state_seconds:g} s, not {step_seconds:g}.")
    return window
