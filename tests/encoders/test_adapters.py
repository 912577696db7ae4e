"""Encoders that learn in part: the upper blocks alone, or LoRA's matrices."""

from __future__ import annotations

import copy

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("peft")

from m3ser.encoders import Encoder, add_lora, freeze_first, lengths_to_mask, merged  # noqa: E402
from m3ser.errors import UsageError  # noqa: E402

MASK = lengths_to_mask(torch.tensor([9, 4]))
WAVEFORMS = lengths_to_mask(torch.tensor([1500, 900]))


@pytest.fixture(
    params=["bert", "deberta-v2", "modernbert", "distilbert", "whisper", "wav2vec2", "wavlm", "hubert-large"]
)
def made(request, small_text, small_whisper, small_speech) -> tuple[Encoder, torch.Tensor, torch.Tensor]:
    """An encoder of each build, and a batch for it."""
    if request.param == "whisper":
        return small_whisper(), torch.randn(2, 9, 10), MASK
    if request.param in ("wav2vec2", "wavlm", "hubert-large"):
        return small_speech(request.param), torch.randn(2, 1500), WAVEFORMS
    if request.param == "distilbert":
        return (
            small_text("distilbert", dim=16, n_heads=2, n_layers=2, hidden_dim=24),
            torch.randint(5, 50, (2, 9)),
            MASK,
        )
    return small_text(request.param), torch.randint(5, 50, (2, 9)), MASK


def step(encoder: Encoder, inputs: torch.Tensor, mask: torch.Tensor) -> None:
    """Gradients of something that every state takes part in."""
    states = encoder(inputs, mask).states
    weights = torch.randn(states.shape, generator=torch.Generator().manual_seed(0))
    (states * weights).sum().backward()


def test_the_first_blocks_stay_and_the_others_learn(made):
    encoder, inputs, mask = made
    freeze_first(encoder, 1)
    encoder.train()
    assert not encoder.frozen
    assert not encoder.blocks()[0].training
    assert all(not part.training for part in encoder.stem())
    assert encoder.blocks()[1].training
    step(encoder, inputs, mask)
    assert not any(weight.requires_grad for weight in encoder.blocks()[0].parameters())
    assert not any(weight.requires_grad for part in encoder.stem() for weight in part.parameters())
    assert all(weight.grad is not None for weight in encoder.blocks()[1].parameters())
    assert encoder.stem()


def test_more_blocks_than_there_are_cannot_stay(small_text):
    with pytest.raises(UsageError, match=r"frozen\.first is 3; this encoder has 2 blocks"):
        freeze_first(small_text(), 3)
    with pytest.raises(UsageError, match="blocks of a AlbertModel cannot be told apart"):
        freeze_first(small_text("albert"), 1)


def test_lora_alone_learns_and_reaches_the_states(made):
    encoder, inputs, mask = made
    encoder.eval()
    before = encoder(inputs, mask).states.detach()
    add_lora(encoder, rank=2, alpha=4)
    assert not encoder.frozen
    torch.testing.assert_close(encoder(inputs, mask).states.detach(), before)  # it starts from nothing
    learning = {name: weight for name, weight in encoder.named_parameters() if weight.requires_grad}
    assert learning
    assert all("lora_" in name for name in learning)
    step(encoder, inputs, mask)
    # The second matrix of each pair is zero at first, so that the first one's gradient is zero, but not missing.
    assert all(weight.grad is not None for weight in learning.values())
    assert all(bool(weight.grad.any()) for name, weight in learning.items() if "lora_B" in name)


def test_merged_it_computes_the_same_without_lora(made):
    encoder, inputs, mask = made
    add_lora(encoder, rank=2, alpha=4, dropout=0.3)
    for name, weight in encoder.named_parameters():
        if "lora_B" in name:
            torch.nn.init.normal_(weight)
    plain = merged(encoder.eval())
    assert not [name for name, _ in plain.named_parameters() if "lora_" in name]
    assert [name for name, _ in encoder.named_parameters() if "lora_" in name]
    with torch.no_grad():
        found, expected = plain.eval()(inputs, mask).states, encoder(inputs, mask).states
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-4)


def test_without_lora_merged_is_the_encoder_itself(small_text):
    encoder = small_text()
    assert merged(encoder) is encoder


def test_targets_can_be_named_and_must_be_there(small_text, small_speech):
    encoder = small_text()
    add_lora(encoder, rank=2, alpha=4, targets=["key"])
    assert all("key.lora_" in name for name, weight in encoder.named_parameters() if weight.requires_grad)
    with pytest.raises(UsageError, match=r"lora\.targets names q_proj; of dense, key, query, value it can be"):
        add_lora(small_text(), rank=2, alpha=4, targets=["q_proj"])


def test_wavlms_attention_cannot_be_adapted(small_speech):
    """It hands the weights themselves to PyTorch: matrices beside them would never be looked at."""
    with pytest.raises(UsageError, match=r"names q_proj; of .*intermediate_dense, output_dense it can be"):
        add_lora(small_speech("wavlm"), rank=2, alpha=4, targets=["q_proj"])


def test_a_mix_goes_on_learning_beside_lora(small_text):
    encoder = small_text(options={"combine": "mix"})
    add_lora(encoder, rank=2, alpha=4)
    assert encoder.mix.scores.requires_grad
    assert copy.deepcopy(encoder).lora == {"rank": 2, "alpha": 4, "dropout": 0.0, "targets": ["query", "value"]}
