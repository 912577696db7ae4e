"""Options that the research verbs share."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

__all__ = ["DEFAULT_CACHE", "Cache", "RecipeName", "Settings"]

RecipeName = Annotated[
    str,
    typer.Argument(metavar="RECIPE", help="A recipe (YAML), or the name of one in recipes/.", show_default=False),
]
Settings = Annotated[
    list[str] | None,
    typer.Option(
        "--set", metavar="KEY=VALUE", show_default=False, help="Override a key of the recipe (training.epochs=2)."
    ),
]
Cache = Annotated[
    Path,
    typer.Option("--cache", metavar="FOLDER", help="Where the frozen encoders' states are kept between trainings."),
]
DEFAULT_CACHE = Path(".cache/states")
