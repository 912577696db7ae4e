"""The recipes that come with m3ser: each can be read, says what it should come to, and is what it is called."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("torch")
pytest.importorskip("yaml")

from m3ser import models
from m3ser.encoders import MfccConfig, VGGishConfig
from m3ser.training.corpus import prepare
from m3ser.training.recipe import Recipe
from m3ser.training.recipe_file import load_recipe, recipe_folder
from m3ser.training.run import train

NAMES = sorted(
    path.relative_to(recipe_folder()).with_suffix("").as_posix()
    for path in recipe_folder().rglob("*.yaml")
    if not path.stem.startswith("_")
)
IEMOCAP = [name for name in NAMES if name.startswith("iemocap/")]
SYSTEMS = ("text-only", "audio-only", "server", "3m-ser", "3m-ser-ln", "3m-ser-minmax")
OTHERS = sorted(set(models.names()) - set(SYSTEMS))
"""Systems that are in no table of the paper, but one for each of their own."""
TABLE_1 = [name for name in IEMOCAP if name.split("/")[2] not in OTHERS]
ZOO = ("ravdess", "emodb", "paired")


@pytest.mark.parametrize("name", NAMES)
def test_it_can_be_read_and_its_system_built(name: str) -> None:
    recipe = load_recipe(name)
    assert recipe.expected or name == "starter/starter", "a recipe says what it should come to"
    models.build(recipe.model.system, text_dim=384, audio_dim=128, num_labels=4, **recipe.model.options)


def test_no_two_are_called_the_same() -> None:
    called = [load_recipe(name).name for name in NAMES]
    assert len(set(called)) == len(called)


def test_every_system_has_every_protocol_on_iemocap() -> None:
    found = {tuple(name.split("/")[1:]) for name in IEMOCAP}
    rows = ["text-only", "audio-only", "server"]
    rows += [f"{system}-{mode}" for system in SYSTEMS[3:] for mode in ("quantised", "trainable")]
    protocols = ("session", "speaker", "session+script")
    assert found == {("paper", row) for row in rows} | {(one, row) for one in protocols for row in [*rows, *OTHERS]}


@pytest.mark.parametrize("name", TABLE_1)
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


@pytest.mark.parametrize("name", sorted(set(IEMOCAP) - set(TABLE_1)))
def test_another_system_is_what_its_path_says(name: str) -> None:
    _, protocol, system = name.split("/")
    recipe = load_recipe(name)
    assert (recipe.name, recipe.data.protocol, recipe.model.system) == (f"{system} ({protocol})", protocol, system)
    assert recipe.expected == "not yet run, needs IEMOCAP"
    training = recipe.training
    if system in ("mdre", "mdrea", "are", "tre"):
        assert (training.loss.kind, training.clip_value, training.clip_norm) == ("sigmoid", 10, None)
        assert (training.learning_rate, training.weight_decay, training.batch_size) == (1e-3, 0, 128)
        assert training.schedule == "constant"
    if system in ("mdre", "mdrea", "are"):
        assert isinstance(recipe.audio_encoder, MfccConfig)
        assert recipe.audio_encoder.build().dim == 39 + recipe.model.options["functionals_dim"]


def test_the_zoo_has_every_system_on_all_its_data() -> None:
    found = {tuple(name.split("/")[1:]) for name in NAMES if name.startswith("zoo/")}
    assert found == {(data, system) for data in ZOO for system in models.names()}


@pytest.mark.parametrize("data", ZOO)
def test_the_zoos_systems_have_the_same_data_and_the_same_encoders(data: str) -> None:
    recipes = {system: load_recipe(f"zoo/{data}/{system}") for system in models.names()}
    usual = recipes["3m-ser-ln"]
    for system, recipe in recipes.items():
        assert recipe.data == usual.data
        assert recipe.model.scale_audio
        # Windows divide each other: what the longer ones tell follows from the shorter ones.
        audio = recipe.audio_encoder.model_dump()
        assert (0.96 / audio.pop("step_seconds")) in (1.0, 4.0)
        assert audio == usual.audio_encoder.model_dump(exclude={"step_seconds"})
        assert recipe.text_encoder.model_copy(update={"pooled": False}) == usual.text_encoder
        told = {"loss", "modalities", "state_dropout"}  # what a system is, and what it looks at
        told |= {"learning_rate", "patience"} if system == "m-elmo" else set()
        told |= {"epochs"} if data == "paired" else set()
        assert recipe.training.model_dump(exclude=told) == usual.training.model_dump(exclude=told), system


def test_4m_ser_differs_from_3m_ser_in_the_loss_alone() -> None:
    for data in ZOO:
        new, old = (load_recipe(f"zoo/{data}/{system}") for system in ("4m-ser", "3m-ser-ln"))
        assert new.training.model_copy(update={"loss": old.training.loss}) == old.training
        assert (new.audio_encoder, new.text_encoder) == (old.audio_encoder, old.text_encoder)


def test_what_the_zoo_expects_is_what_came_out(repository: Path) -> None:
    for data in ZOO:
        page = {"emodb": "results.md", "ravdess": "results-ravdess.md", "paired": "results-paired.md"}[data]
        chapters = (repository / "docs" / page).read_text(encoding="utf-8").split("\n## ")
        (chapter,) = (one for one in chapters if one.startswith(f"{data}\n"))
        for system in models.names():
            expected = load_recipe(f"zoo/{data}/{system}").expected
            cell = r"([\d.]+)% \([^|]*\)"
            row = re.search(rf"^\| {re.escape(system)} \| {cell} \| {cell} \|", chapter, re.MULTILINE)
            assert row is not None, f"{system} on {data} is not in docs/{page}"
            assert expected.startswith(f"UA {row[1]}, WA {row[2]}; "), f"{system} on {data}"
            assert expected.endswith(f"(docs/{page})")


def test_the_zoos_differ_in_nothing_but_the_system(repository: Path) -> None:
    def without_system(recipe: Recipe) -> dict[str, object]:
        return recipe.model_dump(exclude={"name", "expected", "model", "text_encoder"})

    for data in ZOO:
        fused = [load_recipe(f"zoo/{data}/{system}") for system in SYSTEMS[2:]]
        assert all(without_system(one) == without_system(fused[0]) for one in fused[1:])


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("system", ["mdre", "mcsan", "adcrnn", "memocmt", "4m-ser"])
def test_every_kind_of_input_is_learnt_from(
    system: str, iemocap_tree: Callable[..., Any], tiny_encoders: Path, tmp_path: Path
) -> None:
    """Functionals and trained word vectors; normalised frames and fixed ones; centres; a speech model's states."""
    transformers = pytest.importorskip("transformers")
    if system not in ("memocmt", "4m-ser"):
        pytest.importorskip("opensmile")
    corpus = iemocap_tree(sessions=3, turns=4, labels=("ang", "hap", "sad", "neu"), seconds=(0.5, 0.9))
    settings = [f"data.corpora.iemocap={corpus.root}", "training.epochs=3", "training.batch_size=8"]
    settings.append("training.learning_rate=0.003")
    if system in ("memocmt", "4m-ser"):
        sizes = {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 24}
        positions = {"num_conv_pos_embeddings": 16, "num_conv_pos_embedding_groups": 2}
        config = transformers.HubertConfig(**sizes, **positions, conv_dim=[8] * 7)
        transformers.HubertModel(config).save_pretrained(tmp_path / "speech")
        settings.append(f"audio_encoder.source={tmp_path / 'speech'}")
    if system in ("mdre", "mcsan"):
        vectors = tmp_path / "vectors.txt"
        words = ("furious", "lovely", "lonely", "paper", "the")
        vectors.write_text("".join(f"{word} {place} 1 0.5\n" for place, word in enumerate(words)), encoding="utf-8")
        settings.append(f"text_encoder.source={vectors}")
    else:
        settings.append(f"text_encoder.source={tiny_encoders / 'bert'}")
    recipe = load_recipe(f"iemocap/session/{system}", settings)
    trained = train(recipe, prepare(recipe.data), tmp_path / "run", cache=tmp_path / "cache")
    losses = [record["loss"] for record in json.loads((tmp_path / "run" / "log.json").read_text()) if "loss" in record]
    assert len(losses) == 3
    assert min(losses[1:]) < losses[0]
    again = models.load(tmp_path / "run" / "model")
    assert sum(one.numel() for one in again.parameters()) >= sum(one.numel() for one in trained.fusion.parameters())
