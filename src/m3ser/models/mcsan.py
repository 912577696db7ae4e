"""MCSAN: cross-attention between the modalities and self-attention within each, side by side.

Tier: near (layer sizes are known from the paper, the code is not public).

Source: Sun, Liu, Tao, Lian, "Multimodal Cross- and Self-Attention Network for Speech Emotion Recognition" (ICASSP
2021).

The graph, with the paper's sizes (40 MFCC features, word vectors of 300, 8 heads, 4 labels)::

    audio (N, 40) -> 2 x [Conv1d of width 3 -> ReLU -> max-pool of 3] (N / 9, 128)
          -> BiLSTM(2 x 128), the mean of both directions = heard (N / 9, 128)
    text  (L, 300) -> BiLSTM(2 x 128), the mean of both directions = read (L, 128)
    cross-attention   heard asks read, and read asks heard        both at once
    self-attention    heard asks heard, and read asks read        beside it
    each: LayerNorm(x + attention), LayerNorm(x + feed-forward)
    global max-pool of the four, side by side (512) -> Dropout -> Linear(512, 4)

At most 1000 audio steps are read, the first ones. 1,564,420 parameters at these sizes.

**Ours**, because the paper's layers leave it open: the convolutions' channels (128, as wide as what follows), ReLU
behind them, the feed-forward layers' width (512), and the dropout's rate and places. A max-pool takes what there is: a
last one or two steps are a group of their own, so that the shortest recording still has a state.

**What is missing.** A modality that is not there answers with zeros, and asks nothing: its two quarters of the pooled
vector are zeros.

Training as published: cross-entropy, Adam 1e-3, batch 256, at most 30 epochs; MFCC standardised per utterance.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812

from m3ser.models.base import Classified, FusionModel
from m3ser.models.config import FusionConfig, check_heads, dropout_rate, positive_integer
from m3ser.models.masked import MaskedStates
from m3ser.models.recurrent import BothWays
from m3ser.models.transformer import AttentionBlock

__all__ = ["Mcsan", "McsanConfig"]

POOLED_STEPS = 3


class McsanConfig(FusionConfig):
    """Configuration of MCSAN.

    Args:
        fusion_dim: width of everything between the recurrent layers and the last one.
        num_heads: heads of all attentions; divides `fusion_dim`.
        inner_dim: width of the feed-forward layers.
        dropout: rate of all dropouts.
        max_steps: audio steps that are read; what comes later is cut off.
        kwargs: see :class:`FusionConfig`.

    Raises:
        UsageError: see :class:`FusionConfig`; or the heads do not divide the width.
    """

    model_type = "m3ser-mcsan"
    systems = ("mcsan",)

    def __init__(
        self,
        *,
        fusion_dim: int = 128,
        num_heads: int = 8,
        inner_dim: int = 512,
        dropout: float = 0.1,
        max_steps: int = 1000,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.fusion_dim = positive_integer("fusion_dim", fusion_dim)
        self.num_heads = positive_integer("num_heads", num_heads)
        self.inner_dim = positive_integer("inner_dim", inner_dim)
        self.dropout = dropout_rate(dropout)
        self.max_steps = positive_integer("max_steps", max_steps)
        check_heads(num_heads, fusion_dim=fusion_dim)


class Mcsan(FusionModel):
    """MCSAN (see the module's docstring)."""

    config_class = McsanConfig
    config: McsanConfig

    def __init__(self, config: McsanConfig) -> None:
        super().__init__(config)
        width = config.fusion_dim
        self.convolutions = nn.ModuleList(
            nn.Conv1d(channels, width, 3, padding=1) for channels in (config.audio_dim, width)
        )
        self.audio_recurrence = BothWays("lstm", width, width)
        self.text_recurrence = BothWays("lstm", config.text_dim, width)
        self.audio_cross, self.text_cross, self.audio_self, self.text_self = (
            AttentionBlock(width, config.num_heads, inner_dim=config.inner_dim, dropout=config.dropout)
            for _ in range(4)
        )
        self.dropout = nn.Dropout(config.dropout)
        self.classifier = nn.Linear(4 * width, len(config.labels))
        self.post_init()

    def classify(self, text: MaskedStates, audio: MaskedStates, *, output_attentions: bool) -> Classified:
        """See :meth:`FusionModel.classify`.

        The attention weights are those of audio asking text, text asking audio, audio asking audio and text asking
        text; the audio's steps are the pooled ones, and real states stand first.
        """
        frames = audio.at_most(self.config.max_steps)
        for convolution in self.convolutions:
            convolved = convolution(frames.states.transpose(1, 2)).transpose(1, 2)
            frames = _max_pooled(MaskedStates(F.relu(convolved), frames.mask))
        heard = _mean_of_both(self.audio_recurrence, frames)
        read = _mean_of_both(self.text_recurrence, text.packed())
        found = [
            block(asking, answering, need_weights=output_attentions)
            for block, asking, answering in (
                (self.audio_cross, heard, read),
                (self.text_cross, read, heard),
                (self.audio_self, heard, heard),
                (self.text_self, read, read),
            )
        ]
        features = torch.cat([states.maximum() for states, _ in found], dim=1)
        weights = tuple(weights for _, weights in found) if output_attentions else None
        return Classified(self.classifier(self.dropout(features)), weights, features)


def _mean_of_both(recurrence: BothWays, states: MaskedStates) -> MaskedStates:
    onward, back = recurrence(states)
    return MaskedStates((onward + back) / 2, states.mask)


def _max_pooled(states: MaskedStates) -> MaskedStates:
    """The greatest of every three packed steps; what is left over at the end is a group of its own."""
    lowest = torch.finfo(states.states.dtype).min
    real = states.states.masked_fill(~states.mask[..., None], lowest)
    # Enough for every step to have a group. Always two groups at least, if only of padding: what is 1 in the exporter's
    # example it takes to be 1 for ever.
    more = 2 * POOLED_STEPS - 1
    groups = (states.mask.shape[1] + more) // POOLED_STEPS
    pooled = _grouped(F.pad(real, (0, 0, 0, more), value=lowest), groups).amax(dim=2)
    return MaskedStates(pooled, _grouped(F.pad(states.mask, (0, more))[..., None], groups).any(dim=2)[..., 0]).zeroed()


def _grouped(states: Tensor, groups: int) -> Tensor:
    """(batch, length, dim) -> (batch, groups, steps, dim); what goes beyond is left out."""
    return torch.unflatten(states[:, : groups * POOLED_STEPS], 1, (groups, POOLED_STEPS))
