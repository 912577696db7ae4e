"""MDRE and its relatives: `mdre`, `mdrea`, and the encoders alone, `are` and `tre`.

Tier: faithful (the code was read).

Source: Yoon, Byun, Jung, "Multimodal Speech Emotion Recognition Using Audio and Text" (SLT 2018) and its published
code, classes `SingleEncoderModelMulti`, `SingleEncoderModelMultiAttn`, `SingleEncoderModelAudio` and
`SingleEncoderModelText`.

The graphs, with the paper's sizes (39 MFCC features, 35 prosody functionals, word vectors of 300, 4 labels)::

    audio (N, 39) -> GRU(200) -> last state, with the functionals (235) = heard       text (L, 300) -> GRU(200) = read
    are:    heard -> Linear(235, 4)
    tre:    last of read (200) -> Linear(200, 4)
    mdre:   Linear(235, 117) of heard, Linear(200, 100) of the last of read, side by side (217) -> Linear(217, 4)
    mdrea:  Linear(235, 200) of heard = question; softmax over time of question . read -> weighted sum of read (200),
            the question behind it (400) -> Linear(400, 4)

Dropout before each GRU, 0.3 for audio and 0.7 for text, and behind MDREA's GRU of the text, whose outputs are read. At
most 750 audio steps and 128 tokens are read, the first ones. The GRUs' kernels are orthogonal, the other weights
uniform in +-0.25; biases are 1 at the GRUs' gates and 0 elsewhere. 145,544 parameters (`are`), 302,004 (`tre`), 494,384
(`mdre`) and 494,604 (`mdrea`).

**Functionals.** They describe a whole utterance, and are expected as the last `functionals_dim` features of every audio
state, the same in all of them; the GRU reads the features before. What they are is up to the audio encoder. By default
there are none (`functionals_dim` 0), because most encoders give none: the layers that read them are then as much
narrower. The published size is 35.

**What is missing.** A missing modality is zeros in its half. MDREA without audio asks a question of zeros, and so reads
the mean of its text; without text it has the question alone.

Training as published: sigmoid cross-entropy against one-hot targets, Adam 1e-3, gradient values clipped at 10, batch
128.

Wrong in the published code, and not repeated:

- Every linear layer has a single bias, the same for all its outputs. Here each output has its own.
- MDREA's attention drops the batch axis where the batch is one utterance.

One thing is not as published: TensorFlow's GRU applies the reset gate before the candidate's matrix product, torch's
(and cuDNN's) behind it, and has a second bias there.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from m3ser.errors import UsageError
from m3ser.models.base import Classified, FusionModel
from m3ser.models.config import FusionConfig, dropout_rate, positive_integer
from m3ser.models.masked import MaskedStates
from m3ser.models.pooling import gathered, masked_softmax
from m3ser.models.recurrent import Recurrence

__all__ = ["Are", "AreConfig", "Mdre", "MdreConfig", "Mdrea", "Tre", "TreConfig"]


class AreConfig(FusionConfig):
    """Configuration of `are`.

    Args:
        hidden_dim: features of the GRU's states.
        dropout: rate of the dropout before the GRU.
        functionals_dim: how many of the last features of the audio states describe the whole utterance.
        max_steps: audio steps that are read; what comes later is cut off.
        kwargs: see :class:`FusionConfig`.

    Raises:
        UsageError: see :class:`FusionConfig`; or the functionals leave the GRU nothing to read.
    """

    model_type = "m3ser-are"
    systems = ("are",)

    def __init__(
        self,
        *,
        hidden_dim: int = 200,
        dropout: float = 0.3,
        functionals_dim: int = 0,
        max_steps: int = 750,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.hidden_dim = positive_integer("hidden_dim", hidden_dim)
        self.dropout = dropout_rate(dropout)
        self.functionals_dim = _functionals(functionals_dim, self.audio_dim)
        self.max_steps = positive_integer("max_steps", max_steps)


class TreConfig(FusionConfig):
    """Configuration of `tre`.

    Args:
        hidden_dim: features of the GRU's states.
        dropout: rate of the dropout before the GRU.
        max_tokens: tokens that are read; what comes later is cut off.
        kwargs: see :class:`FusionConfig`.

    Raises:
        UsageError: see :class:`FusionConfig`.
    """

    model_type = "m3ser-tre"
    systems = ("tre",)

    def __init__(self, *, hidden_dim: int = 200, dropout: float = 0.7, max_tokens: int = 128, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.hidden_dim = positive_integer("hidden_dim", hidden_dim)
        self.dropout = dropout_rate(dropout)
        self.max_tokens = positive_integer("max_tokens", max_tokens)


class MdreConfig(FusionConfig):
    """Configuration of `mdre` and `mdrea`.

    Args:
        hidden_dim: features of both GRUs' states; at least 2.
        audio_dropout: rate of the dropout before the audio's GRU.
        text_dropout: rate of that before the text's GRU, and in `mdrea` behind it.
        functionals_dim: how many of the last features of the audio states describe the whole utterance.
        max_steps: audio steps that are read; what comes later is cut off.
        max_tokens: tokens that are read; what comes later is cut off.
        kwargs: see :class:`FusionConfig`.

    Raises:
        UsageError: see :class:`FusionConfig`; or the functionals leave the GRU nothing to read.
    """

    model_type = "m3ser-mdre"
    systems = ("mdre", "mdrea")

    def __init__(
        self,
        *,
        hidden_dim: int = 200,
        audio_dropout: float = 0.3,
        text_dropout: float = 0.7,
        functionals_dim: int = 0,
        max_steps: int = 750,
        max_tokens: int = 128,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        if positive_integer("hidden_dim", hidden_dim) < 2:
            raise UsageError(f"hidden_dim is {hidden_dim}; {self.system} halves it, so at least 2 was expected.")
        self.hidden_dim = hidden_dim
        self.audio_dropout = dropout_rate(audio_dropout, "audio_dropout")
        self.text_dropout = dropout_rate(text_dropout, "text_dropout")
        self.functionals_dim = _functionals(functionals_dim, self.audio_dim)
        self.max_steps = positive_integer("max_steps", max_steps)
        self.max_tokens = positive_integer("max_tokens", max_tokens)


class _Recurrent(FusionModel):
    """What the four have in common: the weights that they start from."""

    def _init_weights(self, module: nn.Module) -> None:
        if isinstance(module, nn.Linear):
            nn.init.uniform_(module.weight, -0.25, 0.25)
            nn.init.zeros_(module.bias)
        elif isinstance(module, nn.GRU):
            _start(module)


class Are(_Recurrent):
    """The audio encoder alone (see the module's docstring)."""

    config_class = AreConfig
    config: AreConfig
    modalities = ("audio",)

    def __init__(self, config: AreConfig) -> None:
        super().__init__(config)
        self.voice = _Voice(config, dropout=config.dropout)
        self.classifier = nn.Linear(self.voice.width, len(config.labels))
        self.post_init()

    def classify(
        self,
        text: MaskedStates,  # noqa: ARG002
        audio: MaskedStates,
        *,
        output_attentions: bool,  # noqa: ARG002
    ) -> Classified:
        """See :meth:`FusionModel.classify`; there is no attention here."""
        heard = self.voice(audio)
        return Classified(self.classifier(heard), features=heard)


class Tre(_Recurrent):
    """The text encoder alone (see the module's docstring)."""

    config_class = TreConfig
    config: TreConfig
    modalities = ("text",)
    main_input_name = "text"

    def __init__(self, config: TreConfig) -> None:
        super().__init__(config)
        self.reader = _Reader(config.text_dim, config.hidden_dim, dropout=config.dropout, longest=config.max_tokens)
        self.classifier = nn.Linear(config.hidden_dim, len(config.labels))
        self.post_init()

    def classify(
        self,
        text: MaskedStates,
        audio: MaskedStates,  # noqa: ARG002
        *,
        output_attentions: bool,  # noqa: ARG002
    ) -> Classified:
        """See :meth:`FusionModel.classify`; there is no attention here."""
        read = self.reader(text).last()
        return Classified(self.classifier(read), features=read)


class Mdre(_Recurrent):
    """Both encoders, side by side (see the module's docstring)."""

    config_class = MdreConfig
    config: MdreConfig

    def __init__(self, config: MdreConfig) -> None:
        super().__init__(config)
        self.voice = _Voice(config, dropout=config.audio_dropout)
        self.reader = _reader_of(config)
        half = config.hidden_dim // 2
        self.audio_linear = nn.Linear(self.voice.width, self.voice.width // 2)
        self.text_linear = nn.Linear(config.hidden_dim, half)
        self.classifier = nn.Linear(self.voice.width // 2 + half, len(config.labels))
        self.post_init()

    def classify(
        self,
        text: MaskedStates,
        audio: MaskedStates,
        *,
        output_attentions: bool,  # noqa: ARG002
    ) -> Classified:
        """See :meth:`FusionModel.classify`; there is no attention here."""
        heard = self.audio_linear(self.voice(audio)).masked_fill(~audio.present[:, None], 0.0)
        read = self.text_linear(self.reader(text).last()).masked_fill(~text.present[:, None], 0.0)
        side_by_side = torch.cat((heard, read), dim=1)
        return Classified(self.classifier(side_by_side), features=side_by_side)


class Mdrea(_Recurrent):
    """The audio asks, and the text's states answer (see the module's docstring)."""

    config_class = MdreConfig
    config: MdreConfig

    def __init__(self, config: MdreConfig) -> None:
        super().__init__(config)
        self.voice = _Voice(config, dropout=config.audio_dropout)
        self.reader = _reader_of(config)
        self.dropout = nn.Dropout(config.text_dropout)
        self.question = nn.Linear(self.voice.width, config.hidden_dim)
        self.classifier = nn.Linear(2 * config.hidden_dim, len(config.labels))
        self.post_init()

    def classify(self, text: MaskedStates, audio: MaskedStates, *, output_attentions: bool) -> Classified:
        """See :meth:`FusionModel.classify`.

        The attention weights are those of the tokens that were read, (batch, 1, 1, tokens), the real ones first.
        """
        question = self.question(self.voice(audio)).masked_fill(~audio.present[:, None], 0.0)
        read = self.reader(text)
        answers = self.dropout(read.states)
        weights = masked_softmax((answers * question[:, None]).sum(dim=-1), read.mask)
        features = torch.cat((gathered(weights, answers), question), dim=1)
        attentions = (weights[:, None, None],) if output_attentions else None
        return Classified(self.classifier(features), attentions, features)


class _Reader(nn.Module):
    """A GRU behind dropout over the first `longest` real states of each row."""

    def __init__(self, input_dim: int, hidden_dim: int, *, dropout: float, longest: int) -> None:
        super().__init__()
        self.longest = longest
        self.dropout = nn.Dropout(dropout)
        self.recurrence = Recurrence("gru", input_dim, hidden_dim)

    def forward(self, states: MaskedStates) -> MaskedStates:
        """(batch, length, input_dim) -> (batch, at most `longest`, hidden_dim), packed."""
        first = states.at_most(self.longest)
        found: MaskedStates = self.recurrence(MaskedStates(self.dropout(first.states), first.mask))
        return found


class _Voice(nn.Module):
    """The GRU's last state, with the functionals behind it."""

    def __init__(self, config: AreConfig | MdreConfig, *, dropout: float) -> None:
        super().__init__()
        self.frame_dim = config.audio_dim - config.functionals_dim
        self.width = config.hidden_dim + config.functionals_dim
        self.reader = _Reader(self.frame_dim, config.hidden_dim, dropout=dropout, longest=config.max_steps)

    def forward(self, audio: MaskedStates) -> Tensor:
        """(batch, width); zeros in a row without audio."""
        heard = self.reader(MaskedStates(audio.states[..., : self.frame_dim], audio.mask)).last()
        functionals = audio.first()[:, 0, self.frame_dim :].masked_fill(~audio.present[:, None], 0.0)
        return torch.cat((heard, functionals), dim=1)


def _reader_of(config: MdreConfig) -> _Reader:
    return _Reader(config.text_dim, config.hidden_dim, dropout=config.text_dropout, longest=config.max_tokens)


def _functionals(functionals_dim: object, audio_dim: int) -> int:
    if isinstance(functionals_dim, bool) or not isinstance(functionals_dim, int) or functionals_dim < 0:
        raise UsageError(f"functionals_dim is {functionals_dim!r}; an integer of at least 0 was expected.")
    if functionals_dim >= audio_dim:
        raise UsageError(
            f"functionals_dim is {functionals_dim}, which leaves none of the {audio_dim} features of an audio state to "
            "the GRU."
        )
    return functionals_dim


@torch.no_grad()
def _start(layer: nn.GRU) -> None:
    """New weights as TensorFlow draws them with an orthogonal initialiser: one matrix over input and state together."""
    inputs, hidden = layer.input_size, layer.hidden_size
    kernel, recurrent, bias, recurrent_bias = layer.parameters()
    gates = kernel.new_empty(2 * hidden, inputs + hidden)
    candidate = kernel.new_empty(hidden, inputs + hidden)
    both = torch.cat((nn.init.orthogonal_(gates), nn.init.orthogonal_(candidate)))
    kernel.copy_(both[:, :inputs])
    recurrent.copy_(both[:, inputs:])
    nn.init.zeros_(recurrent_bias)
    nn.init.zeros_(bias)
    bias[: 2 * hidden] = 1.0
