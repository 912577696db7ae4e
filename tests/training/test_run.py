"""One training: what it leaves behind, that it can be repeated, and what stops it before work is wasted."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("transformers")

from safetensors.torch import load_file  # noqa: E402
from typer.testing import CliRunner  # noqa: E402

from m3ser import models  # noqa: E402
from m3ser.cli.app import app  # noqa: E402
from m3ser.errors import CheckpointError, DataError, RecipeError, UsageError  # noqa: E402
from m3ser.evaluation import read_predictions  # noqa: E402
from m3ser.training import load_recipe  # noqa: E402
from m3ser.training.corpus import prepare  # noqa: E402
from m3ser.training.recipe_file import write_recipe  # noqa: E402
from m3ser.training.run import Trained, train  # noqa: E402
from m3ser.training.run_folder import open_run  # noqa: E402

pytestmark = pytest.mark.filterwarnings("ignore")

Train = Callable[..., Trained]


@pytest.fixture(scope="session")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cache")


@pytest.fixture
def run(tiny_recipe: Path, tmp_path: Path, cache: Path) -> Train:
    def start(*settings: str, out: str = "run", **options: object) -> Trained:
        recipe = load_recipe(tiny_recipe, settings)
        return train(recipe, prepare(recipe.data), tmp_path / out, cache=cache, **options)

    return start


def weights(folder: Path) -> dict[str, torch.Tensor]:
    return load_file(folder / "model" / "model.safetensors")


def test_a_run_folder_holds_all_that_is_needed_to_believe_it(run: Train) -> None:
    trained = run()
    folder = trained.folder
    facts = json.loads((folder / "run.json").read_text())
    assert (facts["seed"], facts["fold"], facts["protocol"]) == (0, 1, "session")
    assert facts["packages"]["torch"]
    assert len(facts["corpus_fingerprint"]) == 64
    assert load_recipe(folder / "recipe.yaml") == trained.recipe
    assert not (folder / "checkpoints").exists()
    tested = {u.speaker for u in trained.part("test")[0]}
    assert tested.isdisjoint(u.speaker for u in trained.part("train")[0])
    table = read_predictions(folder / "predictions.csv")
    assert set(table.conditions) == {"audio", "text", "both"}
    assert set(table.speakers) == tested
    scores = json.loads((folder / "scores.json").read_text())
    assert scores["conditions"]["both"]["utterances"] == len(trained.part("test")[0])
    assert set(scores["temperatures"]) == {"audio", "text", "both"}
    # What was saved says the same of states as they are, unscaled.
    model = models.load(folder / "model")
    one = trained.part("test")[0][0]
    from m3ser.training.examples import Collator, example_of

    batch = Collator(trained.material.audio, trained.material.text, nothing=trained.material.nothing)(
        [example_of(one, trained.recipe.data.emotion_scheme)]
    )
    with torch.no_grad():
        logits = model(**batch).logits[0].numpy()
    row = table.where(condition="both").probabilities[0]
    assert int(np.argmax(logits)) == int(np.argmax(row))


def test_the_same_seed_gives_the_same_weights_and_another_others(run: Train) -> None:
    one, same, other = run(out="a"), run(out="b"), run("seed=1", out="c")
    first, second, third = (weights(each.folder) for each in (one, same, other))
    assert all(torch.equal(first[name], second[name]) for name in first)
    assert not all(torch.equal(first[name], third[name]) for name in first)


@pytest.mark.parametrize("system", ["audio-only", "text-only", "server"])
def test_systems_with_one_modality_and_without_a_layer_to_fold_a_scale_into(run: Train, system: str) -> None:
    scale = "true" if system != "text-only" else "false"
    options = "{fusion_dim: 16}" if system == "server" else "{}"
    settings = [f"model={{system: {system}, options: {options}, scale_audio: {scale}}}", "training.epochs=1"]
    trained = run(*settings)
    own = {"audio-only": {"audio"}, "text-only": {"text"}}.get(system, {"audio", "text", "both"})
    assert set(trained.predictions.conditions) == own


def test_a_training_on_mixed_utterances(run: Train) -> None:
    settings = ["training.epochs=1", "training.mixup=0.4"]
    first, same, plain = run(*settings, out="a"), run(*settings, out="b"), run(settings[0], out="c")
    assert all(torch.equal(value, weights(same.folder)[name]) for name, value in weights(first.folder).items())
    assert any(not torch.equal(value, weights(plain.folder)[name]) for name, value in weights(first.folder).items())


@pytest.mark.parametrize("learning", [False, True])
def test_a_training_that_hears_changed_copies(run: Train, learning: bool) -> None:
    pytest.importorskip("audiomentations", reason="needs the augment extra")
    settings = ["training.augmentation={copies: 2, share: 1.0, changes: {noise: 1.0}}", "training.epochs=1"]
    if learning:
        settings += ["audio_encoder.frozen=false", "model.scale_audio=false"]
    first, same = run(*settings, out="a"), run(*settings, out="b")
    plain = run(*settings[1:], out="c")
    assert all(torch.equal(value, weights(same.folder)[name]) for name, value in weights(first.folder).items())
    assert any(not torch.equal(value, weights(plain.folder)[name]) for name, value in weights(first.folder).items())


def test_an_encoder_that_learns_is_saved_with_the_model(run: Train) -> None:
    trained = run("text_encoder.frozen=false", "training.epochs=1")
    assert isinstance(models.load(trained.folder / "model"), models.SpeechEmotionModel)


def test_patience_ends_a_training_early(run: Train) -> None:
    # At this rate the weights hardly move, so that no epoch is better than the first.
    trained = run("training.learning_rate=1e-9", "training.patience=2", "training.epochs=9")
    log = json.loads((trained.folder / "log.json").read_text())
    assert max(record["epoch"] for record in log) == 3


def test_the_paper_protocol_chooses_on_the_test_part_and_says_so(
    tiny_recipe: Path, iemocap_tree: Callable[..., Any], tmp_path: Path, cache: Path
) -> None:
    corpus = iemocap_tree(sessions=2, turns=3, labels=("ang", "hap", "sad", "neu"), seconds=(2.0, 2.2))
    settings = ["data.protocol=paper", f"data.corpora={{iemocap: {corpus.root}}}", "training.epochs=1"]
    arguments = [one for setting in settings for one in ("--set", setting)]
    result = CliRunner().invoke(
        app,
        ["train", str(tiny_recipe), "--out", str(tmp_path / "run"), "--cache", str(cache), *arguments],
        catch_exceptions=False,
    )
    assert result.exit_code == 0, result.output
    assert "optimistic" in result.stdout
    assert "as published" in result.stdout
    assert json.loads((tmp_path / "run" / "scores.json").read_text())["temperatures"] == {}


def test_a_finished_run_is_read_and_not_trained_again(run: Train) -> None:
    first = run("training.epochs=1")
    changed = (first.folder / "model" / "model.safetensors").stat().st_mtime_ns
    again = run("training.epochs=1", resume=True)
    assert (first.folder / "model" / "model.safetensors").stat().st_mtime_ns == changed
    assert again.scores == first.scores
    assert all(torch.equal(a, b) for a, b in zip(first.fusion.parameters(), again.fusion.parameters(), strict=True))


def test_an_interrupted_training_with_averaged_weights_goes_on_to_the_same_ones(
    run: Train, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = ["training.epochs=3", "training.average=0.9"]
    whole, plain = run(*settings, out="whole"), run(settings[0], out="plain")
    from transformers import Trainer

    evaluate = Trainer.evaluate

    def killed(self: Trainer, *args: Any, **options: Any) -> Any:
        if self.state.epoch > 2.5:
            raise KeyboardInterrupt
        return evaluate(self, *args, **options)

    monkeypatch.setattr(Trainer, "evaluate", killed)
    with pytest.raises(KeyboardInterrupt):
        run(*settings)
    monkeypatch.undo()
    one, other = weights(whole.folder), weights(run(*settings, resume=True).folder)
    assert all(torch.equal(one[name], other[name]) for name in one)
    assert any(not torch.equal(one[name], value) for name, value in weights(plain.folder).items())


@pytest.mark.parametrize(
    ("error", "says"),
    [
        (OSError(28, "No space left on device"), "No space left on device."),
        # What torch.save really says when the disk is full.
        (RuntimeError("[enforce fail at inline_container.cc:672] . unexpected pos 1775552 vs 1775440"), "disk full"),
    ],
)
def test_a_disk_that_fills_up_is_said_and_loses_nothing(
    run: Train, monkeypatch: pytest.MonkeyPatch, error: Exception, says: str
) -> None:
    whole = run("training.epochs=3", out="whole")
    from transformers import Trainer

    save = Trainer._save_optimizer_and_scheduler

    def full(self: Trainer, folder: str) -> None:
        if self.state.epoch > 1.5:
            raise error
        save(self, folder)

    monkeypatch.setattr(Trainer, "_save_optimizer_and_scheduler", full)
    with pytest.raises(CheckpointError, match=f"{says}.* What was written before is kept"):
        run("training.epochs=3")
    monkeypatch.undo()
    resumed = run("training.epochs=3", resume=True)
    one, other = weights(whole.folder), weights(resumed.folder)
    assert all(torch.equal(one[name], other[name]) for name in one)


@pytest.mark.parametrize(
    ("settings", "error", "says"),
    [
        (["training.learning_rate=1e30"], RecipeError, "The loss is .*nan|The loss is .*inf"),
        (["data.corpora={iemocap: nowhere}"], DataError, "'nowhere' is not there"),
        (["model.system=none"], UsageError, "no model 'none'"),
        (["text_encoder=null"], RecipeError, "'3m-ser-ln' looks at text; the recipe has no text_encoder"),
        (["data.text=none"], RecipeError, "looks at text, and data.text is none"),
        (["training.trackers=[wandb]"], RecipeError, "wandb, which is not installed"),
    ],
)
def test_what_cannot_work_is_said_in_one_sentence(
    run: Train, settings: list[str], error: type[Exception], says: str
) -> None:
    with pytest.raises(error, match=says) as caught:
        run(*settings)
    assert "\n" not in str(caught.value)


def test_a_folder_with_a_run_is_not_written_over(run: Train) -> None:
    run("training.epochs=1")
    with pytest.raises(UsageError, match="already holds a run"):
        run("training.epochs=1")
    with pytest.raises(RecipeError, match="of another recipe"):
        run("training.epochs=2", resume=True)


def test_corpora_that_have_been_moved_are_no_other_recipe(tiny_recipe: Path, tmp_path: Path) -> None:
    recipe = load_recipe(tiny_recipe)
    write_recipe(tmp_path / "recipe.yaml", recipe)
    moved = recipe.model_copy(update={"data": recipe.data.model_copy(update={"root": "elsewhere"})})
    open_run(tmp_path, moved, resume=True)
    other = recipe.model_copy(update={"data": recipe.data.model_copy(update={"seed": 7})})
    with pytest.raises(RecipeError, match="of another recipe"):
        open_run(tmp_path, other, resume=True)


def test_a_cache_of_another_version_is_named(run: Train, cache: Path, tmp_path: Path, tiny_recipe: Path) -> None:
    other = tmp_path / "cache"
    other.mkdir()
    (other / "FORMAT").write_text("m3ser states 1\n")
    recipe = load_recipe(tiny_recipe)
    with pytest.raises(DataError, match="of another version of m3ser"):
        train(recipe, prepare(recipe.data), tmp_path / "run", cache=other)


def test_a_damaged_cache_is_computed_anew(run: Train, tmp_path: Path, tiny_recipe: Path) -> None:
    recipe = load_recipe(tiny_recipe, ["training.epochs=1"])
    mine = tmp_path / "mine"
    first = train(recipe, prepare(recipe.data), tmp_path / "a", cache=mine)
    for file in mine.rglob("*.arrow"):
        file.write_bytes(file.read_bytes()[:100])
    second = train(recipe, prepare(recipe.data), tmp_path / "b", cache=mine)
    assert all(
        torch.equal(a, b) for a, b in zip(*(weights(each.folder).values() for each in (first, second)), strict=True)
    )


def command(tiny_recipe: Path, out: Path, cache: Path, *more: str) -> list[str]:
    program = "from m3ser.cli.app import main; main()"
    train = ["train", str(tiny_recipe), "--out", str(out), "--cache", str(cache), *more]
    return [sys.executable, "-c", program, *train]


@pytest.mark.slow
def test_a_killed_training_goes_on_to_the_same_weights(tiny_recipe: Path, tmp_path: Path, cache: Path) -> None:
    long = ["--set", "training.epochs=40"]
    subprocess.run(command(tiny_recipe, tmp_path / "whole", cache, *long), check=True, capture_output=True)
    out = tmp_path / "killed"
    process = subprocess.Popen(command(tiny_recipe, out, cache, *long), stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    deadline = time.monotonic() + 120
    while len(list(out.glob("checkpoints/checkpoint-*"))) < 2 and time.monotonic() < deadline:
        time.sleep(0.01)
    os.kill(process.pid, signal.SIGKILL)
    process.communicate()
    assert not (out / "scores.json").exists(), "it was finished before it could be killed"
    # As if it had been killed while writing, too.
    newest = max(out.glob("checkpoints/checkpoint-*"), key=lambda path: int(path.name.rpartition("-")[2]))
    (newest / "trainer_state.json").write_text('{"epoch": 1')
    found = subprocess.run(
        command(tiny_recipe, out, cache, *long, "--resume"), check=True, capture_output=True, text=True
    )
    assert "cut short" in found.stderr
    one, other = weights(tmp_path / "whole"), weights(out)
    assert all(torch.equal(one[name], other[name]) for name in one)
    assert (tmp_path / "whole" / "predictions.csv").read_text() == (out / "predictions.csv").read_text()


@pytest.mark.slow
def test_two_processes_see_what_one_sees(tiny_recipe: Path, tmp_path: Path, cache: Path) -> None:
    # Without dropout the only randomness is the order, which both share.
    settings = ["--set", "model.options.dropout=0.0", "--set", "training.epochs=2"]
    one, two = tmp_path / "one", tmp_path / "two"
    subprocess.run(command(tiny_recipe, one, cache, *settings), check=True, capture_output=True)
    program = tmp_path / "program.py"
    program.write_text("from m3ser.cli.app import main\nmain()\n")
    launch = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc_per_node=2", str(program)]
    found = subprocess.run(
        [*launch, *command(tiny_recipe, two, cache, *settings)[3:]], check=False, capture_output=True, text=True
    )
    assert found.returncode == 0, found.stderr
    first, second = (json.loads((folder / "log.json").read_text()) for folder in (one, two))
    for a, b in zip(first, second, strict=True):
        for name in ("eval_both_ua", "loss", "learning_rate"):
            if name in a:
                assert a[name] == pytest.approx(b[name], rel=2e-2, abs=1e-4), (name, a["epoch"])
    assert json.loads((two / "run.json").read_text())["processes"] == 2
    a, b = (read_predictions(folder / "predictions.csv") for folder in (one, two))
    np.testing.assert_allclose(a.probabilities, b.probabilities, atol=0.02)


def test_cross_validation_goes_on_where_it_was(tiny_recipe: Path, tmp_path: Path, cache: Path) -> None:
    def crossval(*more: str) -> object:
        arguments = ["crossval", str(tiny_recipe), "--out", str(tmp_path / "cv"), "--cache", str(cache)]
        return CliRunner().invoke(
            app, [*arguments, "--set", "training.epochs=1", "--seeds", "0-1", *more], catch_exceptions=False
        )

    partial = crossval("--fold", "2")
    assert partial.exit_code == 0
    assert "not finished" in partial.stderr
    done = (tmp_path / "cv" / "seed1" / "fold2" / "scores.json").stat().st_mtime_ns
    result = crossval("--json")
    assert result.exit_code == 0, result.output
    assert (tmp_path / "cv" / "seed1" / "fold2" / "scores.json").stat().st_mtime_ns == done
    scores = json.loads(result.stdout)
    assert (scores["folds"], scores["seeds"]) == (3, [0, 1])
    table = read_predictions(tmp_path / "cv" / "predictions.csv")
    both = table.where(condition="both", seed=0)
    assert len(set(both.utterances)) == len(both)
    assert scores["conditions"]["both"]["pooled"]["utterances"] == 2 * len(both)
    assert scores["conditions"]["both"]["over_seeds"]["unweighted_accuracy"]["n"] == 2
    shown = crossval()
    assert "protocol session: 3 folds, 2 seeds" in shown.stdout
    arguments = ["crossval", str(tiny_recipe), "--out", str(tmp_path / "cv"), "--cache", str(cache)]
    other = CliRunner().invoke(app, arguments, catch_exceptions=False)
    assert other.exit_code == 1
    assert "of another recipe" in other.stderr
    bad = crossval("--seeds", "x")
    assert bad.exit_code == 2
