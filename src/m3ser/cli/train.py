"""``m3ser train``: from a recipe to a run folder, and to a bundle that ``m3ser predict --model`` can use."""

from __future__ import annotations

import json
import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from m3ser.cli.research_options import DEFAULT_CACHE, Cache, RecipeName, Settings
from m3ser.cli.terminal import complain, json_line
from m3ser.errors import UsageError, needing

if TYPE_CHECKING:
    from m3ser.training.recipe import Recipe

__all__ = ["train"]


def train(
    recipe: RecipeName,
    out: Annotated[
        Path,
        typer.Option("--out", metavar="FOLDER", help="Where the run goes, and the bundle, if any (FOLDER/bundle)."),
    ],
    settings: Settings = None,
    fold: Annotated[
        int, typer.Option("--fold", metavar="N", min=1, help="Which fold of the protocol to train and judge.")
    ] = 1,
    cache: Cache = DEFAULT_CACHE,
    resume: Annotated[bool, typer.Option("--resume", help="Go on with the run in FOLDER, if any.")] = False,
    standing: Annotated[
        Path | None,
        typer.Option(
            "--standing",
            metavar="FILE",
            help="A record of m3ser reproduce starter (RECORDS/NAME.json), whose tables the bundle's card shall have.",
        ),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the test scores as one JSON object.")] = False,
) -> None:
    """Train a model as a recipe says.

    One fold of the recipe's protocol is trained, the epoch chosen on validation speakers, and the test part judged. The
    frozen encoders run once over every recording and sentence; their states are kept in --cache. A recipe with a bundle
    part also makes a bundle, and the scores are then those of the exported graphs. Needs the train extra.
    """
    with needing("train", "Training"):
        from m3ser.training import load_recipe
        from m3ser.training.bundling import bundle_trained
        from m3ser.training.corpus import prepare
        from m3ser.training.heads import train_heads
        from m3ser.training.processes import is_first_process
        from m3ser.training.progress import quiet_libraries
        from m3ser.training.run import train as run_training

    plan = load_recipe(recipe, settings or ())
    command = _command(recipe, settings or (), standing)
    tables = _standing_tables(standing, plan) if standing is not None else ""
    with quiet_libraries():
        trained = run_training(plan, prepare(plan.data), out, fold=fold, cache=cache, resume=resume)
        if not is_first_process():
            return  # one of several processes that train together: the first one speaks for all
        if plan.bundle is not None:
            heads = train_heads(trained, cache=cache)
            judged = bundle_trained(
                trained,
                out / "bundle",
                heads=heads,
                cache=cache,
                command=command,
                standing=tables,
                overwrite=True,
            )
    if plan.bundle is None:
        _report(trained, as_json=as_json)
    elif as_json:
        scores = {name: getattr(judged.scores, name).to_dict() for name in ("audio", "text", "both")}
        json_line({"bundle": str(judged.bundle.folder), "scores": scores, "flip_rate": judged.scores.flip_rate})
    else:
        _report_bundle(judged)


def _standing_tables(file: Path, recipe: Recipe) -> str:
    """The card's part on what the same recipe came to where speakers and corpora were left out.

    Raises:
        UsageError: it is no such record, or of another recipe, or the recipe makes no bundle.
    """
    from m3ser.evaluation.report.experiments import standing_tables

    if recipe.bundle is None:
        raise UsageError(f"Recipe '{recipe.name}' makes no bundle, so there is no card for --standing.")
    try:
        record = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else error
        raise UsageError(f"Record '{file}' cannot be read: {reason}.") from None
    if not isinstance(record, dict) or "groups" not in record or record.get("recipe") != recipe.name:
        raise UsageError(f"'{file}' is not a record of the recipe '{recipe.name}' by m3ser reproduce starter.")
    return standing_tables(record)


def _command(recipe: str, settings: Sequence[str], standing: Path | None) -> str:
    """What makes the model again, for its card; it names no path of the machine that it was made on."""
    given = " ".join(f"--set {shlex.quote(setting)}" for setting in settings if not setting.startswith("data.root"))
    shown = Path(recipe).name if Path(recipe).is_absolute() else recipe
    record = "" if standing is None else f"--standing {standing.name}"
    return " ".join(part for part in (f"m3ser train {shown} --out FOLDER --set data.root=DATA", given, record) if part)


def _report(trained: Any, *, as_json: bool) -> None:
    if as_json:
        json_line({"run": str(trained.folder), **trained.scores})
        return
    for condition in dict.fromkeys(trained.predictions.conditions):
        table = trained.predictions.where(condition=condition).evaluate().to_markdown()
        typer.echo(f"\n{_TITLES[condition]}\n\n{table}")
    for note in trained.scores["notes"]:
        typer.echo(f"\nNote: {note}")
    complain(f"the run is in {trained.folder}.")


def _report_bundle(judged: Any) -> None:
    for name in ("audio", "text", "both"):
        typer.echo(f"\n{_TITLES[name]}\n\n{getattr(judged.scores, name).to_markdown()}")
    if judged.scores.flip_rate is not None:
        typer.echo(
            f"\nConflicting words turn {judged.scores.flip_rate:.1%} of the voice's right answers into wrong ones."
        )
    complain(f"the bundle is in {judged.bundle.folder}; try m3ser predict --model {judged.bundle.folder} RECORDING")


_TITLES = {"audio": "the voice alone", "text": "the words alone", "both": "voice and words"}
