"""Sides of comparisons that are quick, missing or broken, for the workers of the tests."""

from __future__ import annotations

import os
import sys
from typing import Any

from m3ser.bench import Ready
from m3ser.errors import MissingExtraError


def counting(start: float = 0.0) -> Ready:
    """Its runs give start + 1, start + 2, ..."""
    state = [start]

    def run() -> float:
        print("what libraries print")
        state[0] += 1
        return state[0]

    return Ready(run, audio_seconds=30.0, flops=4e9)


def environment() -> Ready:
    """Its figure is the threads that libraries are told to use, and the cores that there are behind the point."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else 1
    return Ready(lambda: float(f"{os.environ['OMP_NUM_THREADS']}.{cores}"))


def absent() -> Any:
    import a_package_that_is_not_there  # noqa: F401


def absent_extra() -> Any:
    raise MissingExtraError("This", "asr")


def broken() -> Any:
    raise ValueError("two\nlines")


def breaking() -> Ready:
    """It fails at the second run."""
    state = [0]

    def run() -> float:
        state[0] += 1
        if state[0] == 2:
            raise OSError("no more")
        return 1.0

    return Ready(run)


def dying() -> Ready:
    return Ready(lambda: sys.exit(7))
