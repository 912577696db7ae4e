"""The page of standings: the order of its systems, its drawing, and what is said where something is missing."""

from __future__ import annotations

import io
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("matplotlib", reason="needs the train extra")

from matplotlib.image import imread

from m3ser.evaluation.report import judge_runs, read_run
from m3ser.evaluation.report.results import Results
from m3ser.evaluation.report.standing_figure import draw_standings
from m3ser.evaluation.report.standings import by_score, standings


@pytest.fixture(scope="module")
def groups(write_crossval: Callable[..., Path], tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, Results]:
    root = tmp_path_factory.mktemp("standings")
    folders = {
        "one": [
            write_crossval(root / "one" / "weak", name="weak (one)", rate=0.5),
            write_crossval(root / "one" / "strong", name="strong (one)", rate=0.95),
            write_crossval(root / "one" / "voice", name="voice (one)", rate=0.99, conditions=("audio",)),
        ],
        "two": [write_crossval(root / "two" / "strong", name="strong (two)", rate=0.9)],
    }
    return {group: judge_runs([read_run(folder) for folder in found], resamples=50) for group, found in folders.items()}


def test_the_best_of_each_kind_come_first(groups: Mapping[str, Results]) -> None:
    # However well the voice does alone, it stands behind those that look at both.
    assert by_score(groups) == ["strong", "weak", "voice"]


def test_the_page(groups: Mapping[str, Results]) -> None:
    text = standings(
        groups,
        title="Title",
        order=by_score(groups),
        preface=["Made so."],
        reading=["Read it so."],
        picture="standings.png",
        failed={("two", "weak"): "no\nwords"},
    )
    chapters = [line for line in text.splitlines() if line.startswith("## ")]
    first = ["## What the ranking shows, and what it does not", "## How it was made", "## Overview"]
    assert chapters == [*first, "## one", "## two", "## Not run"]
    assert "![UA of strong, weak, voice with 95% intervals, on one, two](standings.png)" in text
    rows = [line for line in text[text.index("## Overview") : text.index("## one")].splitlines() if "| " in line]
    assert [row.split(" | ")[0].strip("| ") for row in rows[2:]] == ["strong", "weak", "voice"]
    assert "| voice | the voice alone |" in rows[4]
    assert rows[4].endswith("| \N{EN DASH} |")
    assert "no words" in text


def test_on_pairs_those_that_hear_or_read_alone_are_not_compared(
    write_crossval: Callable[..., Path], write_run: Callable[..., Path], tmp_path: Path
) -> None:
    folders = [
        write_crossval(tmp_path / "both", name="both (pairs)", rate=0.9, kind="paired"),
        write_run(tmp_path / "words", name="words (pairs)", rate=0.5, kind="paired", conditions=("text",), fold=1),
        write_run(tmp_path / "voice", name="voice (pairs)", rate=0.8, kind="paired", conditions=("audio",), fold=1),
        write_run(tmp_path / "half", name="half (pairs)", rate=0.8, kind="paired", fold=1),
    ]
    groups = {"pairs": judge_runs([read_run(folder) for folder in folders], resamples=50)}
    text = standings(groups, title="Title", order=by_score(groups))
    assert "Not compared: voice, words. They are tested on recordings or sentences alone, and not on pairs." in text
    assert "half (pairs) is not compared: " in text
    assert "voice (pairs) is not compared" not in text


def test_the_drawing_is_read_in_grey_too(groups: Mapping[str, Results]) -> None:
    drawn = draw_standings(groups, by_score(groups))
    assert drawn == draw_standings(groups, by_score(groups)), "the same results give the same file"
    pixels = imread(io.BytesIO(drawn), format="png")[..., :3]
    height, width, _ = pixels.shape
    assert width > height / 2
    # Both kinds of marks are there, and their colours differ in lightness by far.
    for colour in ("0072b2", "e69f00"):
        wanted = np.array([int(colour[place : place + 2], 16) for place in (0, 2, 4)]) / 255
        assert (np.abs(pixels - wanted).max(axis=2) < 0.02).sum() > 50, colour
    lightness = [np.dot([0.2126, 0.7152, 0.0722], c) for c in ((0, 0.447, 0.698), (0.902, 0.624, 0), (0, 0.62, 0.451))]
    assert lightness[1] - lightness[0] > 0.2
