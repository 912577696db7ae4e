"""`training.loss` and `training.clip_value`: from the recipe to weights that were trained by them."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("transformers")

from safetensors.torch import load_file  # noqa: E402

from m3ser import models  # noqa: E402
from m3ser.errors import RecipeError  # noqa: E402
from m3ser.models.losses import CrossEntropy, Focal, Joint, SigmoidCrossEntropy  # noqa: E402
from m3ser.training import load_recipe  # noqa: E402
from m3ser.training.corpus import prepare  # noqa: E402
from m3ser.training.objective import class_weights, features_width, make_loss  # noqa: E402
from m3ser.training.recipe import TrainingRecipe  # noqa: E402
from m3ser.training.run import Trained, train  # noqa: E402

pytestmark = pytest.mark.filterwarnings("ignore")

KINDS = {
    "cross-entropy": CrossEntropy,
    "focal": Focal,
    "sigmoid": SigmoidCrossEntropy,
    "centre": Joint,
    "contrastive-centre": Joint,
    "arcface": Joint,
    "cosface": Joint,
}
LABELS = [0, 0, 0, 1, 2, 2]


@pytest.fixture(scope="session")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cache")


@pytest.fixture
def run(tiny_recipe: Path, tmp_path: Path, cache: Path) -> Callable[..., Trained]:
    def start(*settings: str, out: str = "run", **options: Any) -> Trained:
        recipe = load_recipe(tiny_recipe, settings)
        return train(recipe, prepare(recipe.data), tmp_path / out, cache=cache, **options)

    return start


def weights(folder: Path) -> dict[str, Any]:
    found: dict[str, Any] = load_file(folder / "model" / "model.safetensors")
    return found


def equal(one: Path, other: Path) -> bool:
    first, second = weights(one), weights(other)
    return first.keys() == second.keys() and all(torch.equal(first[name], second[name]) for name in first)


def fusion(name: str = "3m-ser-ln") -> models.FusionModel:
    return models.build(name, text_dim=16, audio_dim=8, num_labels=3)


@pytest.mark.parametrize("kind", KINDS)
def test_the_recipes_kind_makes_its_loss(kind: str) -> None:
    setting = TrainingRecipe.model_validate({"loss": {"kind": kind}})
    loss = make_loss(setting, fusion(), LABELS)
    assert type(loss) is KINDS[kind]
    assert loss.learns is (KINDS[kind] is Joint)


def test_options_arrive() -> None:
    def made(**options: Any) -> Any:
        return make_loss(TrainingRecipe.model_validate(options), fusion(), LABELS)

    assert made(loss={"kind": "focal", "gamma": 1.5}).gamma == 1.5
    centre = made(loss={"kind": "contrastive-centre", "weight": 10, "delta": 0.5}, label_smoothing=0.1)
    assert (centre.weight, centre.term.delta, centre.main.label_smoothing) == (10, 0.5, 0.1)
    assert centre.term.centres.shape == (3, 8)
    assert made(loss={"kind": "centre", "weighting": "learned"}).weight is None
    arc, cos = (made(loss={"kind": kind}).term for kind in ("arcface", "cosface"))
    assert (arc.angle, arc.cosine, arc.scale) == (0.5, 0.0, 64.0)
    assert (cos.angle, cos.cosine, cos.scale) == (0.0, 0.5, 64.0)
    for kind in ("cross-entropy", "focal"):
        assert torch.equal(made(loss={"kind": kind}, class_weights=True).class_weights, class_weights(LABELS, 3))
    assert torch.equal(made(loss={"kind": "centre"}, class_weights=True).main.class_weights, class_weights(LABELS, 3))


def test_class_weights_are_one_on_average_over_the_labels() -> None:
    found = class_weights(LABELS, 3)
    torch.testing.assert_close(found, torch.tensor([6 / 9, 6 / 3, 6 / 6]))
    assert sum(found[label].item() for label in LABELS) == pytest.approx(len(LABELS))


@pytest.mark.parametrize("name", models.names())
def test_any_system_can_be_trained_by_what_reads_its_fused_vector(name: str) -> None:
    model = models.build(name, text_dim=16, audio_dim=8, num_labels=3)
    state = torch.get_rng_state()
    width = features_width(model)
    assert torch.equal(torch.get_rng_state(), state), "a random number was drawn"
    assert model.training
    assert width is not None
    output = model(torch.randn(2, 4, 16), None, torch.randn(2, 5, 8), None, output_features=True)
    assert output.features.shape == (2, width)


def test_a_system_without_a_fused_vector_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    model = fusion()
    plain = type(model).classify
    monkeypatch.setattr(type(model), "classify", lambda *given, **options: plain(*given, **options)[:2])
    with pytest.raises(RecipeError, match="loss is centre, which works on a fused vector; '3m-ser-ln' has none"):
        make_loss(TrainingRecipe.model_validate({"loss": {"kind": "centre"}}), model, LABELS)


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        (["training.loss={kind: hinge}"], "cross-entropy.*focal.*contrastive-centre"),
        (["training.loss={kind: focal, weight: 2}"], r"unknown key 'training.loss.weight' \(known: gamma, kind\)"),
        (["training.loss={kind: focal, gamma: -1}"], "training.loss.gamma: Input should be greater than or equal to 0"),
        (["training.loss={kind: centre, weighting: learned, weight: 2}"], "weight is for fixed weighting"),
        (["training.loss={kind: sigmoid}", "training.class_weights=true"], "class_weights weigh .* sigmoid has none"),
        (["training.loss={kind: focal}", "training.label_smoothing=0.1"], "label_smoothing is for .* loss is focal"),
        (["training.clip_value=0"], "training.clip_value: Input should be greater than 0"),
    ],
)
def test_what_cannot_be_is_said_before_training(tiny_recipe: Path, settings: list[str], says: str) -> None:
    with pytest.raises(RecipeError, match=says) as caught:
        load_recipe(tiny_recipe, settings)
    assert "\n" not in str(caught.value)


def test_a_kind_alone_can_be_set(tiny_recipe: Path) -> None:
    assert load_recipe(tiny_recipe, ["training.loss.kind=arcface", "training.loss.margin=0.2"]).training.loss.kind == (
        "arcface"
    )


@pytest.mark.parametrize("kind", KINDS)
def test_a_training_by_each(run: Callable[..., Trained], kind: str) -> None:
    trained = run(f"training.loss={{kind: {kind}}}", "training.epochs=2")
    log = json.loads((trained.folder / "log.json").read_text())
    assert all(torch.isfinite(torch.tensor(record["loss"])) for record in log if "loss" in record)
    # What only the loss needs is not part of the model.
    saved = models.load(trained.folder / "model")
    assert isinstance(saved, models.FusionModel)
    assert saved.config.system == "3m-ser-ln"
    assert set(trained.predictions.conditions) == {"audio", "text", "both"}


def test_cross_entropy_is_what_it_was_and_the_others_are_others(run: Callable[..., Trained]) -> None:
    plain = run("training.epochs=1", out="plain")
    named = run("training.epochs=1", "training.loss={kind: cross-entropy}", out="named")
    assert equal(plain.folder, named.folder)
    others = ["{kind: focal}", "{kind: sigmoid}", "{kind: centre}", "{kind: centre, weighting: learned}"]
    for place, loss in enumerate(others):
        other = run("training.epochs=1", f"training.loss={loss}", out=str(place))
        assert not equal(plain.folder, other.folder)


def test_an_encoder_and_a_loss_may_learn_together(run: Callable[..., Trained]) -> None:
    trained = run("text_encoder.frozen=false", "training.loss={kind: centre}", "training.epochs=1")
    assert isinstance(models.load(trained.folder / "model"), models.SpeechEmotionModel)


def test_a_resumed_training_goes_on_with_the_losss_own_weights(
    run: Callable[..., Trained], monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = ["training.epochs=3", "training.loss={kind: contrastive-centre, weighting: learned}"]
    whole = run(*settings, out="whole")
    from transformers import Trainer

    save = Trainer._save_optimizer_and_scheduler

    def full(self: Trainer, folder: str) -> None:
        if self.state.epoch > 1.5:
            raise OSError(28, "No space left on device")
        save(self, folder)

    monkeypatch.setattr(Trainer, "_save_optimizer_and_scheduler", full)
    with pytest.raises(Exception, match="No space left"):
        run(*settings)
    monkeypatch.undo()
    (checkpoint, *_) = (whole.folder.parent / "run" / "checkpoints").glob("checkpoint-*")
    kept = load_file(checkpoint / "model.safetensors")
    assert {"loss.term.centres", "loss.log_variances"} <= kept.keys()
    assert (kept["loss.log_variances"] != 0).all()
    resumed = run(*settings, resume=True)
    assert equal(whole.folder, resumed.folder)


def test_weight_decay_leaves_the_losss_own_weights_alone(
    run: Callable[..., Trained], monkeypatch: pytest.MonkeyPatch
) -> None:
    from transformers import Trainer

    groups: list[tuple[float, int]] = []
    plain = Trainer.create_optimizer

    def look(self: Trainer, *given: Any) -> Any:
        optimiser = plain(self, *given)
        own = {id(one) for name, one in self.model.named_parameters() if name.startswith("loss.")}
        assert own
        for group in optimiser.param_groups:
            groups.append((group["weight_decay"], sum(id(one) in own for one in group["params"])))
        return optimiser

    monkeypatch.setattr(Trainer, "create_optimizer", look)
    run("training.epochs=1", "training.weight_decay=0.3", "training.loss={kind: centre}")
    assert sorted(groups) == [(0.0, 1), (0.3, 0)]


@pytest.mark.parametrize("norm", ["null", "0.5"])
def test_gradient_values_are_clipped(run: Callable[..., Trained], monkeypatch: pytest.MonkeyPatch, norm: str) -> None:
    seen: list[float] = []
    step = torch.optim.AdamW.step

    def look(self: Any, *given: Any, **options: Any) -> Any:
        gradients = [one.grad for group in self.param_groups for one in group["params"] if one.grad is not None]
        seen.append(max(one.abs().max().item() for one in gradients))
        return step(self, *given, **options)

    monkeypatch.setattr(torch.optim.AdamW, "step", look)
    run("training.epochs=1", f"training.clip_norm={norm}", out="free")
    assert max(seen) > 1e-3
    seen.clear()
    run("training.epochs=1", f"training.clip_norm={norm}", "training.clip_value=0.001", out="clipped")
    assert seen
    assert max(seen) <= 0.001 * (1 + 1e-6)


@pytest.mark.slow
def test_two_processes_learn_one_set_of_centres(tiny_recipe: Path, tmp_path: Path, cache: Path) -> None:
    program = tmp_path / "program.py"
    program.write_text("from m3ser.cli.app import main\nmain()\n")
    settings = [
        *("--set", "model.options.dropout=0.0"),
        *("--set", "training.epochs=2"),
        *("--set", "training.loss={kind: contrastive-centre, weighting: learned}"),
    ]
    logs = []
    for count in (1, 2):
        out = tmp_path / str(count)
        launch = [sys.executable, "-m", "torch.distributed.run", "--standalone", f"--nproc_per_node={count}"]
        arguments = ["train", str(tiny_recipe), "--out", str(out), "--cache", str(cache), *settings]
        found = subprocess.run([*launch, str(program), *arguments], check=False, capture_output=True, text=True)
        assert found.returncode == 0, found.stderr
        logs.append([record["loss"] for record in json.loads((out / "log.json").read_text()) if "loss" in record])
    assert logs[0] == pytest.approx(logs[1], rel=5e-2)
