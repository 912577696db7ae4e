"""``m3ser bench`` as it is typed; what it measures is made up here."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from m3ser.bench import GROUPS, Figure, Measured, Outcome, Row, Sizes
from m3ser.cli.bench_verb import DEFAULT_FILES, DEFAULT_MINUTES, DEFAULT_RUNS, bench

Run = Callable[..., Any]


@pytest.fixture
def outcomes(monkeypatch: pytest.MonkeyPatch) -> Iterator[dict[str, Outcome]]:
    """What becomes of m3ser's side of a row, by the row's name; 10 ms where nothing is said. Peers are missing."""
    special: dict[str, Outcome] = {}

    def measure(row: Row, *, runs: int, after_each: Callable[[], object]) -> Measured:
        ours = special.get(row.name, Outcome("m3ser", Figure((0.01,) * runs)))
        if ours.problem == "interrupted":
            raise KeyboardInterrupt
        peer = None if row.peer is None else Outcome("peer", problem="not installed: pip install peer", missing=True)
        return Measured(row, ours, peer)

    monkeypatch.setattr("m3ser.bench.measure_row", measure)
    return special


def test_the_help_names_every_row() -> None:
    assert bench.__doc__ is not None
    told = " ".join(bench.__doc__.split())
    for group in GROUPS:
        for row in group:
            assert row.name in told


def test_five_runs_unless_told_otherwise() -> None:
    assert DEFAULT_RUNS == 5


@pytest.mark.usefixtures("outcomes")
def test_one_page(m3ser: Run) -> None:
    result = m3ser("bench")
    assert (result.exit_code, result.stderr) == (0, "")
    for group in GROUPS:
        for row in group:
            assert f"{row.name}: " in result.stdout
    assert "not installed: pip install peer" in " ".join(result.stdout.split())
    assert "cores" in result.stdout
    assert "numpy" in result.stdout


@pytest.mark.usefixtures("outcomes")
def test_json_begins_with_the_machine(m3ser: Run) -> None:
    result = m3ser("bench", "--only", "starter-clips", "--only", "cold-start", "--runs", "7", "--json")
    machine, *rows = [json.loads(line) for line in result.stdout.splitlines()]
    assert machine["kind"] == "machine"
    assert machine["runs"] == 7
    assert machine["packages"]["numpy"]
    assert [row["name"] for row in rows] == ["starter-clips", "cold-start"]
    assert rows[0]["ours"]["runs"] == [0.01] * 7
    assert rows[0]["peer"]["problem"] == "not installed: pip install peer"


@pytest.mark.usefixtures("outcomes")
def test_the_page_goes_into_a_file_too(m3ser: Run, tmp_path: Path) -> None:
    page = tmp_path / "new" / "page.md"
    result = m3ser("bench", "--only", "log-mel-16k", "--out", str(page))
    assert result.exit_code == 0
    assert "log-mel-16k-3s" in result.stdout
    written = page.read_text(encoding="utf-8")
    assert f"Written by `m3ser bench --only log-mel-16k --runs 5 --out {page}`" in written
    assert written.count("\n| log-mel-16k-") == 2


def test_a_side_of_ours_that_fails_is_exit_code_1_after_the_page(m3ser: Run, outcomes: dict[str, Outcome]) -> None:
    outcomes["cold-start"] = Outcome("m3ser", problem="failed: OSError: gone")
    result = m3ser("bench", "--only", "cold-start", "--only", "log-mel-16k-3s")
    assert result.exit_code == 1
    assert "10.0 (10.0 to 10.0) ms" in result.stdout
    assert result.stderr == "m3ser: cold-start failed: OSError: gone\n"


def test_an_extra_of_ours_that_is_not_installed_is_no_failure(m3ser: Run, outcomes: dict[str, Outcome]) -> None:
    outcomes["starter-transcribed"] = Outcome("m3ser", problem="not installed: pip install x", missing=True)
    result = m3ser("bench", "--only", "starter-transcribed")
    assert (result.exit_code, result.stderr) == (0, "")
    assert "not installed: pip install x" in result.stdout


def test_what_was_measured_before_an_interruption_is_shown(m3ser: Run, outcomes: dict[str, Outcome]) -> None:
    outcomes["log-mel-16k-60s"] = Outcome("m3ser", problem="interrupted")
    result = m3ser("bench", "--only", "log-mel-16k")
    assert result.exit_code == 130
    assert "log-mel-16k-3s: " in result.stdout


def test_each_row_is_there_before_the_next_is_measured(
    m3ser: Run, tmp_path: Path, outcomes: dict[str, Outcome], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A run that is killed has shown what it had."""
    from m3ser import bench as room

    page = tmp_path / "page.md"
    made_up = room.measure_row
    shown: list[bool] = []

    def measure(row: Row, **options: Any) -> Measured:
        if row.name == "log-mel-16k-60s":
            sys.stdout.flush()
            printed = sys.stdout.buffer.getvalue().decode()  # type: ignore[attr-defined]  # CliRunner's
            shown.extend("log-mel-16k-3s: " in text for text in (printed, page.read_text(encoding="utf-8")))
        return made_up(row, **options)

    monkeypatch.setattr("m3ser.bench.measure_row", measure)
    result = m3ser("bench", "--only", "log-mel-16k", "--out", str(page))
    assert (result.exit_code, shown) == (0, [True, True])
    assert result.stdout.count("share of the limit") == 1


@pytest.mark.usefixtures("outcomes")
def test_the_longest_rows_may_be_shorter_or_as_long_as_the_aims_mean(m3ser: Run, tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    sizes = ["--files", "10000", "--minutes", "180"]
    result = m3ser("bench", "--only", "annotate-files", "--only", "timeline-memory", *sizes, "--out", str(page))
    assert result.exit_code == 0
    written = page.read_text(encoding="utf-8")
    assert "m3ser annotate of 10,000 clips" in written
    assert "180 minutes beside 5" in written
    assert f"--runs 5 {' '.join(sizes)} --out" in written


def test_sizes_are_those_of_the_room_unless_told_otherwise() -> None:
    assert (Sizes().files, Sizes().minutes) == (DEFAULT_FILES, DEFAULT_MINUTES)


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["--only", "speed"], "There is no benchmark 'speed'; there are log-mel-16k-3s"),
        (["--runs", "0"], "--runs"),
        (["--out", "."], "--out '.' is a folder"),
    ],
)
def test_bad_use(m3ser: Run, arguments: list[str], complaint: str) -> None:
    result = m3ser("bench", *arguments)
    assert (result.exit_code, result.stdout) == (2, "")
    assert complaint in result.stderr
