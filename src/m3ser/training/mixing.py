"""Mixup: pairs of utterances put together, states and targets in the same proportion.

Zhang et al. (2018), "mixup: Beyond Empirical Risk Minimization"; of sequences, step by step, as Guo et al. (2019) mix
sentences ("Augmenting Data with Mixup for Sentence Classification", wordMixup).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

__all__ = ["Mixed", "mix_up"]


@dataclass(frozen=True)
class Mixed:
    """A batch that was mixed.

    Attributes:
        inputs: what the model reads.
        share: of each utterance's own target; the other one's has the rest.
        others: (batch,) int, the place of the utterance that each was mixed with.
    """

    inputs: dict[str, Tensor]
    share: float
    others: Tensor


def mix_up(batch: Mapping[str, Tensor], concentration: float) -> Mixed:
    """Mix each utterance with another one of its batch, in one proportion, drawn from torch's global generator.

    Where only one of two sequences has a step, that is taken as it is; so is a voice, or words, that only one has.

    Args:
        batch: "text", "text_mask", "audio", "audio_mask" as a fusion model takes them, states of frozen encoders.
        concentration: of the symmetric beta distribution that the proportion is drawn from; 1: uniform, less: mostly
            little of one of them.
    """
    share = float(torch.distributions.Beta(concentration, concentration).sample())
    others = torch.randperm(len(batch["audio"])).to(batch["audio"].device)
    mixed = dict(batch)
    for name in ("text", "audio"):
        states, own = batch[name], batch[f"{name}_mask"]
        here = share * own[..., None].to(states.dtype)
        there = (1 - share) * own[others][..., None].to(states.dtype)
        mixed[name] = (here * states + there * states[others]) / (here + there).clamp(
            min=torch.finfo(states.dtype).tiny
        )
        mixed[f"{name}_mask"] = own | own[others]
    return Mixed(mixed, share, others)
