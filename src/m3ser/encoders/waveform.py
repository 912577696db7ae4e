"""Speech encoders of transformers that read a waveform, with exact masks: a padded batch equals its utterances alone.

wav2vec 2.0 (Baevski et al. 2020), HuBERT (Hsu et al. 2021), WavLM (Chen et al. 2022), UniSpeech, data2vec (Baevski et
al. 2022) and what else transformers has of their build: convolutions over the waveform, then transformer blocks.

transformers' own attention masks do not keep padding out of all of them. The first convolution of the base models is
normalised over the whole padded length; here that norm counts real frames alone. Where padding would leak in other ways
(data2vec's positions are five convolutions on top of each other), utterances of different lengths run one by one.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional

from m3ser.encoders.speech import SAMPLE_RATE, SpeechEncoder
from m3ser.encoders.states import EncoderStates, check_mask, lengths_to_mask, zero_padding
from m3ser.encoders.transformers_models import recorded_blocks
from m3ser.errors import UsageError

if TYPE_CHECKING:
    from transformers import PretrainedConfig, PreTrainedModel

__all__ = ["WaveformEncoder"]

# Families whose blocks keep to the mask; tests hold them to it.
_MASKED = frozenset({"hubert", "unispeech", "unispeech-sat", "wav2vec2", "wavlm"})


class WaveformEncoder(SpeechEncoder):
    """A waveform to a sequence of states, one for every 20 ms; options as :class:`SpeechEncoder`.

    Attributes:
        front_end: ``waveform``, or ``waveform-normalised``.
    """

    normalisable: ClassVar[bool] = True
    example_frames = 8000

    def __init__(self, model: PreTrainedModel, *, normalise: bool | None = None, **options: Any) -> None:
        normalise = True if normalise is None else normalise
        super().__init__(model, normalise=normalise, **options)
        config = model.config
        self.kernels: tuple[tuple[int, int], ...] = tuple(zip(config.conv_kernel, config.conv_stride, strict=True))
        self.exportable = config.model_type in _MASKED
        self.front_end = "waveform-normalised" if normalise else "waveform"

    @staticmethod
    def reads(config: PretrainedConfig) -> bool:
        """Whether it is of this build. SEW is not: its blocks run at another rate than its output."""
        known = all(hasattr(config, name) for name in ("conv_kernel", "conv_stride", "num_feat_extract_layers"))
        return known and not hasattr(config, "squeeze_factor")

    @staticmethod
    def state_seconds(config: PretrainedConfig) -> float:
        """The strides of the convolutions, multiplied: 320 samples in all published models."""
        hop = 1
        for stride in config.conv_stride:
            hop *= stride
        return hop / SAMPLE_RATE

    def encode(self, features: Tensor, mask: Tensor) -> EncoderStates:
        """Encode a padded batch.

        Args:
            features: (batch, samples) float, the front end's waveform at 16 kHz, padded on the right.
            mask: (batch, samples) bool, True = real.

        Returns:
            States (batch, steps, width), one for every 320 samples beyond the first 400 (or pooled); what is shorter
            than 400 samples has none.

        Raises:
            UsageError: a shape or the mask's type is not as above.
        """
        check_mask(mask, features)
        if not torch.compiler.is_compiling():
            if features.dim() != 2:
                raise UsageError(
                    f"A speech encoder takes waveforms (batch, samples), not a tensor of shape {tuple(features.shape)}."
                )
            shortest = self._shortest()
            features, mask = (functional.pad(x, (0, max(0, shortest - x.shape[1]))) for x in (features, mask))
        waveform = zero_padding(features, mask)
        run = self._run_masked if self.exportable else self._run_one_by_one
        hidden_states, states_mask = run(waveform, mask)
        return self.selection(hidden_states, states_mask)

    def _shortest(self) -> int:
        """Samples that the first state needs."""
        samples = 1
        for kernel, stride in reversed(self.kernels):
            samples = (samples - 1) * stride + kernel
        return samples

    def _run_masked(self, waveform: Tensor, mask: Tensor) -> tuple[Mapping[int, Tensor], Tensor]:
        """All rows at once."""
        hidden, states_mask = self._convolved(waveform, mask.sum(dim=1))
        projected = self.model.feature_projection(hidden.transpose(1, 2))
        hidden = zero_padding(projected[0] if isinstance(projected, tuple) else projected, states_mask)
        # A row without anything real is left open to attention, which cannot look at nothing.
        attend = states_mask | ~states_mask.any(dim=1, keepdim=True)
        with recorded_blocks(self.model) as found, warnings.catch_warnings():
            # Of transformers' WavLM, which hands PyTorch a boolean mask beside its float position bias.
            warnings.filterwarnings("ignore", message="Support for mismatched key_padding_mask")
            output = self.model.encoder(hidden, attention_mask=attend)
        return self.numbered(found, output), states_mask

    def _convolved(self, waveform: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        """The convolutions: (batch, channels, steps), and the mask of the steps that hear nothing but real samples."""
        hidden = waveform.unsqueeze(1)
        mask = waveform.new_zeros((), dtype=torch.bool)
        for layer, (kernel, stride) in zip(self.model.feature_extractor.conv_layers, self.kernels, strict=True):
            lengths = torch.div(lengths - kernel, stride, rounding_mode="floor") + 1
            norm = getattr(layer, "layer_norm", None)
            if isinstance(norm, nn.GroupNorm):
                hidden = layer.conv(hidden)
                mask = lengths_to_mask(lengths, steps=hidden.shape[2])
                hidden = layer.activation(_normed(hidden, mask, norm))
            else:
                hidden = layer(hidden)
                mask = lengths_to_mask(lengths, steps=hidden.shape[2])
        return hidden, mask

    def _run_one_by_one(self, waveform: Tensor, mask: Tensor) -> tuple[Mapping[int, Tensor], Tensor]:
        """Rows of the same length at once, without padding."""
        lengths = mask.sum(dim=1)
        rows: list[Tensor] = []
        parts: list[tuple[Mapping[int, Tensor], int]] = []
        for length in lengths.unique().tolist():
            if length >= self._shortest():
                rows.append((lengths == length).nonzero().squeeze(1))
                with recorded_blocks(self.model) as found:
                    output = self.model(waveform[rows[-1], :length])
                parts.append((self.numbered(found, output), output.last_hidden_state.shape[1]))
        steps = max((count for _, count in parts), default=1)
        counts = torch.zeros_like(lengths)
        for row, (_, count) in zip(rows, parts, strict=True):
            counts[row] = count
        width = int(self.model.config.hidden_size)
        hidden_states: dict[int, Tensor] = {}
        for number in self.selection.picked:
            blank = waveform.new_zeros(len(waveform), steps, width)
            for row, (states, count) in zip(rows, parts, strict=True):
                blank = blank.index_copy(0, row, functional.pad(states[number], (0, 0, 0, steps - count)))
            hidden_states[number] = blank
        return hidden_states, lengths_to_mask(counts, steps=steps)


def _normed(hidden: Tensor, mask: Tensor, norm: nn.GroupNorm) -> Tensor:
    """`norm`, each channel a group of its own, over the real steps of hidden (batch, channels, steps)."""
    real = mask.unsqueeze(1)
    count = real.sum(dim=2, keepdim=True).clamp_min(1)
    mean = hidden.masked_fill(~real, 0.0).sum(dim=2, keepdim=True) / count
    deviations = (hidden - mean).masked_fill(~real, 0.0)
    variance = deviations.square().sum(dim=2, keepdim=True) / count
    scaled = deviations * torch.rsqrt(variance + norm.eps)
    return scaled * norm.weight[:, None] + norm.bias[:, None]
