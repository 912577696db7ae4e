"""What the Trainer trains: the fusion part, the encoders in front of it that are not frozen, and a loss that learns."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor, nn

from m3ser.encoders import Encoder, LayerMix
from m3ser.models import FusionModel, FusionOutput
from m3ser.models.losses import Loss
from m3ser.training.adversary import Adversary
from m3ser.training.encoding import Encoders

__all__ = ["Learner", "trainee"]


class Learner(nn.Module):
    """A fusion model that reads frozen encoders' states, and features or token ids for encoders that learn with it.

    In place of features, what the frozen lower part of an encoder made of them, where it has one that is computed once.

    Args:
        fusion: the fusion model.
        encoders: those that are frozen stay outside: their states are computed once, before training. Of one whose
            layers are mixed the mix is inside.
        loss: what it is trained by. Inside, the optimiser, checkpoints and processes side by side take its weights
            along; None: the loss is computed outside.
        adversary: what is added to the loss inside, while it is trained.
        state_dropout: share of the audio states' features that are set to zero (to their mean, where the fusion part
            scales them) in an utterance while it is trained, the same for all of its steps, where the audio encoder, or
            a mix of its layers, is inside.
    """

    def __init__(
        self,
        fusion: FusionModel,
        encoders: Encoders,
        loss: Loss | None = None,
        *,
        adversary: Adversary | None = None,
        state_dropout: float = 0.0,
    ) -> None:
        super().__init__()
        self.fusion = fusion
        self.loss = loss
        self.adversary = adversary
        self.state_dropout = state_dropout
        self.audio_encoder = _learning(encoders.audio)
        self.text_encoder = _learning(encoders.text)

    def encoder_weights(self) -> Iterator[nn.Parameter]:
        """The weights of the encoders that learn; those of a mix of layers are none of them."""
        for encoder in (self.audio_encoder, self.text_encoder):
            if isinstance(encoder, Encoder):
                yield from (weight for name, weight in encoder.named_parameters() if not name.startswith("mix."))

    def forward(
        self,
        text: Tensor,
        text_mask: Tensor,
        audio: Tensor,
        audio_mask: Tensor,
        labels: Tensor | None = None,
        groups: Tensor | None = None,
    ) -> FusionOutput:
        """Classify a batch as :class:`~m3ser.training.examples.Collator` makes it.

        With `labels` the output has the loss, where there is one inside; `groups` are the adversary's labels.
        """
        words, words_mask = _encoded(self.text_encoder, text, text_mask)
        voice, voice_mask = _encoded(self.audio_encoder, audio, audio_mask)
        if voice is not None and self.audio_encoder is not None and self.training and self.state_dropout:
            voice = self._dropped(voice)
        adversary = None if groups is None else self.adversary
        asked = labels is not None and self.loss is not None and (self.loss.reads_features or adversary is not None)
        found: FusionOutput = self.fusion(words, words_mask, voice, voice_mask, output_features=asked)
        if labels is None or self.loss is None:
            return found
        # Cosines and distances lose their digits in half precision.
        with torch.autocast(labels.device.type, enabled=False):
            loss = self.loss(found.logits, labels, found.features)
            if adversary is not None and groups is not None:
                assert found.features is not None
                loss = loss + adversary(found.features.float(), groups)
            return FusionOutput(loss=loss, logits=found.logits)

    def _dropped(self, voice: Tensor) -> Tensor:
        """Features set to what is zero to the fusion part: their mean, where it scales them."""
        centre = self.fusion.audio_mean if self.fusion.config.audio_scaled else voice.new_zeros(voice.shape[-1])
        kept = nn.functional.dropout1d((voice - centre).transpose(1, 2), self.state_dropout)
        return kept.transpose(1, 2) + centre


def trainee(
    fusion: FusionModel, encoders: Encoders, loss: Loss, *, adversary: Adversary | None, state_dropout: float
) -> nn.Module:
    """What the Trainer is given: `fusion` itself where neither an encoder nor the loss learns with it."""
    inside = loss if loss.learns or adversary is not None else None
    if encoders.all_frozen and inside is None:
        return fusion
    return Learner(fusion, encoders, inside, adversary=adversary, state_dropout=state_dropout)


def _learning(encoder: Encoder | None) -> Encoder | LayerMix | None:
    """The part of an encoder that learns."""
    if encoder is None:
        return None
    return encoder.mix if encoder.frozen else encoder


def _encoded(encoder: Encoder | LayerMix | None, inputs: Tensor, mask: Tensor) -> tuple[Tensor | None, Tensor | None]:
    if encoder is None:
        return inputs, mask
    if not bool(torch.any(mask)):  # nobody in the batch has it
        return None, None
    if isinstance(encoder, LayerMix):
        return encoder(inputs), mask
    states, states_mask = encoder(inputs, mask) if encoder.prefix_dim is None else encoder.forward_from(inputs, mask)
    return states, states_mask
