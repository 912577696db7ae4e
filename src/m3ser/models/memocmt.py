"""MemoCMT: two cross-attentions, each modality read through the other's questions, and one aggregation over both.

Tier: faithful (the code was read).

Source: Khan, Tran, Pham, El Saddik, Othmani, "MemoCMT: multimodal emotion recognition using cross-modal
transformer-based feature fusion" (Scientific Reports 15, 2025) and its published code, class `MemoCMT`.

The graph, with the paper's sizes (BERT 768, HuBERT-base 768, 8 heads, 4 labels), for L tokens and N audio steps::

    text branch   audio (N, 768) asks, text (L, 768) answers  -> Linear(768, 768) -> LayerNorm -> Dropout --> (N, 768)
    audio branch  text (L, 768) asks, audio (N, 768) answers  -> Linear(768, 768) -> LayerNorm -> Dropout --> (L, 768)
    one after the other (N + L, 768) -> Dropout -> cls | mean | max | min -> (768)
    -> Dropout -> Linear(768, 128) -> LeakyReLU(0.01) -> Dropout -> Linear(128, 4)

All dropouts 0.05, on the attentions' weights, too. The paper's best aggregation, and the default, is `min`: the least
value of each feature. 6,007,940 parameters.

A missing modality asks as one state of zeros, and the branch in which it would answer is left out: what there is of the
other one is still read, in a single position.

Wrong in the published code, and not repeated:

- `cls` reads position 0 of the whole, which belongs to the text branch: nothing that the audio branch computes reaches
  the output, and its weights are never trained. Here `cls` is the mean of both branches' first positions.
- Nothing masks padding: neither as keys nor in the aggregation, where a padded position may be the minimum.
- A third attention with a linear layer and a LayerNorm (`fusion_*`) is built, saved and never used: 2,954,496
  parameters at the paper's sizes. They are not here, and are left aside where published weights are loaded.
- HuBERT is fed samples of 16-bit integers as they are, some 30,000 times as loud as what it was trained on. m3ser's
  front ends give samples in [-1, 1].
"""

from __future__ import annotations

from typing import Any, Literal, get_args

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812

from m3ser.models.attention import MultiHeadAttention
from m3ser.models.base import Classified, FusionModel
from m3ser.models.config import FusionConfig, check_choice, check_heads, dropout_rate, positive_integer
from m3ser.models.masked import MaskedStates

__all__ = ["Aggregation", "MemoCmt", "MemoCmtConfig"]

Aggregation = Literal["cls", "mean", "max", "min"]


class MemoCmtConfig(FusionConfig):
    """Configuration of MemoCMT.

    Args:
        pooling: how the positions of both branches become one vector: "cls", "mean", "max" or "min".
        num_heads: heads of both attentions; divides `text_dim`.
        dropout: rate of all dropouts.
        hidden_dim: width of the layer before the last.
        fusion_dim: width of the branches behind their attentions; None, as published: that of the text states.
        kwargs: see :class:`FusionConfig`. Attention needs states of one width. Where `audio_dim` is another than
            `text_dim`, which it never was in the publication, a linear layer (`audio_projection`) stands in front.

    Raises:
        UsageError: see :class:`FusionConfig`; the heads do not divide the width, or there is no such pooling.
    """

    model_type = "m3ser-memocmt"
    systems = ("memocmt",)

    def __init__(
        self,
        *,
        pooling: Aggregation = "min",
        num_heads: int = 8,
        dropout: float = 0.05,
        hidden_dim: int = 128,
        fusion_dim: int | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        check_choice("pooling", pooling, get_args(Aggregation))
        self.pooling = pooling
        self.num_heads = positive_integer("num_heads", num_heads)
        self.dropout = dropout_rate(dropout)
        self.hidden_dim = positive_integer("hidden_dim", hidden_dim)
        self.fusion_dim = self.text_dim if fusion_dim is None else positive_integer("fusion_dim", fusion_dim)
        check_heads(num_heads, text_dim=self.text_dim)


class MemoCmt(FusionModel):
    """MemoCMT (see the module's docstring)."""

    config_class = MemoCmtConfig
    config: MemoCmtConfig
    published_unused = ("fusion_attention.", "fusion_linear.", "fusion_layer_norm.")

    def __init__(self, config: MemoCmtConfig) -> None:
        super().__init__(config)
        width = config.fusion_dim
        if config.audio_dim != config.text_dim:
            self.audio_projection = nn.Linear(config.audio_dim, config.text_dim)
        self.text_attention = MultiHeadAttention(config.text_dim, config.num_heads, dropout=config.dropout)
        self.text_linear = nn.Linear(config.text_dim, width)
        self.text_layer_norm = nn.LayerNorm(width)
        self.audio_attention = MultiHeadAttention(config.text_dim, config.num_heads, dropout=config.dropout)
        self.audio_linear = nn.Linear(config.text_dim, width)
        self.audio_layer_norm = nn.LayerNorm(width)
        self.dropout = nn.Dropout(config.dropout)
        self.linear = nn.Linear(width, config.hidden_dim)
        self.classifer = nn.Linear(config.hidden_dim, len(config.labels))
        self.post_init()

    def classify(self, text: MaskedStates, audio: MaskedStates, *, output_attentions: bool) -> Classified:
        """See :meth:`FusionModel.classify`.

        The attention weights are those of the text branch, (batch, heads, steps, tokens), and those of the audio
        branch, (batch, heads, tokens, steps).
        """
        if self.config.audio_dim != self.config.text_dim:
            audio = MaskedStates(self.audio_projection(audio.states), audio.mask)
        words, voice = text.never_empty(), audio.never_empty()

        read, text_weights = self.text_attention(voice.states, words.states, words.mask, need_weights=output_attentions)
        read = self.dropout(self.text_layer_norm(self.text_linear(read)))
        heard, audio_weights = self.audio_attention(
            words.states, voice.states, voice.mask, need_weights=output_attentions
        )
        heard = self.dropout(self.audio_layer_norm(self.audio_linear(heard)))

        # A branch in which nothing real answers does not count.
        features = self._pooled(
            MaskedStates(read, voice.mask & text.present[:, None]),
            MaskedStates(heard, words.mask & audio.present[:, None]),
        )
        hidden = F.leaky_relu(self.linear(self.dropout(features)))
        weights = (text_weights, audio_weights) if output_attentions else None
        return Classified(self.classifer(self.dropout(hidden)), weights, features)

    def audio_entrance(self) -> nn.Linear | None:
        """See :meth:`FusionModel.audio_entrance`."""
        return None if self.config.audio_dim == self.config.text_dim else self.audio_projection

    def _pooled(self, read: MaskedStates, heard: MaskedStates) -> Tensor:
        if self.config.pooling == "cls":
            firsts = torch.cat((read.first(), heard.first()), dim=1)
            both = MaskedStates(firsts, torch.stack((read.present, heard.present), dim=1))
        else:
            both = read.then(heard)
        both = MaskedStates(self.dropout(both.states), both.mask)
        if self.config.pooling == "max":
            return both.maximum()
        return both.minimum() if self.config.pooling == "min" else both.mean()
