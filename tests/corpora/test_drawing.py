from __future__ import annotations

import doctest

import pytest
from hypothesis import given
from hypothesis import strategies as st

from m3ser.corpora import drawing
from m3ser.corpora.drawing import apportion, shuffled, uniform


def test_draws_are_the_same_on_every_machine() -> None:
    # Pinned: whoever changes these changes every split and pairing ever made.
    assert shuffled("abcdefgh", 0, "x", name=str) == list("ebfcgadh")
    assert uniform(0, "x") == pytest.approx(0.9419450593990075, abs=1e-12)


def test_draws_depend_on_seed_and_name_alone() -> None:
    names = [str(i) for i in range(50)]
    assert shuffled(names, 1, name=str) == shuffled(reversed(names), 1, name=str)
    assert shuffled(names, 1, name=str) != shuffled(names, 2, name=str)
    # "1", "23" and "12", "3" are different keys.
    assert uniform("1", "23") != uniform("12", "3")


def test_uniform_looks_uniform() -> None:
    draws = [uniform("any", i) for i in range(4000)]
    assert 0.0 <= min(draws) < 0.01
    assert 0.99 < max(draws) < 1.0
    assert sum(draws) / len(draws) == pytest.approx(0.5, abs=0.02)


@given(st.integers(0, 10_000), st.lists(st.floats(0.01, 1.0), min_size=1, max_size=6))
def test_apportion_gives_whole_numbers_within_one_of_the_shares(total: int, shares: list[float]) -> None:
    counts = apportion(total, shares)
    assert sum(counts) == total
    for count, share in zip(counts, shares, strict=True):
        assert abs(count - total * share / sum(shares)) < 1 + 1e-6


def test_examples_in_docstrings() -> None:
    results = doctest.testmod(drawing)
    assert results.attempted > 0
    assert results.failed == 0
