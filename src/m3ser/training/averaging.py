"""Weights averaged over a training's steps: less of what the last few batches happened to be."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel
from transformers import TrainerCallback

__all__ = ["Average", "load_weights"]

_FILE = "average.safetensors"
_MODEL = "model.safetensors"
_WARMING = 10  # steps, about: the first weights are nothing that should be remembered


class Average(TrainerCallback):  # type: ignore[misc,unused-ignore]
    """The exponential moving average of a model's weights, taken after each of the Trainer's steps.

    Args:
        model: as the Trainer has it.
        decay: what of the average is kept at a step; less in the first steps, (1 + n) / (10 + n) after n.
    """

    def __init__(self, model: nn.Module, decay: float) -> None:
        self._model = model
        self._decay = decay
        self._average = AveragedModel(model, multi_avg_fn=self._mix)

    def on_step_end(self, *_: Any, **__: Any) -> None:
        """Take in the weights as they are now."""
        self._average.update_parameters(self._model)

    @contextmanager
    def in_place(self) -> Iterator[None]:
        """The model has the averaged weights for as long as this lasts."""
        own = {name: value.clone() for name, value in self._model.state_dict().items()}
        self._model.load_state_dict(self._average.module.state_dict())
        try:
            yield
        finally:
            self._model.load_state_dict(own)

    def save(self, checkpoint: Path) -> None:
        """Write the average beside the weights of a checkpoint."""
        state = {name: value.contiguous().cpu().clone() for name, value in self._average.state_dict().items()}
        save_file(state, checkpoint / _FILE)

    def load(self, checkpoint: Path) -> None:
        """Go on from what :meth:`save` wrote."""
        self._average.load_state_dict(load_file(checkpoint / _FILE))

    def _mix(self, averaged: Iterable[Tensor], current: Iterable[Tensor], steps: Any) -> None:
        decay = min(self._decay, (1 + float(steps)) / (_WARMING + float(steps)))
        torch._foreach_lerp_([*averaged], [*current], 1 - decay)


def load_weights(model: nn.Module, checkpoint: Path) -> None:
    """Give `model` a checkpoint's weights: the averaged ones, where there are any."""
    file = checkpoint / _FILE
    if not file.is_file():
        model.load_state_dict(load_file(checkpoint / _MODEL))
        return
    inside = "module."
    state = load_file(file)
    model.load_state_dict({name.removeprefix(inside): state[name] for name in state if name.startswith(inside)})
