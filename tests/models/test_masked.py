"""What is made of the real states of a row, and of a row that has none."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch")

from m3ser.models.masked import MaskedStates  # noqa: E402

# One row with holes, one whose real states are all negative (or positive), one without any.
STATES = torch.tensor(
    [
        [[9.0, -9.0], [1.0, 2.0], [9.0, 9.0], [3.0, -4.0]],
        [[-1.0, 5.0], [0.0, 0.0], [-3.0, 6.0], [0.0, 0.0]],
        [[7.0, 7.0], [7.0, 7.0], [7.0, 7.0], [7.0, 7.0]],
    ]
)
MASK = torch.tensor([[0, 1, 0, 1], [1, 0, 1, 0], [0, 0, 0, 0]]).bool()


@pytest.mark.parametrize(
    ("pooling", "expected"),
    [
        ("mean", [[2.0, -1.0], [-2.0, 5.5], [0.0, 0.0]]),
        ("maximum", [[3.0, 2.0], [-1.0, 6.0], [0.0, 0.0]]),
        ("minimum", [[1.0, -4.0], [-3.0, 5.0], [0.0, 0.0]]),
    ],
)
@pytest.mark.parametrize("garbage", [0.0, 1e30, -1e30, float("inf"), float("nan")])
def test_pooling_is_over_real_states_alone(pooling: str, expected: list[list[float]], garbage: float) -> None:
    states = STATES.masked_fill(~MASK[..., None], garbage)
    torch.testing.assert_close(getattr(MaskedStates(states, MASK), pooling)(), torch.tensor(expected))


def test_never_empty_adds_one_state_of_zeros_where_there_is_none() -> None:
    found = MaskedStates(STATES, MASK).never_empty()
    assert torch.equal(found.mask[:2], MASK[:2])
    assert found.mask[2].tolist() == [True, False, False, False]
    assert torch.equal(found.states[:2][MASK[:2]], STATES[:2][MASK[:2]])
    assert (found.states[2] == 0).all()
