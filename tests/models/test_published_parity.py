"""Ours beside the published graphs, on the same weights."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("transformers")

from m3ser import models  # noqa: E402

LENGTHS = [(1, 1), (2, 1), (7, 3), (31, 12)]

# For the paper's sizes and four labels. 3M-SER's are counted in the published checkpoints; the others follow from
# in x out + out, layer by layer.
PARAMETERS = {
    "3m-ser": 2_552_388,
    "3m-ser-ln": 2_552_644,
    "3m-ser-minmax": 2_552_388,
    "server": (768 * 128 + 128) + (256 * 64 + 64) + (64 * 4 + 4),
    "text-only": (768 * 64 + 64) + (64 * 4 + 4),
    "audio-only": (128 * 64 + 64) + (64 * 4 + 4),
}


@pytest.mark.parametrize("name", PARAMETERS)
def test_logits_equal_the_published_ones(name, published):
    torch.manual_seed(0)
    reference = published(name)
    ours = models.build(name, text_dim=768, audio_dim=128, num_labels=4).eval()
    ours.load_published_state_dict(reference.state_dict())
    for tokens, steps in LENGTHS:
        text, audio = torch.randn(1, tokens, 768), 3 * torch.randn(1, steps, 128)
        with torch.no_grad():
            torch.testing.assert_close(
                ours(text, None, audio, None).logits, reference(text, audio), rtol=1e-5, atol=1e-5
            )


@pytest.mark.parametrize("name", PARAMETERS)
def test_other_sizes(name, published):
    torch.manual_seed(0)
    reference = published(name, text_dim=36, audio_dim=24, num_labels=7, heads=4)
    options = {"num_heads": 4} if name.startswith("3m-ser") else {}
    ours = models.build(name, text_dim=36, audio_dim=24, num_labels=7, **options).eval()
    ours.load_published_state_dict(reference.state_dict())
    text, audio = torch.randn(1, 9, 36), torch.randn(1, 5, 24)
    with torch.no_grad():
        torch.testing.assert_close(ours(text, None, audio, None).logits, reference(text, audio), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("name", [name for name in PARAMETERS if name.startswith("3m-ser")])
def test_attention_weights_equal_the_published_ones(name, published):
    torch.manual_seed(0)
    reference = published(name)
    ours = models.build(name, text_dim=768, audio_dim=128, num_labels=4).eval()
    ours.load_published_state_dict(reference.state_dict())
    text, audio = torch.randn(1, 6, 768), torch.randn(1, 4, 128)
    with torch.no_grad():
        output = ours(text, None, audio, None, output_attentions=True)
        reference(text, audio)
        plain = ours(text, None, audio, None)
    torch.testing.assert_close(output.attentions[0], reference.text_weights, rtol=1e-5, atol=1e-6)
    # Of the second attention only the first position is read out.
    torch.testing.assert_close(output.attentions[1], reference.fusion_weights[:, :, :1], rtol=1e-5, atol=1e-6)
    torch.testing.assert_close(output.logits, plain.logits, rtol=1e-5, atol=1e-5)
    assert plain.attentions is None


@pytest.mark.parametrize("name", PARAMETERS)
def test_parameter_counts(name):
    model = models.build(name, text_dim=768, audio_dim=128, num_labels=4)
    assert model.num_parameters() == PARAMETERS[name]
    assert model.num_parameters(only_trainable=True) == PARAMETERS[name]


@pytest.mark.parametrize("name", PARAMETERS)
def test_parameter_names_are_the_published_ones(name, published):
    model = models.build(name, text_dim=768, audio_dim=128, num_labels=4)
    assert model.state_dict().keys() == published(name).state_dict().keys()


@pytest.mark.parametrize("name", PARAMETERS)
def test_new_weights_are_drawn_as_torch_draws_them(name):
    torch.manual_seed(0)
    model = models.build(name, text_dim=768, audio_dim=128, num_labels=4)
    for module in model.modules():
        if isinstance(module, torch.nn.Linear):
            limit = module.in_features**-0.5  # uniform in +-1/sqrt(inputs)
            assert limit * 0.97 < module.weight.abs().max().item() <= limit
        if isinstance(module, torch.nn.LayerNorm):
            assert (module.weight == 1).all()
            assert (module.bias == 0).all()


@pytest.mark.parametrize(
    ("name", "places"),
    [("3m-ser", 3), ("3m-ser-ln", 3), ("3m-ser-minmax", 3), ("server", 1), ("text-only", 1), ("audio-only", 0)],
)
def test_dropout_is_where_it_was_published(name, places):
    rates = [
        module.p if isinstance(module, torch.nn.Dropout) else module.dropout
        for module in models.build(name, text_dim=768, audio_dim=128, num_labels=4).modules()
        if isinstance(module, torch.nn.Dropout) or isinstance(getattr(module, "dropout", None), float)
    ]
    assert rates == [0.5] * places
