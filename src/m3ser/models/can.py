"""CAN, the cross attention network: each modality's attention weights are applied to the other one, too.

Tier: reconstruction (the idea is public; neither the code nor, here, the sizes).

Source: Lee, Yoon, Jung, "Multimodal Speech Emotion Recognition using Cross Attention with Aligned Audio and Text"
(Interspeech 2020).

The graph, with word vectors of 300, 39 MFCC features and 4 labels, for L tokens and N audio steps::

    text  (L, 300) -> 32 equal segments (32, 300) -> BiLSTM(2 x 128) = read  (32, 256) -> attention weights (32)
    audio (N, 39)  -> 32 equal segments (32, 39)  -> BiLSTM(2 x 128) = heard (32, 256) -> attention weights (32)
    read by the text's weights, heard by the text's, heard by the audio's, read by the audio's (4 x 256)
    -> Dropout(0.5) -> Linear(1024, 4)

A state's weight is the softmax over time of v' tanh(W x + b). 749,572 parameters at these sizes.

**Alignment.** The original cuts both signals at the same points in time. Tokens come here without times, so both
sequences are taken to fill the same span evenly, and each is cut into the same number of equal segments: what lies in a
segment is averaged, each state as far as it lies there.

**Ours**, because nothing else is known: the number of segments, all widths, the dropout, and the form of the attention.

**What is missing.** Without a modality there is nothing that its weights could be computed from or applied to: of the
four vectors, only that of the other modality by its own weights is left, the other three are zeros.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from m3ser.models.alignment import EqualShares
from m3ser.models.base import Classified, FusionModel
from m3ser.models.config import FusionConfig, dropout_rate, positive_integer
from m3ser.models.masked import MaskedStates
from m3ser.models.pooling import GlobalAttention, gathered
from m3ser.models.recurrent import BothWays

__all__ = ["Can", "CanConfig"]


class CanConfig(FusionConfig):
    """Configuration of CAN.

    Args:
        segments: how many aligned segments both modalities are cut into.
        hidden_dim: features of the LSTMs' states, in each direction.
        dropout: rate of its one dropout.
        kwargs: see :class:`FusionConfig`.

    Raises:
        UsageError: see :class:`FusionConfig`.
    """

    model_type = "m3ser-can"
    systems = ("can",)

    def __init__(self, *, segments: int = 32, hidden_dim: int = 128, dropout: float = 0.5, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.segments = positive_integer("segments", segments)
        self.hidden_dim = positive_integer("hidden_dim", hidden_dim)
        self.dropout = dropout_rate(dropout)


class Can(FusionModel):
    """CAN (see the module's docstring)."""

    config_class = CanConfig
    config: CanConfig

    def __init__(self, config: CanConfig) -> None:
        super().__init__(config)
        self.cut = EqualShares(config.segments)
        self.text_recurrence = BothWays("lstm", config.text_dim, config.hidden_dim)
        self.audio_recurrence = BothWays("lstm", config.audio_dim, config.hidden_dim)
        self.text_attention = GlobalAttention(2 * config.hidden_dim)
        self.audio_attention = GlobalAttention(2 * config.hidden_dim)
        self.dropout = nn.Dropout(config.dropout)
        self.classifier = nn.Linear(8 * config.hidden_dim, len(config.labels))
        self.post_init()

    def classify(self, text: MaskedStates, audio: MaskedStates, *, output_attentions: bool) -> Classified:
        """See :meth:`FusionModel.classify`.

        The attention weights are those of the text and those of the audio, each (batch, 1, 1, segments).
        """
        read = self._recurrent(self.text_recurrence, self._segments(text))
        heard = self._recurrent(self.audio_recurrence, self._segments(audio))
        by_text, by_audio = self.text_attention(read), self.audio_attention(heard)
        features = torch.cat(
            [gathered(weights, one.states) for weights in (by_text, by_audio) for one in (read, heard)], dim=1
        )
        weights = (by_text[:, None, None], by_audio[:, None, None]) if output_attentions else None
        return Classified(self.classifier(self.dropout(features)), weights, features)

    def _segments(self, states: MaskedStates) -> MaskedStates:
        """(batch, segments, dim); all of them real, or in a row without any state none."""
        whole = torch.ones_like(states.present)[:, None]
        segments: Tensor = self.cut(states.states, states.mask, whole)[:, 0]
        return MaskedStates(segments, states.present[:, None].expand(segments.shape[:2]))

    def _recurrent(self, recurrence: BothWays, states: MaskedStates) -> MaskedStates:
        return MaskedStates(torch.cat(recurrence(states), dim=-1), states.mask)
