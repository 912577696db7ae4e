from __future__ import annotations

import pytest

torch = pytest.importorskip("torch")

from m3ser.encoders import (  # noqa: E402
    AudioEncoder,
    Encoder,
    EncoderStates,
    check_mask,
    freeze,
    lengths_to_mask,
    safe_key_padding,
    zero_padding,
)
from m3ser.errors import UsageError  # noqa: E402


def test_states_unpack():
    states, mask = EncoderStates(torch.ones(2, 3, 4), torch.ones(2, 3, dtype=torch.bool))
    assert states.shape == (2, 3, 4)
    assert mask.dtype == torch.bool


@pytest.mark.parametrize(
    ("mask", "words"),
    [
        (torch.ones(2, 3), "torch.float32; it must be torch.bool"),
        (torch.ones(2, 3, dtype=torch.int64), "torch.int64; it must be torch.bool"),
        (torch.ones(2, 4, dtype=torch.bool), r"\(2, 4\); beside a sequence of shape \(2, 3, 5\)"),
        (torch.ones(3, dtype=torch.bool), r"\(3,\)"),
        (torch.ones(2, 3, 1, dtype=torch.bool), r"\(2, 3, 1\)"),
    ],
)
def test_a_mask_is_checked_when_states_are_built(mask, words):
    with pytest.raises(UsageError, match=words):
        EncoderStates(torch.zeros(2, 3, 5), mask)
    with pytest.raises(UsageError, match=words):
        check_mask(mask, torch.zeros(2, 3, 5))


def test_lengths_become_a_mask():
    expected = torch.tensor([[True, True, False], [False, False, False], [True, True, True]])
    assert torch.equal(lengths_to_mask(torch.tensor([2, 0, 3])), expected)
    assert lengths_to_mask(torch.tensor([2, 0]), steps=5).sum(dim=1).tolist() == [2, 0]
    assert lengths_to_mask(torch.tensor([2, 0]), steps=5).shape == (2, 5)


@pytest.mark.parametrize("shape", [(2, 3), (2, 3, 4), (2, 3, 4, 5)])
def test_padding_is_overwritten_whatever_it_holds(shape):
    mask = torch.tensor([[True, False, False], [True, True, False]])
    sequence = torch.ones(shape)
    sequence[~mask] = torch.nan
    zeroed = zero_padding(sequence, mask)
    assert (zeroed[mask] == 1).all()
    assert (zeroed[~mask] == 0).all()


def test_key_padding_never_closes_a_whole_row():
    mask = torch.tensor([[True, False], [False, False], [True, True]])
    assert safe_key_padding(mask).tolist() == [[False, True], [False, False], [False, False]]


def test_attention_over_nothing_is_finite_and_leaves_the_gradient_finite():
    attention = torch.nn.MultiheadAttention(4, 2, batch_first=True)
    mask = torch.tensor([[True, True, False], [False, False, False]])
    sequence = zero_padding(torch.randn(2, 3, 4), mask)
    output, _ = attention(sequence, sequence, sequence, key_padding_mask=safe_key_padding(mask))
    zero_padding(output, mask).sum().backward()
    assert torch.isfinite(output).all()
    assert all(torch.isfinite(parameter.grad).all() for parameter in attention.parameters())


class Noisy(Encoder):
    dim = 4

    def __init__(self):
        super().__init__()
        self.linear = torch.nn.Linear(4, 4)
        self.dropout = torch.nn.Dropout(0.5)


def test_freezing_stops_learning_for_good():
    parent = torch.nn.Sequential(Noisy(), torch.nn.Dropout(0.5))
    encoder = parent[0]
    assert freeze(encoder) is encoder
    parent.train()
    assert encoder.frozen
    assert not encoder.training
    assert not encoder.dropout.training
    assert parent[1].training
    assert not any(parameter.requires_grad for parameter in encoder.parameters())


def test_freezing_reaches_the_encoders_inside():
    parent = torch.nn.Sequential(Noisy(), torch.nn.Linear(4, 4))
    freeze(parent).train()
    assert not parent[0].training
    assert not any(parameter.requires_grad for parameter in parent.parameters())


def test_an_encoder_that_is_not_frozen_trains():
    encoder = Noisy()
    assert encoder.eval().train().dropout.training
    assert not encoder.frozen


def test_an_audio_encoder_must_say_how_it_encodes():
    with pytest.raises(NotImplementedError):
        AudioEncoder()(torch.zeros(1, 1, 1), torch.ones(1, 1, dtype=torch.bool))
