"""How pairs are drawn and shown."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from m3ser import models  # noqa: E402
from m3ser.errors import RecipeError  # noqa: E402
from m3ser.schema import IEMOCAP4, Utterance  # noqa: E402
from m3ser.training.pairs import (  # noqa: E402
    BalancedSampler,
    Collator,
    Pair,
    TrainingCollator,
    balanced_weights,
)
from m3ser.training.recipe import ModalityRecipe  # noqa: E402
from m3ser.training.standardise import Standardisation  # noqa: E402

VOICES = {"a": np.ones((3, 6), np.float32), "b": np.full((1, 6), 2.0, np.float32)}
WORDS = {"yes": np.ones((4, 8), np.float32), "no": np.ones((2, 8), np.float32)}
WIDTHS = {"audio_dim": 6, "text_dim": 8}


def test_a_missing_half_is_an_empty_mask() -> None:
    batch = Collator(VOICES, WORDS, **WIDTHS)([Pair("a", "no", 0), Pair(None, "yes", 1), Pair("b", None, 2)])
    assert batch["audio_mask"].tolist() == [[True] * 3, [False] * 3, [True, False, False]]
    assert batch["text_mask"].tolist() == [[True, True, False, False], [True] * 4, [False] * 4]
    assert batch["labels"].tolist() == [0, 1, 2]
    nobody_speaks = Collator(VOICES, WORDS, **WIDTHS)([Pair(None, "no", 0)])
    assert nobody_speaks["audio"].shape == (1, 1, 6)
    assert not nobody_speaks["audio_mask"].any()


def test_training_hides_halves_as_often_as_asked() -> None:
    torch.manual_seed(0)
    collate = TrainingCollator(
        VOICES, WORDS, **WIDTHS, modalities=ModalityRecipe(audio_alone=0.3, text_alone=0.2), state_dropout=0.0
    )
    batch = collate([Pair("a", "no", 0, text_label=3)] * 4000)
    heard, read = batch["audio_mask"].any(dim=1), batch["text_mask"].any(dim=1)
    assert (~heard).float().mean() == pytest.approx(0.2, abs=0.03)
    assert (~read).float().mean() == pytest.approx(0.3, abs=0.03)
    # Without the voice, the target is what the words say.
    assert set(batch["labels"][~heard].tolist()) == {3}
    assert set(batch["labels"][heard].tolist()) == {0}


def test_state_dropout_keeps_the_mean_and_drops_the_same_feature_at_every_step() -> None:
    torch.manual_seed(0)
    collate = TrainingCollator(
        VOICES, WORDS, **WIDTHS, modalities=ModalityRecipe(audio_alone=0, text_alone=0), state_dropout=0.5
    )
    audio = collate([Pair("a", "no", 0)] * 2000)["audio"]
    assert audio.mean() == pytest.approx(1.0, abs=0.05)
    assert torch.equal(audio[:, 0], audio[:, 2])


def test_the_draw_of_an_epoch_depends_on_seed_and_number_alone() -> None:
    weights = np.array([0.0, 0.5, 0.25, 0.25])
    one, other = (BalancedSampler(weights, count=1000, seed=3) for _ in range(2))
    list(one)
    one.set_epoch(2)
    other.set_epoch(2)
    drawn = list(one)
    assert drawn == list(other)
    assert 0 not in drawn
    assert np.mean(np.array(drawn) == 1) == pytest.approx(0.5, abs=0.06)
    other.set_epoch(3)
    assert drawn != list(other)


@pytest.mark.parametrize(("power", "share"), [(0.0, 0.75), (1.0, 0.5)])
def test_balance_evens_out_groups(power: float, share: float) -> None:
    utterances = [Utterance(Path(f"{i}.wav"), "angry" if i < 3 else "sad", extra={"corpus": "emodb"}) for i in range(4)]
    weights = balanced_weights(utterances, IEMOCAP4, power=power)
    assert weights.sum() == pytest.approx(1)
    assert weights[:3].sum() == pytest.approx(share)


def test_a_folded_scale_changes_nothing_but_where_it_is_applied() -> None:
    rng = np.random.default_rng(0)
    states = (rng.normal(size=(2, 5, 6)) * [1, 10, 100, 0.01, 1, 1] + 5).astype(np.float32)
    scale = Standardisation.of(states)
    fusion = models.build("3m-ser-ln", text_dim=8, audio_dim=6, num_labels=4, fusion_dim=16).eval()
    with torch.no_grad():
        before = fusion(audio=torch.from_numpy(scale(states))).logits
        scale.fold_into(fusion)
        after = fusion(audio=torch.from_numpy(states)).logits
    assert torch.allclose(before, after, atol=1e-4)
    assert not torch.allclose(before, fusion(audio=torch.from_numpy(scale(states))).logits, atol=1e-2)


def test_a_model_without_a_layer_to_fold_into_says_so() -> None:
    fusion = models.build("3m-ser-ln", text_dim=8, audio_dim=16, num_labels=4)
    with pytest.raises(RecipeError, match="fusion_dim"):
        Standardisation(np.zeros(16, np.float32), np.ones(16, np.float32)).fold_into(fusion)
