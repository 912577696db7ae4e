"""For every encoder: a padded batch gives what each utterance gives alone, whatever stands in the padding."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

torch = pytest.importorskip("torch")

from m3ser.encoders import VGGishEncoder, lengths_to_mask  # noqa: E402

GARBAGE = st.sampled_from([0.0, 1e4, -1e30, float("inf"), float("nan")])


def few(examples: int):
    return settings(
        max_examples=examples,
        deadline=None,
        # The fixtures are read only.
        suppress_health_check=[HealthCheck.function_scoped_fixture],
    )


def check(encoder, sequence: torch.Tensor, lengths: list[int]) -> None:
    """`sequence` is padded with garbage beyond each of the `lengths`."""
    mask = lengths_to_mask(torch.tensor(lengths), steps=sequence.shape[1])
    with torch.no_grad():
        states, states_mask = encoder(sequence, mask)
        assert torch.isfinite(states).all()
        assert torch.count_nonzero(states[~states_mask]) == 0
        for row, length in enumerate(lengths):
            if length == 0:
                assert not states_mask[row].any()
                continue
            alone, alone_mask = encoder(sequence[row : row + 1, :length], mask[row : row + 1, :length])
            assert alone_mask.all()
            assert int(states_mask[row].sum()) == alone.shape[1]
            torch.testing.assert_close(states[row, : alone.shape[1]], alone[0], rtol=1e-5, atol=1e-5)


def padded(shape: tuple[int, ...], lengths: list[int], garbage: float, seed: int) -> torch.Tensor:
    sequence = torch.randn(shape, generator=torch.Generator().manual_seed(seed))
    sequence[~lengths_to_mask(torch.tensor(lengths), steps=shape[1])] = garbage
    return sequence


@few(20)
@given(
    lengths=st.lists(st.integers(0, 80), min_size=1, max_size=4),
    garbage=GARBAGE,
    seed=st.integers(0, 1000),
    options=st.sampled_from(
        [
            {},
            {"layer": [0, 2]},
            {"layer": [1, 3], "combine": "mean", "step_seconds": 0.1},
            {"layer": 2, "step_seconds": 0.14, "statistics": "mean+std"},
        ]
    ),
)
def test_whisper(small_whisper, lengths, garbage, seed, options):
    sequence = padded((len(lengths), max(*lengths, 1), 10), lengths, garbage, seed)
    check(small_whisper(**options), sequence, lengths)


@few(5)
@given(lengths=st.lists(st.integers(0, 3), min_size=1, max_size=3), garbage=GARBAGE, seed=st.integers(0, 1000))
def test_vggish(vggish, lengths, garbage, seed):
    sequence = padded((len(lengths), max(*lengths, 1), 96, 64), lengths, garbage, seed)
    check(VGGishEncoder(vggish), sequence, lengths)


@few(20)
@given(
    lengths=st.lists(st.integers(0, 30), min_size=1, max_size=4),
    garbage=st.sampled_from([0, 7, 49, -1, 10**12]),
    seed=st.integers(0, 1000),
    kind=st.sampled_from(["bert", "roberta"]),
    pooled=st.booleans(),
)
def test_text(small_text, lengths, garbage, seed, kind, pooled):
    encoder = small_text(kind, pooled=pooled)
    shape = (len(lengths), max(*lengths, 1))
    input_ids = torch.randint(2, 50, shape, generator=torch.Generator().manual_seed(seed))
    input_ids[~lengths_to_mask(torch.tensor(lengths), steps=shape[1])] = garbage
    check(encoder, input_ids, lengths)
