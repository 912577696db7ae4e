"""SERVER, the model that 3M-SER grew out of: pooled text and summed audio, side by side.

Tier: faithful (the code was read).

Source: the SERVER paper and its published notebooks; the same graph stands in the published 3M-SER code of 2024.

The graph, with the paper's sizes (BERT's pooler output 768, VGGish 128, 4 labels)::

    text  position 0 (768) -> Linear(768, 128) -> (128)
    audio (N, 128) -> sum over the N examples --> (128)
    side by side (256) -> Dropout(0.5) -> Linear(256, 64) -> Linear(64, 4)       no activation in between

The text states should be the encoder's pooled state, one step per utterance; of a longer sequence the first is read.
115,140 parameters.

Wrong in the published code, and not repeated: nothing masks padding (here only real examples are summed); the widths
are fixed numbers. A missing modality, which the publication does not know, is zeros in its half.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

from m3ser.models.base import Classified, FusionModel
from m3ser.models.config import FusionConfig, dropout_rate, positive_integer
from m3ser.models.masked import MaskedStates

__all__ = ["Server", "ServerConfig"]


class ServerConfig(FusionConfig):
    """Configuration of SERVER.

    Args:
        dropout: rate of its one dropout.
        hidden_dim: width of the layer before the last.
        fusion_dim: width of each half; None, as published: that of the audio states. Where it is another, a linear
            layer (`audio_linear`) brings the audio states to it before they are summed.
        kwargs: see :class:`FusionConfig`.

    Raises:
        UsageError: see :class:`FusionConfig`.
    """

    model_type = "m3ser-server"
    systems = ("server",)

    def __init__(
        self, *, dropout: float = 0.5, hidden_dim: int = 64, fusion_dim: int | None = None, **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        self.dropout = dropout_rate(dropout)
        self.hidden_dim = positive_integer("hidden_dim", hidden_dim)
        self.fusion_dim = self.audio_dim if fusion_dim is None else positive_integer("fusion_dim", fusion_dim)


class Server(FusionModel):
    """SERVER (see the module's docstring)."""

    config_class = ServerConfig
    config: ServerConfig

    def __init__(self, config: ServerConfig) -> None:
        super().__init__(config)
        width = config.fusion_dim
        self.linear1 = nn.Linear(config.text_dim, width)
        if width != config.audio_dim:
            self.audio_linear = nn.Linear(config.audio_dim, width)
        self.dropout = nn.Dropout(config.dropout)
        self.linear2 = nn.Linear(2 * width, config.hidden_dim)
        self.classifer = nn.Linear(config.hidden_dim, len(config.labels))
        self.post_init()

    def classify(
        self,
        text: MaskedStates,
        audio: MaskedStates,
        *,
        output_attentions: bool,  # noqa: ARG002
    ) -> Classified:
        """See :meth:`FusionModel.classify`; there is no attention here."""
        words = self.linear1(text.first()[:, 0]).masked_fill(~text.present[:, None], 0.0)
        if self.config.fusion_dim != self.config.audio_dim:
            audio = MaskedStates(self.audio_linear(audio.states), audio.mask)
        side_by_side = torch.cat((words, audio.total()), dim=1)
        return Classified(self.classifer(self.linear2(self.dropout(side_by_side))), features=side_by_side)

    def audio_entrance(self) -> nn.Linear | None:
        """See :meth:`FusionModel.audio_entrance`."""
        return None if self.config.fusion_dim == self.config.audio_dim else self.audio_linear
