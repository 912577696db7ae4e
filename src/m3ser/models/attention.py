"""Multi-head attention with key masks: the arithmetic and the parameter names of ``torch.nn.MultiheadAttention``.

``torch.nn.MultiheadAttention`` itself gives NaN where every key of a row is masked, switches between two code paths
depending on the mode, and does not export to ONNX with every length left open. This one has none of that, and loads the
same state dict.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812

__all__ = ["MultiHeadAttention"]


class MultiHeadAttention(nn.Module):
    """softmax(QK' / sqrt(dim per head)) V over `num_heads` heads, then a linear layer (Vaswani et al. 2017).

    Args:
        dim: features per state, a multiple of `num_heads`.
        num_heads: how many heads share them.
        dropout: share of the attention weights that are dropped while training.
    """

    def __init__(self, dim: int, num_heads: int, *, dropout: float = 0.0) -> None:
        super().__init__()
        self.dim = dim
        self.num_heads = num_heads
        self.dropout = dropout
        self.in_proj_weight = nn.Parameter(torch.empty(3 * dim, dim))
        self.in_proj_bias = nn.Parameter(torch.empty(3 * dim))
        self.out_proj = nn.Linear(dim, dim)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draw new weights as ``torch.nn.MultiheadAttention`` does; `out_proj.weight` keeps nn.Linear's own draw."""
        nn.init.xavier_uniform_(self.in_proj_weight)
        nn.init.zeros_(self.in_proj_bias)
        nn.init.zeros_(self.out_proj.bias)

    def forward(
        self, query: Tensor, keys: Tensor, mask: Tensor, *, need_weights: bool = False
    ) -> tuple[Tensor, Tensor | None]:
        """Let each query gather from the real keys.

        Args:
            query: (batch, queries, dim).
            keys: (batch, length, dim); the values, too.
            mask: (batch, length) bool, true where a key is real. A row without any gives finite numbers that mean
                nothing: the caller must not read them.
            need_weights: return the attention weights as well; slower, and holds them all in memory.

        Returns:
            (batch, queries, dim), and the weights before dropout (batch, heads, queries, length), or None.
        """
        # The packed projection holds the rows for Q, then K, then V.
        dim = self.dim
        q = self._split(F.linear(query, self.in_proj_weight[:dim], self.in_proj_bias[:dim]))
        k, v = map(self._split, F.linear(keys, self.in_proj_weight[dim:], self.in_proj_bias[dim:]).chunk(2, dim=-1))

        # A softmax over no key at all is 0 / 0. Such rows attend to everything instead.
        allowed = (mask | ~mask.any(dim=1, keepdim=True))[:, None, None, :]
        dropout = self.dropout if self.training else 0.0
        weights: Tensor | None = None
        if need_weights:
            scores = (q @ k.transpose(-2, -1)) * q.shape[-1] ** -0.5
            weights = scores.masked_fill(~allowed, -torch.inf).softmax(dim=-1)
            gathered = F.dropout(weights, dropout) @ v
        else:
            gathered = F.scaled_dot_product_attention(q, k, v, attn_mask=allowed, dropout_p=dropout)
        return self.out_proj(gathered.transpose(1, 2).flatten(2)), weights

    def _split(self, states: Tensor) -> Tensor:
        """(batch, length, dim) -> (batch, heads, length, dim per head)."""
        batch, length, dim = states.shape
        return states.reshape(batch, length, self.num_heads, dim // self.num_heads).transpose(1, 2)
