"""The folder of one training: what is in it, and how its model is written and read.

A run folder holds

==================  ==================================================================================================
``recipe.yaml``     the recipe, resolved
``run.json``        versions, git revision, machine, command, seed, fold, fingerprint of the corpus, time, memory
``split.csv``       the utterances with their parts
``audit.json``      what the leakage audit found
``checkpoints/``    of the Trainer, until the run is finished
``log.json``        the Trainer's history: loss and UA of every epoch
``model/``          the best epoch's model
``predictions.csv`` what it says of every test utterance, under every condition
``scores.json``     the scores, and the temperatures; written last: the run is finished
==================  ==================================================================================================

and, where another recipe trains an encoder before (``source: recipe:NAME``), in ``audio_encoder/`` or ``text_encoder/``
the run folder of that training; in ``teacher/`` that of the model that this one is taught by.
"""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from m3ser import models
from m3ser.errors import RecipeError, UsageError
from m3ser.files import write_whole
from m3ser.models import FusionModel, SpeechEmotionModel
from m3ser.training.recipe import Recipe
from m3ser.training.recipe_file import load_recipe, write_recipe

if TYPE_CHECKING:
    from m3ser.training.encoding import Encoders

__all__ = [
    "AUDIT",
    "CHECKPOINTS",
    "FACTS",
    "LOG",
    "MODEL",
    "PREDICTIONS",
    "RECIPE",
    "SCORES",
    "SPLIT",
    "encoder_folder",
    "open_model",
    "open_run",
    "save_model",
    "teacher_folder",
    "write_record",
]

RECIPE, FACTS, SPLIT, AUDIT, LOG, MODEL, PREDICTIONS, SCORES, CHECKPOINTS = (
    "recipe.yaml",
    "run.json",
    "split.csv",
    "audit.json",
    "log.json",
    "model",
    "predictions.csv",
    "scores.json",
    "checkpoints",
)


def encoder_folder(out: Path, modality: Literal["audio", "text"]) -> Path:
    """Where the run folder of a training is that trains an encoder for the one in `out`."""
    return out / f"{modality}_encoder"


def teacher_folder(out: Path) -> Path:
    """Where the run folder of the model is that teaches the one in `out`."""
    return out / "teacher"


def open_run(out: Path, recipe: Recipe, *, resume: bool) -> None:
    """Make sure that the folder can be written to, and that nothing of another run is in it.

    Raises:
        UsageError, RecipeError, DataError: see :func:`m3ser.training.run.train`.
    """
    known = out / RECIPE
    if known.is_file():
        if not resume:
            raise UsageError(f"'{out}' already holds a run; go on with it by --resume, or name another folder.")
        # What a recipe expects to come out may be written into it once it has, the corpora may have been moved, and
        # another bundle may be made of the same training.
        former = load_recipe(known)
        data = former.data.model_copy(update={"root": recipe.data.root})
        if former.model_copy(update={"expected": recipe.expected, "bundle": recipe.bundle, "data": data}) != recipe:
            raise RecipeError(
                f"The run in '{out}' is of another recipe; resume it by the same one, or name another folder."
            )
    write_recipe(known, recipe)


def write_record(path: Path, content: Any) -> None:
    """Write one of the JSON files of a run folder."""
    write_whole(path, json.dumps(content, indent=2) + "\n")


def open_model(out: Path, encoders: Encoders) -> tuple[FusionModel, Encoders]:
    """The trained part of the finished run in `out`, and the encoders that belong to it.

    Args:
        out: the run folder.
        encoders: the recipe's; those that were trained are replaced by what became of them.
    """
    model = models.load(out / MODEL)
    if isinstance(model, SpeechEmotionModel):
        # The encoders that learnt are the model's own.
        own = {"audio": model.audio_encoder, "text": model.text_encoder}
        found: dict[str, Any] = {modality: encoder for modality, encoder in own.items() if encoder is not None}
        encoders = replace(encoders, **found)
        model = model.fusion
    assert isinstance(model, FusionModel)
    return model, encoders


def save_model(out: Path, recipe: Recipe, fusion: FusionModel, encoders: Encoders) -> None:
    """Write what :func:`open_model` reads: the trained part, with the encoders where any of them was trained, too."""
    fusion.train(False).cpu()
    if encoders.all_frozen and not recipe.trained_before:
        models.save(fusion, out / MODEL)
    else:
        whole = SpeechEmotionModel.from_parts(fusion, text_encoder=encoders.text, audio_encoder=encoders.audio)
        models.save(whole.train(False), out / MODEL)
