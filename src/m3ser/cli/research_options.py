"""Options that the research verbs share."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from m3ser.errors import UsageError

__all__ = ["DEFAULT_CACHE", "Cache", "RecipeName", "Seeds", "Settings", "seeds_of"]

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
Seeds = Annotated[
    str, typer.Option("--seeds", metavar="LIST", help="Seeds of the trainings: 0,1,2 or a range such as 0-4.")
]


def seeds_of(text: str) -> list[int]:
    """The seeds that ``0,3-5`` names.

    Raises:
        UsageError: they are no such list, or one is named twice.
    """
    found: list[int] = []
    for piece in text.split(","):
        first, dash, last = piece.strip().partition("-")
        try:
            found += range(int(first), int(last if dash else first) + 1)
        except ValueError:
            raise UsageError(f"--seeds is '{text}'; expected numbers and ranges such as 0,1,2 or 0-4.") from None
    if not found or len(set(found)) < len(found):
        raise UsageError(f"--seeds is '{text}'; expected at least one seed, and none twice.")
    return found
