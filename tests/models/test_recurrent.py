"""Recurrences, pooling and packing over masks with holes, beside torch's own layers on each utterance alone."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

torch = pytest.importorskip("torch")
pytest.importorskip("transformers")

from torch import nn  # noqa: E402

from m3ser.models.masked import MaskedStates  # noqa: E402
from m3ser.models.pooling import GlobalAttention, gathered, masked_softmax  # noqa: E402
from m3ser.models.recurrent import BothWays, Dilated, Recurrence  # noqa: E402
from m3ser.models.transformer import AttentionBlock  # noqa: E402

DIM, HIDDEN = 5, 4
masks = st.lists(st.lists(st.booleans(), min_size=6, max_size=6), min_size=1, max_size=5)


def states_of(mask):
    generator = torch.Generator().manual_seed(len(mask))
    mask = torch.tensor(mask)
    states = torch.randn(*mask.shape, DIM, generator=generator)
    return MaskedStates(states.masked_fill(~mask[..., None], float("nan")), mask)


def rows(states):
    """Each row's real states alone, (1, length, dim), where there are any."""
    return [(row, one[real][None]) for row, (one, real) in enumerate(zip(states.states, states.mask, strict=True))]


def front(outputs, row, length):
    assert (outputs[row, length:] == 0).all()
    return outputs[row : row + 1, :length]


@settings(deadline=None)
@given(mask=masks)
def test_packed_states_stand_first_in_their_order(mask):
    states = states_of(mask)
    packed = states.packed()
    for row, real in rows(states):
        assert torch.equal(front(packed.states, row, real.shape[1]), real)
        assert packed.mask[row].tolist() == [place < real.shape[1] for place in range(6)]
    again = packed.packed()
    assert torch.equal(again.states, packed.states)
    assert torch.equal(again.mask, packed.mask)


@settings(deadline=None)
@given(mask=masks, length=st.integers(1, 8))
def test_at_most_keeps_the_first_and_last_finds_the_last(mask, length):
    states = states_of(mask)
    cut = states.at_most(length)
    for row, real in rows(states):
        kept = real[0, :length]
        assert torch.equal(cut.states[row][cut.mask[row]], kept)
        assert torch.equal(states.last()[row], real[0, -1] if real.shape[1] else torch.zeros(DIM))
        assert torch.equal(cut.last()[row], kept[-1] if len(kept) else torch.zeros(DIM))


@pytest.mark.parametrize("cell", ["gru", "lstm"])
@settings(deadline=None, max_examples=40)
@given(mask=masks)
def test_both_ways_is_torchs_own_on_each_utterance(cell, mask):
    torch.manual_seed(0)
    reference = (nn.GRU if cell == "gru" else nn.LSTM)(DIM, HIDDEN, batch_first=True, bidirectional=True)
    ours = BothWays(cell, DIM, HIDDEN)
    for name, weight in reference.named_parameters():
        layer = ours.back.layer if name.endswith("_reverse") else ours.onward.layer
        layer.get_parameter(name.removesuffix("_reverse")).data.copy_(weight)
    states = states_of(mask)
    with torch.no_grad():
        onward, back = ours(states.packed())
        alone = ours.onward(states.packed()).states
        for row, real in rows(states):
            length = real.shape[1]
            found = torch.cat((front(onward, row, length), front(back, row, length)), dim=-1)
            if length:
                torch.testing.assert_close(found, reference(real)[0], rtol=1e-5, atol=1e-6)
                assert torch.equal(front(alone, row, length), front(onward, row, length))


@pytest.mark.parametrize("dilation", [1, 2, 3, 4, 9])
@settings(deadline=None, max_examples=25)
@given(mask=masks)
def test_dilated_is_interleaved_sequences_each_by_itself(dilation, mask):
    torch.manual_seed(0)
    ours = Dilated("lstm", DIM, HIDDEN, dilation=dilation)
    states = states_of(mask)
    with torch.no_grad():
        outputs = ours(states.packed()).states
        assert outputs.shape == (len(mask), 6, HIDDEN)
        for row, real in rows(states):
            found = front(outputs, row, real.shape[1])
            for start in range(min(dilation, real.shape[1])):
                expected = ours.recurrence.layer(real[:, start::dilation])[0]
                torch.testing.assert_close(found[:, start::dilation], expected, rtol=1e-5, atol=1e-6)


def test_nothing_comes_out_of_padding_and_no_gradient_goes_in():
    mask = torch.tensor([[True, False, True], [False, False, False]])
    states = torch.randn(2, 3, DIM, requires_grad=True)
    for layer in (Recurrence("gru", DIM, HIDDEN), Dilated("gru", DIM, HIDDEN, dilation=2)):
        states.grad = None
        outputs = layer(MaskedStates(states, mask).packed()).states
        outputs.square().sum().backward()
        assert (outputs[1] == 0).all()
        assert (states.grad[~mask] == 0).all()
        assert (states.grad[mask] != 0).any(dim=-1).all()


@settings(deadline=None)
@given(mask=masks)
def test_attention_weights_are_those_of_each_utterance(mask):
    torch.manual_seed(0)
    attention = GlobalAttention(DIM)
    states = states_of(mask)
    with torch.no_grad():
        weights = attention(states.zeroed())
        pooled = gathered(weights, states.zeroed().states)
        for row, real in rows(states):
            scores = torch.tanh(real @ attention.inner.weight.T + attention.inner.bias) @ attention.score.weight[0]
            expected = scores.softmax(dim=1)
            torch.testing.assert_close(weights[row][states.mask[row]], expected[0])
            assert (weights[row][~states.mask[row]] == 0).all()
            torch.testing.assert_close(pooled[row], (expected @ real)[0, 0])


def test_a_softmax_over_nothing_is_zeros_with_a_gradient_of_zeros():
    scores = torch.tensor([[1.0, 2.0], [3e38, -3e38]], requires_grad=True)
    weights = masked_softmax(scores, torch.tensor([[False, False], [True, True]]))
    weights[:, 0].sum().backward()
    assert weights.tolist() == [[0, 0], [1, 0]]
    assert scores.grad.isfinite().all()


def test_an_attention_block_is_torchs_encoder_layer():
    torch.manual_seed(0)
    reference = nn.TransformerEncoderLayer(8, 2, dim_feedforward=12, dropout=0.0, batch_first=True)
    ours = AttentionBlock(8, 2, inner_dim=12, dropout=0.0)
    theirs = {"attention": "self_attn", "attention_norm": "norm1", "feed_forward_norm": "norm2"}
    theirs |= {"feed_forward.0": "linear1", "feed_forward.2": "linear2"}
    weights = reference.state_dict()
    renamed = {}
    for name in ours.state_dict():
        part = next(part for part in sorted(theirs, key=len, reverse=True) if name.startswith(f"{part}."))
        renamed[name] = weights[theirs[part] + name.removeprefix(part)]
    ours.load_state_dict(renamed)
    states = torch.randn(3, 5, 8)
    mask = torch.rand(3, 5) < 0.6
    mask[:, 0] = True
    with torch.no_grad():
        found, weights = ours(MaskedStates(states, mask), MaskedStates(states, mask), need_weights=True)
        expected = reference.train()(states, src_key_padding_mask=~mask)
    torch.testing.assert_close(found.states, expected, rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(weights.sum(dim=-1), torch.ones(3, 2, 5))


def test_an_attention_block_without_answers_gathers_zeros():
    block = AttentionBlock(8, 2, inner_dim=12, dropout=0.0)
    asking = MaskedStates(torch.randn(1, 3, 8), torch.ones(1, 3, dtype=torch.bool))
    nothing = torch.zeros(1, 2, dtype=torch.bool)
    with torch.no_grad():
        one, other = (block(asking, MaskedStates(torch.randn(1, 2, 8), nothing))[0].states for _ in range(2))
        alone = block.attention_norm(asking.states)
        assert torch.equal(one, other)
        torch.testing.assert_close(one, block.feed_forward_norm(alone + block.feed_forward(alone)))
