"""Standardised audio states for training, without a trace of it in the trained graph.

Pooled means and deviations differ in scale by orders of magnitude; a linear layer that starts from them unscaled hardly
learns. They are standardised for training, and afterwards the scale is folded into the layer that reads them.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from m3ser.models import FusionModel
from m3ser.training.examples import Sequences

__all__ = ["Scaled", "Standardisation"]


@dataclass(frozen=True)
class Standardisation:
    """Mean and standard deviation of each feature of the audio states, both (dim,)."""

    mean: NDArray[np.float32]
    deviation: NDArray[np.float32]

    @classmethod
    def of(cls, sequences: Iterable[NDArray[np.float32]]) -> Standardisation:
        """Over all steps of all `sequences`, each (steps, dim)."""
        steps = np.concatenate(list(sequences)).astype(np.float64)
        return cls(steps.mean(axis=0).astype(np.float32), (steps.std(axis=0) + 1e-5).astype(np.float32))

    def __call__(self, states: NDArray[np.float32]) -> NDArray[np.float32]:
        """(steps, dim) with mean 0 and deviation 1 over what this was made from."""
        return (states - self.mean) / self.deviation

    @torch.no_grad()
    def fold_into(self, fusion: FusionModel) -> None:
        """Change `fusion`, trained on standardised states, so that it gives the same for the states as they are.

        Where the states go into a linear layer first, the scale becomes part of that; elsewhere it is kept beside it.
        """
        layer = fusion.audio_entrance()
        if layer is None:
            fusion.scale_audio(torch.from_numpy(self.mean), torch.from_numpy(self.deviation))
            return
        layer.weight.div_(torch.from_numpy(self.deviation))
        layer.bias.sub_(layer.weight @ torch.from_numpy(self.mean))


@dataclass(frozen=True)
class Scaled:
    """Sequences of states, standardised when they are read."""

    states: Sequences
    scale: Standardisation

    def __getitem__(self, item: Any) -> NDArray[np.float32]:
        """The states of one item: (steps, dim)."""
        return self.scale(self.states[item])
