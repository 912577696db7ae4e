"""Size, time and memory of a recipe's model as users get it: a bundle, on one core, in a process of its own."""

from __future__ import annotations

import multiprocessing
import statistics
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from m3ser.errors import MissingExtraError

if TYPE_CHECKING:
    from m3ser.inference import Recogniser
    from m3ser.training.recipe import Recipe

__all__ = ["measure_costs"]

_ROUNDS = 5


def measure_costs(recipe: Recipe, out: Path, *, cache: Path) -> dict[str, Any]:
    """(g): of the model trained on the recipe's own split; the clips that come with the package are recognised.

    The bundle is made as ``m3ser train`` makes the recipe's, but for its heads; of a recipe that makes none, it is in
    float32.

    Returns:
        "megabytes" of the bundle; "times_real_time" with the words given and "transcribing" (None where no transcriber
        is installed), the median of five rounds after one that is not counted; "peak_megabytes" of the process that
        recognises with the words given.

    Raises:
        DataError, CheckpointError, BundleError, RecipeError: the model cannot be trained, exported or written.
    """
    from m3ser.bench.material import CLIPS
    from m3ser.training.bundling import bundle_trained
    from m3ser.training.exporting.checkpoint_export import About, export_checkpoint
    from m3ser.training.run import train
    from m3ser.training.standing.folds import train_folds

    held_out = train_folds(recipe, "shares", out / "shares", cache=cache)
    (run,) = held_out.runs
    bundle = out / "bundle"
    if recipe.bundle is None:
        export_checkpoint(run, bundle, evaluate=CLIPS / "manifest.csv", about=About(version="1"), overwrite=True)
    else:
        trained = train(held_out.recipe, held_out.prepared, run, cache=cache, resume=True)
        command = f"m3ser reproduce starter --recipe {recipe.name} --only costs --data DATA"
        bundle_trained(trained, bundle, cache=cache, command=command, overwrite=True)
    size = sum(file.stat().st_size for file in bundle.iterdir())
    # This process holds torch, which would count as the model's memory.
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        return {"megabytes": size / 1e6, **pool.apply(_recognise, (bundle,))}


def _recognise(bundle: Path) -> dict[str, Any]:
    from m3ser import inference

    found: dict[str, Any] = {"times_real_time": _speed(inference.load(bundle, transcriber=None, threads=1), given=True)}
    found["peak_megabytes"] = _peak_megabytes()
    try:
        found["transcribing"] = _speed(inference.load(bundle, transcriber="moonshine", threads=1), given=False)
    except MissingExtraError:
        found["transcribing"] = None
    return found


def _speed(recogniser: Recogniser, *, given: bool) -> float:
    """Seconds of speech that are recognised in a second."""
    from m3ser.audio import probe
    from m3ser.bench.material import clips

    chosen = clips()
    rounds = []
    for _ in range(_ROUNDS + 1):
        began = time.perf_counter()
        for clip in chosen:
            if given:
                recogniser.predict(clip.path, text=clip.text)
            else:
                recogniser.predict(clip.path)
        rounds.append(time.perf_counter() - began)
    seconds = sum(probe(clip.path).duration or 0.0 for clip in chosen)
    return seconds / statistics.median(rounds[1:])


def _peak_megabytes() -> float | None:
    """Of this process; None where the system does not say."""
    # Not getrusage: a new process begins with the peak of the one that started it, which holds torch.
    try:
        lines = Path("/proc/self/status").read_text(encoding="utf-8").splitlines()
    except OSError:
        return None
    peak = next((line.split()[1] for line in lines if line.startswith("VmHWM:")), None)
    return None if peak is None else int(peak) * 1024 / 1e6
