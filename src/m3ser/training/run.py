"""One training: one fold of a recipe's data, one seed; from utterances to a run folder.

What comes of it is in a run folder (:mod:`m3ser.training.run_folder`).
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
from transformers import Trainer

from m3ser import models
from m3ser.corpora import write_manifest
from m3ser.errors import DataError
from m3ser.evaluation import PredictionTable, read_predictions, write_predictions
from m3ser.models import FusionModel
from m3ser.schema import EmotionScheme, Utterance
from m3ser.training.adversary import groups_of
from m3ser.training.augmentation import copies_of
from m3ser.training.corpus import Prepared
from m3ser.training.distillation import Targets, targets_of
from m3ser.training.earlier import recipes_before, teacher_of
from m3ser.training.encoding import Encoded, Encoders, Material, load_encoders, prepare_material, states_now
from m3ser.training.examples import Example, example_of
from m3ser.training.fitting import fit
from m3ser.training.judging import (
    Asked,
    Logits,
    ask,
    conditions_for,
    examples_under,
    fit_temperatures,
    logits_of,
    predictions,
)
from m3ser.training.learner import trainee
from m3ser.training.objective import make_adversary, make_loss
from m3ser.training.provenance import facts, peak_memory
from m3ser.training.recipe import Recipe
from m3ser.training.run_folder import (
    AUDIT,
    CHECKPOINTS,
    FACTS,
    LOG,
    PREDICTIONS,
    SCORES,
    SPLIT,
    encoder_folder,
    open_model,
    open_run,
    save_model,
    teacher_folder,
    write_record,
)
from m3ser.training.standardise import Scaled, Standardisation
from m3ser.training.trainer import Judging, make_trainer

__all__ = ["Trained", "train"]

_SCALED_BY = 1_000  # recordings, at most, that an encoder is run over to see how large its states are


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
    recipe: Recipe,
    prepared: Prepared,
    out: str | Path,
    *,
    fold: int = 1,
    cache: str | Path,
    resume: bool = False,
    shared: Encoded | None = None,
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
        resume: go on from the last checkpoint in `out`, if there is one; a run that is finished is read, not repeated.
        shared: the recipe's encoders, all of them frozen, and what they make of at least this fold. None: they are
            loaded; those that another recipe trains before (``source: recipe:NAME``) are trained now, on this fold.

    Raises:
        DataError, AudioError: the corpora are not what they should be, or something cannot be written.
        CheckpointError: a checkpoint cannot be written.
        RecipeError: parts of the recipe do not fit each other, or the run in `out` is of another recipe.
        UsageError: `out` holds a run, and it is not to be resumed.
    """
    # Absolute: the Trainer writes into its checkpoints where the best one is.
    out, cache = Path(out).resolve(), Path(cache)
    started = time.monotonic()
    state = PartialState(cpu=not torch.cuda.is_available())
    utterances, names = prepared.fold(fold)
    scheme = recipe.data.emotion_scheme
    with state.main_process_first():
        if state.is_main_process:
            open_run(out, recipe, resume=resume)
            audit = prepared.audited(fold)
            write_record(out / AUDIT, [str(overlap) for overlap in audit.overlaps])
            write_manifest(out / SPLIT, utterances, comment=prepared.comment or f"protocol {recipe.data.protocol}")
    if shared is None:
        if not (out / SCORES).is_file():
            _train_encoders_before(recipe, prepared, out, fold=fold, cache=cache)
        encoders = load_encoders(recipe, run=out)
    else:
        encoders = shared.encoders
    # First weights depend on the seed alone, not on what was loaded before them.
    transformers.set_seed(recipe.seed)
    # Before the encoders run: what cannot be built, or judged, should not take minutes to say so.
    fusion = _fusion(recipe, encoders, scheme)
    judging = _judging(recipe, fusion, utterances)
    examples = [example_of(utterance, scheme) for utterance in utterances]
    training = [u for u in utterances if u.split == "train" and _looked_at(example_of(u, scheme), fusion)]
    loss = make_loss(recipe.training, fusion, [example_of(utterance, scheme).label for utterance in training])
    against = recipe.training.adversary
    adversary = make_adversary(
        recipe.training, fusion, 0 if against is None else groups_of(training, against.against)[1]
    )
    examples += copies_of((example_of(utterance, scheme) for utterance in training), recipe.training.augmentation)
    with state.main_process_first():
        if shared is None:
            material = prepare_material(encoders, examples, cache=cache, device=state.device)
        else:
            material = shared.material
    material = material.in_memory(examples)
    if (out / SCORES).is_file():
        return _read(recipe, prepared, out, fold, encoders, material)

    model = trainee(fusion, encoders, loss, adversary=adversary, state_dropout=recipe.training.state_dropout)
    scale = _scale(recipe, encoders, material, training, state.device) if recipe.model.scale_audio else None
    if scale is not None and encoders.audio is not None and not encoders.audio.computed_once:
        # States that change in training cannot be scaled beforehand: the model keeps the scale that they began with.
        fusion.scale_audio(torch.from_numpy(scale.mean), torch.from_numpy(scale.deviation))
        scale = None
    read = material if scale is None else material.with_audio(lambda audio: Scaled(audio, scale)).in_memory(examples)
    targets = _targets(recipe, prepared, out, training, fold=fold, cache=cache, device=state.device)

    def trainer_of(number: int, checkpoints: Path) -> Trainer:
        several = f" seed {number + 1} of {recipe.training.seeds}" if recipe.training.seeds > 1 else ""
        return make_trainer(
            model,
            recipe.training,
            read,
            training,
            judging,
            scheme,
            loss=loss,
            targets=targets,
            seed=recipe.seed + number,
            title=f"{recipe.name} fold {fold}{several}",
            checkpoints=checkpoints,
        )

    history = fit(trainer_of, model, out / CHECKPOINTS, recipe.training)
    if scale is not None:
        scale.fold_into(fusion)

    logits = logits_of(model, material, device=state.device)
    table, scores = _judged(recipe, fusion, logits, utterances, names, fold)
    scores["notes"] = list(prepared.split.notes)
    if state.is_main_process:
        save_model(out, recipe, fusion, encoders)
        write_predictions(out / PREDICTIONS, table, comment=prepared.comment)
        write_record(out / LOG, history)
        write_record(out / FACTS, _facts(recipe, prepared, fold, seconds=time.monotonic() - started))
        write_record(out / SCORES, scores)
    state.wait_for_everyone()
    if state.is_main_process:
        shutil.rmtree(out / CHECKPOINTS, ignore_errors=True)
    return Trained(recipe, utterances, names, prepared.comment, encoders, fusion, material, out, table, scores)


def _train_encoders_before(recipe: Recipe, prepared: Prepared, out: Path, *, fold: int, cache: Path) -> None:
    """Train the encoders that come from other recipes on the training part of the same fold; finished ones stay.

    So nothing that is judged has taught an encoder, whatever is left out.
    """
    for modality, before in recipes_before(recipe).items():
        # A recording that is in several pairs would be learnt from, and judged, several times.
        heard = prepared.only(fold, once=modality == "audio")
        train(before, heard, encoder_folder(out, modality), cache=cache, resume=True)


def _targets(
    recipe: Recipe,
    prepared: Prepared,
    out: Path,
    training: Sequence[Utterance],
    *,
    fold: int,
    cache: Path,
    device: torch.device,
) -> Targets | None:
    """What the teacher says, which is trained now unless it has been."""
    teacher = teacher_of(recipe)
    if teacher is None:
        return None
    # One that reads nothing would be taught, and judged, by a recording once for each sentence that it is paired with.
    known = prepared.only(fold, once=teacher.text_encoder is None)
    taught = train(teacher, known, teacher_folder(out), cache=cache, resume=True)
    scheme = recipe.data.emotion_scheme
    return targets_of(taught, (example_of(utterance, scheme) for utterance in training), device=device)


def _facts(recipe: Recipe, prepared: Prepared, fold: int, *, seconds: float) -> dict[str, Any]:
    return {
        **facts(),
        "recipe": recipe.name,
        "seed": recipe.seed,
        "fold": fold,
        "fold_name": prepared.split.folds[fold - 1].name,
        "protocol": recipe.data.protocol,
        "corpus_fingerprint": prepared.fingerprint(),
        "licences": {info.name: info.licence for info in prepared.infos},
        "seconds": round(seconds, 1),
        "peak_memory": peak_memory(),
    }


def _read(recipe: Recipe, prepared: Prepared, out: Path, fold: int, encoders: Encoders, material: Material) -> Trained:
    """A run that is finished."""
    model, encoders = open_model(out, encoders)
    scores = json.loads((out / SCORES).read_text(encoding="utf-8"))
    table = read_predictions(out / PREDICTIONS)
    return Trained(recipe, *prepared.fold(fold), prepared.comment, encoders, model, material, out, table, scores)


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


def _judging(recipe: Recipe, fusion: FusionModel, utterances: Sequence[Utterance]) -> Judging:
    """What the epochs are judged by.

    Raises:
        DataError: nothing of it has what the system looks at.
    """
    # As published, there is nothing but the test part to choose the best epoch on.
    part = "validation" if any(u.split == "validation" for u in utterances) else "test"
    judged = [u for u in utterances if u.split == part]
    conditions = conditions_for(fusion.modalities)
    shown = {name: examples_under(name, judged, recipe.data.emotion_scheme) for name in conditions}
    own = conditions[-1]
    if not shown[own]:
        raise DataError(f"Nothing in the {part} part has what '{recipe.model.system}' looks at ({own}).")
    return Judging({name: examples for name, examples in shown.items() if examples}, own, part)


def _looked_at(example: Example, fusion: FusionModel) -> bool:
    """Whether there is anything in it that the system looks at: not every recording comes with its words."""
    return any(getattr(example, modality) is not None for modality in fusion.modalities)


def _scale(
    recipe: Recipe, encoders: Encoders, material: Material, training: Sequence[Utterance], device: torch.device
) -> Standardisation | None:
    """Of the audio states of the training part, each recording once; of an encoder that learns, as they are now."""
    if material.audio is None or encoders.audio is None:
        return None
    heard = sorted(
        {example_of(utterance, recipe.data.emotion_scheme).audio for utterance in training} - {None}, key=str
    )
    if encoders.audio.computed_once:
        return Standardisation.of(material.audio[one] for one in heard)
    some = heard[:: -(-len(heard) // _SCALED_BY)]
    return Standardisation.of(states_now(encoders.audio, (material.audio[one] for one in some), device=device))


def _judged(
    recipe: Recipe,
    fusion: FusionModel,
    logits: Logits,
    utterances: Sequence[Utterance],
    names: Sequence[str],
    fold: int,
) -> tuple[PredictionTable, dict[str, Any]]:
    """The test part's predictions and their scores; temperatures are fitted on the validation part alone."""
    scheme = recipe.data.emotion_scheme

    def asked(part: str) -> list[Asked]:
        inside, called = _part(utterances, names, part)
        return [ask(condition, inside, called, scheme) for condition in conditions_for(fusion.modalities)]

    temperatures = fit_temperatures(asked("validation"), logits)
    table = predictions(
        asked("test"),
        logits,
        labels=scheme.classes,
        temperatures=temperatures,
        fold=f"fold{fold}",
        seed=recipe.seed,
    )
    conditions = dict.fromkeys(table.conditions)
    scores = {name: table.where(condition=name).evaluate().to_dict() for name in conditions}
    return table, {"conditions": scores, "temperatures": temperatures}


def _part(
    utterances: Sequence[Utterance], names: Sequence[str], part: str
) -> tuple[tuple[Utterance, ...], tuple[str, ...]]:
    rows = [(u, name) for u, name in zip(utterances, names, strict=True) if u.split == part]
    return tuple(u for u, _ in rows), tuple(name for _, name in rows)
