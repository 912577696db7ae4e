"""Encoders that an earlier training left: the same weights, the same tokenizer, and sentences where there are none."""

from __future__ import annotations

from pathlib import Path

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("transformers")

from m3ser import models  # noqa: E402
from m3ser.errors import RecipeError  # noqa: E402
from m3ser.training import load_recipe  # noqa: E402
from m3ser.training.corpus import prepare  # noqa: E402
from m3ser.training.encoding import load_encoders  # noqa: E402
from m3ser.training.run import Trained, train  # noqa: E402

pytestmark = pytest.mark.filterwarnings("ignore")


@pytest.fixture(scope="module")
def earlier(tiny_recipe: Path, tmp_path_factory: pytest.TempPathFactory) -> Trained:
    """A training in which both encoders learnt."""
    folder = tmp_path_factory.mktemp("earlier")
    learning = ["training.epochs=1", "text_encoder.frozen=false", "audio_encoder.frozen={first: 1}"]
    recipe = load_recipe(tiny_recipe, learning)
    return train(recipe, prepare(recipe.data), folder / "run", cache=folder / "cache")


def test_the_weights_are_those_that_it_left(earlier: Trained, tiny_recipe: Path) -> None:
    source = f"run:{earlier.folder}"
    recipe = load_recipe(tiny_recipe, [f"text_encoder.source={source}", f"audio_encoder.source={source}"])
    found = load_encoders(recipe)
    assert found.all_frozen
    saved, before = models.load(earlier.folder / "model"), load_encoders(load_recipe(tiny_recipe))
    for modality in ("text", "audio"):
        after = getattr(found, modality).state_dict()
        for name, value in getattr(saved, f"{modality}_encoder").state_dict().items():
            assert torch.equal(after[name], value)
        assert any(
            not torch.equal(after[name], value) for name, value in getattr(before, modality).state_dict().items()
        )
    assert found.tokenizer_file == before.tokenizer_file


def test_a_training_on_them_is_found_finished_and_serves_the_next(
    earlier: Trained, tiny_recipe: Path, tmp_path: Path
) -> None:
    recipe = load_recipe(tiny_recipe, ["training.epochs=1", f"text_encoder.source=run:{earlier.folder}"])
    prepared = prepare(recipe.data)
    for resume in (False, True):
        trained = train(recipe, prepared, tmp_path / "run", cache=tmp_path / "cache", resume=resume)
    assert trained.encoders.all_frozen
    # The text encoder was frozen there: its run has none that it trained.
    with pytest.raises(RecipeError, match="left its text encoder as it was"):
        load_encoders(load_recipe(tiny_recipe, [f"text_encoder.source=run:{tmp_path / 'run'}"]))


def test_where_there_is_no_such_run_a_sentence_says_so(
    earlier: Trained, tiny_recipe: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refusal(source: Path | str, *settings: str) -> str:
        with pytest.raises(RecipeError) as caught:
            load_encoders(load_recipe(tiny_recipe, [f"text_encoder.source=run:{source}", *settings]))
        return str(caught.value)

    monkeypatch.chdir(tmp_path)
    assert refusal("runs/words") == (
        "'run:runs/words': 'runs/words' is not the folder of a training; it has to be trained first."
    )
    begun = tmp_path / "begun"
    begun.mkdir()
    (begun / "recipe.yaml").write_bytes((earlier.folder / "recipe.yaml").read_bytes())
    assert refusal(begun).endswith("the training there is not finished.")
    assert "does not fit this recipe's" in refusal(
        earlier.folder, "text_encoder.frozen=true", "text_encoder.lora={rank: 2, alpha: 2}"
    )
    (begun / "recipe.yaml").write_text(
        (earlier.folder / "recipe.yaml")
        .read_text(encoding="utf-8")
        .replace(str(load_recipe(tiny_recipe).text_encoder.source), f"run:{begun}"),
        encoding="utf-8",
    )
    assert refusal(begun).endswith("takes its text encoder from itself.")
