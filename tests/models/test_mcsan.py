"""MCSAN beside the same, one utterance at a time, with torch's own convolutions, pools, LSTMs and attention."""

from __future__ import annotations

import math

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("transformers")

from torch import nn  # noqa: E402
from torch.nn import functional as F  # noqa: E402, N812

from m3ser import models  # noqa: E402

TEXT_DIM, AUDIO_DIM, WIDTH, HEADS, LIMIT = 6, 5, 8, 2, 30


def make():
    torch.manual_seed(0)
    options = {"fusion_dim": WIDTH, "num_heads": HEADS, "inner_dim": 12, "max_steps": LIMIT}
    return models.build("mcsan", text_dim=TEXT_DIM, audio_dim=AUDIO_DIM, num_labels=3, **options).eval()


def recurrent(recurrence, states):
    onward = recurrence.onward.layer(states)[0]
    return (onward + recurrence.back.layer(states.flip(1))[0].flip(1)) / 2


def attended(block, asking, answering):
    reference = nn.MultiheadAttention(WIDTH, HEADS, batch_first=True)
    reference.load_state_dict(block.attention.state_dict())
    states = block.attention_norm(asking + reference(asking, answering, answering)[0])
    return block.feed_forward_norm(states + block.feed_forward(states))


def plain(model, text, audio):
    heard = audio[:, :LIMIT].transpose(1, 2)
    for convolution in model.convolutions:
        heard = F.max_pool1d(F.relu(convolution(heard)), 3, ceil_mode=True)
    heard, read = recurrent(model.audio_recurrence, heard.transpose(1, 2)), recurrent(model.text_recurrence, text)
    four = (
        attended(model.audio_cross, heard, read),
        attended(model.text_cross, read, heard),
        attended(model.audio_self, heard, heard),
        attended(model.text_self, read, read),
    )
    return torch.cat([one.amax(dim=1) for one in four], dim=1)


@pytest.mark.parametrize("lengths", [(1, 1), (2, 3), (5, 4), (3, 9), (7, 10), (4, 30), (4, 41)])
def test_features_and_logits_equal_the_plain_graph(lengths):
    model = make()
    text, audio = torch.randn(1, lengths[0], TEXT_DIM), torch.randn(1, lengths[1], AUDIO_DIM)
    with torch.no_grad():
        output = model(text, None, audio, None, output_attentions=True, output_features=True)
        features = plain(model, text, audio)
        torch.testing.assert_close(output.features, features, rtol=1e-5, atol=1e-5)
        torch.testing.assert_close(output.logits, model.classifier(features), rtol=1e-5, atol=1e-5)
    steps = math.ceil(math.ceil(min(lengths[1], LIMIT) / 3) / 3)
    cross = output.attentions[1]  # text asks audio, whose real steps stand first
    assert cross.shape[:3] == (1, HEADS, lengths[0])
    torch.testing.assert_close(cross[..., :steps].sum(dim=-1), torch.ones(1, HEADS, lengths[0]))
    assert (cross[..., steps:] == 0).all()


@pytest.mark.parametrize(("missing", "gone"), [("text", (1, 3)), ("audio", (0, 2))])
def test_without_a_modality_its_two_quarters_are_zeros(missing, gone):
    model = make()
    batch = {"text": torch.randn(2, 5, TEXT_DIM), "audio": torch.randn(2, 20, AUDIO_DIM), missing: None}
    with torch.no_grad():
        quarters = model(**batch, output_features=True).features.unflatten(1, (4, WIDTH))
    for place in range(4):
        assert bool((quarters[:, place] == 0).all()) is (place in gone)
