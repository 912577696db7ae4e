"""How many parameters each system has: counted by hand from what was published, layer by layer."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("transformers")

from m3ser import models  # noqa: E402


def linear(inputs: int, outputs: int) -> int:
    return inputs * outputs + outputs


def norm(dim: int) -> int:
    return 2 * dim


def attention(dim: int) -> int:
    return 4 * linear(dim, dim)


def convolution(inputs: int, outputs: int, width: int) -> int:
    return width * inputs * outputs + outputs


def gru(inputs: int, hidden: int) -> int:
    return 3 * (hidden * (inputs + hidden) + 2 * hidden)  # torch has two biases to a gate


def lstm(inputs: int, hidden: int) -> int:
    return 4 * (hidden * (inputs + hidden) + 2 * hidden)


def block(dim: int, inner: int) -> int:
    return attention(dim) + linear(dim, inner) + linear(inner, dim) + 2 * norm(dim)


def time_attention(dim: int) -> int:
    return linear(dim, dim) + dim


def three_m_ser(t: int, a: int, n: int) -> int:
    fusion = attention(t) + linear(t, a) + norm(a) + attention(a) + linear(a, a) + norm(a)
    return fusion + linear(a, 64) + linear(64, n)


def mcsan(t: int, a: int, n: int) -> int:
    front = convolution(a, 128, 3) + convolution(128, 128, 3) + 2 * lstm(128, 128) + 2 * lstm(t, 128)
    return front + 4 * block(128, 512) + linear(512, n)


def adcrnn(t: int, a: int, n: int) -> int:
    front = convolution(3 * a, 128, 3) + 2 * convolution(128, 128, 3) + 3 * lstm(128, 128)
    return front + time_attention(128) + linear(128, 64) + linear(64, n)


def m_elmo(t: int, a: int, n: int) -> int:
    gate = convolution(a, 32, 3) + convolution(32, 32, 3) + convolution(32, 16, 3) + linear(8 * 16, t)
    return gate + 2 + 1 + linear(t, 1000) + linear(1000, 500) + linear(500, n)


def memocmt(t: int, a: int, n: int) -> int:
    projection = 0 if t == a else linear(a, t)
    return projection + 2 * (attention(t) + linear(t, t) + norm(t)) + linear(t, 128) + linear(128, n)


BY_HAND = {
    "3m-ser": three_m_ser,
    "3m-ser-ln": lambda t, a, n: three_m_ser(t, a, n) + norm(a),
    "3m-ser-minmax": three_m_ser,
    "4m-ser": lambda t, a, n: three_m_ser(t, a, n) + norm(a),
    "server": lambda t, a, n: linear(t, a) + linear(2 * a, 64) + linear(64, n),
    "text-only": lambda t, a, n: linear(t, 64) + linear(64, n),
    "audio-only": lambda t, a, n: linear(a, 64) + linear(64, n),
    "memocmt": memocmt,
    "m-elmo": m_elmo,
    "are": lambda t, a, n: gru(a, 200) + linear(200, n),
    "tre": lambda t, a, n: gru(t, 200) + linear(200, n),
    "mdre": lambda t, a, n: gru(a, 200) + gru(t, 200) + 2 * linear(200, 100) + linear(200, n),
    "mdrea": lambda t, a, n: gru(a, 200) + gru(t, 200) + linear(200, 200) + linear(400, n),
    "can": lambda t, a, n: 2 * lstm(t, 128) + 2 * lstm(a, 128) + 2 * time_attention(256) + linear(1024, n),
    "mcsan": mcsan,
    "adcrnn": adcrnn,
}
"""text_dim, audio_dim, num_labels -> parameters with every option as published."""


def count(name: str, *sizes: int, **options: int) -> int:
    text_dim, audio_dim, num_labels = sizes
    model = models.build(name, text_dim=text_dim, audio_dim=audio_dim, num_labels=num_labels, **options)
    assert model.num_parameters(only_trainable=True) == model.num_parameters()
    return int(model.num_parameters())


@pytest.mark.parametrize("name", models.names())
@pytest.mark.parametrize("sizes", [(768, 128, 4), (64, 24, 7)])
def test_as_counted_by_hand(name: str, sizes: tuple[int, int, int]) -> None:
    by_hand = BY_HAND.get(name) or models.system(name).parameters
    assert by_hand is not None, f"nobody has counted the parameters of {name}"
    assert count(name, *sizes) == by_hand(*sizes)


@pytest.mark.parametrize(
    ("name", "sizes", "options", "expected"),
    [
        # At the sizes of the papers, as the modules' docstrings say them; 39 MFCC and 35 functionals are 74.
        ("are", (300, 74, 4), {"functionals_dim": 35}, gru(39, 200) + linear(235, 4)),
        ("tre", (300, 74, 4), {}, gru(300, 200) + linear(200, 4)),
        (
            "mdre",
            (300, 74, 4),
            {"functionals_dim": 35},
            gru(39, 200) + gru(300, 200) + linear(235, 117) + linear(200, 100) + linear(217, 4),
        ),
        (
            "mdrea",
            (300, 74, 4),
            {"functionals_dim": 35},
            gru(39, 200) + gru(300, 200) + linear(235, 200) + linear(400, 4),
        ),
        ("can", (300, 39, 4), {}, 749_572),
        ("mcsan", (300, 40, 4), {}, 1_564_420),
        ("adcrnn", (300, 64, 4), {}, 593_860),
    ],
)
def test_at_the_published_sizes(name: str, sizes: tuple[int, int, int], options: dict[str, int], expected: int) -> None:
    assert count(name, *sizes, **options) == expected
    docstring = __import__(models.system(name).model_class().__module__, fromlist=["x"]).__doc__
    assert f"{expected:,}" in docstring
