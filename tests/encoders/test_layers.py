from __future__ import annotations

import pytest

torch = pytest.importorskip("torch")

from m3ser.encoders import LayerMix, freeze  # noqa: E402
from m3ser.encoders.layers import StateSelection  # noqa: E402
from m3ser.errors import UsageError  # noqa: E402


def hidden_states(layers: int = 4, steps: int = 7, dim: int = 3) -> dict[int, torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    return {number: torch.randn(2, steps, dim, generator=generator) for number in range(layers)}


ALL = torch.ones(2, 7, dtype=torch.bool)


def test_a_mix_starts_as_the_mean_and_can_become_any_layer():
    selection = StateSelection(last=3, combine="mix")
    assert selection.picked == (0, 1, 2, 3)
    mix = selection.mix()
    found = hidden_states()
    torch.testing.assert_close(mix(selection(found, ALL).states), torch.stack(list(found.values())).mean(0))
    mix.scores.data[2] = 100.0
    torch.testing.assert_close(mix(selection(found, ALL).states), found[2])


def test_a_mix_of_pooled_statistics_keeps_means_and_deviations_apart():
    options = {"last": 3, "step_seconds": 0.06, "statistics": "mean+std"}
    selection = StateSelection(layer=[1, 3], combine="mix", **options)
    mix, found = selection.mix(), hidden_states()
    mix.scores.data[1] = 100.0
    expected = StateSelection(layer=3, **options)(found, ALL)
    torch.testing.assert_close(mix(selection(found, ALL).states), expected.states)
    assert selection.width(3) == expected.states.shape[-1] == 6


def test_options_make_the_same_choice():
    selection = StateSelection(last=3, layer=[1, 3], combine="mean", step_seconds=0.06, statistics="mean+std")
    assert StateSelection(last=3, **selection.options()).options() == selection.options()


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"layer": 4}, "different hidden states from 0 to 3, not \\[4\\]"),
        ({"layer": [1, 1]}, "different hidden states"),
        ({"layer": []}, "different hidden states"),
        ({"layer": 2, "combine": "mix"}, "mix needs several hidden states, not layer 2 alone"),
        ({"step_seconds": 0.05}, "multiple of 0.02 s, not 0.05"),
    ],
)
def test_what_cannot_be_is_one_sentence(options, words):
    with pytest.raises(UsageError, match=words):
        StateSelection(last=3, **options)


def test_a_mix_learns_on_top_of_a_frozen_encoder(small_speech, small_whisper, small_text):
    for encoder, inputs in (
        (small_speech(combine="mix"), torch.randn(2, 1500)),
        (small_whisper(combine="mix"), torch.randn(2, 20, 10)),
        (small_text(options={"combine": "mix"}), torch.randint(5, 50, (2, 9))),
    ):
        freeze(encoder)
        assert encoder.frozen
        assert not encoder.computed_once
        assert [name for name, weight in encoder.named_parameters() if weight.requires_grad] == ["mix.scores"]
        mask = torch.ones(inputs.shape[:2], dtype=torch.bool)
        encoded = encoder.encode(inputs, mask)
        assert encoded.states.shape[-1] == encoder.encoded_dim
        states = encoder(inputs, mask).states
        assert states.shape[-1] == encoder.dim
        states.square().sum().backward()
        assert torch.count_nonzero(encoder.mix.scores.grad)


def test_parts_lie_outermost():
    mix = LayerMix(2, parts=2)
    states = torch.arange(8.0).reshape(1, 1, 8)  # means of two layers of width 2, then deviations of both
    torch.testing.assert_close(mix(states), torch.tensor([[[1.0, 2.0, 5.0, 6.0]]]))
