"""How pairs are timed, with clocks that the tests turn."""

from __future__ import annotations

import itertools
from collections.abc import Callable

import pytest

from m3ser.bench.measure import Figure, repeated, take_turns, timed


class Clock:
    """A clock that moves when something is done."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now

    def taking(self, *seconds: float) -> Callable[[], None]:
        """Work that takes so many seconds, another number each time."""
        upcoming = itertools.cycle(seconds)

        def work() -> None:
            self.now += next(upcoming)

        return work


def test_a_figure_is_the_middle_and_both_ends() -> None:
    figure = Figure((3.0, 1.0, 2.0, 10.0, 2.5))
    assert (figure.median, figure.lowest, figure.highest) == (2.5, 1.0, 10.0)
    assert Figure((1.0, 2.0)).median == 1.5


def test_seconds_are_taken_where_the_work_says_nothing() -> None:
    clock = Clock()
    assert timed(clock.taking(2.5), clock=clock) == 2.5


def test_the_work_may_bring_its_own_figure() -> None:
    clock = Clock()
    work = clock.taking(2.5)

    def weighed() -> float:
        work()
        return 0.0

    assert timed(weighed, clock=clock) == 0.0


def test_quick_work_is_timed_many_times_in_a_row() -> None:
    clock = Clock()
    run = repeated(clock.taking(1.0, 2.0), 4, clock=clock)
    assert run() == 1.5
    assert clock.now == 106.0


def test_sides_take_turns_with_a_rest_and_the_first_time_is_not_counted() -> None:
    happened: list[str] = []

    def side(name: str, values: list[float]) -> Callable[[], float]:
        upcoming = iter(values)

        def run() -> float:
            happened.append(name)
            return next(upcoming)

        return run

    figures = take_turns(
        [side("a", [99, 1, 2, 3]), side("b", [99, 10, 20, 30])],
        runs=3,
        rest=0.25,
        sleep=lambda seconds: happened.append(f"rest {seconds}"),
        after_each=lambda: happened.append("."),
    )
    assert figures == [Figure((1, 2, 3)), Figure((10, 20, 30))]
    assert happened == ["rest 0.25", "a", ".", "rest 0.25", "b", "."] * 4


def test_without_a_warm_up_every_run_counts() -> None:
    runs = iter([5.0, 6.0])
    (figure,) = take_turns([lambda: next(runs)], runs=2, warm_up=False, sleep=lambda seconds: None)
    assert figure.values == (5.0, 6.0)


def test_a_failure_is_not_swallowed() -> None:
    def broken() -> float:
        raise KeyError("x")

    with pytest.raises(KeyError):
        take_turns([broken], runs=1, sleep=lambda seconds: None)
