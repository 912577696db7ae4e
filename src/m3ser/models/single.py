"""One modality alone: `text-only` and `audio-only`, SERVER's own baselines.

Tier: faithful (the code was read).

Source: the SERVER paper and its published notebooks.

The graphs, with the paper's sizes::

    text-only:   position 0 (768) -> Linear(768, 64) -> Dropout(0.5) -> Linear(64, 4)      49,476 parameters
    audio-only:  (N, 128) -> sum over the N examples (128) -> Linear(128, 64) -> Linear(64, 4)     8,516 parameters

The text states should be the encoder's pooled state, one step per utterance; of a longer sequence the first is read.
What is given of the other modality is not looked at.

Wrong in the published code, and not repeated: nothing masks padding (here only real examples are summed). The class
`AudioOnly` of the published 3M-SER code of 2024 reads the first example, not the sum: another graph under the same
parameter names and shapes, so that its weights cannot be told apart and are not meant to be loaded here.

Ours, and not the paper's: `pooling: mean` in `audio-only`, whose scores do not grow with the length of the recording.
"""

from __future__ import annotations

from typing import Any, Literal, get_args

from torch import nn

from m3ser.models.base import Classified, FusionModel
from m3ser.models.config import FusionConfig, check_choice, dropout_rate, positive_integer
from m3ser.models.masked import MaskedStates

__all__ = ["AudioOnly", "AudioOnlyConfig", "TextOnly", "TextOnlyConfig"]

Pooling = Literal["sum", "mean"]


class TextOnlyConfig(FusionConfig):
    """Configuration of `text-only`.

    Args:
        dropout: rate of its one dropout.
        hidden_dim: width of the layer before the last.
        kwargs: see :class:`FusionConfig`.

    Raises:
        UsageError: see :class:`FusionConfig`.
    """

    model_type = "m3ser-text-only"
    systems = ("text-only",)

    def __init__(self, *, dropout: float = 0.5, hidden_dim: int = 64, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.dropout = dropout_rate(dropout)
        self.hidden_dim = positive_integer("hidden_dim", hidden_dim)


class TextOnly(FusionModel):
    """Text alone (see the module's docstring)."""

    config_class = TextOnlyConfig
    config: TextOnlyConfig
    modalities = ("text",)
    main_input_name = "text"

    def __init__(self, config: TextOnlyConfig) -> None:
        super().__init__(config)
        self.linear = nn.Linear(config.text_dim, config.hidden_dim)
        self.dropout = nn.Dropout(config.dropout)
        self.classifer = nn.Linear(config.hidden_dim, len(config.labels))
        self.post_init()

    def classify(
        self,
        text: MaskedStates,
        audio: MaskedStates,  # noqa: ARG002
        *,
        output_attentions: bool,  # noqa: ARG002
    ) -> Classified:
        """See :meth:`FusionModel.classify`; there is no attention here."""
        pooled = text.first()[:, 0]
        return Classified(self.classifer(self.dropout(self.linear(pooled))), features=pooled)


class AudioOnlyConfig(FusionConfig):
    """Configuration of `audio-only`.

    Args:
        hidden_dim: width of the layer before the last.
        pooling: of the states over time, "sum" (as published) or "mean".
        kwargs: see :class:`FusionConfig`.

    Raises:
        UsageError: see :class:`FusionConfig`.
    """

    model_type = "m3ser-audio-only"
    systems = ("audio-only",)

    def __init__(self, *, hidden_dim: int = 64, pooling: Pooling = "sum", **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.hidden_dim = positive_integer("hidden_dim", hidden_dim)
        check_choice("pooling", pooling, get_args(Pooling))
        self.pooling = pooling


class AudioOnly(FusionModel):
    """Audio alone (see the module's docstring)."""

    config_class = AudioOnlyConfig
    config: AudioOnlyConfig
    modalities = ("audio",)

    def __init__(self, config: AudioOnlyConfig) -> None:
        super().__init__(config)
        self.linear = nn.Linear(config.audio_dim, config.hidden_dim)
        self.classifer = nn.Linear(config.hidden_dim, len(config.labels))
        self.post_init()

    def classify(
        self,
        text: MaskedStates,  # noqa: ARG002
        audio: MaskedStates,
        *,
        output_attentions: bool,  # noqa: ARG002
    ) -> Classified:
        """See :meth:`FusionModel.classify`; there is no attention here."""
        heard = audio.total() if self.config.pooling == "sum" else audio.mean()
        return Classified(self.classifer(self.linear(heard)), features=heard)
