from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

torch = pytest.importorskip("torch")

from m3ser.encoders import lengths_to_mask  # noqa: E402
from m3ser.encoders.pooling import pool_windows  # noqa: E402


@settings(max_examples=25, deadline=None)
@given(
    lengths=st.lists(st.integers(0, 13), min_size=1, max_size=3),
    window=st.integers(1, 6),
    statistics=st.sampled_from(["mean", "mean+std"]),
)
def test_windows_hold_numpys_statistics(lengths, window, statistics):
    mask = lengths_to_mask(torch.tensor(lengths), steps=max(*lengths, 1))
    states = torch.randn(*mask.shape, 3)
    states[~mask] = torch.nan
    found = pool_windows(states, mask, window=window, statistics=statistics)
    assert found.states.shape[:2] == (len(lengths), -(-mask.shape[1] // window))
    for row, length in enumerate(lengths):
        utterance = states[row, :length].double().numpy()
        pieces = [utterance[at : at + window] for at in range(0, length, window)]
        assert found.mask[row].sum() == len(pieces)
        assert found.mask[row, : len(pieces)].all()
        assert torch.count_nonzero(found.states[row, len(pieces) :]) == 0
        for piece, pooled in zip(pieces, found.states[row].numpy(), strict=False):
            parts = [piece.mean(axis=0)] + ([piece.std(axis=0)] if statistics == "mean+std" else [])
            np.testing.assert_allclose(pooled, np.concatenate(parts), atol=2e-6)


def test_the_spread_of_a_single_state_has_a_finite_gradient():
    states = torch.randn(1, 3, 2, requires_grad=True)
    mask = torch.ones(1, 3, dtype=torch.bool)
    pool_windows(states, mask, window=2, statistics="mean+std").states.sum().backward()
    assert torch.isfinite(states.grad).all()
