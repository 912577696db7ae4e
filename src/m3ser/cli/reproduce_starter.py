"""``m3ser reproduce starter``: the standing evaluation of recipes for the starter model."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from m3ser.bundle import slug
from m3ser.cli.research_options import DEFAULT_CACHE, Cache, Settings
from m3ser.cli.terminal import complain, json_line
from m3ser.errors import DataError, UsageError, needing

if TYPE_CHECKING:
    from m3ser.training.recipe import Recipe

__all__ = ["reproduce_starter"]

_COSTS = "costs"


def reproduce_starter(
    data: Annotated[
        Path,
        typer.Option(
            "--data",
            metavar="FOLDER",
            help="It holds the corpora as the recipe names them (speech/ravdess, ...); text/meld is measured on.",
        ),
    ],
    recipes: Annotated[
        list[str] | None,
        typer.Option(
            "--recipe",
            metavar="RECIPE",
            help="A recipe with a paired corpus; may be repeated. Left out: the starter.",
            show_default=False,
        ),
    ] = None,
    out: Annotated[
        Path,
        typer.Option(
            "--out", metavar="FOLDER", help="Where trainings and answers go; what is finished there is not run again."
        ),
    ] = Path("runs/starter"),
    records: Annotated[
        Path | None,
        typer.Option(
            "--records",
            metavar="FOLDER",
            help="Where each recipe's scores are kept as JSON; FOLDER.md beside it shows all that are there. "
            "Left out: OUT/experiments.",
            show_default=False,
        ),
    ] = None,
    only: Annotated[
        str | None,
        typer.Option(
            "--only",
            metavar="LIST",
            help="These groups alone: choice, speakers, corpora, texts, pairs, robustness, profiles, costs. Left "
            "out: all.",
            show_default=False,
        ),
    ] = None,
    again: Annotated[
        bool,
        typer.Option("--again", help="Ask anew what was asked before, of the trainings that are there."),
    ] = False,
    settings: Settings = None,
    cache: Cache = DEFAULT_CACHE,
    as_json: Annotated[bool, typer.Option("--json", help="Print the records as one JSON object.")] = False,
) -> None:
    """The starter model's recipes, judged on speakers and corpora that they have never met.

    Each is trained on its own split (choice: its validation part is what recipes are chosen by), with each of five
    groups of speakers left out (speakers, texts, pairs, robustness) and with each corpus left out (corpora; profiles
    needs both), and asked the same questions; of corpora that it never trains with, the model of its own split is
    asked. An interrupted evaluation goes on where it was. Needs the train and dev extras.
    """
    with needing("train", "Evaluating a recipe"):
        from m3ser.training.progress import quiet_libraries
        from m3ser.training.recipe_file import load_recipe
        from m3ser.training.standing.run import GROUPS
    groups = [name.strip() for name in (only or ",".join((*GROUPS, _COSTS))).split(",")]
    if strange := [name for name in groups if name not in (*GROUPS, _COSTS)]:
        raise UsageError(f"--only has '{strange[0]}'; known are {', '.join((*GROUPS, _COSTS))}.")
    overrides = [f"data.root={json.dumps(str(data.absolute()))}", *(settings or ())]
    asked = [load_recipe(name, overrides) for name in recipes or ("starter",)]
    kept = out / "experiments" if records is None else records
    made: dict[str, Any] = {}
    with quiet_libraries():
        for recipe in asked:
            made[recipe.name] = _evaluated(recipe, out / slug(recipe.name), groups, cache, again=again)
            _keep(made[recipe.name], kept)
    page = _write_page(kept)
    if as_json:
        json_line(made)
    else:
        from m3ser.evaluation.report.experiments import standing_page

        typer.echo("\n".join(standing_page(record) for record in made.values()))
    complain(f"written: {page}.")
    if any(record["failed"] for record in made.values()):
        raise typer.Exit(1)


def _evaluated(recipe: Recipe, out: Path, groups: list[str], cache: Path, *, again: bool) -> dict[str, Any]:
    from m3ser.cli.starter_costs import measure_costs
    from m3ser.training.standing.run import GROUPS, evaluate_standing, record_group

    def said(group: str, _: Mapping[str, Any]) -> None:
        complain(f"{recipe.name}: {group} finished.")

    wanted = [name for name in groups if name in GROUPS]
    record = None
    if wanted:
        record = evaluate_standing(recipe, out, cache=cache, only=wanted, again=again, on_group=said)
    if _COSTS in groups:
        record = record_group(recipe, out, _COSTS, lambda: measure_costs(recipe, out, cache=cache), again=again)
        said(_COSTS, {})
    assert record is not None
    for group, why in record["failed"].items():
        complain(f"{recipe.name}, {group}: {why}")
    return record


def _keep(record: Mapping[str, Any], folder: Path) -> None:
    from m3ser.files import write_whole

    write_whole(folder / f"{slug(record['recipe'])}.json", json.dumps(record, indent=2) + "\n")


def _record(file: Path) -> dict[str, Any]:
    try:
        record: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
    except ValueError as error:
        raise DataError(f"'{file}' is damaged ({error}); delete it, and run its recipe again.") from None
    return record


def _write_page(folder: Path) -> Path:
    """The page of all records in `folder`, beside it."""
    from m3ser.evaluation.report.experiments import experiments_page
    from m3ser.files import write_whole

    found = [_record(file) for file in sorted(folder.glob("*.json"))]
    page = folder.with_suffix(".md")
    write_whole(page, experiments_page(found, command="m3ser reproduce starter --data FOLDER --recipe RECIPE"))
    return page
