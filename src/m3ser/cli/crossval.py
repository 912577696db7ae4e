"""``m3ser crossval``: every fold of a recipe's protocol, for several seeds."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from m3ser.cli.research_options import DEFAULT_CACHE, Cache, RecipeName, Seeds, Settings, seeds_of
from m3ser.cli.terminal import complain, json_line
from m3ser.errors import needing

__all__ = ["crossval"]


def crossval(
    recipe: RecipeName,
    out: Annotated[Path, typer.Option("--out", metavar="FOLDER", help="Where all runs, and their sum, go.")],
    settings: Settings = None,
    seeds: Seeds = "0",
    folds: Annotated[
        list[int] | None,
        typer.Option("--fold", metavar="N", min=1, show_default=False, help="Train this fold alone; may be repeated."),
    ] = None,
    workers: Annotated[
        int, typer.Option("--workers", metavar="N", min=1, help="Folds that are trained at the same time.")
    ] = 1,
    cache: Cache = DEFAULT_CACHE,
    as_json: Annotated[bool, typer.Option("--json", help="Print the scores as one JSON object.")] = False,
) -> None:
    """Train and judge every fold of a protocol.

    What is finished in --out is left as it is, so that the same command goes on after an interruption. On a cluster,
    give each job one --fold and the same --out; the last one to finish, or the command without --fold, adds them up.
    The splits are the same for all seeds; a seed decides first weights, order and dropout. Needs the train extra.
    """
    chosen = seeds_of(seeds)
    with needing("train", "Training"):
        from m3ser.training import load_recipe
        from m3ser.training.crossval import crossvalidate
        from m3ser.training.progress import quiet_libraries
    plan = load_recipe(recipe, settings or ())
    with quiet_libraries():
        found = crossvalidate(plan, out, seeds=chosen, cache=cache, only=folds or (), workers=workers)
    if found is None:
        complain(f"other folds in {out} are not finished yet, so there are no scores over all of them.")
    elif as_json:
        json_line({"run": str(out), **found.scores})
    else:
        _report(plan.name, found.scores)
        complain(f"the runs are in {out}; m3ser compare {out} OTHER tells whether two of them differ.")


def _report(name: str, scores: dict[str, Any]) -> None:
    seeds, folds = len(scores["seeds"]), scores["folds"]
    typer.echo(f"{name}, protocol {scores['protocol']}: {folds} folds, {seeds} seed{'s' * (seeds != 1)}\n")
    typer.echo("| given | n | UA (unweighted accuracy = balanced accuracy) | WA (weighted accuracy = accuracy) |")
    typer.echo("|---|---:|---:|---:|")
    for condition, one in scores["conditions"].items():
        cells = [_with_spread(one, score) for score in ("unweighted_accuracy", "weighted_accuracy")]
        typer.echo(f"| {condition} | {one['pooled']['utterances'] // seeds:,} | {' | '.join(cells)} |")
    typer.echo("\nPooled over folds and seeds; in brackets the 95% interval over speakers; sd: between seeds.")
    for note in scores["notes"]:
        typer.echo(f"Note: {note}")


def _with_spread(one: dict[str, Any], score: str) -> str:
    shown = f"{one['pooled'][score]:.2%}"
    interval = one["pooled"]["intervals"].get(score)
    if interval is not None:
        shown += f" ({100 * interval['low']:.2f} to {interval['high']:.2%})"
    deviation = one["over_seeds"][score]["deviation"]
    return shown if deviation is None else f"{shown}, sd {100 * deviation:.2f}"
