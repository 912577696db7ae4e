"""Whisper's encoder with exact masks: any length, no padding to 30 s, and a padded batch equals its utterances alone.

Source: Radford et al., "Robust speech recognition via large-scale weak supervision" (2022), and the encoder of
openai/whisper. Parameters have the names of transformers' ``WhisperEncoder``. Dropout is left out: Whisper was trained
without it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from m3ser.encoders.base import AudioEncoder, freeze
from m3ser.encoders.layers import Combine, StateSelection
from m3ser.encoders.pooling import Statistics
from m3ser.encoders.states import EncoderStates, check_mask, safe_key_padding, zero_padding
from m3ser.errors import UsageError

__all__ = ["WhisperArchitecture", "WhisperEncoder"]

FRAMES_PER_STATE = 2  # the stride of the second convolution
_STATE_SECONDS = 0.02  # frames of 10 ms, two to a state


@dataclass(frozen=True, kw_only=True)
class WhisperArchitecture:
    """The sizes of a Whisper encoder.

    Attributes:
        mel_bins: width of the log-mel frames (80, or 128 from large-v3 on).
        dim: width of the states.
        layers: number of transformer blocks.
        heads: attention heads in each; they divide `dim`.
        ffn_dim: width of the feed-forward layers.
        positions: longest sequence of states.
    """

    mel_bins: int
    dim: int
    layers: int
    heads: int
    ffn_dim: int
    positions: int = 1500

    def __post_init__(self) -> None:
        if self.dim % self.heads:
            raise UsageError(f"A width of {self.dim} cannot be divided among {self.heads} attention heads.")


class WhisperEncoder(AudioEncoder):
    """Log-mel frames to a sequence of states, one for every 20 ms or, pooled, one for every `step_seconds`.

    Hidden states are numbered as transformers numbers them: 0 is the input of the first block, i the output of block i,
    and the last one also passes the final LayerNorm. Blocks above the highest one asked for do not exist in the module.

    Args:
        architecture: the sizes of the whole encoder.
        layer: which hidden state to yield, or several; by default the last.
        combine: what becomes of several: ``concat`` along the width, their ``mean``, or a learnt ``mix``, by default of
            all of them.
        step_seconds: pool the states over consecutive windows of this length, a multiple of 0.02 s; None: no pooling.
        statistics: what a pooled state holds: ``mean``, or ``mean+std`` (doubles the width).

    Attributes:
        dim: width of what is yielded, after `combine` and `statistics`.
        max_frames: longest input, in frames of 10 ms (3000 = 30 s for the published models).

    Raises:
        UsageError: a layer that does not exist, or a step that is no multiple of 0.02 s.
    """

    def __init__(
        self,
        architecture: WhisperArchitecture,
        *,
        layer: int | Sequence[int] | None = None,
        combine: Combine = "concat",
        step_seconds: float | None = None,
        statistics: Statistics = "mean",
    ) -> None:
        super().__init__()
        self.architecture = architecture
        self.selection = StateSelection(
            last=architecture.layers,
            layer=layer,
            combine=combine,
            step_seconds=step_seconds,
            statistics=statistics,
            state_seconds=_STATE_SECONDS,
        )
        self.mix = self.selection.mix()

        width = architecture.dim
        self.conv1 = nn.Conv1d(architecture.mel_bins, width, kernel_size=3, padding=1)
        self.conv2 = nn.Conv1d(width, width, kernel_size=3, stride=FRAMES_PER_STATE, padding=1)
        self.embed_positions = nn.Embedding(architecture.positions, width).requires_grad_(False)
        self.layers = nn.ModuleList(_Block(architecture) for _ in range(max(self.selection.picked)))
        self.layer_norm = nn.LayerNorm(width) if architecture.layers in self.selection.picked else None

        self.front_end = f"whisper{architecture.mel_bins}"
        self.max_frames = architecture.positions * FRAMES_PER_STATE
        self.dim = self.selection.width(width)

    @classmethod
    def from_pretrained(
        cls,
        source: str,
        *,
        layer: int | Sequence[int] | None = None,
        combine: Combine = "concat",
        step_seconds: float | None = None,
        statistics: Statistics = "mean",
        frozen: bool = True,
        revision: str | None = None,
    ) -> WhisperEncoder:
        """The encoder of a published Whisper model.

        Args:
            source: a folder or a name on the Hugging Face Hub, with weights in transformers' layout (``config.json``
                and safetensors) or in CTranslate2's (``model.bin``, as faster-whisper uses).
            layer: as for the class; so are the next three.
            combine: for several layers.
            step_seconds: for pooling.
            statistics: of a pooled state.
            frozen: see :func:`~m3ser.encoders.freeze`.
            revision: branch, tag or commit on the Hub.

        Raises:
            CheckpointError: nothing there, not a Whisper model, or damaged.
            UsageError: an option that does not fit the model.
        """
        from m3ser.encoders.weights import load_weights
        from m3ser.encoders.whisper_checkpoints import read_whisper

        architecture, state_dict = read_whisper(source, revision=revision)
        with torch.device("meta"):
            encoder = cls(architecture, layer=layer, combine=combine, step_seconds=step_seconds, statistics=statistics)
        encoder.mix = None  # the source has no weights for it
        encoder.to_empty(device="cpu")
        kept = {name: value for name, value in state_dict.items() if not encoder._is_above(name)}
        load_weights(encoder, kept, source=source)
        encoder.mix = encoder.selection.mix()
        return freeze(encoder) if frozen else encoder

    def encode(self, features: Tensor, mask: Tensor) -> EncoderStates:
        """Encode a padded batch.

        Args:
            features: (batch, frames, mel_bins) float, Whisper's log-mel, at least one frame and at most `max_frames`.
            mask: (batch, frames) bool, True = real.

        Returns:
            States (batch, ceil(frames / 2), dim); pooled: (batch, ceil(ceil(frames / 2) / window), dim).

        Raises:
            UsageError: a shape, a length or the mask's type is not as above.
        """
        hidden, mask = self._below(features, mask)
        return self._above(hidden, mask, first=0)

    @property
    def prefix_dim(self) -> int | None:
        """The width of Whisper's states, where some of its first blocks are frozen and no state below is yielded."""
        first = self.frozen_first
        if first is None or self.frozen or min(self.selection.picked) < first:
            return None
        return self.architecture.dim

    @property
    def max_prefix(self) -> int | None:
        """As many as Whisper has positions."""
        return self.architecture.positions

    def prefix(self, features: Tensor, mask: Tensor) -> EncoderStates:
        """What enters the first block that learns: (batch, ceil(frames / 2), `prefix_dim`); see :meth:`encode`."""
        hidden, mask = self._below(features, mask)
        attend = _attend(mask)
        for block in self.layers[: self.frozen_first or 0]:
            hidden = block(hidden, attend)
        return EncoderStates(zero_padding(hidden, mask), mask)

    def encode_from(self, prefix: Tensor, mask: Tensor) -> EncoderStates:
        """What :meth:`encode` gives, from what :meth:`prefix` gave.

        Raises:
            UsageError: more steps than Whisper has positions, or a mask of another shape or type.
        """
        check_mask(mask, prefix)
        if prefix.shape[1] > self.architecture.positions:
            raise UsageError(
                f"This encoder takes 1 to {self.architecture.positions} states at a time, not {prefix.shape[1]}; cut "
                "the recording into windows."
            )
        return self._above(prefix, mask, first=self.frozen_first or 0)

    def _below(self, features: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        """What enters the first block, and its mask: state j sits on frame 2j, and is real where that frame is."""
        check_mask(mask, features)
        self._check_features(features)
        return self._embed(features, mask), mask[:, ::FRAMES_PER_STATE]

    def _above(self, hidden: Tensor, mask: Tensor, *, first: int) -> EncoderStates:
        """What becomes of hidden state number `first`."""
        attend = _attend(mask)
        hidden_states = {first: hidden}
        for number, block in enumerate(self.layers[first:], start=first + 1):
            hidden = block(hidden, attend)
            hidden_states[number] = hidden
        if self.layer_norm is not None:
            hidden_states[self.architecture.layers] = self.layer_norm(hidden)
        return self.selection(hidden_states, mask)

    def blocks(self) -> Sequence[nn.Module]:
        """The transformer blocks up to the highest layer asked for."""
        return tuple(self.layers)

    def stem(self) -> Sequence[nn.Module]:
        """The convolutions; the positions never learn."""
        return (self.conv1, self.conv2)

    def _embed(self, features: Tensor, mask: Tensor) -> Tensor:
        """The two convolutions and the positions: (batch, ceil(frames / 2), dim).

        Each convolution sees zeros beyond the end of an utterance, as it does at the edge of a tensor.
        """
        channels_first = zero_padding(features, mask).transpose(1, 2)
        hidden = functional.gelu(self.conv1(channels_first)).masked_fill(~mask.unsqueeze(1), 0.0)
        hidden = functional.gelu(self.conv2(hidden)).transpose(1, 2)
        positions: Tensor = self.embed_positions(torch.arange(hidden.shape[1], device=hidden.device))
        return hidden + positions

    def _check_features(self, features: Tensor) -> None:
        if torch.compiler.is_compiling():
            return
        bins = self.architecture.mel_bins
        if features.dim() != 3 or features.shape[2] != bins:
            raise UsageError(
                f"This encoder takes features of shape (batch, frames, {bins}), not {tuple(features.shape)}."
            )
        limit = self.architecture.positions * FRAMES_PER_STATE
        if not 1 <= features.shape[1] <= limit:
            raise UsageError(
                f"This encoder takes 1 to {limit} frames ({limit / 100:g} s) at a time, not {features.shape[1]}; "
                "cut the recording into windows."
            )

    def _is_above(self, name: str) -> bool:
        """Whether the parameter `name` belongs to a part above the highest layer asked for."""
        part, _, rest = name.partition(".")
        if part == "layer_norm":
            return self.layer_norm is None
        number = rest.partition(".")[0]
        return part == "layers" and number.isdecimal() and len(self.layers) <= int(number) < self.architecture.layers


def _attend(mask: Tensor) -> Tensor:
    """(batch, 1, 1, steps) bool, True where a key may be looked at."""
    return ~safe_key_padding(mask)[:, None, None, :]


class _Block(nn.Module):
    """One pre-norm transformer block."""

    def __init__(self, architecture: WhisperArchitecture) -> None:
        super().__init__()
        width = architecture.dim
        self.self_attn = _SelfAttention(width, architecture.heads)
        self.self_attn_layer_norm = nn.LayerNorm(width)
        self.fc1 = nn.Linear(width, architecture.ffn_dim)
        self.fc2 = nn.Linear(architecture.ffn_dim, width)
        self.final_layer_norm = nn.LayerNorm(width)

    def forward(self, hidden: Tensor, attend: Tensor) -> Tensor:
        """(batch, steps, dim) to the same; `attend` (batch, 1, 1, steps) bool is True where a key may be looked at."""
        hidden = hidden + self.self_attn(self.self_attn_layer_norm(hidden), attend)
        inner = functional.gelu(self.fc1(self.final_layer_norm(hidden)))
        return hidden + self.fc2(inner)  # type: ignore[no-any-return]


class _SelfAttention(nn.Module):
    """Multi-head self-attention; the keys have no bias."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.q_proj = nn.Linear(width, width)
        self.k_proj = nn.Linear(width, width, bias=False)
        self.v_proj = nn.Linear(width, width)
        self.out_proj = nn.Linear(width, width)

    def forward(self, hidden: Tensor, attend: Tensor) -> Tensor:
        query, key, value = (
            projection(hidden).unflatten(-1, (self.heads, -1)).transpose(1, 2)
            for projection in (self.q_proj, self.k_proj, self.v_proj)
        )
        mixed = functional.scaled_dot_product_attention(query, key, value, attn_mask=attend)
        return self.out_proj(mixed.transpose(1, 2).flatten(-2))  # type: ignore[no-any-return]
