"""The clips that come with the package, as examples to try."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import NamedTuple

__all__ = ["Example", "examples"]

_CLIPS = Path(__file__).resolve().parents[2] / "bundled" / "clips"


class Example(NamedTuple):
    """One clip: where it is, and what it is called on the page."""

    path: Path
    label: str


def examples() -> list[Example]:
    """Every clip, with the emotion that the actor was asked for."""
    with (_CLIPS / "manifest.csv").open(encoding="utf-8", newline="") as file:
        rows = [*csv.DictReader(file)]
    return [Example(_CLIPS / row["audio"], f"{row['emotion']}, {row['speaker']}") for row in rows]
