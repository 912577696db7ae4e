"""Encoders as an earlier training left them: ``source: run:FOLDER`` or ``source: recipe:NAME`` in a recipe.

FOLDER is a run folder, relative to where the command is run. The recipe there says where the encoder came from, and its
model has the weights. Whether that training learnt from what is judged afterwards is not looked at: folds need one that
did not.

NAME is another recipe, by which the encoder is trained on the training part of each fold before the fold itself is: as
that recipe says, but for its data and seed. What is judged has taught no such encoder.
"""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import torch

from m3ser import models
from m3ser.encoders import Encoder, merged
from m3ser.errors import RecipeError
from m3ser.models import SpeechEmotionModel
from m3ser.training.recipe import BEFORE, RUN, Recipe
from m3ser.training.recipe_file import find_recipe, load_recipe, resolve_source
from m3ser.training.run_folder import MODEL, RECIPE, SCORES, encoder_folder

__all__ = ["origin", "recipes_before", "take_weights", "taught_by", "teacher_of"]

Modality = Literal["audio", "text"]


def origin(source: str, modality: Modality, *, run: Path | None = None) -> str:
    """Where an encoder came from before anything was trained: a folder, or a repository's name.

    Args:
        source: as a recipe has it.
        modality: of the encoder.
        run: a run folder of that recipe. What it was trained by before is known there, whatever has become of the file.

    Raises:
        RecipeError: `source` names a run that is not there, or has no encoder with a source for this modality.
    """
    # A run may itself have begun with an earlier one's encoder.
    seen: list[str] = []
    while source.startswith((RUN, BEFORE)):
        kind, _, name = source.partition(":")
        if source in seen:
            raise RecipeError(f"{kind.capitalize()} '{name}' takes its {modality} encoder from itself.")
        seen.append(source)
        # Of what a run was trained by before, its own folder knows; and of that what it was trained by, and so on.
        if source.startswith(RUN):
            run = Path(name)
            if not (run / RECIPE).is_file():
                raise RecipeError(f"'{source}': '{name}' is not the folder of a training; it has to be trained first.")
        else:
            run = None if run is None else encoder_folder(run, modality)
        known = None if run is None else run / RECIPE
        recipe = known if known is not None and known.is_file() else find_recipe(name)
        found = getattr(getattr(load_recipe(recipe), f"{modality}_encoder"), "source", None)
        if found is None:
            raise RecipeError(f"'{source}': the {kind} has no {modality} encoder that came from somewhere.")
        source = found
    return resolve_source(source)


def recipes_before(recipe: Recipe) -> dict[Modality, Recipe]:
    """The recipes by which encoders of `recipe` are trained before, as they are for it: on its data, by its seed.

    Raises:
        RecipeError: there is no such recipe, or an encoder would come from itself.
    """
    found: dict[Modality, Recipe] = {}
    for modality, name in recipe.trained_before.items():
        origin(f"{BEFORE}{name}", modality)  # where it comes from itself, no training would be the first
        found[modality] = _for_the_data_of(recipe, name)
    return found


def teacher_of(recipe: Recipe) -> Recipe | None:
    """The recipe of the model that teaches the one of `recipe`, as it is for it: on its data, by its seed.

    Raises:
        RecipeError: there is no such recipe, or the teacher has a teacher of its own.
    """
    if recipe.training.distillation is None:
        return None
    name = recipe.training.distillation.teacher
    found = _for_the_data_of(recipe, name)
    if found.training.distillation is not None:
        raise RecipeError(f"training.distillation: the teacher, {name}, has a teacher of its own; name that one.")
    return found


def _for_the_data_of(recipe: Recipe, name: str) -> Recipe:
    return load_recipe(name).model_copy(update={"data": recipe.data, "seed": recipe.seed, "bundle": None})


def taught_by(recipe: Recipe) -> list[str]:
    """A sentence about each encoder that had been trained before, for those who read of the model.

    Raises:
        RecipeError: a source names a run that is not there.
    """
    told = [
        f"The {modality} encoder was trained before, by the recipe `{name}`, on the same training part."
        for modality, name in recipe.trained_before.items()
    ]
    if recipe.training.distillation is not None:
        name = recipe.training.distillation.teacher
        told.append(f"It was also taught by a model that was trained before, by the recipe `{name}`, on the same part.")
    for modality in ("audio", "text"):
        source = str(getattr(getattr(recipe, f"{modality}_encoder"), "source", ""))
        if source.startswith(RUN):
            name = load_recipe(Path(source.removeprefix(RUN)) / RECIPE).name
            told.append(f"The {modality} encoder is that of another training, by the recipe called {name}.")
    return told


def take_weights(
    encoder: Encoder, source: str, modality: Modality, *, run: Path | None, share: float
) -> Encoder | None:
    """Give `encoder`, which was built from its :func:`origin`, the weights of the training that `source` names.

    Args:
        encoder: whose weights are replaced; a source that names no training changes nothing.
        source: as the recipe has it.
        modality: of the encoder.
        run: the run folder that has the training of a ``recipe:`` in it. None, or a finished run whose folder has lost
            it: nothing is changed there; the run's own model has the weights.
        share: of the way to those weights; see :class:`~m3ser.training.recipe.TaughtRecipe`.

    Returns:
        The same encoder, what learnt in that training not yet frozen; None: the source names none.

    Raises:
        RecipeError: the run did not train that encoder, is not finished, or trained one of other sizes.
        CheckpointError: its model is damaged.
    """
    if source.startswith(RUN):
        folder = Path(source.removeprefix(RUN))
    elif source.startswith(BEFORE) and run is not None:
        folder = encoder_folder(run, modality)
    else:
        return None
    if not (folder / SCORES).is_file():
        if source.startswith(BEFORE) and run is not None and (run / SCORES).is_file():
            return None
        raise RecipeError(f"'{source}': the training there is not finished.")
    model = models.load(folder / MODEL)
    learnt: Encoder | None = getattr(model, f"{modality}_encoder") if isinstance(model, SpeechEmotionModel) else None
    if learnt is None:
        raise RecipeError(f"'{source}': the training there left its {modality} encoder as it was.")
    weights = {name: value for name, value in merged(learnt).state_dict().items() if not name.startswith("mix.")}
    own = {name: value.shape for name, value in encoder.state_dict().items() if not name.startswith("mix.")}
    if own != {name: value.shape for name, value in weights.items()}:
        raise RecipeError(
            f"'{source}': its {modality} encoder does not fit this recipe's, which has other blocks or options."
        )
    if share < 1:
        before = encoder.state_dict()
        weights = {
            name: torch.lerp(before[name], value, share) if value.is_floating_point() else value
            for name, value in weights.items()
        }
        if learnt.lora is None:
            learnt.load_state_dict(weights, strict=False)
    encoder.load_state_dict(weights, strict=False)
    return learnt
