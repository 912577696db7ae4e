"""How pairs are drawn and shown."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from m3ser import models  # noqa: E402
from m3ser.schema import IEMOCAP4, Utterance  # noqa: E402
from m3ser.training.examples import (  # noqa: E402
    BalancedSampler,
    Collator,
    Example,
    ShuffledSampler,
    TrainingCollator,
    balanced_weights,
    under,
)
from m3ser.training.recipe import ModalityRecipe  # noqa: E402
from m3ser.training.standardise import Standardisation  # noqa: E402
from m3ser.training.states import Recording  # noqa: E402

A, B = Recording(Path("a")), Recording(Path("b"))
VOICES = {A: np.ones((3, 6), np.float32), B: np.full((1, 6), 2.0, np.float32)}
WORDS = {"yes": np.ones((4, 8), np.float32), "no": np.ones((2, 8), np.float32)}
NOTHING = {"audio": np.zeros((0, 6), np.float32), "text": np.zeros((0, 8), np.float32)}


def test_a_missing_half_is_an_empty_mask() -> None:
    batch = Collator(VOICES, WORDS, nothing=NOTHING)(
        [Example(A, "no", 0), Example(None, "yes", 1), Example(B, None, 2)]
    )
    assert batch["audio_mask"].tolist() == [[True] * 3, [False] * 3, [True, False, False]]
    assert batch["text_mask"].tolist() == [[True, True, False, False], [True] * 4, [False] * 4]
    assert batch["labels"].tolist() == [0, 1, 2]
    nobody_speaks = Collator(VOICES, WORDS, nothing=NOTHING)([Example(None, "no", 0)])
    assert nobody_speaks["audio"].shape == (1, 1, 6)
    assert not nobody_speaks["audio_mask"].any()


def test_training_hides_halves_as_often_as_asked() -> None:
    torch.manual_seed(0)
    collate = TrainingCollator(
        VOICES, WORDS, nothing=NOTHING, modalities=ModalityRecipe(audio_alone=0.3, text_alone=0.2), state_dropout=0.0
    )
    batch = collate([Example(A, "no", 0, text_label=3)] * 4000)
    heard, read = batch["audio_mask"].any(dim=1), batch["text_mask"].any(dim=1)
    assert (~heard).float().mean() == pytest.approx(0.2, abs=0.03)
    assert (~read).float().mean() == pytest.approx(0.3, abs=0.03)
    # Without the voice, the target is what the words say.
    assert set(batch["labels"][~heard].tolist()) == {3}
    assert set(batch["labels"][heard].tolist()) == {0}


def test_state_dropout_keeps_the_mean_and_drops_the_same_feature_at_every_step() -> None:
    torch.manual_seed(0)
    collate = TrainingCollator(
        VOICES, WORDS, nothing=NOTHING, modalities=ModalityRecipe(audio_alone=0, text_alone=0), state_dropout=0.5
    )
    audio = collate([Example(A, "no", 0)] * 2000)["audio"]
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


@pytest.mark.parametrize("system", ["3m-ser-ln", "server", "audio-only"])
def test_a_model_without_a_layer_to_fold_into_keeps_the_scale(system: str, tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    states = (rng.normal(size=(2, 5, 16)) * 30 + 5).astype(np.float32)
    scale = Standardisation.of(states)
    fusion = models.build(system, text_dim=8, audio_dim=16, num_labels=4).eval()
    mask = torch.tensor([[True] * 5, [True, True, False, False, False]])
    with torch.no_grad():
        before = fusion(audio=torch.from_numpy(scale(states)), audio_mask=mask).logits
        scale.fold_into(fusion)
        models.save(fusion, tmp_path / "model")
        after = models.load(tmp_path / "model")(audio=torch.from_numpy(states), audio_mask=mask).logits
    assert torch.allclose(before, after, atol=1e-5)


def test_what_a_condition_leaves() -> None:
    whole = Example(A, "no", 0, text_label=3)
    assert under("audio", whole) == Example(A, None, 0, 3)
    assert under("text", whole) == Example(None, "no", 3, 3)
    assert under("both", whole) == whole
    assert under("text", Example(A, None, 0)) is None
    assert under("both", Example(A, None, 0)) is None
    assert under("text", Example(A, "no", 2)) == Example(None, "no", 2)


@pytest.mark.parametrize("lengths", [None, np.arange(103)[::-1].copy()])
def test_shuffling_shows_everything_once_and_follows_from_seed_and_epoch(lengths: np.ndarray | None) -> None:
    one, other = (ShuffledSampler(103, seed=1, lengths=lengths, batch_size=8) for _ in range(2))
    one.set_epoch(3)
    other.set_epoch(3)
    order = list(one)
    assert sorted(order) == list(range(103))
    assert order == list(other)
    other.set_epoch(4)
    assert order != list(other)


def test_buckets_waste_little_on_padding() -> None:
    lengths = np.random.default_rng(0).integers(1, 100, 800)

    def padded(sampler: ShuffledSampler) -> int:
        order = list(sampler)
        return sum(8 * lengths[order[i : i + 8]].max() for i in range(0, 800, 8))

    plain = padded(ShuffledSampler(800, seed=0))
    bucketed = padded(ShuffledSampler(800, seed=0, lengths=lengths, batch_size=8))
    assert bucketed < 1.1 * lengths.sum() < plain


def test_buckets_do_not_change_what_is_drawn() -> None:
    lengths = np.random.default_rng(0).integers(1, 100, 300)
    weights = np.linspace(0, 1, 300) / np.linspace(0, 1, 300).sum()
    plain = list(BalancedSampler(weights, count=804, seed=2))
    bucketed = list(BalancedSampler(weights, count=804, seed=2, lengths=lengths, batch_size=8))
    assert sorted(bucketed) == sorted(plain)
    spread = [np.ptp(lengths[bucketed[i : i + 8]]) for i in range(0, 800, 8)]
    assert np.mean(spread) < 5
    # Long and short ones come in turns.
    assert np.corrcoef(lengths[bucketed], np.arange(804))[0, 1] == pytest.approx(0, abs=0.2)
