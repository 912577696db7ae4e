"""What the Trainer trains: the fusion part, and in front of it the encoders that are not frozen."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from m3ser.encoders import Encoder
from m3ser.models import FusionModel, FusionOutput
from m3ser.training.encoding import Encoders

__all__ = ["Learner"]


class Learner(nn.Module):
    """A fusion model that reads frozen encoders' states, and features or token ids for encoders that learn with it.

    Args:
        fusion: the fusion model.
        encoders: those that are frozen stay outside: their states are computed once, before training.
    """

    def __init__(self, fusion: FusionModel, encoders: Encoders) -> None:
        super().__init__()
        self.fusion = fusion
        self.audio_encoder = None if encoders.audio is None or encoders.audio.frozen else encoders.audio
        self.text_encoder = None if encoders.text is None or encoders.text.frozen else encoders.text

    def forward(
        self, text: Tensor, text_mask: Tensor, audio: Tensor, audio_mask: Tensor, labels: Tensor | None = None
    ) -> FusionOutput:
        """Classify a batch as :class:`~m3ser.training.examples.Collator` makes it."""
        words, words_mask = _encoded(self.text_encoder, text, text_mask)
        voice, voice_mask = _encoded(self.audio_encoder, audio, audio_mask)
        found: FusionOutput = self.fusion(words, words_mask, voice, voice_mask, labels=labels)
        return found


def _encoded(encoder: Encoder | None, inputs: Tensor, mask: Tensor) -> tuple[Tensor | None, Tensor | None]:
    if encoder is None:
        return inputs, mask
    if not bool(torch.any(mask)):  # nobody in the batch has it
        return None, None
    states, states_mask = encoder(inputs, mask)
    return states, states_mask
