"""3M-SER: `3m-ser`, `3m-ser-ln` and `3m-ser-minmax`.

Tier: faithful (the code was read).

Source: "Multi-modal Speech Emotion Recognition: Improving Accuracy Through Fusion of VGGish and BERT Features with
Multi-head Attention" (INISCOM 2023) and its published code of 2023 and 2024, classes `MMSERA`, `MMSERALayerNorm` and
`MMSERAMinMax`.

The graph, with the paper's sizes (BERT 768, VGGish 128, 8 heads, 4 labels), for L tokens and N audio steps::

    text  (L, 768) -> self-attention -> Linear(768, 128) -> LayerNorm ------> (L, 128)
    audio (N, 128) -> as it is | LayerNorm | min-max over its whole block --> (N, 128)
    one after the other (L + N, 128) -> self-attention -> Linear(128, 128) -> LayerNorm
    -> position 0 -> Dropout -> Linear(128, 64) -> LeakyReLU(0.01) -> Linear(64, 4)

No residual connections, no positions, no modality embeddings. Dropout 0.5 on the weights of both attentions and before
the head. 2,552,388 parameters, 2,552,644 with the LayerNorm on audio.

Wrong in the published code, and not repeated:

- Its first version left out `batch_first`: each position attended only to itself, audio had no path to the output, and
  the layer normalisations were missing. Those weights belong to another graph and are refused.
- One version has the names of the layer-norm and the min-max class exchanged.
- Nothing masks padding, so it is right for batches of one utterance only. Here a padded batch gives what each utterance
  gives alone, "position 0" is the first *real* position, and min and max are those of the real entries.
- Min-max divides by zero where all entries are equal (NaN); here they become zeros.
- All L + N queries of the second attention are computed and all but one thrown away; here only that one is.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812

from m3ser.models.attention import MultiHeadAttention
from m3ser.models.base import Classified, FusionModel
from m3ser.models.config import FusionConfig, check_heads, dropout_rate, positive_integer
from m3ser.models.masked import MaskedStates

__all__ = ["FamilyConfig", "Normaliser", "Pooling", "Shape", "ThreeMSer", "ThreeMSerConfig"]

Normaliser = Literal["none", "layer", "min-max"]
Pooling = Literal["cls", "mean", "max"]


@dataclass(frozen=True)
class Shape:
    """What the graphs of this family differ in.

    Attributes:
        normaliser: what happens to the audio states: nothing, LayerNorm, or min-max over an utterance's whole block.
        pooling: what of the fused sequence goes on: its first real position, or the mean or maximum of them all.
        hidden_dims: widths of the layers between the fused vector and the last layer.
    """

    normaliser: Normaliser
    pooling: Pooling
    hidden_dims: tuple[int, ...]


class FamilyConfig(FusionConfig):
    """What 3M-SER and its successors have in common.

    Args:
        num_heads: heads of both attentions; divides `text_dim` and the fusion width.
        dropout: rate of all three dropouts.
        fusion_dim: width of the fusion; None, as published: that of the audio states. Where it is another, a linear
            layer (`audio_linear`) brings the audio states to it first.
        kwargs: see :class:`FusionConfig`.

    Raises:
        UsageError: see :class:`FusionConfig`; or the heads do not divide a width.
    """

    def __init__(
        self, *, num_heads: int = 8, dropout: float = 0.5, fusion_dim: int | None = None, **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        self.num_heads = positive_integer("num_heads", num_heads)
        self.dropout = dropout_rate(dropout)
        self.fusion_dim = self.audio_dim if fusion_dim is None else positive_integer("fusion_dim", fusion_dim)
        check_heads(num_heads, text_dim=self.text_dim, fusion_dim=self.fusion_dim)

    @abstractmethod
    def shape(self) -> Shape:
        """Which graph it is."""
        raise NotImplementedError


class ThreeMSerConfig(FamilyConfig):
    """Configuration of the three variants.

    Args:
        num_heads: see :class:`FamilyConfig`.
        dropout: see there.
        hidden_dim: width of the layer before the last.
        fusion_dim: see :class:`FamilyConfig`.
        kwargs: see :class:`FusionConfig`.

    Raises:
        UsageError: see :class:`FamilyConfig`.
    """

    model_type = "m3ser-3m-ser"
    systems = ("3m-ser", "3m-ser-ln", "3m-ser-minmax")

    def __init__(
        self,
        *,
        num_heads: int = 8,
        dropout: float = 0.5,
        hidden_dim: int = 64,
        fusion_dim: int | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(num_heads=num_heads, dropout=dropout, fusion_dim=fusion_dim, **kwargs)
        self.hidden_dim = positive_integer("hidden_dim", hidden_dim)

    def shape(self) -> Shape:
        """See :meth:`FamilyConfig.shape`."""
        normalisers: dict[str, Normaliser] = {"3m-ser-ln": "layer", "3m-ser-minmax": "min-max"}
        return Shape(normalisers.get(self.system, "none"), "cls", (self.hidden_dim,))


class ThreeMSer(FusionModel):
    """3M-SER and what grew out of it; `config.shape()` says which variant (see the module's docstring)."""

    config_class: type[FamilyConfig] = ThreeMSerConfig
    config: FamilyConfig

    def __init__(self, config: FamilyConfig) -> None:
        super().__init__(config)
        self.shape = config.shape()
        width = config.fusion_dim
        self.text_attention = MultiHeadAttention(config.text_dim, config.num_heads, dropout=config.dropout)
        self.text_linear = nn.Linear(config.text_dim, width)
        self.text_layer_norm = nn.LayerNorm(width)
        if width != config.audio_dim:
            self.audio_linear = nn.Linear(config.audio_dim, width)
        if self.shape.normaliser == "layer":
            self.vggish_layer_norm = nn.LayerNorm(width)
        self.fusion_attention = MultiHeadAttention(width, config.num_heads, dropout=config.dropout)
        self.fusion_linear = nn.Linear(width, width)
        self.fusion_layer_norm = nn.LayerNorm(width)
        self.dropout = nn.Dropout(config.dropout)
        for place, hidden in enumerate(self.shape.hidden_dims):
            setattr(self, _hidden_name(place), nn.Linear(width, hidden))
            width = hidden
        self.classifer = nn.Linear(width, len(config.labels))
        self.post_init()

    def classify(self, text: MaskedStates, audio: MaskedStates, *, output_attentions: bool) -> Classified:
        """See :meth:`FusionModel.classify`.

        The attention weights are those of the text, (batch, heads, tokens, tokens), and those with which what is read
        out looks at tokens and audio steps: one position under the pooling "cls", (batch, heads, 1, tokens + steps),
        else all of them.
        """
        attended, text_weights = self.text_attention(
            text.states, text.states, text.mask, need_weights=output_attentions
        )
        words = MaskedStates(self.text_layer_norm(self.text_linear(attended)), text.mask)
        both = words.then(self._normalised(audio))

        # Under "cls" the other queries would be computed for nothing.
        queries = both.first() if self.shape.pooling == "cls" else both.states
        fused, fusion_weights = self.fusion_attention(queries, both.states, both.mask, need_weights=output_attentions)
        features = self._pooled(self.fusion_layer_norm(self.fusion_linear(fused)), both.mask)
        hidden = self.dropout(features)
        for place in range(len(self.shape.hidden_dims)):
            hidden = F.leaky_relu(getattr(self, _hidden_name(place))(hidden))
        weights = (text_weights, fusion_weights) if output_attentions else None
        return Classified(self.classifer(hidden), weights, features)

    def audio_entrance(self) -> nn.Linear | None:
        """See :meth:`FusionModel.audio_entrance`."""
        return None if self.config.fusion_dim == self.config.audio_dim else self.audio_linear

    def _pooled(self, fused: Tensor, mask: Tensor) -> Tensor:
        if self.shape.pooling == "cls":
            return fused[:, 0]
        sequence = MaskedStates(fused, mask)
        return sequence.mean() if self.shape.pooling == "mean" else sequence.maximum()

    def _normalised(self, audio: MaskedStates) -> MaskedStates:
        if self.config.fusion_dim != self.config.audio_dim:
            audio = MaskedStates(self.audio_linear(audio.states), audio.mask)
        if self.shape.normaliser == "layer":
            return MaskedStates(self.vggish_layer_norm(audio.states), audio.mask)
        return audio.min_max_scaled() if self.shape.normaliser == "min-max" else audio

    def published_hint(self, weights: Mapping[str, Tensor]) -> str:
        """Say so where these are the weights of another published version."""
        if "text_attention.in_proj_weight" in weights and not any("layer_norm" in name for name in weights):
            return (
                " (this is the earliest published 3M-SER, without layer normalisation and with attention over the batch"
                " axis, so that audio had no path to the output: m3ser does not have that graph)"
            )
        if self.shape.normaliser != "layer" and "vggish_layer_norm.weight" in weights:
            return " (vggish_layer_norm belongs to 3m-ser-ln, whatever the published class was called)"
        return ""


def _hidden_name(place: int) -> str:
    """What the published code calls the hidden layer at `place`, by its name of 2023 for the first."""
    return "linear" if place == 0 else f"linear_{place}"
