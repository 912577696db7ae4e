"""All folds of a recipe's data, for several seeds: each its own run folder, then everything together.

The folder holds ``seed0/fold1/`` and so on (see :mod:`m3ser.training.run`), and once all of them are finished
``predictions.csv`` and ``scores.json`` over all folds, as of a single run. What is finished is never trained again, so
that an interrupted cross-validation goes on where it was, and folds can be given to several machines.
"""

from __future__ import annotations

import json
import multiprocessing
import os
import threading
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from m3ser.errors import RecipeError
from m3ser.evaluation import PredictionTable, concatenate, read_predictions, write_predictions
from m3ser.files import write_whole
from m3ser.training.augmentation import copies_of
from m3ser.training.corpus import Prepared, prepare
from m3ser.training.earlier import recipes_before
from m3ser.training.encoding import Encoded, load_encoders, prepare_material
from m3ser.training.examples import example_of
from m3ser.training.progress import quiet_libraries
from m3ser.training.recipe import Recipe
from m3ser.training.run import train
from m3ser.training.run_folder import PREDICTIONS, SCORES, open_run

__all__ = ["CrossValidation", "crossvalidate"]


@dataclass(frozen=True)
class CrossValidation:
    """What a cross-validation came to.

    Attributes:
        folder: where everything is.
        predictions: of every utterance that was tested, for every seed and condition.
        scores: what ``scores.json`` holds: per condition the pooled scores and, over seeds and folds, mean and standard
            deviation of UA and WA.
    """

    folder: Path
    predictions: PredictionTable
    scores: dict[str, Any]


def crossvalidate(
    recipe: Recipe,
    out: str | Path,
    *,
    seeds: Sequence[int],
    cache: str | Path,
    only: Sequence[int] = (),
    workers: int = 1,
    prepared: Prepared | None = None,
) -> CrossValidation | None:
    """Train and judge every fold for every seed; what is finished in `out` already is left as it is.

    Args:
        recipe: whose seed is replaced by each of `seeds`.
        out: folder for everything.
        seeds: of the trainings.
        cache: folder for the frozen encoders' states.
        only: folds to train in this call (from 1), as for one job of several; none: all.
        workers: processes that train at the same time.
        prepared: the recipe's data, where they are at hand.

    Returns:
        None where folds are still missing, because `only` left them to others.

    Raises:
        DataError, AudioError, RecipeError: see :func:`m3ser.training.run.train`; or `out` is of another recipe.
    """
    out, cache = Path(out), Path(cache)
    prepared = prepared or prepare(recipe.data)
    numbers = range(1, len(prepared.split.folds) + 1)
    if strange := sorted(set(only) - set(numbers)):
        raise RecipeError(f"Fold {strange[0]} is not one of the {len(numbers)} folds of '{recipe.data.protocol}'.")
    jobs = [(recipe.model_copy(update={"seed": seed}), fold) for seed in seeds for fold in numbers]
    folders = {(job.seed, fold): out / f"seed{job.seed}" / f"fold{fold}" for job, fold in jobs}
    waiting = [
        (job, fold, folders[job.seed, fold])
        for job, fold in jobs
        if (not only or fold in only) and not (folders[job.seed, fold] / SCORES).is_file()
    ]
    open_run(out, recipe, resume=True)
    if waiting:
        encoded = _encode(recipe, prepared, cache)
        if workers > 1:
            _train_side_by_side(waiting, prepared, cache, workers)
        else:
            for job, fold, folder in waiting:
                train(job, prepared, folder, fold=fold, cache=cache, resume=True, shared=encoded)
    if not all((folder / SCORES).is_file() for folder in folders.values()):
        return None
    table = concatenate(read_predictions(folder / PREDICTIONS) for folder in folders.values())
    scores = _summary(table, prepared)
    write_predictions(out / PREDICTIONS, table, comment=prepared.comment)
    write_whole(out / SCORES, json.dumps(scores, indent=2) + "\n")
    return CrossValidation(out, table, scores)


def _encode(recipe: Recipe, prepared: Prepared, cache: Path) -> Encoded | None:
    """Run the encoders once for all folds; what comes of it can be shared where none of them learns.

    Several processes find it in the cache, where they would else do the same work side by side. Encoders that are
    trained before are other ones in each fold, but for what they begin with.
    """
    before = recipes_before(recipe)
    for one in before.values():
        _encode(one, prepared, cache)
    if before:
        return None
    parts = zip(prepared.split.utterances, *(fold.parts for fold in prepared.split.folds), strict=True)
    rows = [(example_of(u, recipe.data.emotion_scheme), own) for u, *own in parts if any(own)]
    used = [example for example, _ in rows]
    used += copies_of((example for example, own in rows if "train" in own), recipe.training.augmentation)
    encoders = load_encoders(recipe)
    device = "cuda" if torch.cuda.is_available() else "cpu"
    material = prepare_material(encoders, used, cache=cache, device=device)
    return Encoded(encoders, material) if encoders.all_frozen else None


def _train_side_by_side(
    waiting: Sequence[tuple[Recipe, int, Path]], prepared: Prepared, cache: Path, workers: int
) -> None:
    # A forked process would share torch's threads with its parent, which stops both.
    context = multiprocessing.get_context("spawn")
    threads = max(1, torch.get_num_threads() // workers)
    with ProcessPoolExecutor(workers, mp_context=context, initializer=_start, initargs=(threads,)) as pool:
        jobs = [pool.submit(_job, recipe, prepared, folder, fold, cache) for recipe, fold, folder in waiting]
        try:
            for job in as_completed(jobs):
                job.result()
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise


def _start(threads: int) -> None:
    torch.set_num_threads(threads)
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    # A parent that is killed says nothing to its pool, which would go on with the folds that it has been given.
    parent = multiprocessing.parent_process()
    assert parent is not None
    parent.join()
    os._exit(1)


def _job(recipe: Recipe, prepared: Prepared, folder: Path, fold: int, cache: Path) -> None:
    with quiet_libraries():
        train(recipe, prepared, folder, fold=fold, cache=cache, resume=True)


def _summary(table: PredictionTable, prepared: Prepared) -> dict[str, Any]:
    seeds = sorted({int(seed) for seed in table.seeds})
    folds = list(dict.fromkeys(table.folds))
    found: dict[str, Any] = {}
    for condition in dict.fromkeys(table.conditions):
        rows = table.where(condition=condition)
        # Each seed's folds together are one result on the whole corpus: seeds are repetitions of it.
        by_seed = [rows.where(seed=seed).evaluate(resamples=1) for seed in seeds]
        by_fold = [rows.where(fold=fold).evaluate(resamples=1) for fold in folds]
        found[condition] = {
            "pooled": rows.evaluate().to_dict(),
            "over_seeds": {name: _spread([getattr(one, name) for one in by_seed]) for name in _NAMES},
            "over_folds": {name: _spread([getattr(one, name) for one in by_fold]) for name in _NAMES},
        }
    return {
        "protocol": prepared.split.protocol,
        "notes": list(prepared.split.notes),
        "seeds": seeds,
        "folds": len(folds),
        "conditions": found,
    }


_NAMES = ("unweighted_accuracy", "weighted_accuracy")


def _spread(values: Sequence[float]) -> dict[str, Any]:
    deviation = float(np.std(values, ddof=1)) if len(values) > 1 else None
    return {"mean": float(np.mean(values)), "deviation": deviation, "n": len(values)}
