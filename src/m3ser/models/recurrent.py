"""Recurrent layers over masked states: what a padded batch gives is what each utterance gives alone.

torch's own packed sequences do not export to ONNX. Here the real states stand first in each row
(:meth:`MaskedStates.packed`), so that a recurrence reaches all of them before it reaches padding, and the way back runs
over the row turned round within its real length.

Nor does torch export a recurrence with every length left open: it unrolls or loops it, and settles on the example's
length. What ONNX itself has for both is written into the graph instead.
"""

from __future__ import annotations

from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812

from m3ser.models.masked import MaskedStates

__all__ = ["BothWays", "Cell", "Dilated", "Recurrence"]

Cell = Literal["gru", "lstm"]


class Recurrence(nn.Module):
    """One layer of GRU or LSTM from the first real state to the last.

    Args:
        cell: "gru" (Cho et al. 2014, with the reset gate behind the matrix product, as in cuDNN) or "lstm".
        input_dim: features per state.
        hidden_dim: features per state that comes out.
    """

    def __init__(self, cell: Cell, input_dim: int, hidden_dim: int) -> None:
        super().__init__()
        kind = nn.GRU if cell == "gru" else nn.LSTM
        self.layer = kind(input_dim, hidden_dim, batch_first=True)

    def forward(self, states: MaskedStates) -> MaskedStates:
        """Run over packed states, (batch, length, input_dim) -> (batch, length, hidden_dim); zeros in the padding."""
        if torch.onnx.is_in_onnx_export():
            outputs = _as_onnx(self.layer, states.states)
        else:
            outputs = self.layer(states.states)[0]
        return MaskedStates(outputs, states.mask).zeroed()


class BothWays(nn.Module):
    """One layer from the first real state to the last, and one from the last to the first (Schuster, Paliwal 1997).

    Args:
        cell: "gru" or "lstm".
        input_dim: features per state.
        hidden_dim: features per state and direction that come out.
    """

    def __init__(self, cell: Cell, input_dim: int, hidden_dim: int) -> None:
        super().__init__()
        self.onward = Recurrence(cell, input_dim, hidden_dim)
        self.back = Recurrence(cell, input_dim, hidden_dim)

    def forward(self, states: MaskedStates) -> tuple[Tensor, Tensor]:
        """Run over packed states both ways.

        Returns:
            Onward and back, each (batch, length, hidden_dim), in the order of the states; zeros in the padding.
        """
        return self.onward(states).states, _turned(self.back(_turned(states))).states


class Dilated(nn.Module):
    """One layer in which each state follows not on the one before but on that `dilation` states before.

    One layer of a dilated recurrent network (Chang et al. 2017): `dilation` interleaved sequences, one set of weights.

    Args:
        cell: "gru" or "lstm".
        input_dim: features per state.
        hidden_dim: features per state that comes out.
        dilation: how far back, in states.
    """

    def __init__(self, cell: Cell, input_dim: int, hidden_dim: int, *, dilation: int) -> None:
        super().__init__()
        self.dilation = dilation
        self.recurrence = Recurrence(cell, input_dim, hidden_dim)

    def forward(self, states: MaskedStates) -> MaskedStates:
        """Run over packed states, (batch, length, input_dim) -> (batch, length, hidden_dim); zeros in the padding."""
        if self.dilation == 1:
            return self._along(states)
        batch, length, _ = states.states.shape
        # So much padding that a row is whole rounds of `dilation` states, whatever its length; it is cut off again.
        # Always two rounds at least: what is 1 in the exporter's example it takes to be 1 for ever.
        rounds = length // self.dilation + 2
        more = rounds * self.dilation - length
        padded = F.pad(states.states, (0, 0, 0, more)).reshape(batch, rounds, self.dilation, -1)
        mask = F.pad(states.mask, (0, more)).reshape(batch, rounds, self.dilation)
        found = self._along(MaskedStates(padded.transpose(1, 2).flatten(0, 1), mask.transpose(1, 2).flatten(0, 1)))
        outputs = found.states.unflatten(0, (batch, self.dilation)).transpose(1, 2).flatten(1, 2)
        return MaskedStates(outputs[:, :length], states.mask)

    def _along(self, states: MaskedStates) -> MaskedStates:
        found: MaskedStates = self.recurrence(states)
        return found


def _turned(states: MaskedStates) -> MaskedStates:
    """Each row of packed states from its last real one to its first; the padding stays behind them."""
    place = torch.arange(states.mask.shape[1], device=states.mask.device)[None, :]
    count = states.mask.sum(dim=1, keepdim=True)
    index = torch.where(place < count, count - 1 - place, place)
    return MaskedStates(states.states.gather(1, index[..., None].expand_as(states.states)), states.mask)


def _as_onnx(layer: nn.GRU | nn.LSTM, states: Tensor) -> Tensor:
    """`layer` over `states`, (batch, length, dim), as the one node that ONNX has for it."""
    # Where torch's gates (GRU: r, z, n; LSTM: i, f, g, o) stand in ONNX's order (z, r, n; i, o, f, g).
    order = (1, 0, 2) if isinstance(layer, nn.GRU) else (0, 3, 1, 2)
    hidden = layer.hidden_size
    kernel, recurrent, *biases = (
        torch.cat([weight[gate * hidden : (gate + 1) * hidden] for gate in order]) for weight in layer.parameters()
    )
    attributes: dict[str, Any] = {"hidden_size": hidden}
    if isinstance(layer, nn.GRU):
        attributes["linear_before_reset"] = 1
    batch, length, _ = states.shape
    found: Tensor = torch.onnx.ops.symbolic(
        type(layer).__name__,
        (states.transpose(0, 1), kernel[None], recurrent[None], torch.cat(biases)[None]),
        attributes,
        dtype=states.dtype,
        shape=(length, 1, batch, hidden),
    )
    return found[:, 0].transpose(0, 1)
