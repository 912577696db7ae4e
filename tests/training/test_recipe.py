"""Recipes: what is wrong with one is said in one sentence."""

from __future__ import annotations

from pathlib import Path

import pytest

pytest.importorskip("torch")
pytest.importorskip("transformers")

from m3ser.errors import RecipeError
from m3ser.training import load_recipe
from m3ser.training.recipe_file import resolve_source


@pytest.fixture
def starter(repository: Path) -> Path:
    return repository / "recipes" / "starter" / "starter.yaml"


def test_every_recipe_in_the_repository_is_valid(repository: Path) -> None:
    found = sorted((repository / "recipes" / "starter").glob("[!_]*.yaml"))
    assert found
    names = [load_recipe(path).name for path in found]
    assert names == ["starter" if path.stem == "starter" else f"starter-{path.stem}" for path in found]


def test_settings_override_keys_of_parts(starter: Path) -> None:
    recipe = load_recipe(starter, ["training.epochs=2", "seed=7", "model.options={fusion_dim: 64}"])
    assert (recipe.training.epochs, recipe.seed, recipe.model.options) == (2, 7, {"fusion_dim": 64})


@pytest.mark.parametrize(
    ("setting", "says"),
    [
        ("training.epoch=2", r"unknown key 'training.epoch' \(known: .*epochs"),
        ("trainings.epochs=2", r"unknown key 'trainings' \(known: .*training"),
        ("audio_encoder.layers=3", r"unknown key 'audio_encoder.layers' \(known: .*layer"),
        ("training.epochs=many", r"training.epochs: Input should be a valid integer"),
        ("training.state_dropout=1.5", r"training.state_dropout: Input should be less than 1"),
        ("training.epochs", r"expected KEY=VALUE"),
        ("bundle.version='1 beta'", r"bundle.version: String should match"),
        ("seed.one=1", r"'seed' is a value, not a part"),
    ],
)
def test_a_fault_is_named_with_what_is_known(starter: Path, setting: str, says: str) -> None:
    with pytest.raises(RecipeError, match=says):
        load_recipe(starter, [setting])


def test_a_recipe_that_is_no_yaml_or_not_there(tmp_path: Path) -> None:
    broken = tmp_path / "broken.yaml"
    broken.write_text("name: [", encoding="utf-8")
    with pytest.raises(RecipeError, match="not valid YAML"):
        load_recipe(broken)
    with pytest.raises(RecipeError, match="cannot be read"):
        load_recipe(tmp_path / "none.yaml")
    (tmp_path / "list.yaml").write_text("- a\n", encoding="utf-8")
    with pytest.raises(RecipeError, match="holds a list"):
        load_recipe(tmp_path / "list.yaml")


def test_a_recipe_may_extend_one_beside_it_or_one_of_m3ser(tmp_path: Path) -> None:
    heir = tmp_path / "heir.yaml"
    heir.write_text("extends: starter\nname: heir\nseed: 4\n", encoding="utf-8")
    assert load_recipe(heir).model == load_recipe("starter").model == load_recipe("starter/starter").model
    # What stands beside it comes first.
    (tmp_path / "starter").write_text("extends: starter.yaml\nseed: 9\n", encoding="utf-8")
    heir.write_text("extends: starter\nname: heir\n", encoding="utf-8")
    assert load_recipe(heir).seed == 9
    heir.write_text("extends: nothing-of-this-name\n", encoding="utf-8")
    with pytest.raises(RecipeError, match="nothing-of-this-name' cannot be read"):
        load_recipe(heir)


def test_weights_inside_a_package() -> None:
    assert Path(resolve_source("package:m3ser/bundled")).is_dir()
    assert resolve_source("bert-base-uncased") == "bert-base-uncased"
    with pytest.raises(RecipeError, match="'no_such_package' is not installed"):
        resolve_source("package:no_such_package/model")
    with pytest.raises(RecipeError, match="no folder 'nothing'"):
        resolve_source("package:m3ser/nothing")


def test_a_recipe_may_begin_from_several(tmp_path: Path) -> None:
    (tmp_path / "data.yaml").write_text(
        "name: data\ndata: {kind: corpus, corpora: {emodb: x}, protocol: speaker}\n"
        "training: {epochs: 3, loss: {kind: focal, gamma: 2}}\nmodel: {system: tre}\n"
    )
    (tmp_path / "system.yaml").write_text("model: {system: are}\ntraining: {patience: 2, loss: {kind: sigmoid}}\n")
    (tmp_path / "both.yaml").write_text("extends: [data.yaml, system.yaml]\nname: both\ntraining: {patience: 4}\n")
    recipe = load_recipe(tmp_path / "both.yaml")
    assert (recipe.name, recipe.model.system, recipe.training.loss.kind) == ("both", "are", "sigmoid")
    assert (recipe.training.epochs, recipe.training.patience) == (3, 4)
    (tmp_path / "odd.yaml").write_text("extends: [data.yaml, 3]\n")
    with pytest.raises(RecipeError, match=r"extends \['data.yaml', 3\]; the path of a recipe, or a list of paths"):
        load_recipe(tmp_path / "odd.yaml")
    (tmp_path / "round.yaml").write_text("extends: [data.yaml, round.yaml]\n")
    with pytest.raises(RecipeError, match="extends itself"):
        load_recipe(tmp_path / "round.yaml")
