"""Which stretch of the audio belongs to which token, where nobody knows: an equal share each."""

from __future__ import annotations

import torch
from torch import Tensor, nn

__all__ = ["EqualShares"]


class EqualShares(nn.Module):
    """Each token's equal share of an utterance's audio, as the means over a fixed number of equal pieces of it."""

    def __init__(self, pieces: int) -> None:
        super().__init__()
        self.pieces = pieces

    def forward(self, audio: Tensor, audio_mask: Tensor, text_mask: Tensor) -> Tensor:
        """Cut the audio up.

        Args:
            audio: (batch, steps, dim), zeros in the padding.
            audio_mask: (batch, steps) bool.
            text_mask: (batch, tokens) bool.

        Returns:
            (batch, tokens, pieces, dim); zeros where there is no audio, anything where there is no token.
        """
        places = text_mask.cumsum(dim=1)[:, :, None] - 1
        pieces = torch.arange(self.pieces, device=audio.device) + places * self.pieces  # (batch, tokens, pieces)
        steps, tokens = (mask.sum(dim=1).clamp(min=1).to(audio.dtype) for mask in (audio_mask, text_mask))
        length = (steps / (tokens * self.pieces))[:, None, None]
        start = (pieces.flatten(1) * length[:, 0])[:, :, None]  # (batch, tokens x pieces, 1)

        # Each real step lasts from its rank among the real ones to the next; what of it lies in a piece is its weight.
        rank = (audio_mask.cumsum(dim=1) - 1).to(audio.dtype)[:, None, :]
        overlap = (torch.minimum(start + length, rank + 1) - torch.maximum(start, rank)).clamp(min=0)
        weights = (overlap / length).masked_fill(~audio_mask[:, None, :], 0.0)
        shares: Tensor = (weights @ audio).unflatten(1, (-1, self.pieces))
        return shares
