"""Reading what a training or an evaluation left behind: a run, a cross-validation or an evaluation, as one record.

What the files are is described where they are written, in ``m3ser.training.run``, ``m3ser.training.crossval`` and
:mod:`m3ser.evaluation.folder`. None of the first room is needed to read them, nor PyTorch: a report can be made where
nobody trains.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from m3ser.errors import DataError, UsageError, needing
from m3ser.evaluation.notes import TOO_WELL
from m3ser.evaluation.prediction_files import read_predictions
from m3ser.evaluation.predictions import PredictionTable
from m3ser.evaluation.report.evaluations import Asked, is_evaluation, read_asked
from m3ser.evaluation.report.files import read_json, read_mapping, read_text
from m3ser.evaluation.report.fold_data import Part, read_parts
from m3ser.schema import get_scheme

__all__ = ["PAIRED", "Run", "Training", "read_run"]

PAIRED = "paired (semi-synthetic)"
"""How data that were paired from voices and sentences begin to speak of themselves; see :mod:`m3ser.corpora`."""

RECIPE, FACTS, SPLIT, AUDIT, LOG, PREDICTIONS, SCORES = (
    "recipe.yaml",
    "run.json",
    "split.csv",
    "audit.json",
    "log.json",
    "predictions.csv",
    "scores.json",
)
_SEED, _FOLD = re.compile(r"seed(-?\d+)"), re.compile(r"fold(\d+)")


@dataclass(frozen=True)
class Training:
    """One training: one fold, one seed.

    Attributes:
        seed: that it was trained with.
        fold: its number, from 1.
        fold_name: what the protocol calls it ("session iemocap/Ses01").
        facts: versions, machine, command, seconds, memory and so on, as ``run.json`` has them.
        history: the Trainer's records, in their order.
        temperatures: condition -> the temperature that its probabilities were calibrated with.
        audit: what its parts share, a line each.
        parts: name -> what the part holds, for those of train, validation and test that there are.
        comment: what the split says of itself.
    """

    seed: int
    fold: int
    fold_name: str
    facts: Mapping[str, Any]
    history: tuple[Mapping[str, Any], ...]
    temperatures: Mapping[str, float]
    audit: tuple[str, ...]
    parts: Mapping[str, Part]
    comment: str

    @property
    def selected_on(self) -> str:
        """The part whose UA chose the epoch: validation, or test where there is no such part."""
        return "validation" if "validation" in self.parts else "test"

    def curve(self, name: str) -> list[tuple[float, float]]:
        """(epoch, value) of one quantity of the history ("loss", "eval_both_ua"), in the order of the epochs."""
        return [(float(record["epoch"]), float(record[name])) for record in self.history if name in record]

    def chosen(self, condition: str) -> float | None:
        """The epoch that was kept: the first of the best ones by UA under `condition`; None where it is not on record.

        The Trainer, too, replaces its best checkpoint by a better one alone.
        """
        curve = self.curve(f"eval_{condition}_ua")
        return max(curve, key=lambda point: point[1])[0] if curve else None


@dataclass(frozen=True, eq=False)
class Run:
    """A run, a whole cross-validation, or an evaluation, as its folder tells it.

    Attributes:
        folder: where it was read from.
        recipe: as plain data; empty for an evaluation.
        recipe_text: the same, as it stands in the file.
        predictions: of every utterance that was tested, for every fold, seed and condition.
        notes: what is to be known of its scores.
        trainings: seed by seed, and fold by fold; none for an evaluation.
        asked: what was asked in an evaluation; None for anything else.
    """

    folder: Path
    recipe: Mapping[str, Any]
    recipe_text: str
    predictions: PredictionTable
    notes: tuple[str, ...]
    trainings: tuple[Training, ...]
    asked: Asked | None = None

    @property
    def name(self) -> str:
        """What its recipe calls it; the model's name for an evaluation."""
        return str(self.recipe["name"]) if self.asked is None else self.asked.model[0]

    @property
    def expected(self) -> str:
        """The score that its recipe states; empty where it states none."""
        return str(self.recipe.get("expected") or "")

    @property
    def protocol(self) -> str:
        """How its data were divided, pairs by speaker; what an evaluation judged on."""
        if self.asked is not None:
            return self.asked.place
        return str(self.recipe["data"].get("protocol") or "speaker")

    @property
    def conditions(self) -> tuple[str, ...]:
        """What the model was given, in turn; the first one is what the system is made for."""
        found = dict.fromkeys(self.predictions.conditions)
        known = ("both", "both-transcribed", "audio", "text", "text-transcribed")
        return tuple(name for name in known if name in found) or tuple(found)

    @property
    def seeds(self) -> tuple[int, ...]:
        """Of the trainings, each once."""
        return tuple(dict.fromkeys(one.seed for one in self.trainings))

    @property
    def folds(self) -> tuple[Training, ...]:
        """The first training of each fold: data and audit are the same for all seeds."""
        first: dict[int, Training] = {}
        for one in self.trainings:
            first.setdefault(one.fold, one)
        return tuple(first[number] for number in sorted(first))

    @property
    def paired(self) -> bool:
        """Whether voices and words were put together by a program."""
        if self.asked is not None:
            return any(note.startswith(PAIRED) for note in self.notes)
        kind = self.recipe["data"].get("kind")
        return kind == "paired" or any(one.comment.startswith(PAIRED) for one in self.trainings)

    @property
    def optimistic(self) -> str:
        """Why its scores are better than a new speaker will find them; empty where there is no such reason."""
        if self.asked is not None:
            return "optimistic: the model knows some of it" if any(TOO_WELL in note for note in self.notes) else ""
        if self.protocol == "paper":
            return "optimistic: as published"
        if any(one.selected_on == "test" for one in self.trainings):
            return "optimistic: best epoch chosen on the test part"
        return ""

    @property
    def marks(self) -> tuple[str, ...]:
        """What has to stand beside every score: the protocol, and what makes it less than it seems."""
        return tuple(mark for mark in (self.protocol, PAIRED if self.paired else "", self.optimistic) if mark)


def read_run(folder: str | os.PathLike[str], *, progress: Callable[[int, int], None] | None = None) -> Run:
    """Read the folder of one run (``m3ser train``), a cross-validation (``m3ser crossval``) or an evaluation.

    Args:
        folder: the folder that ``--out`` named.
        progress: told after each fold: how many have been read, and of how many; an evaluation counts as one.

    Raises:
        DataError: there is no run, it is not finished (says which folds are missing), or a file of it is damaged.
        MissingExtraError: PyYAML is not installed.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise DataError(f"'{folder}' is not the folder of a run: {'it is a file' if folder.exists() else 'not there'}.")
    if not (folder / RECIPE).is_file() and is_evaluation(folder):
        asked = read_asked(folder)
        judged = Run(folder, {}, "", read_predictions(folder / PREDICTIONS), asked.notes, (), asked)
        if progress is not None:
            progress(1, 1)
        return judged
    if not (folder / RECIPE).is_file():
        raise DataError(
            f"Folder '{folder}' has no {RECIPE}; expected what m3ser train, m3ser crossval or m3ser evaluate made."
        )
    places = _trainings(folder)
    _require_finished(folder, places)
    text = read_text(folder / RECIPE)
    recipe = _recipe(folder / RECIPE, text)
    predictions = read_predictions(folder / PREDICTIONS)
    scores = read_mapping(folder / SCORES)
    _require_all_folds(folder, places, scores, predictions)
    trainings: list[Training] = []
    for number, place in enumerate(places, 1):
        # Of a cross-validation the split is the same for all seeds; it is the one file that may be large.
        known = next((one for one in trainings if one.fold == _number(_FOLD, place)), None)
        trainings.append(_training(place, recipe, known))
        if progress is not None:
            progress(number, len(places))
    notes = tuple(map(str, scores.get("notes") or ()))
    return Run(folder, recipe, text, predictions, notes, tuple(trainings))


def _trainings(folder: Path) -> list[Path]:
    """The folders of the single trainings in `folder`, seed by seed; `folder` itself where it is one."""
    found = [
        (int(seed[1]), int(fold[1]), path)
        for path in folder.glob("seed*/fold*")
        if path.is_dir() and (seed := _SEED.fullmatch(path.parent.name)) and (fold := _FOLD.fullmatch(path.name))
    ]
    return [path for *_, path in sorted(found)] or [folder]


def _number(pattern: re.Pattern[str], place: Path) -> int | None:
    match = pattern.fullmatch(place.name)
    return int(match[1]) if match else None


def _require_finished(folder: Path, places: Sequence[Path]) -> None:
    """What stands in the way of a report is said with what to do about it."""
    unfinished = [str(place.relative_to(folder)) for place in places if not (place / SCORES).is_file()]
    if places == [folder]:
        if unfinished:
            raise DataError(
                f"The run in '{folder}' is not finished: it has no {SCORES}; the command that began it goes on with it "
                "(m3ser train with --resume)."
            )
        return
    seeds = dict.fromkeys(place.parent.name for place in places)
    folds = range(1, max(_number(_FOLD, place) or 1 for place in places) + 1)
    there = {place.relative_to(folder).as_posix() for place in places}
    unfinished += [name for seed in seeds for fold in folds if (name := f"{seed}/fold{fold}") not in there]
    if unfinished:
        raise DataError(
            f"The cross-validation in '{folder}' is not finished: of {len(seeds)} seeds and at least {len(folds)} "
            f"folds, {_listed(unfinished)} are missing; its own command goes on with them."
        )
    if not (folder / SCORES).is_file():
        raise DataError(
            f"The cross-validation in '{folder}' is not finished: the {len(places)} folds that are there have not been "
            "added up; its own command, without --fold, goes on with it."
        )


def _require_all_folds(
    folder: Path, places: Sequence[Path], scores: Mapping[str, Any], predictions: PredictionTable
) -> None:
    """The predictions of a cross-validation are of exactly the trainings whose folders are there."""
    tested = {f"seed{seed}/{fold}" for seed, fold in zip(predictions.seeds.tolist(), predictions.folds, strict=True)}
    if places == [folder]:
        if "folds" in scores:
            raise DataError(f"The cross-validation in '{folder}' has lost its folds: {_listed(sorted(tested))}.")
        return
    there = {place.relative_to(folder).as_posix() for place in places}
    if lost := sorted(tested - there):
        raise DataError(f"The cross-validation in '{folder}' has lost folds that its scores are of: {_listed(lost)}.")
    if strange := sorted(there - tested):
        raise DataError(
            f"The scores in '{folder}' lack folds whose folders are there: {_listed(strange)}; the command that made "
            "them adds them up again."
        )


def _listed(names: Any, most: int = 6) -> str:
    names = list(names)
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more


def _training(place: Path, recipe: Mapping[str, Any], known: Training | None) -> Training:
    facts = read_mapping(place / FACTS)
    scores = read_mapping(place / SCORES)
    history = read_json(place / LOG, list)
    audit = read_json(place / AUDIT, list)
    try:
        scheme = get_scheme(str(recipe["data"].get("scheme") or ""))
    except UsageError as error:
        raise DataError(f"Recipe of the run in '{place}': {error}") from error
    parts, comment = read_parts(place / SPLIT, scheme) if known is None else (known.parts, known.comment)
    try:
        return Training(
            seed=int(facts["seed"]),
            fold=int(facts["fold"]),
            fold_name=str(facts.get("fold_name") or f"fold {facts['fold']}"),
            facts=facts,
            history=tuple(record for record in history if isinstance(record, dict) and "epoch" in record),
            temperatures={str(name): float(value) for name, value in (scores.get("temperatures") or {}).items()},
            audit=tuple(map(str, audit)),
            parts=parts,
            comment=comment,
        )
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise DataError(f"'{place / FACTS}' or its {SCORES} is damaged: {type(error).__name__} at {error}.") from error


def _recipe(path: Path, text: str) -> Mapping[str, Any]:
    with needing("train", "Reading a run"):
        import yaml
    try:
        found = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise DataError(f"Recipe '{path}' is not valid YAML: {' '.join(str(error).split())}.") from error
    if not isinstance(found, dict) or "name" not in found or not isinstance(found.get("data"), dict):
        raise DataError(f"Recipe '{path}' is damaged; expected at least a name and data.")
    return found
