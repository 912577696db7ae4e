"""``m3ser export`` of each kind of encoder that a recipe can name, and of one fold of a cross-validation."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("torch")
pytest.importorskip("transformers")
pytest.importorskip("onnxscript")

from typer.testing import CliRunner

import m3ser
from m3ser.cli.app import app
from m3ser.inference import Request
from m3ser.training import load_recipe
from m3ser.training.corpus import prepare
from m3ser.training.crossval import crossvalidate
from m3ser.training.run import train

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore")]

ALONE = ["training.epochs=1", "model.scale_audio=false", "model.options={}"]


@pytest.fixture
def export() -> Callable[..., Any]:
    return lambda *arguments: CliRunner().invoke(app, ["export", *map(str, arguments), "--json"])


@pytest.mark.parametrize(
    ("needs", "system", "encoder"),
    [
        ("opensmile", "are", "audio_encoder={kind: mfcc, normalise: true, functionals: egemaps}"),
        ("peft", "audio-only", "audio_encoder={kind: speech, source: SPEECH, lora: {rank: 2, alpha: 4}}"),
        ("torch", "audio-only", "audio_encoder={kind: speech, source: SPEECH, combine: mix, step_seconds: 0.1}"),
        ("peft", "text-only", "text_encoder={kind: text, source: TEXT, lora: {rank: 2, alpha: 4}}"),
        ("torch", "text-only", "text_encoder={kind: text, source: TEXT, combine: mix}"),
    ],
)
def test_a_kind_of_encoder(
    export: Callable[..., Any],
    tiny_recipe: Path,
    tiny_encoders: Path,
    speech_source: Path,
    tmp_path: Path,
    needs: str,
    system: str,
    encoder: str,
) -> None:
    pytest.importorskip(needs)
    chosen = encoder.replace("SPEECH", str(speech_source)).replace("TEXT", str(tiny_encoders / "bert"))
    recipe = load_recipe(tiny_recipe, [*ALONE, f"model.system={system}", chosen])
    trained = train(recipe, prepare(recipe.data), tmp_path / "run", cache=tmp_path / "cache")
    result = export(tmp_path / "run", tmp_path / "bundle")
    assert result.exit_code == 0, result.stderr
    assert json.loads(result.stdout)["parity"]["fp32"]["max_logit_difference"] < 1e-4
    recogniser = m3ser.load(tmp_path / "bundle", transcriber=None, threads=1)
    utterances = trained.part("test")[0]
    found = recogniser.predict_batch([Request(u.audio, text=u.text, start=u.start, end=u.end) for u in utterances])
    shares = np.array([[one.scores[label] for label in recogniser.labels] for one in found])
    (condition,) = recogniser.bundle.manifest.modalities
    expected = trained.predictions.where(condition=condition).probabilities
    np.testing.assert_allclose(shares, expected, atol=2e-3)  # frozen states are kept as float16


def test_features_without_a_network_have_nothing_to_be_int8(
    export: Callable[..., Any], tiny_recipe: Path, tmp_path: Path
) -> None:
    pytest.importorskip("opensmile")
    recipe = load_recipe(tiny_recipe, [*ALONE, "model.system=audio-only", "audio_encoder={kind: egemaps}"])
    train(recipe, prepare(recipe.data), tmp_path / "run", cache=tmp_path / "cache")
    result = export(tmp_path / "run", tmp_path / "bundle", "--precision", "int8")
    assert result.exit_code == 0, result.stderr
    (note,) = json.loads(result.stdout)["parity"]["notes"]
    assert note.startswith("No layer of the encoders can be int8")


def test_a_fold_of_a_cross_validation(export: Callable[..., Any], tiny_recipe: Path, tmp_path: Path) -> None:
    recipe = load_recipe(tiny_recipe, ["training.epochs=1"])
    crossvalidate(recipe, tmp_path / "all", seeds=[3], cache=tmp_path / "cache", only=[2])
    refused = export(tmp_path / "all", tmp_path / "bundle")
    assert refused.exit_code == 1
    assert "is a cross-validation of 1 trainings, not one model; name one of them" in refused.stderr
    assert not (tmp_path / "bundle").exists()
    fold = tmp_path / "all" / "seed3" / "fold2"
    result = export(fold, tmp_path / "bundle")
    assert result.exit_code == 0, result.stderr
    assert json.loads(result.stdout)["parity"]["measured_on"] == "the training's validation part"
    assert "seed 3, fold 2 of the protocol" in (tmp_path / "bundle" / "README.md").read_text(encoding="utf-8")
    (fold / "run.json").write_text("{", encoding="utf-8")
    damaged = export(fold, tmp_path / "again")
    assert damaged.exit_code == 1
    assert "run.json' cannot be read" in damaged.stderr
