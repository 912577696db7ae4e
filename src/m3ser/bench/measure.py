"""How things are timed beside each other: in turn, several times, the first time not counted."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

__all__ = ["REST", "Figure", "repeated", "take_turns", "timed"]

REST = 0.1
"""Seconds of rest before each run: thread pools go on spinning for some 30 ms after the work of the side before."""

Work = Callable[[], "float | None"]


@dataclass(frozen=True)
class Figure:
    """What the counted runs of one side came to.

    Attributes:
        values: one figure a run, in the order that they were taken: seconds or bytes. At least one.
    """

    values: tuple[float, ...]

    @property
    def median(self) -> float:
        """The figure in the middle."""
        return statistics.median(self.values)

    @property
    def lowest(self) -> float:
        """The fastest run, or the one of least memory."""
        return min(self.values)

    @property
    def highest(self) -> float:
        """The slowest run, or the one of most memory."""
        return max(self.values)


def timed(work: Work, *, clock: Callable[[], float] = time.perf_counter) -> float:
    """The figure of one run of `work`: what it returns, or where it returns None the seconds that it took."""
    began = clock()
    found = work()
    return clock() - began if found is None else found


def repeated(work: Callable[[], object], times: int, *, clock: Callable[[], float] = time.perf_counter) -> Work:
    """Work that is too quick to be timed once: `times` in a row are one run, and the figure is the mean in seconds."""

    def run() -> float:
        began = clock()
        for _ in range(times):
            work()
        return (clock() - began) / times

    return run


def take_turns(
    sides: Sequence[Callable[[], float]],
    *,
    runs: int,
    warm_up: bool = True,
    rest: float = REST,
    sleep: Callable[[float], object] = time.sleep,
    after_each: Callable[[], object] = lambda: None,
) -> list[Figure]:
    """Run every side `runs` times in the order A B C A B C ..., so that a busy spell of the machine hits them all.

    Args:
        sides: each gives the figure of one run.
        runs: counted runs of each, at least 1.
        warm_up: run each once more before, uncounted: files come into the cache, kernels get compiled.
        rest: seconds of quiet before each run.
        sleep: how to rest.
        after_each: called after each run, counted or not.

    Returns:
        One figure per side, in their order.
    """
    values: list[list[float]] = [[] for _ in sides]
    for round_ in range(-1 if warm_up else 0, runs):
        for side, own in zip(sides, values, strict=True):
            sleep(rest)
            value = side()
            if round_ >= 0:
                own.append(value)
            after_each()
    return [Figure(tuple(own)) for own in values]
