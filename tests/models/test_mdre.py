"""MDRE's family beside the published graphs, as plainly as they can be written: one utterance, no masks."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("transformers")

from torch.nn import functional as F  # noqa: E402, N812

from m3ser import models  # noqa: E402

TEXT_DIM, AUDIO_DIM, FUNCTIONALS, LABELS = 12, 9, 4, 5
AUDIO = {"hidden_dim": 6, "functionals_dim": FUNCTIONALS, "max_steps": 7}
TEXT = {"hidden_dim": 6, "max_tokens": 5}
OPTIONS = {"are": AUDIO, "tre": TEXT, "mdre": AUDIO | TEXT, "mdrea": AUDIO | TEXT}
LENGTHS = [(1, 1), (4, 6), (5, 7), (11, 15)]  # the last ones are cut


def make(name, **options):
    torch.manual_seed(0)
    return models.build(
        name, text_dim=TEXT_DIM, audio_dim=AUDIO_DIM, num_labels=LABELS, **(OPTIONS[name] | options)
    ).eval()


def gru(reader, states):
    """A GRU step by step: its outputs, (length, hidden)."""
    layer = reader.recurrence.layer
    hidden = torch.zeros(layer.hidden_size)
    outputs = []
    for state in states:
        r, z, n = (layer.weight_ih_l0 @ state + layer.bias_ih_l0).chunk(3)
        rh, zh, nh = (layer.weight_hh_l0 @ hidden + layer.bias_hh_l0).chunk(3)
        update = torch.sigmoid(z + zh)
        hidden = update * hidden + (1 - update) * torch.tanh(n + torch.sigmoid(r + rh) * nh)
        outputs.append(hidden)
    return torch.stack(outputs)


def published(name, model, text, audio):
    """The logits of one utterance: text (tokens, dim), audio (steps, dim)."""
    if name != "tre":
        frames, functionals = audio[:7, :-FUNCTIONALS], audio[0, -FUNCTIONALS:]
        heard = torch.cat((gru(model.voice.reader, frames)[-1], functionals))
    if name == "are":
        return model.classifier(heard)
    read = gru(model.reader, text[:5])
    if name == "tre":
        return model.classifier(read[-1])
    if name == "mdre":
        return model.classifier(torch.cat((model.audio_linear(heard), model.text_linear(read[-1]))))
    question = model.question(heard)
    return model.classifier(torch.cat(((read @ question).softmax(dim=0) @ read, question)))


@pytest.mark.parametrize("name", OPTIONS)
@pytest.mark.parametrize("lengths", LENGTHS)
def test_logits_equal_the_published_ones(name, lengths):
    model = make(name)
    text, audio = torch.randn(lengths[0], TEXT_DIM), torch.randn(lengths[1], AUDIO_DIM)
    audio[:, -FUNCTIONALS:] = torch.randn(FUNCTIONALS)
    with torch.no_grad():
        logits = model(text[None], None, audio[None], None).logits[0]
        torch.testing.assert_close(logits, published(name, model, text, audio), rtol=1e-5, atol=1e-5)


def test_half_widths_are_the_published_ones():
    model = models.build("mdre", text_dim=300, audio_dim=74, num_labels=4, functionals_dim=35)
    assert (model.audio_linear.in_features, model.audio_linear.out_features) == (235, 117)
    assert (model.text_linear.in_features, model.text_linear.out_features) == (200, 100)
    assert model.classifier.in_features == 217


@pytest.mark.parametrize("name", OPTIONS)
def test_new_weights_are_drawn_as_published(name):
    model = make(name, hidden_dim=40)
    layers = [module for module in model.modules() if isinstance(module, torch.nn.GRU)]
    assert len(layers) == len(model.modalities)
    for layer in layers:
        kernel = torch.cat((layer.weight_ih_l0, layer.weight_hh_l0), dim=1).detach()
        for part in (kernel[:80], kernel[80:]):  # both gates together, and the candidate
            rows, columns = part.shape
            product = part @ part.T if rows <= columns else part.T @ part
            torch.testing.assert_close(product, torch.eye(min(rows, columns)), rtol=1e-4, atol=1e-4)
        assert (layer.bias_ih_l0[:80] == 1).all()
        assert (layer.bias_ih_l0[80:] == 0).all()
        assert (layer.bias_hh_l0 == 0).all()
    for module in model.modules():
        if isinstance(module, torch.nn.Linear):
            assert 0.2 < module.weight.abs().max() <= 0.25
            assert (module.bias == 0).all()


def test_dropout_is_where_it_was_published():
    def rates(name):
        model = models.build(name, text_dim=8, audio_dim=8, num_labels=2)
        return {part: one.p for part, one in model.named_modules() if isinstance(one, torch.nn.Dropout)}

    assert rates("are") == {"voice.reader.dropout": 0.3}
    assert rates("tre") == {"reader.dropout": 0.7}
    assert rates("mdre") == {"voice.reader.dropout": 0.3, "reader.dropout": 0.7}
    assert rates("mdrea") == {"voice.reader.dropout": 0.3, "reader.dropout": 0.7, "dropout": 0.7}


def test_without_audio_mdrea_reads_the_mean_of_its_text():
    model = make("mdrea")
    text = torch.randn(2, 4, TEXT_DIM)
    with torch.no_grad():
        output = model(text, None, None, None, output_attentions=True, output_features=True)
        read = torch.stack([gru(model.reader, row).mean(dim=0) for row in text])
    torch.testing.assert_close(output.attentions[0], torch.full((2, 1, 1, 4), 0.25))
    torch.testing.assert_close(output.features, F.pad(read, (0, 6)))


@pytest.mark.parametrize(("missing", "half"), [("audio", slice(0, 5)), ("text", slice(5, 8))])
def test_mdre_without_a_modality_has_zeros_in_its_half(missing, half):
    model = make("mdre")
    batch = {"text": torch.randn(2, 4, TEXT_DIM), "audio": torch.randn(2, 4, AUDIO_DIM), missing: None}
    with torch.no_grad():
        for bias in (model.audio_linear.bias, model.text_linear.bias):
            bias.fill_(1.0)
        features = model(**batch, output_features=True).features
    assert features.shape == (2, 8)
    assert (features[:, half] == 0).all()
    assert (features != 0).sum() == 2 * (8 - len(range(*half.indices(8))))
