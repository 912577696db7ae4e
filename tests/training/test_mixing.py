"""Mixup: what is mixed, in which proportion, and what is not."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch")

from m3ser.errors import RecipeError  # noqa: E402
from m3ser.training.mixing import mix_up  # noqa: E402


def batch() -> dict[str, torch.Tensor]:
    """Three utterances: the second without words, the third without a voice."""
    torch.manual_seed(0)
    return {
        "text": torch.randn(3, 4, 2),
        "text_mask": torch.tensor([[1, 1, 0, 0], [0, 0, 0, 0], [1, 1, 1, 1]]).bool(),
        "audio": torch.randn(3, 3, 5),
        "audio_mask": torch.tensor([[1, 1, 1], [1, 0, 0], [0, 0, 0]]).bool(),
    }


@pytest.mark.parametrize("seed", range(5))
def test_steps_that_both_have_are_mixed_and_others_stay(seed: int) -> None:
    given = batch()
    torch.manual_seed(seed)
    mixed = mix_up(given, 0.4)
    assert 0 <= mixed.share <= 1
    assert sorted(mixed.others.tolist()) == [0, 1, 2]
    for name in ("text", "audio"):
        states, mask = given[name], given[f"{name}_mask"]
        assert torch.equal(mixed.inputs[f"{name}_mask"], mask | mask[mixed.others])
        for row, other in enumerate(mixed.others.tolist()):
            for step in range(states.shape[1]):
                own, theirs = states[row, step], states[other, step]
                expected = {
                    (True, True): mixed.share * own + (1 - mixed.share) * theirs,
                    (True, False): own,
                    (False, True): theirs,
                    (False, False): torch.zeros_like(own),
                }[bool(mask[row, step]), bool(mask[other, step])]
                torch.testing.assert_close(mixed.inputs[name][row, step], expected)


def test_padding_never_gets_in() -> None:
    given = batch()
    given["audio"][~given["audio_mask"]] = 1e30
    assert mix_up(given, 1.0).inputs["audio"].abs().max() < 10


def test_a_modality_that_nobody_has_stays_away() -> None:
    given = batch() | {"text": torch.zeros(3, 0, 2), "text_mask": torch.zeros(3, 0, dtype=torch.bool)}
    assert mix_up(given, 1.0).inputs["text"].shape == (3, 0, 2)


def test_the_proportion_is_of_a_beta_distribution() -> None:
    given = batch()
    shares = torch.tensor([mix_up(given, 0.2).share for _ in range(2_000)])
    assert abs(shares.mean() - 0.5) < 0.03
    assert abs(shares.var() - 1 / (4 * (2 * 0.2 + 1))) < 0.02


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        (["text_encoder.frozen=false"], "mixes states of encoders that are frozen as a whole"),
        (["training.loss={kind: centre}"], "mixup is for losses without weights of their own; loss is centre"),
    ],
)
def test_where_it_cannot_be_is_said(tiny_recipe, settings: list[str], words: str) -> None:
    from m3ser.training import load_recipe

    with pytest.raises(RecipeError, match=words):
        load_recipe(tiny_recipe, ["training.mixup=0.3", *settings])
