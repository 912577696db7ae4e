"""Rows are measured in processes of their own, and whatever is missing or breaks is a result."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Literal

import pytest

from m3ser.bench import GROUPS, Figure, Outcome, Row, Side, choose, measure_row
from m3ser.cores import available_cores
from m3ser.errors import UsageError


@pytest.fixture(autouse=True)
def importable(monkeypatch: pytest.MonkeyPatch) -> None:
    """The sides of these tests can be imported by the workers."""
    here = str(Path(__file__).parent)
    path = os.environ.get("PYTHONPATH", "")
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(filter(None, [here, path])))


def side(name: str, **options: float) -> Side:
    return Side(name, f"sides:{name}", options, install="pip install it")


def test_both_sides_are_set_up_once_and_run_in_turn() -> None:
    row = Row("one", "counting", side("counting"), Side("peer", "sides:counting", {"start": 100}), no_limit="no")
    calls: list[None] = []
    found = measure_row(row, rest=0, runs=3, after_each=lambda: calls.append(None))
    assert found.ours == Outcome("counting", Figure((2, 3, 4)))
    assert found.peer == Outcome("peer", Figure((102, 103, 104)))
    assert (found.audio_seconds, found.flops, found.throughput) == (30.0, None, None)
    assert len(calls) == 8


@pytest.mark.parametrize("arithmetic", ["float32", "int8"])
def test_matrix_products_take_their_turns_where_there_is_a_limit(arithmetic: Literal["float32", "int8"]) -> None:
    if arithmetic == "int8":
        pytest.importorskip("onnx")
    row = Row("one", "counting", side("counting"), None, cores=1, arithmetic=arithmetic, no_peer="none")
    found = measure_row(row, rest=0, runs=1)
    assert found.peer is None
    assert found.flops == 4e9
    assert found.throughput is not None
    assert 1e8 < found.throughput.median < 1e14
    assert found.limit == pytest.approx(4e9 / found.throughput.median)


@pytest.mark.parametrize(
    ("name", "problem", "missing"),
    [
        ("absent", "not installed: pip install it", True),
        ("absent_extra", "not installed: pip install it", True),
        ("broken", "failed: ValueError: two lines", False),
        ("breaking", "failed: OSError: no more", False),
        ("dying", "dying ended without an answer (exit code 7).", False),
    ],
)
def test_a_peer_that_cannot_be_run_is_told_of(name: str, problem: str, missing: bool) -> None:
    found = measure_row(Row("one", "", side("counting"), side(name), no_limit="no"), rest=0, runs=3)
    assert found.ours.figure == Figure((2, 3, 4))
    assert found.peer == Outcome(name, problem=problem, missing=missing)
    assert found.ratio is None


def test_ours_may_be_what_is_missing() -> None:
    found = measure_row(Row("one", "", side("absent"), side("counting"), no_limit="no"), rest=0, runs=2)
    assert found.ours.missing
    assert found.peer is not None
    assert found.peer.figure == Figure((2, 3))


@pytest.mark.skipif(not hasattr(os, "sched_getaffinity"), reason="only Linux binds processes to cores")
def test_a_side_has_the_cores_of_its_row() -> None:
    found = measure_row(Row("one", "", side("environment"), None, cores=1, no_limit="no"), rest=0, runs=1)
    assert found.ours.figure == Figure((1.1,))
    everything = available_cores()
    found = measure_row(Row("one", "", side("environment"), None, no_limit="no"), rest=0, runs=1)
    assert found.ours.figure == Figure((float(f"{everything}.{everything}"),))


def test_names() -> None:
    names = [row.name for group in GROUPS for row in group]
    assert len(set(names)) == len(names)
    assert [row.name for row in choose()] == names
    assert [row.name for row in choose(["cold-start", "log-mel-16k"])] == [
        "log-mel-16k-3s",
        "log-mel-16k-60s",
        "cold-start",
    ]
    with pytest.raises(UsageError, match="There is no benchmark 'log-me'; there are log-mel-16k-3s, "):
        choose(["starter", "log-me"])


def test_every_row_can_be_read() -> None:
    for group in GROUPS:
        for row in group:
            assert row.what
            assert (row.peer is None) == bool(row.no_peer)
            titles = [one.title for one in (row.ours, row.peer) if one]
            assert all(titles)
            # What becomes of a side is kept by its title.
            assert len(set(titles)) == len(titles)
