"""4M-SER: the variants that 3M-SER has not, beside the graph written out; the others are 3M-SER's own."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("transformers")

from torch import nn  # noqa: E402
from torch.nn import functional as F  # noqa: E402, N812

from m3ser import models  # noqa: E402
from m3ser.errors import UsageError  # noqa: E402

SIZES = {"text_dim": 24, "audio_dim": 16, "num_labels": 5}
NORMS = {"layer": "3m-ser-ln", "min-max": "3m-ser-minmax", "none": "3m-ser"}


def make(**options):
    torch.manual_seed(3)
    model = models.build("4m-ser", **SIZES, num_heads=4, **options).eval()
    for parameter in model.parameters():
        nn.init.normal_(parameter, std=0.2)
    return model


@pytest.mark.parametrize("normaliser", NORMS)
def test_with_the_pooling_cls_and_one_hidden_layer_it_is_3m_ser(normaliser):
    ours = make(normaliser=normaliser)
    older = models.build(NORMS[normaliser], **SIZES, num_heads=4).eval()
    older.load_state_dict(ours.state_dict())
    text, audio = torch.randn(2, 6, 24), torch.randn(2, 4, 16)
    assert torch.equal(ours(text, None, audio, None).logits, older(text, None, audio, None).logits)


def test_published_weights_load_by_their_names():
    ours = make(hidden_dims=[12, 8])
    renamed = {"vggish_layer_norm.": "audio_encoder_layer_norm.", "linear.": "linear_0."}
    published = {}
    for name, weight in ours.state_dict().items():
        old = next((prefix for prefix in renamed if name.startswith(prefix)), "")
        published[renamed.get(old, "") + name.removeprefix(old)] = weight + 1
    assert {"audio_encoder_layer_norm.weight", "linear_0.weight", "linear_1.weight", "text_linear.bias"} <= set(
        published
    )
    before = {name: weight.clone() for name, weight in ours.state_dict().items()}
    ours.load_published_state_dict(published)
    assert all(torch.equal(weight, before[name] + 1) for name, weight in ours.state_dict().items())


@pytest.mark.parametrize("pooling", ["cls", "mean", "max"])
@pytest.mark.parametrize("hidden_dims", [[], [12], [12, 8]])
def test_poolings_and_heads_equal_the_plain_graph(pooling, hidden_dims):
    ours = make(pooling=pooling, hidden_dims=hidden_dims, normaliser="none")
    text, audio = torch.randn(1, 6, 24), torch.randn(1, 4, 16)

    def attended(attention, states):
        theirs = nn.MultiheadAttention(attention.dim, 4, batch_first=True).eval()
        theirs.load_state_dict(attention.state_dict())
        return theirs(states, states, states)[0]

    with torch.no_grad():
        words = ours.text_layer_norm(ours.text_linear(attended(ours.text_attention, text)))
        both = attended(ours.fusion_attention, torch.cat((words, audio), dim=1))
        fused = ours.fusion_layer_norm(ours.fusion_linear(both))
        vector = {"cls": fused[:, 0], "mean": fused.mean(dim=1), "max": fused.amax(dim=1)}[pooling]
        hidden = vector
        for name in ("linear", "linear_1")[: len(hidden_dims)]:
            hidden = F.leaky_relu(getattr(ours, name)(hidden))
        found = ours(text, None, audio, None, output_features=True)
        torch.testing.assert_close(found.features, vector, rtol=1e-5, atol=1e-5)
        torch.testing.assert_close(found.logits, ours.classifer(hidden), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("pooling", ["mean", "max"])
@pytest.mark.parametrize("normaliser", NORMS)
def test_padding_counts_in_no_pooling(pooling, normaliser):
    ours = make(pooling=pooling, normaliser=normaliser)
    text, audio = torch.randn(2, 6, 24), torch.randn(2, 4, 16)
    text_mask = torch.tensor([[1, 0, 1, 0, 1, 0], [0, 0, 0, 0, 0, 0]]).bool()
    audio_mask = torch.tensor([[0, 1, 0, 0], [1, 1, 0, 1]]).bool()
    with torch.no_grad():
        together = ours(text, text_mask, audio, audio_mask).logits
        for row in range(2):
            alone = ours(text[row, text_mask[row]][None], None, audio[row, audio_mask[row]][None], None).logits
            torch.testing.assert_close(together[row : row + 1], alone, rtol=1e-5, atol=1e-5)


def test_options_are_kept(tmp_path):
    saved = make(pooling="mean", normaliser="min-max", hidden_dims=[12, 8], fusion_dim=32)
    loaded = models.load(models.save(saved, tmp_path / "model"))
    config = loaded.config
    assert (config.pooling, config.normaliser, config.hidden_dims, config.fusion_dim) == (
        "mean",
        "min-max",
        [12, 8],
        32,
    )
    text, audio = torch.randn(2, 6, 24), torch.randn(2, 4, 16)
    assert torch.equal(loaded(text, None, audio, None).logits, saved(text, None, audio, None).logits)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"pooling": "min"}, "pooling is 'min'; one of cls, mean, max was expected"),
        ({"normaliser": "batch"}, "normaliser is 'batch'; one of none, layer, min-max was expected"),
        ({"hidden_dims": 64}, "hidden_dims is 64; a list of positive integers"),
        ({"hidden_dims": [64, 0]}, "hidden_dims is 0; a positive integer"),
        ({"hidden_dim": 64}, "4m-ser has no option hidden_dim; it has normaliser, pooling, hidden_dims, num_heads"),
    ],
)
def test_options_that_cannot_be(options, message):
    with pytest.raises(UsageError, match=message):
        models.build("4m-ser", **SIZES, **options)
