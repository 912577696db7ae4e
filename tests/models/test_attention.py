from __future__ import annotations

import pytest

torch = pytest.importorskip("torch")

from torch import nn  # noqa: E402

from m3ser.models.attention import MultiHeadAttention  # noqa: E402

DIM, HEADS = 24, 4
MASK = torch.tensor(
    [[True] * 7, [True, True, False, True, False, False, True], [False, False, True, True, True, True, True]]
)


@pytest.fixture
def pair() -> tuple[MultiHeadAttention, nn.MultiheadAttention]:
    torch.manual_seed(0)
    theirs = nn.MultiheadAttention(DIM, HEADS, dropout=0.5, batch_first=True)
    for parameter in theirs.parameters():
        nn.init.normal_(parameter, std=0.3)
    ours = MultiHeadAttention(DIM, HEADS, dropout=0.5)
    ours.load_state_dict(theirs.state_dict())
    return ours, theirs


@pytest.mark.parametrize("training", [False, True])
@pytest.mark.parametrize("need_weights", [False, True])
def test_equals_torch_with_a_key_padding_mask(pair, need_weights, training):
    ours, theirs = pair
    # In training mode torch takes its other code path; the dropout, which is random, is off for this.
    ours.dropout = theirs.dropout = 0.0
    ours.train(training)
    theirs.train(training)
    states = torch.randn(3, 7, DIM)
    expected, expected_weights = theirs(states, states, states, key_padding_mask=~MASK, average_attn_weights=False)
    output, weights = ours(states, states, MASK, need_weights=need_weights)
    torch.testing.assert_close(output, expected, rtol=1e-5, atol=1e-6)
    if need_weights:
        torch.testing.assert_close(weights, expected_weights, rtol=1e-5, atol=1e-6)
    else:
        assert weights is None


def test_queries_may_be_others_than_the_keys(pair):
    ours, theirs = (one.eval() for one in pair)
    query, keys = torch.randn(3, 2, DIM), torch.randn(3, 7, DIM)
    expected, _ = theirs(query, keys, keys, key_padding_mask=~MASK)
    torch.testing.assert_close(ours(query, keys, MASK)[0], expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("need_weights", [False, True])
def test_a_row_without_keys_is_finite_and_leaves_the_others_alone(pair, need_weights):
    ours = pair[0].eval()
    states = torch.randn(2, 5, DIM, requires_grad=True)
    mask = torch.tensor([[False] * 5, [True] * 5])
    output, _ = ours(states, states, mask, need_weights=need_weights)
    assert output.isfinite().all()
    torch.testing.assert_close(output[1:], ours(states[1:], states[1:], mask[1:])[0])
    output[1].sum().backward()
    assert states.grad.isfinite().all()
    assert (states.grad[0] == 0).all()


def test_dropout_falls_on_the_weights_while_training(pair):
    ours = pair[0].train()
    states = torch.randn(3, 7, DIM)
    outputs = [ours(states, states, MASK)[0] for _ in range(2)]
    assert not torch.equal(*outputs)
    # What is left is scaled up, so that the mean stays.
    many = ours(states[:1].expand(4000, -1, -1), states[:1].expand(4000, -1, -1), MASK[:1].expand(4000, -1))[0]
    expected = ours.eval()(states[:1], states[:1], MASK[:1])[0]
    torch.testing.assert_close(many.mean(dim=0, keepdim=True), expected, rtol=0, atol=0.15)


def test_new_weights_are_drawn_as_torch_draws_them():
    torch.manual_seed(1)
    ours = MultiHeadAttention(512, 8)
    theirs = nn.MultiheadAttention(512, 8, batch_first=True)
    assert ours.state_dict().keys() == theirs.state_dict().keys()
    for name, weight in theirs.state_dict().items():
        drawn = ours.state_dict()[name]
        assert drawn.shape == weight.shape
        # Uniform both times: the spread and the limits tell the distribution.
        assert drawn.std().item() == pytest.approx(weight.std().item(), rel=0.01, abs=1e-9)
        assert drawn.abs().max().item() == pytest.approx(weight.abs().max().item(), rel=0.01, abs=1e-9)
