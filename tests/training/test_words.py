"""What is read of a transcript: what was said, not what the transcriber noted."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("torch")

from m3ser.evaluation import read_predictions
from m3ser.training import load_recipe
from m3ser.training.corpus import prepare
from m3ser.training.run import train


@pytest.fixture(scope="module")
def laughing(iemocap_tree: Callable[..., Any]) -> Path:
    """In every dialogue her first turn is laughter alone, and all others begin with a laugh."""
    tree = iemocap_tree(sessions=3, turns=6, labels=("ang", "hap", "sad", "neu"), seconds=(1.95, 2.2))
    for path in tree.root.rglob("transcriptions/*.txt"):
        text = re.sub(r"(?m)^(\w+_[FM]\d{3} \[.*\]: )", r"\1[LAUGHTER] ", path.read_text(encoding="utf-8"))
        text = re.sub(r"(?m)^(\w+_F000 \[.*\]: \[LAUGHTER\]).*$", r"\1", text)
        path.write_text(text, encoding="utf-8")
    root: Path = tree.root
    return root


def recipe_for(tiny_recipe: Path, corpus: Path, *settings: str) -> Any:
    # Another protocol, another corpus; the rest is small and quick already.
    return load_recipe(tiny_recipe, [f"data.corpora.iemocap={corpus}", "training.epochs=1", *settings])


def test_what_a_transcriber_noted_is_not_read(tiny_recipe: Path, laughing: Path) -> None:
    prepared = prepare(recipe_for(tiny_recipe, laughing).data)
    texts = {name: u.text for name, u in zip(prepared.names, prepared.split.utterances, strict=True)}
    for name, text in texts.items():
        if name.endswith("_F000"):
            assert text is None, name
        else:
            assert text, name
            assert "[" not in text


def test_the_published_procedure_reads_it(tiny_recipe: Path, laughing: Path) -> None:
    prepared = prepare(recipe_for(tiny_recipe, laughing, "data.protocol=paper").data)
    assert all((u.text or "").startswith("[LAUGHTER]") for u in prepared.split.utterances)


@pytest.mark.parametrize(("system", "condition"), [("text-only", "text"), ("3m-ser-ln", "audio")])
def test_an_utterance_without_words_is_heard_and_not_read(
    tiny_recipe: Path, laughing: Path, tmp_path: Path, system: str, condition: str
) -> None:
    options = "{}" if system == "text-only" else "{fusion_dim: 16, num_heads: 2}"
    recipe = recipe_for(tiny_recipe, laughing, f"model.system={system}", f"model.options={options}")
    train(recipe, prepare(recipe.data), tmp_path / "run", cache=tmp_path / "cache")
    table = read_predictions(tmp_path / "run" / "predictions.csv")
    mute = {name for name in table.utterances if name.endswith("_F000")}
    of = {name: set(table.where(condition=name).utterances) for name in set(table.conditions)}
    assert not of["text"] & mute
    if condition == "audio":
        assert of["audio"] & mute
