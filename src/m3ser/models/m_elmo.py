"""M-ELMo's gate: how a word was said decides what of its embedding passes.

Tier: reconstruction (the idea and some sizes are public; no code, and no weights).

Source: Tseng, Narayanan, Georgiou, "Multimodal Embeddings From Language Models for Emotion Recognition in the Wild"
(IEEE Signal Processing Letters 28, 2021). There the gate sits on the word embeddings below a bidirectional language
model, and both are pre-trained on a billion words. That is out of reach, so here the gate sits on the states of a
frozen contextual encoder.

The graph, with BERT's 768, VGGish's 128 and 4 labels, for L tokens and N audio steps::

    audio (N, 128) -> each token's share, resampled to 8 steps (L, 8, 128)
    -> 3 x [Conv1d of width 3, max-pool of 3 (stride 1), ReLU], 32, 32 and 16 channels (L, 8, 16)
    -> Linear(128, 768) -> sigmoid = gate (L, 768)
    text (L, 768) x gate = gated (L, 768)
    softmax(2 weights) over [mean over time of text, mean over time of gated] x scale -> (768)
    -> Linear(768, 1000) -> ReLU -> Dropout(0.4) -> Linear(1000, 500) -> ReLU -> Dropout(0.4) -> Linear(500, 4)

1,387,555 parameters. The original's gate is 512 wide, as its word embeddings are; a gate is as wide as what it gates.

**Alignment.** The original knows which frames belong to which word. Here each of an utterance's real tokens, special
ones included, gets an equal share of the duration, in order: with L tokens and N steps, token i gets [i N / L,
(i + 1) N / L), and a step that lies in two shares counts in each as far as it lies there. Where as many steps as tokens
are given, aligned beforehand, each token gets its own.

**What is missing.** Without audio every gate is open (1), and the text passes as it is. Without text there is one token
of ones, whose share is the whole recording: what passes is the gate itself.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from m3ser.models.alignment import EqualShares
from m3ser.models.base import Classified, FusionModel
from m3ser.models.config import FusionConfig, dropout_rate, positive_integer, positive_integers
from m3ser.models.masked import MaskedStates

__all__ = ["MElmo", "MElmoConfig"]

CHANNELS = (32, 32, 16)


class MElmoConfig(FusionConfig):
    """Configuration of M-ELMo's gate.

    Args:
        steps_per_token: audio steps that a token's share is resampled to, before the convolutions.
        hidden_dims: widths of the hidden layers of the head.
        dropout: rate of the dropout behind each of them.
        kwargs: see :class:`FusionConfig`.

    Raises:
        UsageError: see :class:`FusionConfig`.
    """

    model_type = "m3ser-m-elmo"
    systems = ("m-elmo",)

    def __init__(
        self,
        *,
        steps_per_token: int = 8,
        hidden_dims: tuple[int, ...] | list[int] = (1000, 500),
        dropout: float = 0.4,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.steps_per_token = positive_integer("steps_per_token", steps_per_token)
        self.hidden_dims = positive_integers("hidden_dims", hidden_dims)
        self.dropout = dropout_rate(dropout)


class MElmo(FusionModel):
    """M-ELMo's gate on contextual states (see the module's docstring)."""

    config_class = MElmoConfig
    config: MElmoConfig

    def __init__(self, config: MElmoConfig) -> None:
        super().__init__(config)
        self.shares = EqualShares(config.steps_per_token)
        layers: list[nn.Module] = []
        width = config.audio_dim
        for channels in CHANNELS:
            layers += [nn.Conv1d(width, channels, 3, padding=1), nn.MaxPool1d(3, stride=1, padding=1), nn.ReLU()]
            width = channels
        self.acoustic = nn.Sequential(*layers)
        self.gate = nn.Linear(width * config.steps_per_token, config.text_dim)
        self.mix = nn.Parameter(torch.zeros(2))
        self.scale = nn.Parameter(torch.ones(()))
        head: list[nn.Module] = []
        width = config.text_dim
        for hidden in config.hidden_dims:
            head += [nn.Linear(width, hidden), nn.ReLU(), nn.Dropout(config.dropout)]
            width = hidden
        self.head = nn.Sequential(*head)
        self.classifier = nn.Linear(width, len(config.labels))
        self.post_init()

    def classify(
        self,
        text: MaskedStates,
        audio: MaskedStates,
        *,
        output_attentions: bool,  # noqa: ARG002
    ) -> Classified:
        """See :meth:`FusionModel.classify`; there is no attention here."""
        words = text.never_empty()
        gate = self._gate(audio, words.mask)
        # Without text: ones, so that what passes the gate is the gate.
        embedded = words.states.masked_fill(~text.present[:, None, None], 1.0)
        gated = MaskedStates(embedded * gate, words.mask)
        streams = torch.stack((text.mean(), gated.mean()), dim=-1)  # (batch, text_dim, 2)
        features = (streams * self.mix.softmax(dim=0)).sum(dim=-1) * self.scale
        return Classified(self.classifier(self.head(features)), features=features)

    def _gate(self, audio: MaskedStates, text_mask: Tensor) -> Tensor:
        """(batch, tokens, text_dim), from 0 (shut) to 1 (open)."""
        shares: Tensor = self.shares(audio.states, audio.mask, text_mask)
        heard = self.acoustic(shares.flatten(0, 1).transpose(1, 2)).flatten(1)
        gate: Tensor = torch.sigmoid(self.gate(heard)).unflatten(0, shares.shape[:2])
        return gate.masked_fill(~audio.present[:, None, None], 1.0)
