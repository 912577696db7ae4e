"""A finished training as what is to be exported, and what of it cannot be."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import nn

from m3ser.corpora import read_manifest
from m3ser.encoders import Encoder
from m3ser.errors import CheckpointError, DataError
from m3ser.models import FusionModel
from m3ser.schema import Utterance
from m3ser.training.encoding import Encoders, load_encoders
from m3ser.training.evaluating import check_finished, read_record
from m3ser.training.recipe import Recipe
from m3ser.training.recipe_file import load_recipe
from m3ser.training.run_folder import FACTS, RECIPE, SCORES, SPLIT, open_model

__all__ = ["Checkpoint", "load_checkpoint"]

_LARGEST_GRAPH = 1.9e9
"""Bytes of weights; protocol buffers, which ONNX files are, end at 2 GiB."""


@dataclass(frozen=True)
class Checkpoint:
    """A finished training with its parts.

    Attributes:
        folder: the run folder.
        recipe: what it was trained by.
        encoders: with the weights that they have after training.
        fusion: the trained part.
        tokenizer: of the text encoder: its tokenizer.json, or for word vectors what would be in it; None: no text.
        facts: what ``run.json`` holds.
        scores: what ``scores.json`` holds.
    """

    folder: Path
    recipe: Recipe
    encoders: Encoders
    fusion: FusionModel
    tokenizer: Path | str | None
    facts: Mapping[str, Any]
    scores: Mapping[str, Any]

    def utterances(self, part: str) -> tuple[Utterance, ...]:
        """The utterances of one part of the training's split, if their recordings are all at hand; else none."""
        try:
            rows = read_manifest(self.folder / SPLIT, check_audio=False).utterances
        except DataError:
            return ()
        chosen = tuple(utterance for utterance in rows if utterance.split == part)
        if self.encoders.audio is not None and not all(u.audio is None or u.audio.is_file() for u in chosen):
            return ()
        return chosen


def load_checkpoint(folder: str | Path) -> Checkpoint:
    """Load a finished training, and see that all of it can be exported.

    Args:
        folder: a run folder, that of a cross-validation's fold too.

    Raises:
        DataError: the folder is that of a whole cross-validation, or of a training that is not finished or damaged.
        CheckpointError: a part of it cannot be exported (the message says which, and why), or is not what it should be.
        RecipeError, DownloadError: the recipe or an encoder is not what it should be.
    """
    folder = Path(folder)
    check_finished(folder)
    recipe = load_recipe(folder / RECIPE)
    encoders = load_encoders(recipe, run=folder)
    # Of word vectors that learnt only those from the file know the words behind their numbers.
    tokenizer = encoders.tokenizer_file or getattr(encoders.text, "tokenizer", None)
    model, encoders = open_model(folder, encoders)
    parts: dict[str, nn.Module | None] = {"audio encoder": encoders.audio, "text encoder": encoders.text}
    for name, part in {**parts, "fusion": model}.items():
        if part is not None:
            part.eval()
            _require_exportable(name, part, folder)
    facts, scores = (read_record(folder / name) for name in (FACTS, SCORES))
    return Checkpoint(folder, recipe, encoders, model, tokenizer, facts, scores)


def _require_exportable(name: str, part: nn.Module, folder: Path) -> None:
    if isinstance(part, Encoder) and not getattr(part, "exportable", True):
        raise CheckpointError(
            f"The {name} of '{folder}' cannot be exported: padding leaks into its states, so that it runs utterances "
            "one by one, and that is no single ONNX graph."
        )
    size = sum(one.numel() * 4 for one in part.parameters())
    if size > _LARGEST_GRAPH:
        raise CheckpointError(
            f"The {name} of '{folder}' cannot be exported: its weights come to {size / 1e9:.1f} GB in float32, and an "
            "ONNX file ends at 2 GB."
        )
