"""Encoders that learn: a rate of their own, states on a scale that the fusion part can read, features dropped."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("transformers")

from m3ser import models  # noqa: E402
from m3ser.audio import FRONT_ENDS  # noqa: E402
from m3ser.errors import RecipeError  # noqa: E402
from m3ser.training import load_recipe  # noqa: E402
from m3ser.training.corpus import prepare  # noqa: E402
from m3ser.training.encoding import _fingerprint, load_encoders, states_now  # noqa: E402
from m3ser.training.learner import Learner  # noqa: E402
from m3ser.training.run import Trained, train  # noqa: E402
from m3ser.training.trainer import _precision  # noqa: E402

pytestmark = pytest.mark.filterwarnings("ignore")

Train = Callable[..., Trained]
LEARNING = "audio_encoder.frozen=false"
MIXED = ("audio_encoder.combine=mix", "audio_encoder.layer=[1, 2]")


@pytest.fixture
def run(tiny_recipe: Path, tmp_path: Path) -> Train:
    def start(*settings: str) -> Trained:
        recipe = load_recipe(tiny_recipe, ["training.epochs=1", *settings])
        return train(recipe, prepare(recipe.data), tmp_path / "run", cache=tmp_path / "cache")

    return start


@pytest.mark.parametrize("settings", [(LEARNING,), MIXED, (LEARNING, *MIXED)], ids=["learning", "mixed", "both"])
def test_states_that_learn_keep_the_scale_that_they_began_with(run: Train, settings: tuple[str, ...]) -> None:
    trained = run(*settings, "training.learning_rate=1e-12", "training.weight_decay=0")
    fusion = trained.fusion
    assert fusion.config.audio_scaled
    encoder = load_encoders(trained.recipe).audio
    heard = {u.audio for u in trained.part("train")[0]}
    read = [trained.material.audio[one] for one in trained.material.audio if one.path in heard]
    steps = np.concatenate(list(states_now(encoder, read)))
    np.testing.assert_allclose(fusion.audio_mean.numpy(), steps.mean(axis=0), atol=1e-5)
    np.testing.assert_allclose(fusion.audio_deviation.numpy(), steps.std(axis=0) + 1e-5, rtol=1e-3)
    saved = models.load(trained.folder / "model")
    assert saved.fusion.config.audio_scaled
    assert torch.equal(saved.fusion.audio_mean, fusion.audio_mean)


def test_what_stays_frozen_is_computed_once(run: Train) -> None:
    """Of two blocks the first: the model is the one that reads features, within half precision."""
    trained = run("audio_encoder.frozen={first: 1}", "training.learning_rate=0.01", "training.bucket_by_length=true")
    encoder = trained.encoders.audio
    assert encoder.prefix_dim is not None
    recordings = list(trained.material.audio)[:5]
    saved = models.load(trained.folder / "model")
    before = load_encoders(trained.recipe).audio
    for recording in recordings:
        lower = trained.material.audio[recording]
        features = FRONT_ENDS[encoder.front_end].features(recording.waveform())
        assert lower.shape == (-(-len(features) // 2), encoder.prefix_dim)
        read, real = torch.from_numpy(features)[None], torch.ones(1, len(features), dtype=torch.bool)
        with torch.no_grad():
            whole = saved.audio_encoder(read, real).states
            parted = encoder.forward_from(torch.from_numpy(lower)[None], torch.ones(1, len(lower), dtype=torch.bool))
            untrained = before(read, real).states
        torch.testing.assert_close(parted.states, whole, atol=5e-3, rtol=5e-3)
        assert not torch.allclose(untrained, whole, atol=5e-3, rtol=5e-3)
    # So that further trainings, and whoever judges this one, find it in the cache.
    assert _fingerprint(saved.audio_encoder) == _fingerprint(before)


def test_encoders_have_a_rate_of_their_own(run: Train) -> None:
    trained = run(LEARNING, *MIXED, "training.encoder_learning_rate=1e-12", "training.weight_decay=0")
    saved = models.load(trained.folder / "model")
    before = load_encoders(trained.recipe).audio.state_dict()
    after = saved.audio_encoder.state_dict()
    for name, value in before.items():
        if name.startswith("mix."):
            assert not torch.allclose(after[name], value, atol=1e-6)
        else:
            torch.testing.assert_close(after[name], value, atol=1e-9, rtol=0)


def test_without_one_they_learn_at_the_same_rate(run: Train) -> None:
    trained = run(LEARNING)
    before = load_encoders(trained.recipe).audio.state_dict()
    after = models.load(trained.folder / "model").audio_encoder.state_dict()
    assert any(not torch.allclose(after[name], value, atol=1e-4) for name, value in before.items())


@pytest.mark.parametrize("centre", [None, 3.0])
def test_features_of_states_are_dropped_in_training_alone(tiny_recipe: Path, centre: float | None) -> None:
    """To what is zero to the fusion part: raw zeros would be far from the mean of what it scales."""
    recipe = load_recipe(tiny_recipe, [LEARNING])
    encoders = load_encoders(recipe)
    seen: list[torch.Tensor] = []

    class Fusion(torch.nn.Module):
        config = SimpleNamespace(audio_scaled=centre is not None)
        audio_mean = None if centre is None else torch.full((32,), centre)

        def forward(self, words: object, words_mask: object, voice: torch.Tensor, *_: object, **__: object) -> object:
            seen.append(voice.detach() - (centre or 0.0))
            return models.FusionOutput(logits=torch.zeros(len(voice), 4))

    learner = Learner(Fusion(), encoders, state_dropout=0.5)
    audio, mask = torch.randn(64, 100, 80), torch.ones(64, 100, dtype=torch.bool)
    batch = {"text": torch.zeros(64, 0, 16), "text_mask": torch.zeros(64, 0, dtype=torch.bool)}
    torch.manual_seed(0)
    learner.train()(**batch, audio=audio, audio_mask=mask)
    learner.eval()(**batch, audio=audio, audio_mask=mask)
    dropped, whole = seen
    gone = dropped.abs() < 1e-6
    assert torch.equal(gone.all(dim=1), gone.any(dim=1))  # at every step or at none
    assert 0.4 < gone.float().mean() < 0.6
    torch.testing.assert_close(dropped[~gone], 2 * whole[~gone], atol=1e-5, rtol=1e-4)
    assert not (whole.abs() < 1e-6).any()


@pytest.mark.skipif(torch.cuda.is_available(), reason="of processors")
@pytest.mark.parametrize(
    ("capabilities", "wanted", "expected"),
    [
        (lambda: {"amx_bf16": True}, "auto", {"bf16": True}),
        (lambda: {"avx2": True}, "auto", {}),
        (None, "auto", {}),
        (lambda: {"amx_bf16": True}, "fp32", {}),
        (lambda: {"avx2": True}, "bf16", {"bf16": True}),
    ],
)
def test_automatic_precision_is_bfloat16_where_the_processor_multiplies_it(
    monkeypatch: pytest.MonkeyPatch, capabilities: Callable[[], dict[str, bool]] | None, wanted: str, expected: dict
) -> None:
    monkeypatch.setattr(torch.cpu, "get_capabilities", capabilities, raising=False)
    assert _precision(wanted) == expected


@pytest.mark.skipif(torch.cuda.is_available(), reason="of processors")
def test_half_precision_without_a_gpu_is_refused() -> None:
    with pytest.raises(RecipeError, match="fp16, which needs a GPU; fp32 and bf16 work on processors"):
        _precision("fp16")
