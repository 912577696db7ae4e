"""One training of a model, or several from the same first weights, to the weights that it is judged with."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

from accelerate import PartialState
from torch import nn
from transformers import Trainer

from m3ser.training.averaging import average_of, load_weights, save_weights
from m3ser.training.checkpoints import history_of, newest_complete
from m3ser.training.recipe import TrainingRecipe
from m3ser.training.run_folder import write_record
from m3ser.training.trainer import Patience

__all__ = ["fit"]


def fit(
    trainer_of: Callable[[int, Path], Trainer], model: nn.Module, checkpoints: Path, setting: TrainingRecipe
) -> list[dict[str, Any]]:
    """Train `model`, from where it was interrupted on.

    Afterwards it has the best epoch's weights, or with several `seeds` the average of each training's best.

    Args:
        trainer_of: makes the Trainer of a training by its number, from 0, with its folder of checkpoints.
        model: what they train.
        checkpoints: folder for all of them.
        setting: the recipe's training part.

    Returns:
        The Trainer's history; of several trainings all of them, each record with the number of its `training`.
    """
    if setting.seeds == 1:
        return _fit(trainer_of(0, checkpoints), model, checkpoints, setting)
    state = PartialState()
    first = {name: value.clone() for name, value in model.state_dict().items()}
    found: list[Path] = []
    history = []
    for number in range(setting.seeds):
        weights = checkpoints / f"seed{number}.safetensors"
        record = weights.with_suffix(".json")  # written last: the training is finished
        if not record.is_file():
            model.load_state_dict(first)
            own = checkpoints / f"seed{number}"
            trained = _fit(trainer_of(number, own), model, own, setting)
            if state.is_main_process:
                save_weights(model, weights)
                write_record(record, trained)
                shutil.rmtree(own, ignore_errors=True)
            state.wait_for_everyone()
        found.append(weights)
        history += [{"training": number, **one} for one in json.loads(record.read_text(encoding="utf-8"))]
    model.load_state_dict(average_of(found))
    return history


def _fit(trainer: Trainer, model: nn.Module, checkpoints: Path, setting: TrainingRecipe) -> list[dict[str, Any]]:
    """Train `model`, from the newest checkpoint on. Returns the history."""
    checkpoint = newest_complete(checkpoints)
    if checkpoint is not None and setting.patience is not None:
        history = history_of(checkpoint)
        assert history is not None
        if Patience(setting.patience).exhausted(history["log_history"], str(trainer.args.metric_for_best_model)):
            # It had stopped, and was interrupted before the rest was written: another step would be one too many.
            load_weights(model, checkpoints / Path(history["best_model_checkpoint"]).name)
            return list(history["log_history"])
    trainer.train(resume_from_checkpoint=None if checkpoint is None else str(checkpoint))
    if setting.average is not None:  # the Trainer takes the others
        load_weights(model, Path(str(trainer.state.best_model_checkpoint)))
    return list(trainer.state.log_history)
