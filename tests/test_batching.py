"""Batches hold every sequence once, and padding never passes for sound."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from m3ser.batching import length_batches, pad, windows

lengths = st.lists(st.integers(0, 500), max_size=40)


@given(lengths, st.integers(1, 2000))
def test_each_sequence_is_in_one_batch_and_batches_keep_to_the_budget(sizes: list[int], budget: int) -> None:
    batches = length_batches(sizes, budget=budget)
    assert sorted(i for batch in batches for i in batch) == list(range(len(sizes)))
    for batch in batches:
        assert len(batch) == 1 or len(batch) * max(sizes[i] for i in batch) <= budget


@given(lengths)
def test_similar_lengths_share_a_batch(sizes: list[int]) -> None:
    ordered = [sizes[i] for batch in length_batches(sizes, budget=1000) for i in batch]
    assert ordered == sorted(sizes, reverse=True)


def test_batches_are_as_large_as_the_budget_allows() -> None:
    assert length_batches([3, 10, 4, 5], budget=20) == [[1, 3], [2, 0]]


def test_padding_is_masked() -> None:
    batch, mask = pad([np.ones((2, 3), np.float32), np.zeros((0, 3), np.float32), np.full((1, 3), 2, np.float32)])
    assert batch.dtype == np.float32
    np.testing.assert_array_equal(batch[:, :, 0], [[1, 1], [0, 0], [2, 0]])
    np.testing.assert_array_equal(mask, [[True, True], [False, False], [True, False]])


def test_a_batch_of_nothing_is_one_masked_step() -> None:
    batch, mask = pad([np.zeros((0, 4), np.float32)] * 2)
    assert batch.shape == (2, 1, 4)
    assert mask.tolist() == [[False], [False]]


@given(st.integers(1, 1000), st.integers(1, 300))
def test_windows_are_few_whole_and_of_even_length(frames: int, longest: int) -> None:
    features = np.arange(frames)
    cut = windows(features, longest=longest)
    np.testing.assert_array_equal(np.concatenate(cut), features)
    sizes = [len(window) for window in cut]
    assert len(cut) == -(-frames // longest)
    assert max(sizes) <= longest
    assert max(sizes) - min(sizes) <= 1


@pytest.mark.parametrize("shape", [(0, 80), (0, 96, 64)])
def test_no_features_make_no_windows(shape: tuple[int, ...]) -> None:
    assert windows(np.zeros(shape, np.float32), longest=10) == []
