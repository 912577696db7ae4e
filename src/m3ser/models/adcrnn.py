"""ADCRNN: dilated convolutions, a dilated recurrence and attention over the voice alone.

Tier: reconstruction (the idea is public; neither the code nor, here, the sizes).

Source: Pham, Dang, Nguyen, Nguyen, Nguyen, Manavalan, Lim, Nguyen, "Hybrid data augmentation and deep attention-based
dilated convolutional-recurrent neural networks for speech emotion recognition" (Expert Systems with Applications
2023).
The dilated recurrence is that of Chang et al., "Dilated Recurrent Neural Networks" (NeurIPS 2017).

The graph, for N frames of a log-mel spectrogram of 64 bands and 4 labels::

    frames, their deltas and the deltas of these (N, 192)
    -> 3 x [Conv1d of width 3 -> ReLU], dilated by 1, 2 and 4 (N, 128) -> Dropout(0.3)
    -> 3 x LSTM(128), dilated by 1, 2 and 4 (N, 128)
    -> attention over time (128) -> Linear(128, 64) -> ReLU -> Dropout(0.3) -> Linear(64, 4)

A state's weight is the softmax over time of v' tanh(W x + b). 593,860 parameters at these sizes.

The deltas are computed here, as half the difference between the frame after and the frame before, the outermost frames
repeated. It is meant for frames (many audio states a second); states of an encoder are taken as they come.

**Ours**, because nothing else is known: all widths, numbers of layers, dilations, rates, and the form of the attention.
Convolutions run along time, with bands and deltas as their channels, so that any audio states fit.

What is given of the text is not looked at. Training as published: cross-entropy and centre loss together, the centres
those of the 64 features before the last layer.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812

from m3ser.errors import UsageError
from m3ser.models.base import Classified, FusionModel
from m3ser.models.config import FusionConfig, dropout_rate, positive_integer, positive_integers
from m3ser.models.masked import MaskedStates
from m3ser.models.pooling import GlobalAttention, gathered
from m3ser.models.recurrent import Dilated

__all__ = ["Adcrnn", "AdcrnnConfig"]


class AdcrnnConfig(FusionConfig):
    """Configuration of ADCRNN.

    Args:
        fusion_dim: width of the convolutions and of the LSTMs' states.
        dilations: one layer of each kind for each.
        hidden_dim: width of the layer before the last.
        dropout: rate of both dropouts.
        kwargs: see :class:`FusionConfig`.

    Raises:
        UsageError: see :class:`FusionConfig`.
    """

    model_type = "m3ser-adcrnn"
    systems = ("adcrnn",)

    def __init__(
        self,
        *,
        fusion_dim: int = 128,
        dilations: tuple[int, ...] | list[int] = (1, 2, 4),
        hidden_dim: int = 64,
        dropout: float = 0.3,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.fusion_dim = positive_integer("fusion_dim", fusion_dim)
        self.dilations = positive_integers("dilations", dilations)
        if not self.dilations:
            raise UsageError("dilations is empty; at least one layer was expected.")
        self.hidden_dim = positive_integer("hidden_dim", hidden_dim)
        self.dropout = dropout_rate(dropout)


class Adcrnn(FusionModel):
    """ADCRNN (see the module's docstring)."""

    config_class = AdcrnnConfig
    config: AdcrnnConfig
    modalities = ("audio",)

    def __init__(self, config: AdcrnnConfig) -> None:
        super().__init__(config)
        width = config.fusion_dim
        inputs = (3 * config.audio_dim, *[width] * (len(config.dilations) - 1))
        self.convolutions = nn.ModuleList(
            nn.Conv1d(channels, width, 3, padding=dilation, dilation=dilation)
            for channels, dilation in zip(inputs, config.dilations, strict=True)
        )
        self.recurrences = nn.ModuleList(
            Dilated("lstm", width, width, dilation=dilation) for dilation in config.dilations
        )
        self.attention = GlobalAttention(width)
        self.linear = nn.Linear(width, config.hidden_dim)
        self.dropout = nn.Dropout(config.dropout)
        self.classifier = nn.Linear(config.hidden_dim, len(config.labels))
        self.post_init()

    def classify(
        self,
        text: MaskedStates,  # noqa: ARG002
        audio: MaskedStates,
        *,
        output_attentions: bool,
    ) -> Classified:
        """See :meth:`FusionModel.classify`; the attention weights are (batch, 1, 1, steps), the real ones first."""
        frames = audio.packed()
        deltas = _deltas(frames)
        three = torch.cat((frames.states, deltas.states, _deltas(deltas).states), dim=-1)
        states = MaskedStates(three, frames.mask)
        for convolution in self.convolutions:
            # An utterance alone ends in zeros for every convolution, not in what those before made of them.
            convolved = convolution(states.zeroed().states.transpose(1, 2)).transpose(1, 2)
            states = MaskedStates(F.relu(convolved), states.mask)
        states = MaskedStates(self.dropout(states.states), states.mask).zeroed()
        for recurrence in self.recurrences:
            states = recurrence(states)
        weights = self.attention(states)
        features = F.relu(self.linear(gathered(weights, states.states)))
        attentions = (weights[:, None, None],) if output_attentions else None
        return Classified(self.classifier(self.dropout(features)), attentions, features)


def _deltas(frames: MaskedStates) -> MaskedStates:
    """Half the difference between the next and the previous of packed states; zeros in the padding."""
    place = torch.arange(frames.mask.shape[1], device=frames.mask.device)[None, :]
    last = frames.mask.sum(dim=1, keepdim=True).clamp(min=1) - 1
    after, before = torch.minimum(place + 1, last), (place - 1).clamp(min=0).expand(last.shape[0], -1)
    difference = (_at(frames.states, after) - _at(frames.states, before)) / 2
    return MaskedStates(difference, frames.mask).zeroed()


def _at(states: Tensor, index: Tensor) -> Tensor:
    return states.gather(1, index[..., None].expand_as(states))
