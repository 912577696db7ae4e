"""State dicts of the published code: whose weights are whose, and what the names have been.

The fusion models keep the published parameter names as their own (`classifer` [sic], `vggish_layer_norm` whatever the
audio encoder is): a published checkpoint then loads by name, nothing has to be translated to compare the two programs
weight by weight, and whoever knows one of them can read the other. Only the changes that the published names themselves
went through are undone here.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from torch import Tensor, nn

from m3ser.errors import CheckpointError
from m3ser.models.pretrained import check_fit

__all__ = ["PublishedWeights", "check_weights", "split_published"]

# In 2023 the encoders were `bert` and `vggish`; since 2024 any encoder is `text_encoder` or `audio_encoder`, and VGGish
# is wrapped once more.
TEXT_ENCODER = ("bert.", "text_encoder.")
AUDIO_ENCODER = ("vggish.", "audio_encoder.vggish.", "audio_encoder.")

# The names of 2024 -> those of 2023.
RENAMED = {"audio_encoder_layer_norm.": "vggish_layer_norm.", "linear_0.": "linear."}


@dataclass(frozen=True)
class PublishedWeights:
    """A published state dict, sorted by part, each with the names that the part itself uses."""

    text_encoder: dict[str, Tensor]
    audio_encoder: dict[str, Tensor]
    fusion: dict[str, Tensor]


def split_published(state_dict: Mapping[str, Any]) -> PublishedWeights:
    """Sort the entries of a published state dict by part.

    A leading ``module.`` (DataParallel) is dropped, the names of 2024 become those of 2023.

    Raises:
        CheckpointError: an entry is not a tensor: this is no state dict.
    """
    parts = PublishedWeights({}, {}, {})
    for full_name, value in state_dict.items():
        if not isinstance(value, Tensor):
            raise CheckpointError(
                f"'{full_name}' in the published state dict is a {type(value).__name__}; a tensor was expected."
            )
        name = full_name.removeprefix("module.")
        part, name = _home(parts, name)
        part[name] = value
    return parts


def _home(parts: PublishedWeights, name: str) -> tuple[dict[str, Tensor], str]:
    for part, prefixes in ((parts.text_encoder, TEXT_ENCODER), (parts.audio_encoder, AUDIO_ENCODER)):
        for prefix in prefixes:
            if name.startswith(prefix):
                return part, name.removeprefix(prefix)
    for new, old in RENAMED.items():
        if name.startswith(new):
            return parts.fusion, old + name.removeprefix(new)
    return parts.fusion, name


def check_weights(module: nn.Module, weights: Mapping[str, Tensor], subject: str, *, hint: str = "") -> None:
    """Raise CheckpointError unless `weights` are those of `module`, name by name and shape by shape.

    Args:
        module: what they should fit.
        weights: what was found.
        subject: begins the sentence.
        hint: ends it.
    """
    own = module.state_dict()
    check_fit(
        subject,
        missing=own.keys() - weights.keys(),
        unexpected=weights.keys() - own.keys(),
        mismatched={
            name: (tuple(weight.shape), tuple(own[name].shape))
            for name, weight in weights.items()
            if name in own and weight.shape != own[name].shape
        },
        hint=hint,
    )
