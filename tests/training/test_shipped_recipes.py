"""The recipes that come with m3ser: each can be read, says what it should come to, and is what it is called."""

from __future__ import annotations

from pathlib import Path

import pytest

pytest.importorskip("torch")
pytest.importorskip("yaml")

from m3ser import models
from m3ser.encoders import VGGishConfig
from m3ser.training.recipe import Recipe
from m3ser.training.recipe_file import load_recipe, recipe_folder

NAMES = sorted(
    path.relative_to(recipe_folder()).with_suffix("").as_posix()
    for path in recipe_folder().rglob("*.yaml")
    if not path.stem.startswith("_")
)
IEMOCAP = [name for name in NAMES if name.startswith("iemocap/")]
SYSTEMS = ("text-only", "audio-only", "server", "3m-ser", "3m-ser-ln", "3m-ser-minmax")


@pytest.mark.parametrize("name", NAMES)
def test_it_can_be_read_and_its_system_built(name: str) -> None:
    recipe = load_recipe(name)
    assert recipe.expected or name == "starter", "a recipe says what it should come to"
    models.build(recipe.model.system, text_dim=384, audio_dim=128, num_labels=4, **recipe.model.options)


def test_no_two_are_called_the_same() -> None:
    called = [load_recipe(name).name for name in NAMES]
    assert len(set(called)) == len(called)


def test_every_system_has_every_protocol_on_iemocap() -> None:
    found = {tuple(name.split("/")[1:]) for name in IEMOCAP}
    rows = ["text-only", "audio-only", "server"]
    rows += [f"{system}-{mode}" for system in SYSTEMS[3:] for mode in ("quantised", "trainable")]
    assert found == {(protocol, row) for protocol in ("paper", "session", "speaker", "session+script") for row in rows}


@pytest.mark.parametrize("name", IEMOCAP)
def test_it_is_what_its_path_says(name: str) -> None:
    _, protocol, row = name.split("/")
    recipe = load_recipe(name)
    assert recipe.name == f"{row} ({protocol})"
    assert recipe.data.protocol == protocol
    system, _, mode = row.rpartition("-") if row.endswith(("quantised", "trainable")) else (row, "", "quantised")
    assert recipe.model.system == system
    quantised = mode == "quantised"
    assert isinstance(recipe.audio_encoder, VGGishConfig)
    assert (recipe.audio_encoder.postprocess, recipe.audio_encoder.frozen) == (quantised, quantised)
    assert recipe.text_encoder is not None
    assert recipe.text_encoder.frozen
    if system != "audio-only":
        assert recipe.text_encoder.pooled is (system in ("server", "text-only"))


@pytest.mark.parametrize("name", [name for name in IEMOCAP if "/paper/" in name])
def test_the_published_procedure_is_the_published_one(name: str) -> None:
    recipe = load_recipe(name)
    training = recipe.training
    assert (training.batch_size, training.learning_rate, training.weight_decay) == (1, 1e-4, 0)
    assert training.clip_norm is None
    assert training.patience is None
    if recipe.model.system.startswith("3m-ser"):
        assert (training.epochs, training.schedule) == (200, "constant")
    else:
        assert (training.epochs, training.schedule) == (101, "step")
        assert (training.step_epochs, training.step_factor) == (30, 0.1)


def test_the_zoos_differ_in_nothing_but_the_system(repository: Path) -> None:
    def without_system(recipe: Recipe) -> dict[str, object]:
        return recipe.model_dump(exclude={"name", "expected", "model", "text_encoder"})

    for data in ("ravdess", "emodb", "paired"):
        fused = [load_recipe(f"zoo/{data}/{system}") for system in SYSTEMS[2:]]
        assert all(without_system(one) == without_system(fused[0]) for one in fused[1:])
