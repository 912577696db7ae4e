"""``m3ser train``: from a recipe to a bundle that ``m3ser predict --model`` can use."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Annotated

import typer

from m3ser.cli.terminal import complain, json_line
from m3ser.errors import MissingExtraError

__all__ = ["train"]


def train(
    recipe: Annotated[
        Path, typer.Argument(metavar="RECIPE", help="A recipe (YAML); see recipes/.", show_default=False)
    ],
    out: Annotated[
        Path,
        typer.Option("--out", metavar="FOLDER", help="Where everything goes; the bundle goes to FOLDER/bundle."),
    ],
    settings: Annotated[
        list[str] | None,
        typer.Option(
            "--set", metavar="KEY=VALUE", show_default=False, help="Override a key of the recipe (training.epochs=2)."
        ),
    ] = None,
    cache: Annotated[
        Path,
        typer.Option("--cache", metavar="FOLDER", help="Where the frozen encoders' states are kept between trainings."),
    ] = Path(".cache/states"),
    resume: Annotated[bool, typer.Option("--resume", help="Go on from the last epoch in FOLDER, if any.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the test scores as one JSON object.")] = False,
) -> None:
    """Train a model as a recipe says.

    It is judged on unseen speakers and written as a bundle. The frozen encoders run once over every recording and
    sentence; their states are kept in --cache. The epoch is chosen on validation speakers; the scores are those of the
    exported bundle on test speakers. Needs the train extra.
    """
    try:
        from m3ser.training.bundling import bundle_trained
        from m3ser.training.progress import quiet_libraries
        from m3ser.training.recipe import load_recipe
        from m3ser.training.run import train as run_training
    except ModuleNotFoundError as error:
        if error.name is not None and error.name.partition(".")[0] == "m3ser":
            raise
        raise MissingExtraError("Training", "train") from error

    plan = load_recipe(recipe, settings or ())
    given = " ".join(
        f"--set {shlex.quote(setting)}" for setting in settings or () if not setting.startswith("data.root")
    )
    shown = recipe.name if recipe.is_absolute() else recipe  # a card names no path of the machine it was made on
    command = f"m3ser train {shown} --out FOLDER --set data.root=DATA {given}".rstrip()
    with quiet_libraries():
        trained = run_training(plan, out, cache=cache, resume=resume)
        judged = bundle_trained(trained, out / "bundle", cache=cache, command=command, overwrite=True)
    if as_json:
        scores = {name: getattr(judged.scores, name).to_dict() for name in ("audio", "text", "both")}
        json_line({"bundle": str(judged.bundle.folder), "scores": scores, "flip_rate": judged.scores.flip_rate})
        return
    for title, one in (
        ("the voice alone", judged.scores.audio),
        ("the words alone", judged.scores.text),
        ("both, paired (semi-synthetic)", judged.scores.both),
    ):
        typer.echo(f"\n{title}\n\n{one.to_markdown()}")
    if judged.scores.flip_rate is not None:
        typer.echo(
            f"\nConflicting words turn {judged.scores.flip_rate:.1%} of the voice's right answers into wrong ones."
        )
    complain(f"the bundle is in {judged.bundle.folder}; try m3ser predict --model {judged.bundle.folder} RECORDING")
