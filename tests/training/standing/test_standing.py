"""The standing evaluation from made-up corpora to its record."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("torch")

from m3ser.training.recipe_file import load_recipe
from m3ser.training.standing.run import GROUPS, evaluate_standing


@pytest.fixture(scope="module")
def recipe(paired_corpora: Path, tiny_encoders: Path) -> Any:
    """The starter's, with one speech corpus and tiny encoders."""
    return load_recipe(
        "starter",
        [
            f"data.root={paired_corpora}",
            "data.voices={emodb: emodb, tess: tess}",
            "data.sentences={goemotions: goemotions}",
            "data.per_clip=1",
            "data.folds=2",
            f"audio_encoder={{kind: whisper, source: {tiny_encoders / 'whisper'}, step_seconds: 0.2}}",
            f"text_encoder={{kind: text, source: {tiny_encoders / 'bert'}}}",
            "model.options={fusion_dim: 16, num_heads: 2}",
            "training.epochs=1",
            "training.pairs_per_epoch=16",
        ],
    )


def test_it(recipe: Any, tmp_path: Path) -> None:
    record = evaluate_standing(recipe, tmp_path / "out", cache=tmp_path / "cache")
    print(json.dumps(record, indent=1))
    assert set(record["groups"]) == set(GROUPS)
