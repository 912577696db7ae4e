"""MemoCMT beside the published graph, written out once more; and what of it is not repeated."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("transformers")

from torch import nn  # noqa: E402
from torch.nn import functional as F  # noqa: E402, N812

from m3ser import models  # noqa: E402
from m3ser.errors import CheckpointError, UsageError  # noqa: E402

POOLINGS = ("cls", "mean", "max", "min")


class Published(nn.Module):
    """One utterance, no masks; with the layers that are built and never used."""

    def __init__(self, pooling, dim, num_labels, heads):
        super().__init__()
        self.pooling = pooling
        for branch in ("text", "audio", "fusion"):
            setattr(self, f"{branch}_attention", nn.MultiheadAttention(dim, heads, batch_first=True))
            setattr(self, f"{branch}_linear", nn.Linear(dim, dim))
            setattr(self, f"{branch}_layer_norm", nn.LayerNorm(dim))
        self.linear_0 = nn.Linear(dim, 128)
        self.classifer = nn.Linear(128, num_labels)
        for parameter in self.parameters():
            nn.init.normal_(parameter, std=0.1)
        self.eval()

    def branches(self, text, audio):
        read, self.text_weights = self.text_attention(audio, text, text, average_attn_weights=False)
        heard, self.audio_weights = self.audio_attention(text, audio, audio, average_attn_weights=False)
        return self.text_layer_norm(self.text_linear(read)), self.audio_layer_norm(self.audio_linear(heard))

    def head(self, vector):
        return self.classifer(F.leaky_relu(self.linear_0(vector)))

    def forward(self, text, audio):
        both = torch.cat(self.branches(text, audio), dim=1)
        if self.pooling == "cls":
            return self.head(both[:, 0])
        if self.pooling == "mean":
            return self.head(both.mean(dim=1))
        return self.head(both.max(dim=1)[0] if self.pooling == "max" else both.min(dim=1)[0])


def pair(pooling, *, dim=48, num_labels=4, heads=8):
    torch.manual_seed(0)
    reference = Published(pooling, dim, num_labels, heads)
    ours = models.build("memocmt", text_dim=dim, audio_dim=dim, num_labels=num_labels, pooling=pooling, num_heads=heads)
    ours.load_published_state_dict(reference.state_dict())
    return ours.eval(), reference


@pytest.mark.parametrize("pooling", ["mean", "max", "min"])
def test_logits_and_attention_weights_equal_the_published_ones(pooling):
    ours, reference = pair(pooling)
    for tokens, steps in ((1, 1), (2, 9), (31, 12)):
        text, audio = torch.randn(1, tokens, 48), torch.randn(1, steps, 48)
        with torch.no_grad():
            found = ours(text, None, audio, None, output_attentions=True)
            torch.testing.assert_close(found.logits, reference(text, audio), rtol=1e-5, atol=1e-5)
        torch.testing.assert_close(found.attentions[0], reference.text_weights, rtol=1e-5, atol=1e-6)
        torch.testing.assert_close(found.attentions[1], reference.audio_weights, rtol=1e-5, atol=1e-6)


def test_the_papers_sizes_and_what_is_never_used():
    model = models.build("memocmt", text_dim=768, audio_dim=768, num_labels=4)
    assert model.num_parameters() == 6_007_940
    assert model.config.pooling == "min"
    unused = sum(
        one.numel() for name, one in Published("min", 768, 4, 8).named_parameters() if name.startswith("fusion_")
    )
    assert unused == 2_954_496
    for count in (6_007_940, unused):
        assert f"{count:,}" in (__import__(type(model).__module__, fromlist=["x"]).__doc__ or "")


def test_published_weights_that_are_used_must_fit():
    reference = Published("min", 48, 4, 8).state_dict()
    reference.pop("audio_linear.bias")
    model = models.build("memocmt", text_dim=48, audio_dim=48, num_labels=4)
    with pytest.raises(CheckpointError, match=r"memocmt does not fit.*missing audio_linear\.bias"):
        model.load_published_state_dict(reference)


def test_cls_hears_the_audio_branch():
    ours, reference = pair("cls")
    text, audio = torch.randn(1, 5, 48), torch.randn(1, 7, 48)
    # The published one does not: its answer stays the same whatever the audio branch's weights are.
    before = reference(text, audio)
    nn.init.normal_(reference.audio_linear.weight)
    assert torch.equal(reference(text, audio), before)
    ours.load_published_state_dict(reference.state_dict())
    read, heard = reference.branches(text, audio)
    with torch.no_grad():
        expected = reference.head((read[:, 0] + heard[:, 0]) / 2)
        torch.testing.assert_close(ours(text, None, audio, None).logits, expected, rtol=1e-5, atol=1e-5)
    ours(text, None, audio, None).logits.sum().backward()
    for parameter in (ours.audio_linear.weight, ours.audio_attention.in_proj_weight):
        assert parameter.grad.abs().sum() > 0


@pytest.mark.parametrize("pooling", POOLINGS)
def test_a_padded_batch_equals_its_utterances_alone(pooling):
    ours, _ = pair(pooling)
    text, audio = torch.randn(3, 6, 48), torch.randn(3, 5, 48)
    text_mask = torch.tensor([[1, 1, 0, 1, 0, 0], [0, 0, 0, 0, 0, 0], [0, 1, 1, 1, 1, 1]]).bool()
    audio_mask = torch.tensor([[0, 1, 1, 0, 0], [1, 0, 0, 1, 0], [0, 0, 0, 0, 0]]).bool()
    with torch.no_grad():
        together = ours(
            text.masked_fill(~text_mask[..., None], -1e4),
            text_mask,
            audio.masked_fill(~audio_mask[..., None], -1e4),
            audio_mask,
        ).logits
        for row in range(3):
            alone = ours(text[row, text_mask[row]][None], None, audio[row, audio_mask[row]][None], None).logits
            torch.testing.assert_close(together[row : row + 1], alone, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("pooling", POOLINGS)
def test_without_audio_a_state_of_zeros_asks_and_what_it_reads_is_all(pooling):
    ours, reference = pair(pooling)
    text, audio, zero = torch.randn(1, 5, 48), torch.randn(1, 4, 48), torch.zeros(1, 1, 48)
    with torch.no_grad():
        read, _ = reference.branches(text, zero)
        torch.testing.assert_close(
            ours(text, None, None, None).logits, reference.head(read[:, 0]), rtol=1e-5, atol=1e-5
        )
        _, heard = reference.branches(zero, audio)
        torch.testing.assert_close(
            ours(None, None, audio, None).logits, reference.head(heard[:, 0]), rtol=1e-5, atol=1e-5
        )


def test_audio_of_another_width_is_brought_to_the_texts():
    model = models.build("memocmt", text_dim=48, audio_dim=20, num_labels=4)
    assert model.audio_projection.weight.shape == (48, 20)
    assert model.audio_entrance() is model.audio_projection
    assert models.build("memocmt", text_dim=48, audio_dim=48, num_labels=4).audio_entrance() is None


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"pooling": "median"}, "pooling is 'median'; one of cls, mean, max, min was expected"),
        ({"num_heads": 7}, "text_dim is 48, which 7 attention heads do not divide evenly"),
    ],
)
def test_options_that_cannot_be(options, message):
    with pytest.raises(UsageError, match=message):
        models.build("memocmt", text_dim=48, audio_dim=48, num_labels=4, **options)
