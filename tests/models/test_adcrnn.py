"""ADCRNN beside the same, one utterance at a time."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("transformers")

from torch.nn import functional as F  # noqa: E402, N812

from m3ser import models  # noqa: E402
from m3ser.models.adcrnn import _deltas  # noqa: E402
from m3ser.models.masked import MaskedStates  # noqa: E402

BANDS = 5


def plain(model, audio):
    """The hidden features of one utterance, (steps, bands)."""
    around = torch.cat((audio[:1], audio, audio[-1:]))
    deltas = (around[2:] - around[:-2]) / 2
    around = torch.cat((deltas[:1], deltas, deltas[-1:]))
    states = torch.cat((audio, deltas, (around[2:] - around[:-2]) / 2), dim=1).T[None]
    for convolution, dilation in zip(model.convolutions, model.config.dilations, strict=True):
        states = F.relu(F.conv1d(states, convolution.weight, convolution.bias, padding=dilation, dilation=dilation))
    states = states[0].T
    for recurrence, dilation in zip(model.recurrences, model.config.dilations, strict=True):
        outputs = torch.zeros(len(states), model.config.fusion_dim)
        for start in range(min(dilation, len(states))):
            outputs[start::dilation] = recurrence.recurrence.layer(states[None, start::dilation])[0][0]
        states = outputs
    weights = model.attention.score(torch.tanh(model.attention.inner(states)))[:, 0].softmax(dim=0)
    return F.relu(model.linear(weights @ states)), weights


@pytest.mark.parametrize("steps", [1, 2, 3, 8, 21])
def test_features_and_logits_equal_the_plain_graph(steps):
    torch.manual_seed(0)
    model = models.build("adcrnn", text_dim=1, audio_dim=BANDS, num_labels=3, fusion_dim=8, dilations=(1, 2, 4)).eval()
    audio = torch.randn(1, steps, BANDS)
    with torch.no_grad():
        output = model(None, None, audio, None, output_attentions=True, output_features=True)
        features, weights = plain(model, audio[0])
        torch.testing.assert_close(output.features[0], features, rtol=1e-5, atol=1e-5)
        torch.testing.assert_close(output.logits[0], model.classifier(features), rtol=1e-5, atol=1e-5)
        torch.testing.assert_close(output.attentions[0][0, 0, 0], weights)


def test_deltas_end_with_the_utterance_and_not_with_the_batch():
    frames = torch.tensor([[1.0, 3.0, 4.0, 99.0], [5.0, -99.0, 99.0, -99.0]])[..., None]
    mask = torch.tensor([[True, True, True, False], [True, False, False, False]])
    deltas = _deltas(MaskedStates(frames, mask)).states[..., 0]
    assert deltas.tolist() == [[1.0, 1.5, 0.5, 0.0], [0.0, 0.0, 0.0, 0.0]]
