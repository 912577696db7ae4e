"""Weights averaged over a training's steps, or over several trainings: less of what happened to be drawn in one."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel
from transformers import TrainerCallback

__all__ = ["Average", "average_of", "load_weights", "save_weights"]

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
        save_weights(self._average, checkpoint / _FILE)

    def load(self, checkpoint: Path) -> None:
        """Go on from what :meth:`save` wrote."""
        self._average.load_state_dict(load_file(checkpoint / _FILE))

    def _mix(self, averaged: Iterable[Tensor], current: Iterable[Tensor], steps: Any) -> None:
        decay = min(self._decay, (1 + float(steps)) / (_WARMING + float(steps)))
        torch._foreach_lerp_([*averaged], [*current], 1 - decay)


def save_weights(model: nn.Module, file: Path) -> None:
    """Write a model's weights (safetensors)."""
    save_file({name: value.contiguous().cpu().clone() for name, value in model.state_dict().items()}, file)


def average_of(files: Sequence[Path]) -> dict[str, Tensor]:
    """The mean of the weights in several files of :func:`save_weights`; what is no weight is the first one's."""
    states = [load_file(file) for file in files]
    return {
        name: torch.stack([state[name] for state in states]).mean(dim=0) if value.is_floating_point() else value
        for name, value in states[0].items()
    }


def load_weights(model: nn.Module, checkpoint: Path) -> None:
    """Give `model` a checkpoint's weights: the averaged ones, where there are any."""
    file = checkpoint / _FILE
    if not file.is_file():
        model.load_state_dict(load_file(checkpoint / _MODEL))
        return
    inside = "module."
    state = load_file(file)
    model.load_state_dict({name.removeprefix(inside): state[name] for name in state if name.startswith(inside)})
