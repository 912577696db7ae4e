from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("transformers")

from torch import nn  # noqa: E402
from transformers.models.bert.modeling_bert import BertSelfAttention  # noqa: E402

from m3ser import audio, models  # noqa: E402
from m3ser.errors import UsageError  # noqa: E402
from m3ser.models import complexity  # noqa: E402
from m3ser.models.alignment import EqualShares  # noqa: E402
from m3ser.models.attention import MultiHeadAttention  # noqa: E402
from m3ser.models.complexity import PRINTED, examples_in, explain, measure  # noqa: E402


def by_layer(module: nn.Module, run: Callable[[], object]) -> int:
    """FLOPs layer by layer, from what goes in and what comes out of each: the other way to count."""
    total = 0

    def count(layer: nn.Module, inputs: tuple[Any, ...], options: dict[str, Any], output: Any) -> None:
        nonlocal total
        if isinstance(layer, nn.Linear):
            total += 2 * inputs[0][..., 0].numel() * layer.in_features * layer.out_features
        elif isinstance(layer, (nn.Conv1d, nn.Conv2d)):
            total += 2 * output.numel() * layer.weight[0].numel()
        elif isinstance(layer, (nn.GRU, nn.LSTM)):
            steps = inputs[0][..., 0].numel()
            total += sum(2 * steps * one.numel() for name, one in layer.named_parameters() if "weight" in name)
        elif isinstance(layer, MultiHeadAttention):
            (query, keys, *_), dim = inputs, layer.dim
            queries, length = query[..., 0].numel(), keys[..., 0].numel()
            total += 2 * dim * dim * (queries + 2 * length)  # Q, K and V; the layer behind is one of nn.Linear
            total += 2 * 2 * queries * keys.shape[1] * dim  # QK', and its softmax times V
        elif isinstance(layer, EqualShares):
            total += 2 * output.numel() * inputs[0].shape[1]  # every piece a weighted sum of all steps
        elif isinstance(layer, BertSelfAttention):
            states = inputs[0] if inputs else options["hidden_states"]
            total += 2 * 2 * states[..., 0].numel() * states.shape[1] * states.shape[2]

    hooks = [part.register_forward_hook(count, with_kwargs=True) for part in module.modules()]
    try:
        with torch.no_grad():
            run()
    finally:
        for hook in hooks:
            hook.remove()
    return total


@pytest.fixture
def counted_twice(monkeypatch: pytest.MonkeyPatch) -> list[tuple[int, int]]:
    """Every count of a part beside the same, layer by layer."""
    counts: list[tuple[int, int]] = []
    once = complexity._part

    def twice(name: str, module: nn.Module, run: Callable[[], object]) -> Any:
        part = once(name, module, run)
        counts.append((part.flops, by_layer(module, run)))
        return part

    monkeypatch.setattr(complexity, "_part", twice)
    return counts


@pytest.mark.parametrize("name", models.SYSTEMS)  # which layers another one is made of nobody knows here
@pytest.mark.parametrize(
    ("tokens", "seconds"), [(20, 3.0), (1, 0.975), pytest.param(512, 10.0, marks=pytest.mark.slow)]
)
def test_operations_and_layers_give_the_same(
    counted_twice: list[tuple[int, int]], name: str, tokens: int, seconds: float
) -> None:
    found = measure(name, tokens=tokens, seconds=seconds)
    assert [part.flops for part in found.parts] == [flops for flops, _ in counted_twice]
    for flops, layers in counted_twice:
        assert flops == layers > 0


@pytest.mark.parametrize("tokens", [1, 20, 100])
def test_bert_by_hand(tokens: int) -> None:
    width, inner, layers = 768, 3072, 12
    projections = 4 * 2 * tokens * width * width
    attention = 2 * 2 * tokens * tokens * width
    feed_forward = 2 * 2 * tokens * width * inner
    pooler = 2 * width * width
    part = measure("text-only", tokens=tokens).part("text encoder")
    assert part is not None
    assert part.flops == layers * (projections + attention + feed_forward) + pooler
    assert part.parameters == 109_482_240


def test_vggish_by_hand() -> None:
    # (input channels, output channels, height, width) of each convolution, then the linear layers.
    convolutions = [(1, 64, 96, 64), (64, 128, 48, 32), (128, 256, 24, 16), (256, 256, 24, 16)]
    convolutions += [(256, 512, 12, 8), (512, 512, 12, 8)]
    additions = sum(9 * i * o * h * w for i, o, h, w in convolutions) + 12288 * 4096 + 4096 * 4096 + 4096 * 128
    assert round(additions / 1e6, 1) == 863.9
    for seconds, examples in ((0.975, 1), (3.0, 3)):
        part = measure("audio-only", seconds=seconds).part("audio encoder")
        assert part is not None
        assert part.flops == 2 * additions * examples
        assert part.parameters == 72_141_184


def test_fusion_by_hand() -> None:
    tokens, examples, text, width = 20, 3, 768, 128
    both = tokens + examples
    words = 2 * tokens * text * (3 * text + text + width) + 4 * tokens * tokens * text
    fused = 2 * width * width * (1 + 2 * both) + 4 * both * width + 2 * 2 * width * width
    head = 2 * (width * 64 + 64 * 4)
    for name in ("3m-ser", "3m-ser-ln", "3m-ser-minmax"):
        assert measure(name).parts[-1].flops == words + fused + head
    assert measure("server").parts[-1].flops == 2 * (768 * 128 + 256 * 64 + 64 * 4)
    assert measure("text-only").parts[-1].flops == 2 * (768 * 64 + 64 * 4)
    assert measure("audio-only").parts[-1].flops == 2 * (128 * 64 + 64 * 4)


@pytest.mark.parametrize(
    ("name", "total", "frozen", "trained"),
    [
        ("text-only", 109_531_716, 49_476, 49_476),
        ("audio-only", 72_149_700, 8_516, 72_149_700),
        ("server", 181_738_564, 115_140, 72_256_324),
        ("3m-ser", 184_175_812, 2_552_388, 74_693_572),
        ("3m-ser-ln", 184_176_068, 2_552_644, 74_693_828),
        ("3m-ser-minmax", 184_175_812, 2_552_388, 74_693_572),
    ],
)
def test_parameters_in_all_and_trained(name: str, total: int, frozen: int, trained: int) -> None:
    found = measure(name)
    assert found.parameters == total
    assert (found.trainable(audio=False), found.trainable(audio=True)) == (frozen, trained)


@pytest.mark.slow
def test_parts_are_those_that_the_system_looks_at() -> None:
    for name in models.names():
        modalities = models.system(name).model_class().modalities
        expected = [*(f"{one}" + " encoder" for one in modalities), "fusion"]
        assert [part.name for part in measure(name).parts] == expected
    assert measure("text-only").part("audio encoder") is None


def test_nothing_is_allocated() -> None:
    """BERT and VGGish alone are 700 MB; on the meta device they are nothing."""
    made: list[torch.device] = []
    once = complexity._part

    def look(name: str, module: nn.Module, run: Callable[[], object]) -> Any:
        made.extend(one.device for one in module.parameters())
        return once(name, module, run)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(complexity, "_part", look)
        measure("3m-ser-ln")
    assert {device.type for device in made} == {"meta"}


@pytest.mark.parametrize("seconds", [0.975, 0.99, 1.9, 1.934, 1.935, 3.0, 7.77])
def test_examples_are_those_of_the_front_end(seconds: float) -> None:
    waveform = np.random.default_rng(0).normal(0, 0.1, round(seconds * 16_000)).astype(np.float32)
    assert examples_in(seconds) == len(audio.log_mel_examples(waveform, 16_000))


def test_other_widths_leave_their_encoder_out_and_what_is_printed_too() -> None:
    other = measure("3m-ser", text_dim=384)
    assert [part.name for part in other.parts] == ["audio encoder", "fusion"]
    assert other.printed is None
    neither = measure("server", text_dim=64, audio_dim=32, tokens=5000, num_labels=7)
    expected = models.build("server", text_dim=64, audio_dim=32, num_labels=7)
    assert neither.parameters == expected.num_parameters()
    assert neither.flops == 2 * (64 * 32 + 64 * 64 + 64 * 7)
    assert measure("text-only", audio_dim=99).printed == PRINTED["text-only"]


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        ({"tokens": 0}, "The text has 0 tokens; expected 1 to 512"),
        ({"tokens": 513}, "The text has 513 tokens; expected 1 to 512"),
        ({"tokens": 0, "text_dim": 64}, "expected 1 or more"),
        ({"seconds": 0.97}, r"0.97 s hold no VGGish example; expected at least 0.975 s"),
        ({"seconds": -3.0}, "-3 s hold no VGGish example"),
        ({"seconds": float("nan")}, "nan s hold no VGGish example"),
        ({"text_dim": 0}, "text_dim is 0"),
    ],
)
def test_bad_use(options: dict[str, Any], problem: str) -> None:
    with pytest.raises(UsageError, match=problem):
        measure("3m-ser", **options)


def test_an_unknown_system_lists_the_known_ones() -> None:
    with pytest.raises(UsageError, match="no model '5m-ser'; there are 3m-ser"):
        measure("5m-ser")


@pytest.mark.slow
def test_the_difference_to_the_paper_is_explained_with_what_was_counted() -> None:
    told = " ".join(explain([measure(name) for name in models.names()]))
    for fact in (
        "20 tokens",
        "3 examples of 0.96 s",
        "A multiply-add counts as two FLOPs",
        "184,175,812 (3m-ser) and 184,176,068 (3m-ser-ln)",
        "The printed 203 M is 18.8 M more",
        "BERT-base needs 3.41 GFLOPs for these tokens and 0.171 for a single one; the printed 0.00683 is not possible",
        "VGGish needs 1.73 GFLOPs for each example",
        "1.74 of SERVER and 3M-SER is the sum",
    ):
        assert fact in told


def test_only_what_concerns_the_systems_is_explained() -> None:
    assert explain([]) == ()
    read = " ".join(explain([measure("text-only")]))
    assert "BERT" in read
    assert "203 M" not in read
    assert "1.73" not in read
    own = explain([replace(measure("audio-only"), system="new", printed=None)])
    assert len(own) == 2
    assert "its own systems alone" in own[1]


def test_the_record_adds_up() -> None:
    record = measure("server", tokens=12, seconds=2.0).to_dict()
    assert (record["tokens"], record["seconds"], record["examples"]) == (12, 2.0, 2)
    for what in ("parameters", "flops"):
        assert record[what] == sum(part[what] for part in record["parts"].values())
    assert record["trainable"] == {"audio_frozen": 115_140, "audio_trained": 72_256_324}
    assert record["printed"] == {"parameters": 181e6, "flops": 1.74e9}
