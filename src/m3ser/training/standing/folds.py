"""The trainings of a standing evaluation, speakers or corpora left out, and asking what came of each."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import torch

from m3ser.errors import RecipeError
from m3ser.evaluation import PredictionTable, concatenate
from m3ser.schema import Utterance
from m3ser.training.corpus import Prepared, prepare
from m3ser.training.crossval import crossvalidate
from m3ser.training.encoding import load_encoders, prepare_material
from m3ser.training.judging import Logits, logits_of, predictions
from m3ser.training.learner import Learner
from m3ser.training.recipe import PairedRecipe, Recipe
from m3ser.training.run_folder import SCORES, open_model
from m3ser.training.standing.profiles import moved
from m3ser.training.standing.questions import Question, voice, voices_of

__all__ = ["HeldOut", "Kept", "train_folds"]

Kept = Literal["shares", "speaker", "corpus"]
"""As :class:`~m3ser.training.recipe.PairedRecipe` has it: what no fold's model has met of what it is tested on."""


@dataclass(frozen=True)
class HeldOut:
    """A recipe's trainings, every speaker or corpus left out by one of them.

    Attributes:
        recipe: of all of them.
        folder: of the cross-validation.
        prepared: the data.
        cache: of the encoders' states.
    """

    recipe: Recipe
    folder: Path
    prepared: Prepared
    cache: Path

    @property
    def runs(self) -> list[Path]:
        """The run folder of each fold."""
        seed = f"seed{self.recipe.seed}"
        return [self.folder / seed / f"fold{number}" for number in range(1, len(self.prepared.split.folds) + 1)]

    def answers(self, questions: Callable[[tuple[Utterance, ...]], Sequence[Question]]) -> dict[str, PredictionTable]:
        """What each fold's model says, all folds together.

        Args:
            questions: the utterances of a fold, with their parts, to what its model is asked.

        Raises:
            RecipeError: a question with profiles, and an audio encoder that learns.

        Returns:
            Question -> predictions, calibrated with the temperatures that the fold found on its validation part.
        """
        tables: dict[str, list[PredictionTable]] = {}
        for number, run in enumerate(self.runs, 1):
            asked = [one for one in questions(self.prepared.fold(number)[0]) if one.asked.examples]
            for question, table in zip(asked, self._asked(run, number, asked), strict=True):
                tables.setdefault(question.name, []).append(table)
        return {name: concatenate(own) for name, own in tables.items()}

    def _asked(self, run: Path, number: int, questions: Sequence[Question]) -> list[PredictionTable]:
        fusion, encoders = open_model(run, load_encoders(self.recipe, run=run))
        device = "cuda" if torch.cuda.is_available() else "cpu"
        examples = [example for question in questions for example in question.asked.examples]
        training: tuple[Utterance, ...] = ()
        if any(question.profiles is not None for question in questions):
            if encoders.audio is None or not encoders.audio.computed_once:
                raise RecipeError("Profiles are judged with frozen audio encoders, and this recipe's learns.")
            training = voices_of(self.prepared.fold(number)[0], "train")
            examples += voice(training, self.recipe.data.emotion_scheme).asked.examples
        material = prepare_material(encoders, examples, cache=self.cache, device=device)
        model = fusion if encoders.all_frozen else Learner(fusion, encoders)

        def logits(question: Question) -> Logits:
            if question.profiles is None:
                return logits_of(model, material, device=device)
            states = moved(question, material, training)
            return logits_of(model, replace(material, audio=states), device=device)

        return [
            predictions(
                [question.asked],
                logits(question),
                labels=self.recipe.data.emotion_scheme.classes,
                temperatures=json.loads((run / SCORES).read_text(encoding="utf-8"))["temperatures"],
                fold=f"fold{number}",
                seed=self.recipe.seed,
            )
            for question in questions
        ]


def train_folds(recipe: Recipe, kept: Kept, folder: Path, *, cache: Path) -> HeldOut:
    """Train a recipe with a paired corpus once for each group of speakers, or corpus, that is left out.

    What is finished in `folder` stays as it is.

    Raises:
        DataError, AudioError, RecipeError: see :func:`m3ser.training.crossval.crossvalidate`.
    """
    assert isinstance(recipe.data, PairedRecipe)
    recipe = recipe.model_copy(update={"data": recipe.data.model_copy(update={"held_out": kept})})
    prepared = prepare(recipe.data)
    crossvalidate(recipe, folder, seeds=[recipe.seed], cache=cache, prepared=prepared)
    return HeldOut(recipe, folder, prepared, cache)
