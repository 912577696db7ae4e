"""Speech encoders of transformers that read a log-mel spectrum: wav2vec2-BERT and the audio spectrogram transformer.

Sources: Barrault et al., "Seamless" (2023), for wav2vec2-BERT; Gong et al., "AST: Audio spectrogram transformer"
(Interspeech 2021).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor
from torch.nn import functional

from m3ser.audio import FRONT_ENDS, SAMPLE_RATE
from m3ser.audio.kaldi import AST_PADDING
from m3ser.encoders.speech import SpeechEncoder
from m3ser.encoders.states import EncoderStates, check_mask, zero_padding
from m3ser.encoders.transformers_models import recorded_blocks
from m3ser.errors import UsageError

if TYPE_CHECKING:
    from transformers import PretrainedConfig, PreTrainedModel

__all__ = ["AstEncoder", "Wav2Vec2BertEncoder"]


class _SpectrogramEncoder(SpeechEncoder):
    def check(self, features: Tensor, mask: Tensor) -> None:
        """See that a batch is what the front end gives."""
        check_mask(mask, features)
        if torch.compiler.is_compiling():
            return
        (bands,) = FRONT_ENDS[self.front_end].feature_shape
        if features.dim() != 3 or features.shape[2] != bands:
            raise UsageError(
                f"This encoder takes features of shape (batch, frames, {bands}), not {tuple(features.shape)}."
            )
        if self.max_frames is not None and features.shape[1] > self.max_frames:
            raise UsageError(f"This encoder takes at most {self.max_frames} frames at a time, not {features.shape[1]}.")


class Wav2Vec2BertEncoder(_SpectrogramEncoder):
    """Pairs of log-mel frames to a sequence of states, one for every 20 ms; options as :class:`SpeechEncoder`."""

    front_end = "wav2vec2-bert"

    def __init__(self, model: PreTrainedModel, **options: Any) -> None:
        super().__init__(model, **options)
        # PyTorch's exporter cannot take apart the fused attention with this model's relative positions.
        self.model.set_attn_implementation("eager")

    @staticmethod
    def reads(config: PretrainedConfig) -> bool:
        """Whether it is wav2vec2-BERT."""
        return str(config.model_type) == "wav2vec2-bert"

    @staticmethod
    def state_seconds(config: PretrainedConfig) -> float:  # noqa: ARG004
        """That of its frames."""
        return FRONT_ENDS["wav2vec2-bert"].hop / SAMPLE_RATE

    def encode(self, features: Tensor, mask: Tensor) -> EncoderStates:
        """Encode a padded batch.

        Args:
            features: (batch, frames, 160) float, as :func:`m3ser.audio.wav2vec2_bert_features` gives them.
            mask: (batch, frames) bool, True = real.

        Returns:
            States (batch, frames, width), or pooled ones.

        Raises:
            UsageError: a shape or the mask's type is not as above.
        """
        self.check(features, mask)
        hidden, _ = self.model.feature_projection(zero_padding(features, mask))
        # A row without anything real is left open to attention, which cannot look at nothing.
        attend = mask | ~mask.any(dim=1, keepdim=True)
        with recorded_blocks(self.model) as found:
            output = self.model.encoder(hidden, attention_mask=attend)
        return self.selection(self.numbered(found, output), mask)


class AstEncoder(_SpectrogramEncoder):
    """Log-mel frames to a sequence of states, one for every 0.1 s; options as :class:`SpeechEncoder`.

    The transformer reads a fixed length (10.24 s in the published models), shorter utterances with a constant behind
    them, as it was trained. Its patches of the same time are averaged over their frequencies; patches that begin behind
    the utterance's end, and the two tokens in front, are left out.
    """

    front_end = "ast"

    def __init__(self, model: PreTrainedModel, **options: Any) -> None:
        super().__init__(model, **options)
        config = model.config
        (bands,) = FRONT_ENDS[self.front_end].feature_shape
        if config.num_mel_bins != bands:
            raise UsageError(f"This spectrogram transformer reads {config.num_mel_bins} bands; m3ser makes {bands}.")
        self.max_frames = int(config.max_length)
        self.stride = int(config.time_stride)
        self.times = (self.max_frames - int(config.patch_size)) // self.stride + 1

    @staticmethod
    def reads(config: PretrainedConfig) -> bool:
        """Whether it is an audio spectrogram transformer."""
        return str(config.model_type) == "audio-spectrogram-transformer"

    @staticmethod
    def state_seconds(config: PretrainedConfig) -> float:
        """From one patch to the next."""
        return float(config.time_stride) * FRONT_ENDS["ast"].hop / SAMPLE_RATE

    def encode(self, features: Tensor, mask: Tensor) -> EncoderStates:
        """Encode a padded batch.

        Args:
            features: (batch, frames, 128) float, as :func:`m3ser.audio.ast_log_mel` gives them, at most `max_frames`.
            mask: (batch, frames) bool, True = real.

        Returns:
            States (batch, ceil(frames / 10), width), or pooled ones.

        Raises:
            UsageError: a shape, a length or the mask's type is not as above.
        """
        self.check(features, mask)
        assert self.max_frames is not None
        missing = self.max_frames - features.shape[1]
        frames = features.masked_fill(~mask.unsqueeze(-1), AST_PADDING)
        frames = functional.pad(frames, (0, 0, 0, missing), value=AST_PADDING)
        with recorded_blocks(self.model) as found:
            output = self.model(frames)
        steps = mask[:, :: self.stride][:, : self.times]
        numbered = self.numbered(found, output)
        return self.selection({n: self._over_time(numbered[n], steps.shape[1]) for n in self.selection.picked}, steps)

    def _over_time(self, hidden: Tensor, steps: int) -> Tensor:
        """(batch, 2 + bands x times, dim) to (batch, steps, dim)."""
        over_bands: Tensor = hidden[:, 2:].unflatten(1, (-1, self.times)).mean(dim=1)
        return over_bands[:, :steps]
