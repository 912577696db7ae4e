"""M-ELMo's gate: who is given which share of the voice, and what passes."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

torch = pytest.importorskip("torch")
pytest.importorskip("transformers")

from torch import nn  # noqa: E402

from m3ser import models  # noqa: E402
from m3ser.models.alignment import EqualShares  # noqa: E402
from m3ser.models.masked import MaskedStates  # noqa: E402


def mask_of(*rows):
    return torch.tensor(rows).bool()


@pytest.fixture
def model():
    torch.manual_seed(3)
    built = models.build("m-elmo", text_dim=24, audio_dim=16, num_labels=5, steps_per_token=4, hidden_dims=[20, 10])
    for parameter in built.parameters():
        nn.init.normal_(parameter, std=0.2)
    return built.eval()


def test_as_many_steps_as_tokens_are_one_each():
    audio = torch.tensor([[[1.0], [2.0], [3.0]]])
    shares = EqualShares(2)(audio, mask_of([1, 1, 1]), mask_of([1, 1, 1]))
    torch.testing.assert_close(shares[0, :, :, 0], torch.tensor([[1.0, 1.0], [2.0, 2.0], [3.0, 3.0]]))


def test_shares_by_hand():
    # Three steps for two tokens: 1.5 each, in pieces of 0.75.
    audio = torch.tensor([[[1.0], [2.0], [4.0]]])
    shares = EqualShares(2)(audio, mask_of([1, 1, 1]), mask_of([1, 1]))
    first = [1.0, (0.25 * 1 + 0.5 * 2) / 0.75]
    second = [(0.5 * 2 + 0.25 * 4) / 0.75, 4.0]
    torch.testing.assert_close(shares[0, :, :, 0], torch.tensor([first, second]))


def test_holes_are_stepped_over():
    audio = torch.tensor([[[9.0], [1.0], [9.0], [2.0], [9.0]]])
    shares = EqualShares(1)(
        audio * mask_of([0, 1, 0, 1, 0])[..., None], mask_of([0, 1, 0, 1, 0]), mask_of([1, 0, 0, 1])
    )
    torch.testing.assert_close(shares[0, [0, 3], 0, 0], torch.tensor([1.0, 2.0]))


@settings(max_examples=60, deadline=None)
@given(tokens=st.integers(1, 30), steps=st.integers(1, 200), pieces=st.integers(1, 8), seed=st.integers(0, 999))
def test_shares_are_means_over_equal_spans_and_nothing_is_lost(tokens, steps, pieces, seed):
    generator = torch.Generator().manual_seed(seed)
    audio = torch.randn(1, steps, 2, generator=generator)
    shares = EqualShares(pieces)(audio, torch.ones(1, steps).bool(), torch.ones(1, tokens).bool())
    assert shares.shape == (1, tokens, pieces, 2)
    # All spans are equally long, so that the mean of their means is the mean of all.
    torch.testing.assert_close(shares.mean(dim=(1, 2)), audio.mean(dim=1), rtol=1e-3, atol=1e-4)
    constant = EqualShares(pieces)(torch.ones_like(audio), torch.ones(1, steps).bool(), torch.ones(1, tokens).bool())
    torch.testing.assert_close(constant, torch.ones_like(constant), rtol=1e-3, atol=1e-3)
    # Against samples taken at many places of one of the spans.
    place = seed % (tokens * pieces)
    length = steps / (tokens * pieces)
    at = (place + (torch.arange(4000, dtype=torch.float64) + 0.5) / 4000) * length
    expected = audio[0, at.long().clamp(max=steps - 1)].double().mean(dim=0)
    torch.testing.assert_close(shares[0].flatten(0, 1)[place].double(), expected, rtol=0, atol=5e-3)


def test_the_plain_graph(model):
    text, audio = torch.randn(1, 3, 24), torch.randn(1, 3, 16)
    convolutions = [layer for layer in model.acoustic if isinstance(layer, nn.Conv1d)]
    assert [layer.out_channels for layer in convolutions] == [32, 32, 16]
    gated = []
    with torch.no_grad():
        for word in range(3):
            heard = audio[0, word].expand(4, 16).T[None]
            for layer in convolutions:
                heard = nn.functional.max_pool1d(layer(heard), 3, stride=1, padding=1).relu()
            gated.append(text[0, word] * torch.sigmoid(model.gate(heard.flatten())))
        first, second = model.mix.softmax(dim=0)
        features = model.scale * (first * text[0].mean(dim=0) + second * torch.stack(gated).mean(dim=0))
        found = model(text, None, audio, None, output_features=True)
        torch.testing.assert_close(found.features[0], features, rtol=1e-4, atol=1e-5)
        hidden = model.head[3](model.head[0](features).relu()).relu()
        torch.testing.assert_close(found.logits[0], model.classifier(hidden), rtol=1e-4, atol=1e-5)


def test_without_audio_the_text_passes_as_it_is(model):
    text = torch.randn(2, 3, 24)
    features = model(text, None, None, None, output_features=True).features
    torch.testing.assert_close(features, text.mean(dim=1) * model.scale)


def test_without_text_the_voice_still_decides(model):
    one, other = torch.randn(1, 5, 16), torch.randn(1, 5, 16)
    with torch.no_grad():
        logits = [model(None, None, audio, None).logits for audio in (one, other)]
    assert (logits[0] - logits[1]).abs().max() > 1e-4


def test_only_a_tokens_own_share_moves_its_gate(model):
    audio = torch.randn(1, 8, 16)
    changed = audio.clone()
    changed[0, 6:] += 1  # the last token's quarter
    every = torch.ones(1, 4).bool()
    with torch.no_grad():
        before, after = (model._gate(MaskedStates(one, torch.ones(1, 8).bool()), every) for one in (audio, changed))
    torch.testing.assert_close(before[0, :3], after[0, :3], rtol=1e-4, atol=1e-5)
    assert (before[0, 3] - after[0, 3]).abs().max() > 1e-3
    assert ((before > 0) & (before < 1)).all()


def test_parameters_at_the_papers_sizes():
    model = models.build("m-elmo", text_dim=768, audio_dim=128, num_labels=4)
    assert f"{model.num_parameters():,}" in (__import__(type(model).__module__, fromlist=["x"]).__doc__ or "")
