"""What docs/add-a-model.md says works as it stands there: its file, its recipe, its commands."""

from __future__ import annotations

import hashlib
import json
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("onnxscript")

import yaml  # noqa: E402
from typer.testing import CliRunner  # noqa: E402

import m3ser as package  # noqa: E402
from m3ser import models  # noqa: E402
from m3ser.cli.app import app  # noqa: E402
from m3ser.models import own, registry  # noqa: E402
from m3ser.training.recipe_file import load_recipe  # noqa: E402
from m3ser.training.reproduce import rows_of  # noqa: E402

NAME = "gated-sum"
pytestmark = pytest.mark.filterwarnings("ignore")


@pytest.fixture(scope="module")
def guide(repository: Path) -> str:
    return (repository / "docs" / "add-a-model.md").read_text(encoding="utf-8")


@pytest.fixture
def added(guide: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The guide's file, written down and named by the environment; forgotten after the test."""
    path = tmp_path / "gated_sum.py"
    path.write_text(block(guide, "python"), encoding="utf-8")
    monkeypatch.setattr(registry, "_own", {})
    monkeypatch.setattr(own, "_loaded", {})
    monkeypatch.setenv(own.ENVIRONMENT, str(path))
    return path


def block(guide: str, language: str) -> str:
    (found,) = re.findall(rf"```{language}\n(.*?)```", guide, flags=re.DOTALL)
    return str(found)


def m3ser(*arguments: object) -> Any:
    result = CliRunner().invoke(app, list(map(str, arguments)), catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result


def with_settings(*settings: str) -> list[str]:
    return [word for setting in settings for word in ("--set", setting)]


def test_the_file_is_short_and_the_recipe_shorter(guide: str) -> None:
    assert block(guide, "python").count("\n") < 60
    assert block(guide, "yaml").count("\n") == 5


def test_every_command_of_the_guide_is_one(guide: str) -> None:
    """Each verb and each option that it shows is known to the program; other tests run most of them."""
    lines = [line for text in re.findall(r"```console\n(.*?)```", guide, flags=re.DOTALL) for line in text.splitlines()]
    commands = [shlex.split(line.removeprefix("$ "), comments=True) for line in lines]
    verbs = [words[1:] for words in commands if words[0] == "m3ser"]
    assert len(verbs) >= 7
    for verb in verbs:
        known = m3ser(*(verb[:2] if verb[0] == "reproduce" else verb[:1]), "--help").stdout
        for option in verb:
            assert not option.startswith("--") or option in known, verb


def test_it_is_found_listed_and_counted(added: Path) -> None:
    assert models.names()[-1] == NAME
    listed = [json.loads(line) for line in m3ser("models", "--json").stdout.splitlines()]
    assert listed[-1] == {
        "kind": "system",
        "name": NAME,
        "tier": "own",
        "description": "means of both, blended by a learnt gate",
        "source": "own",
    }
    counted = json.loads(m3ser("complexity", NAME, "--json").stdout.splitlines()[0])
    by_hand = (768 + 1) * 64 + (128 + 1) * 64 + (2 * 64 + 1) * 64 + (64 + 1) * 4
    assert counted["parts"]["fusion"]["parameters"] == by_hand


def test_its_options_are_checked_and_kept(added: Path, tmp_path: Path) -> None:
    sizes = {"text_dim": 8, "audio_dim": 4, "num_labels": 3}
    model = models.build(NAME, **sizes, fusion_dim=6)
    assert model.config.option_names() == ("dropout", "fusion_dim")
    loaded = models.load(models.save(model, tmp_path / "model"))
    assert (loaded.config.fusion_dim, loaded.gate.weight.shape) == (6, (6, 12))
    with pytest.raises(package.M3serError, match="gated-sum has no option heads; it has dropout, fusion_dim"):
        models.build(NAME, **sizes, heads=2)


def test_every_table_has_a_row_for_it(added: Path) -> None:
    rows = {row.group: row for row in rows_of("iemocap", systems=[NAME])}
    assert list(rows) == ["paper", "session", "speaker", "session+script"]
    for group, row in rows.items():
        like = load_recipe(f"iemocap/{group}/3m-ser-ln-quantised")
        assert row.name == NAME
        assert row.recipe.model.system == NAME
        assert not row.recipe.model.options
        rest = {"exclude": {"name", "expected", "model"}}
        assert row.recipe.model_dump(**rest) == like.model_dump(**rest)


def test_it_is_trained_kept_and_compared(added: Path, tiny_recipe: Path, tmp_path: Path) -> None:
    cache = ("--cache", tmp_path / "cache")
    settings = with_settings(f"model.system={NAME}", "model.options={fusion_dim: 16}", "training.epochs=1")
    m3ser("train", tiny_recipe, "--out", tmp_path / "own", *cache, *settings)
    m3ser("train", tiny_recipe, "--out", tmp_path / "other", *cache, *with_settings("training.epochs=1"))
    m3ser("compare", tmp_path / "other", tmp_path / "own", "--resamples", 50)
    place = tmp_path / "own"
    facts = json.loads((place / "run.json").read_text(encoding="utf-8"))
    assert list(facts["own_models"]) == ["gated_sum.py"]
    m3ser("report", place, "--out", tmp_path / "report.md", "--resamples", 50)
    told = (tmp_path / "report.md").read_text(encoding="utf-8").replace("\\", "")
    assert f"gated_sum.py (SHA-256 {hashlib.sha256(added.read_bytes()).hexdigest()[:12]})" in told
    model = models.load(place / "model")
    assert model.config.system == NAME
    # The recipe that a run keeps says nothing of where the code is.
    assert "gated_sum.py" not in (place / "recipe.yaml").read_text(encoding="utf-8")


@pytest.mark.slow
def test_its_graph_gives_the_same_logits(added: Path) -> None:
    onnxruntime = pytest.importorskip("onnxruntime")
    from m3ser.training.exporting.graphs import export_fusion

    torch.manual_seed(0)
    model = models.build(NAME, text_dim=12, audio_dim=8, num_labels=4).eval()
    session = onnxruntime.InferenceSession(export_fusion(model).SerializeToString(), providers=["CPUExecutionProvider"])
    text, audio = torch.randn(3, 7, 12), torch.randn(3, 4, 8)
    text_mask, audio_mask = torch.rand(3, 7) < 0.6, torch.rand(3, 4) < 0.6
    text_mask[0], audio_mask[0, 0] = False, True  # one without words
    text_mask[1, 0], audio_mask[1] = True, False  # one without a voice
    text_mask[2, 0] = audio_mask[2, 0] = True
    batch = {"text": text, "text_mask": text_mask, "audio": audio, "audio_mask": audio_mask}
    (logits,) = session.run(None, {name: value.numpy() for name, value in batch.items()})
    with torch.no_grad():
        np.testing.assert_allclose(logits, model(**batch).logits.numpy(), rtol=1e-4, atol=1e-4)


@pytest.mark.slow
def test_the_recipe_becomes_a_bundle_that_predicts(
    guide: str, added: Path, paired_corpora: Path, tiny_encoders: Path, tmp_path: Path, demo_clip: Path
) -> None:
    recipe = tmp_path / "gated-sum.yaml"
    recipe.write_text(block(guide, "yaml"), encoding="utf-8")
    # Some of the guide's data and encoders, which may not be here, are replaced; the rest is as it stands there.
    settings = with_settings(
        f"data.root={paired_corpora}",
        "data.voices={emodb: emodb}",
        "data.sentences={goemotions: goemotions}",
        "data.per_clip=2",
        f"audio_encoder={{kind: whisper, source: {tiny_encoders}/whisper, step_seconds: 0.2, statistics: mean+std}}",
        f"text_encoder={{kind: text, source: {tiny_encoders}/bert}}",
        "training.epochs=2",
    )
    m3ser("train", recipe, "--out", tmp_path / "one", "--cache", tmp_path / "cache", *settings)
    bundle = package.load(tmp_path / "one" / "bundle", transcriber=None)
    assert bundle.bundle.manifest.architecture == NAME
    found = bundle.predict(demo_clip, text="I said no.")
    assert sum(found.scores.values()) == pytest.approx(1)
    # Prediction knows nothing of the file.
    code = "import sys, m3ser; print(m3ser.load(sys.argv[1], transcriber=None).predict(sys.argv[2], text='no').label)"
    bare = {key: value for key, value in os.environ.items() if key != own.ENVIRONMENT}
    command = [sys.executable, "-c", code, str(tmp_path / "one" / "bundle"), str(demo_clip)]
    subprocess.run(command, check=True, env=bare, capture_output=True)


@pytest.mark.slow
def test_the_tests_of_all_models_run_on_it(guide: str, added: Path, repository: Path) -> None:
    (command,) = re.findall(r"\$ (pytest .*)", guide)
    result = subprocess.run(
        [sys.executable, "-m", *shlex.split(command), "-p", "no:cacheprovider", "-rA"],
        cwd=repository,
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 0, result.stdout + result.stderr
    for check in (
        "test_masks.py::test_a_padded_batch_equals_its_utterances_alone",
        "test_masks.py::test_a_missing_modality_is_one_of_length_zero[text-",
        "test_masks.py::test_a_missing_modality_is_one_of_length_zero[audio-",
        "test_composition.py::test_a_padded_batch_equals_its_utterances_alone",
        "test_gradients.py::test_all_that_is_looked_at_counts_and_all_weights_learn",
        "test_learning.py::test_one_batch_is_learnt_by_heart",
        "test_parameters.py::test_as_counted_by_hand",
        "test_checkpoints.py::test_saved_and_loaded_it_is_the_same",
        "test_composition.py::test_saved_and_loaded_it_is_the_same",
        "test_export.py::test_onnx_gives_the_same_logits",
        "test_trainer.py::test_the_trainer_learns_saves_and_loads",
        "test_losses.py::test_every_model_has_a_fused_vector_for_them",
    ):
        passed = [line for line in result.stdout.splitlines() if line.startswith("PASSED") and check in line]
        assert any(NAME in line for line in passed), check


def test_the_guides_recipe_is_possible(guide: str, tmp_path: Path) -> None:
    path = tmp_path / "gated-sum.yaml"
    path.write_text(block(guide, "yaml"), encoding="utf-8")
    recipe = load_recipe(path)
    written = yaml.safe_load(block(guide, "yaml"))
    assert recipe.model.system == NAME
    assert recipe.model.options == written["model"]["options"]
    assert recipe.data.kind == "paired"
