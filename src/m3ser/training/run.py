"""One training: one fold of a recipe's data, one seed; from utterances to a run folder.

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
"""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
import transformers
from accelerate import PartialState
from torch import nn

from m3ser import models
from m3ser.corpora import write_manifest
from m3ser.errors import CheckpointError, DataError, RecipeError, UsageError
from m3ser.evaluation import PredictionTable, write_predictions
from m3ser.files import write_whole
from m3ser.models import FusionModel, SpeechEmotionModel
from m3ser.schema import EmotionScheme, Utterance
from m3ser.training.checkpoints import history_of, newest_complete
from m3ser.training.corpus import Prepared
from m3ser.training.encoding import Encoders, Material, load_encoders, prepare_material
from m3ser.training.examples import example_of
from m3ser.training.judging import (
    Asked,
    ask,
    conditions_for,
    examples_under,
    fit_temperatures,
    logits_of,
    predictions,
)
from m3ser.training.learner import Learner
from m3ser.training.provenance import facts, peak_memory
from m3ser.training.recipe import Recipe
from m3ser.training.recipe_file import load_recipe, write_recipe
from m3ser.training.standardise import Scaled, Standardisation
from m3ser.training.trainer import Judging, Patience, make_trainer

__all__ = ["Trained", "train"]

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


@dataclass(frozen=True)
class Trained:
    """What a training leaves behind.

    Attributes:
        recipe: what it was trained by.
        utterances: of the fold, with their parts.
        names: what each of them is called.
        comment: what the data say of themselves.
        encoders: the encoders; those that are frozen are as they were.
        fusion: the trained part, for states as the encoders give them.
        material: what the trained part reads.
        folder: the run folder.
        predictions: what the model says of the test part.
        scores: what ``scores.json`` holds.
    """

    recipe: Recipe
    utterances: tuple[Utterance, ...]
    names: tuple[str, ...]
    comment: str
    encoders: Encoders
    fusion: FusionModel
    material: Material
    folder: Path
    predictions: PredictionTable
    scores: Mapping[str, Any]

    def part(self, name: str) -> tuple[tuple[Utterance, ...], tuple[str, ...]]:
        """The utterances of one part, and their names."""
        return _part(self.utterances, self.names, name)


def train(
    recipe: Recipe, prepared: Prepared, out: str | Path, *, fold: int = 1, cache: str | Path, resume: bool = False
) -> Trained:
    """Train one fold as `recipe` says, and judge the best epoch on its test part.

    The best epoch is chosen by UA on the validation part (under the protocol `paper`: on the test part, as published).
    The same recipe, fold and seed give the same weights on the same machine, interrupted or not.

    Args:
        recipe: see :class:`~m3ser.training.recipe.Recipe`.
        prepared: the recipe's data.
        out: the run folder.
        fold: from 1.
        cache: folder for the frozen encoders' states; a second training finds them there.
        resume: go on from the last checkpoint in `out`, if there is one.

    Raises:
        DataError, AudioError: the corpora are not what they should be, or something cannot be written.
        RecipeError: parts of the recipe do not fit each other, or the run in `out` is of another recipe.
        UsageError: `out` holds a run, and it is not to be resumed.
    """
    out, cache = Path(out), Path(cache)
    started = time.monotonic()
    state = PartialState(cpu=not torch.cuda.is_available())
    utterances, names = prepared.fold(fold)
    scheme = recipe.data.emotion_scheme
    with state.main_process_first():
        if state.is_main_process:
            _open(out, recipe, resume=resume)
            audit = prepared.audited(fold)
            (out / AUDIT).write_text(json.dumps([str(o) for o in audit.overlaps], indent=1) + "\n", encoding="utf-8")
            write_manifest(out / SPLIT, utterances, comment=prepared.comment or f"protocol {recipe.data.protocol}")
    encoders = load_encoders(recipe)
    # First weights depend on the seed alone, not on what was loaded before them.
    transformers.set_seed(recipe.seed)
    # Before the encoders run: what cannot be built should not take minutes to say so.
    fusion = _fusion(recipe, encoders, scheme)
    with state.main_process_first():
        material = prepare_material(
            encoders, [example_of(u, scheme) for u in utterances], cache=cache, device=state.device
        )
    training = [u for u in utterances if u.split == "train"]
    examples = [example_of(u, scheme) for u in utterances]
    plain = material = material.in_memory(examples)
    scale = None
    if recipe.model.scale_audio and material.audio is not None:
        heard = sorted(
            {one.audio for one in (example_of(u, scheme) for u in training) if one.audio is not None}, key=str
        )
        scale = Standardisation.of(material.audio[one] for one in heard)
        material = Material(Scaled(material.audio, scale), material.text, material.nothing).in_memory(examples)

    model: nn.Module = fusion if encoders.all_frozen else Learner(fusion, encoders)
    log = _train(recipe, model, material, training, utterances, fusion, out, title=f"{recipe.name} fold {fold}")
    if scale is not None:
        scale.fold_into(fusion)
        material = plain

    judge = _Judge(recipe, model, material, fusion, state.device)
    table, scores = judge.judge(utterances, names, fold)
    if state.is_main_process:
        _save(out, fusion, encoders, model)
        write_predictions(out / PREDICTIONS, table, comment=prepared.comment)
        (out / LOG).write_text(json.dumps(log, indent=1) + "\n", encoding="utf-8")
        facts_ = {
            **facts(),
            "recipe": recipe.name,
            "seed": recipe.seed,
            "fold": fold,
            "fold_name": prepared.split.folds[fold - 1].name,
            "protocol": recipe.data.protocol,
            "corpus_fingerprint": prepared.fingerprint(),
            "notes": list(prepared.split.notes),
            "seconds": round(time.monotonic() - started, 1),
            "peak_memory": peak_memory(),
        }
        (out / FACTS).write_text(json.dumps(facts_, indent=2) + "\n", encoding="utf-8")
        write_whole(out / SCORES, json.dumps(scores, indent=2) + "\n")
    state.wait_for_everyone()
    if state.is_main_process:
        shutil.rmtree(out / CHECKPOINTS, ignore_errors=True)
    return Trained(recipe, utterances, names, prepared.comment, encoders, fusion, material, out, table, scores)


def _open(out: Path, recipe: Recipe, *, resume: bool) -> None:
    """Make sure that the folder can be written to, and that nothing of another run is in it."""
    known = out / RECIPE
    if known.is_file():
        if not resume:
            raise UsageError(f"'{out}' already holds a run; go on with it by --resume, or name another folder.")
        if load_recipe(known) != recipe:
            raise RecipeError(
                f"The run in '{out}' is of another recipe; resume it by the same one, or name another folder."
            )
    try:
        out.mkdir(parents=True, exist_ok=True)
        write_recipe(known, recipe)
    except OSError as error:
        raise DataError(f"The run folder '{out}' cannot be written: {error.strerror or error}.") from error


def _fusion(recipe: Recipe, encoders: Encoders, scheme: EmotionScheme) -> FusionModel:
    widths = {
        name: {} if one is None else {f"{name}_dim": one.dim}
        for name, one in (("text", encoders.text), ("audio", encoders.audio))
    }
    # The width of what a system does not look at is the paper's.
    sizes = {"text_dim": 768, "audio_dim": 128, **widths["text"], **widths["audio"]}
    return models.build(
        recipe.model.system,
        num_labels=len(scheme.classes),
        labels=scheme.classes,
        **sizes,
        **recipe.model.options,
    )


def _train(
    recipe: Recipe,
    model: nn.Module,
    material: Material,
    training: Sequence[Utterance],
    utterances: Sequence[Utterance],
    fusion: FusionModel,
    out: Path,
    *,
    title: str,
) -> list[dict[str, Any]]:
    """Train `model`, which has the best epoch's weights afterwards; returns the history."""
    scheme = recipe.data.emotion_scheme
    # As published, there is nothing but the test part to choose the best epoch on.
    part = "validation" if any(u.split == "validation" for u in utterances) else "test"
    judged = [u for u in utterances if u.split == part]
    conditions = conditions_for(fusion.modalities)
    shown = {name: examples_under(name, judged, scheme) for name in conditions}
    metric = conditions[-1]
    if not shown[metric]:
        raise DataError(f"Nothing in the {part} part has what '{recipe.model.system}' looks at ({metric}).")
    trainer = make_trainer(
        model,
        recipe.training,
        material,
        training,
        Judging({name: examples for name, examples in shown.items() if examples}, metric, part),
        scheme,
        seed=recipe.seed,
        title=title,
        checkpoints=out / CHECKPOINTS,
    )
    checkpoint = newest_complete(out / CHECKPOINTS)
    patience = recipe.training.patience
    history = None if checkpoint is None else history_of(checkpoint)
    done = (
        history is not None
        and patience is not None
        and Patience(patience).exhausted(history["log_history"], f"eval_{metric}_ua")
    )
    if done:
        # It had stopped, and was interrupted before the rest was written: another step would be one too many.
        assert history is not None
        _load(model, Path(history["best_model_checkpoint"]))
        found: list[dict[str, Any]] = history["log_history"]
        return found
    try:
        trainer.train(resume_from_checkpoint=None if checkpoint is None else str(checkpoint))
    except OSError as error:
        raise CheckpointError(
            f"A checkpoint in '{out}' cannot be written: {error.strerror or error}; what was written before is "
            "kept, and --resume goes on from there."
        ) from error
    return list(trainer.state.log_history)


def _load(model: nn.Module, checkpoint: Path) -> None:
    from safetensors.torch import load_file

    model.load_state_dict(load_file(checkpoint / "model.safetensors"))


class _Judge:
    """Asks a trained model under every condition; temperatures are fitted on the validation part alone."""

    def __init__(
        self, recipe: Recipe, model: nn.Module, material: Material, fusion: FusionModel, device: torch.device
    ) -> None:
        self.recipe = recipe
        self.scheme = recipe.data.emotion_scheme
        self.conditions = conditions_for(fusion.modalities)
        self.logits = logits_of(model, material, device=device)

    def judge(
        self, utterances: Sequence[Utterance], names: Sequence[str], fold: int
    ) -> tuple[PredictionTable, dict[str, Any]]:
        """The test part's predictions and their scores."""
        temperatures = fit_temperatures(self._asked(utterances, names, "validation"), self.logits)
        table = predictions(
            self._asked(utterances, names, "test"),
            self.logits,
            labels=self.scheme.classes,
            temperatures=temperatures,
            fold=f"fold{fold}",
            seed=self.recipe.seed,
        )
        found = {
            condition: table.where(condition=condition).evaluate().to_dict()
            for condition in dict.fromkeys(table.conditions)
        }
        return table, {"conditions": found, "temperatures": temperatures}

    def _asked(self, utterances: Sequence[Utterance], names: Sequence[str], part: str) -> list[Asked]:
        inside, called = _part(utterances, names, part)
        return [ask(condition, inside, called, self.scheme) for condition in self.conditions]


def _save(out: Path, fusion: FusionModel, encoders: Encoders, model: nn.Module) -> None:
    fusion.train(False).cpu()
    if isinstance(model, Learner):
        whole = SpeechEmotionModel.from_parts(fusion, text_encoder=encoders.text, audio_encoder=encoders.audio)
        models.save(whole.train(False), out / MODEL)
    else:
        models.save(fusion, out / MODEL)


def _part(
    utterances: Sequence[Utterance], names: Sequence[str], part: str
) -> tuple[tuple[Utterance, ...], tuple[str, ...]]:
    rows = [(u, name) for u, name in zip(utterances, names, strict=True) if u.split == part]
    return tuple(u for u, _ in rows), tuple(name for _, name in rows)
