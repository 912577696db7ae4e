"""The Transformer's block, in which one sequence asks and another, or the same, answers."""

from __future__ import annotations

from torch import Tensor, nn

from m3ser.models.attention import MultiHeadAttention
from m3ser.models.masked import MaskedStates

__all__ = ["AttentionBlock"]


class AttentionBlock(nn.Module):
    """LayerNorm(x + attention), then LayerNorm(x + feed-forward), as in Vaswani et al. 2017.

    Args:
        dim: features per state, a multiple of `num_heads`.
        num_heads: heads of the attention.
        inner_dim: width of the feed-forward layer.
        dropout: rate on the attention weights, and on what is added each time.
    """

    def __init__(self, dim: int, num_heads: int, *, inner_dim: int, dropout: float) -> None:
        super().__init__()
        self.attention = MultiHeadAttention(dim, num_heads, dropout=dropout)
        self.attention_norm = nn.LayerNorm(dim)
        self.feed_forward = nn.Sequential(nn.Linear(dim, inner_dim), nn.ReLU(), nn.Linear(inner_dim, dim))
        self.feed_forward_norm = nn.LayerNorm(dim)
        self.dropout = nn.Dropout(dropout)

    def forward(
        self, asking: MaskedStates, answering: MaskedStates, *, need_weights: bool = False
    ) -> tuple[MaskedStates, Tensor | None]:
        """Let each state of `asking` gather from the real ones of `answering`; where there are none, it gathers zeros.

        Returns:
            What becomes of `asking`, (batch, length, dim), and the attention weights (batch, heads, length, answers) if
            they were asked for.
        """
        found, weights = self.attention(asking.states, answering.states, answering.mask, need_weights=need_weights)
        found = found.masked_fill(~answering.present[:, None, None], 0.0)
        states = self.attention_norm(asking.states + self.dropout(found))
        states = self.feed_forward_norm(states + self.dropout(self.feed_forward(states)))
        return MaskedStates(states, asking.mask), weights
