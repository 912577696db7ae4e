"""Encoders as an earlier training left them: ``source: run:FOLDER`` in a recipe.

FOLDER is a run folder, relative to where the command is run. The recipe there says where the encoder came from, and its
model has the weights. Whether that training learnt from what is judged afterwards is not looked at: folds need one that
did not.
"""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from m3ser import models
from m3ser.encoders import Encoder, merged
from m3ser.errors import RecipeError
from m3ser.models import SpeechEmotionModel
from m3ser.training.recipe_file import load_recipe, resolve_source

__all__ = ["origin", "take_weights"]

Modality = Literal["audio", "text"]
_RUN = "run:"


def origin(source: str, modality: Modality) -> str:
    """Where an encoder came from before anything was trained: a folder, or a repository's name.

    Raises:
        RecipeError: `source` names a run that is not there, or has no encoder with a source for this modality.
    """
    # A run may itself have begun with an earlier one's encoder.
    seen: list[str] = []
    while source.startswith(_RUN):
        if source in seen:
            raise RecipeError(f"Run '{source.removeprefix(_RUN)}' takes its {modality} encoder from itself.")
        seen.append(source)
        folder = Path(source.removeprefix(_RUN))
        if not (folder / "recipe.yaml").is_file():
            raise RecipeError(f"'{source}': '{folder}' is not the folder of a training; it has to be trained first.")
        config = getattr(load_recipe(folder / "recipe.yaml"), f"{modality}_encoder")
        found = getattr(config, "source", None)
        if found is None:
            raise RecipeError(f"'{source}': the run has no {modality} encoder that came from somewhere.")
        source = found
    return resolve_source(source)


def take_weights(encoder: Encoder, source: str, modality: Modality) -> None:
    """Give `encoder`, which was built from its :func:`origin`, the weights that it has in the run that `source` names.

    A source that names no run changes nothing.

    Raises:
        RecipeError: the run did not train that encoder, is not finished, or trained one of other sizes.
        CheckpointError: its model is damaged.
    """
    if not source.startswith(_RUN):
        return
    folder = Path(source.removeprefix(_RUN))
    if not (folder / "scores.json").is_file():
        raise RecipeError(f"'{source}': the training there is not finished.")
    model = models.load(folder / "model")
    learnt = getattr(model, f"{modality}_encoder") if isinstance(model, SpeechEmotionModel) else None
    if learnt is None:
        raise RecipeError(f"'{source}': the training there left its {modality} encoder as it was.")
    weights = {name: value for name, value in merged(learnt).state_dict().items() if not name.startswith("mix.")}
    own = {name: value.shape for name, value in encoder.state_dict().items() if not name.startswith("mix.")}
    if own != {name: value.shape for name, value in weights.items()}:
        raise RecipeError(
            f"'{source}': its {modality} encoder does not fit this recipe's, which has other blocks or options."
        )
    encoder.load_state_dict(weights, strict=False)
