"""Seeded drawing that comes out the same on every machine and Python: by hash, not by a generator's state."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from hashlib import blake2b
from typing import TypeVar

__all__ = ["apportion", "shuffled", "uniform"]

T = TypeVar("T")


def uniform(*key: object) -> float:
    """A number in [0, 1) that depends on `key` alone, as if drawn at random."""
    # 53 bits: every value is a different float.
    return (_digest(key) >> 11) / 2**53


def shuffled(items: Iterable[T], *key: object, name: Callable[[T], object]) -> list[T]:
    """`items` in an order that depends on `key` and their names alone; items of the same name keep theirs."""
    return sorted(items, key=lambda item: _digest((*key, name(item))))


def apportion(total: int, shares: Sequence[float]) -> list[int]:
    """`total` divided in these shares, in whole numbers, by largest remainders; ties go to the earlier share.

    >>> apportion(24, (0.6, 0.2, 0.2))
    [14, 5, 5]
    """
    # Rounded, so that 0.1 + 0.2 and 0.3 have the same remainder.
    exact = [round(total * share / sum(shares), 9) for share in shares]
    counts = [int(number) for number in exact]
    by_remainder = sorted(range(len(shares)), key=lambda i: (counts[i] - exact[i], i))
    for i in by_remainder[: total - sum(counts)]:
        counts[i] += 1
    return counts


def _digest(key: Sequence[object]) -> int:
    return int.from_bytes(blake2b(repr([str(part) for part in key]).encode(), digest_size=8).digest(), "big")
