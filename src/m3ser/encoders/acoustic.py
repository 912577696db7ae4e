"""Acoustic features as the states themselves: MFCC, functionals, or both. There is nothing in it to learn."""

from __future__ import annotations

import torch
from torch import Tensor

from m3ser.audio import FRONT_ENDS
from m3ser.encoders.base import AudioEncoder, freeze
from m3ser.encoders.states import EncoderStates, check_mask, zero_padding
from m3ser.errors import UsageError

__all__ = ["AcousticEncoder"]

_LEAST_VARIANCE = 1e-8  # of a coefficient that does not move


class AcousticEncoder(AudioEncoder):
    """The features of a front end, at will with mean 0 and variance 1 over each utterance.

    Args:
        front_end: one of those in :data:`m3ser.audio.FRONT_ENDS` that need the extra `acoustic`.
        normalise: bring each feature to mean 0 and variance 1 over the utterance; functionals, which are the same in
            all of its frames, stay as they are.
        keep: only the first so many frames of an utterance are used; None: all.

    Raises:
        UsageError: another front end, or less than one frame.
    """

    half_precision = False  # a functional can be larger than float16 reaches
    functionals = FRONT_ENDS["egemaps"].feature_shape[0]

    def __init__(self, front_end: str, *, normalise: bool = False, keep: int | None = None) -> None:
        super().__init__()
        known = [one.name for one in FRONT_ENDS.values() if one.extra == "acoustic"]
        if front_end not in known:
            raise UsageError(f"There are no acoustic features '{front_end}'; there are {', '.join(known)}.")
        if keep is not None and keep < 1:
            raise UsageError(f"keep_frames is {keep}; at least 1 was expected.")
        self.front_end = front_end
        self.normalise = normalise
        self.keep = keep
        (self.dim,) = FRONT_ENDS[front_end].feature_shape
        self.moving = self.dim - (self.functionals if front_end.endswith("egemaps") else 0)
        freeze(self)

    def encode(self, features: Tensor, mask: Tensor) -> EncoderStates:
        """Take over a padded batch.

        Args:
            features: (batch, frames, dim) float.
            mask: (batch, frames) bool, True = real.

        Returns:
            States (batch, frames, dim), at most `keep` frames of them, and their mask.

        Raises:
            UsageError: a shape or the mask's type is not as above.
        """
        check_mask(mask, features)
        features, mask = features[:, : self.keep], mask[:, : self.keep]
        states = zero_padding(features, mask)
        if self.normalise and self.moving:
            moving = _normalised(states[..., : self.moving], mask)
            states = torch.cat([moving, states[..., self.moving :]], dim=-1)
        return EncoderStates(states, mask)


def _normalised(states: Tensor, mask: Tensor) -> Tensor:
    """(batch, frames, dim) with zeros in padding, to mean 0 and variance 1 over the real frames."""
    real = mask.unsqueeze(-1)
    count = real.sum(dim=1, keepdim=True).clamp_min(1)
    deviations = (states - states.sum(dim=1, keepdim=True) / count).masked_fill(~real, 0.0)
    variance = deviations.square().sum(dim=1, keepdim=True) / count
    # Not added: the ONNX exporter takes the sum of something and 1e-8 for the thing itself.
    return deviations * variance.clamp_min(_LEAST_VARIANCE).rsqrt()
