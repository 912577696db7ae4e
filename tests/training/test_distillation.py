"""A model that is taught by another one, trained before on the same fold."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("transformers")

from torch.nn import functional  # noqa: E402

from m3ser.errors import RecipeError  # noqa: E402
from m3ser.training import distillation, load_recipe  # noqa: E402
from m3ser.training import run as run_module  # noqa: E402
from m3ser.training.corpus import prepare  # noqa: E402
from m3ser.training.distillation import Targets, distillation_loss, targets_of  # noqa: E402
from m3ser.training.earlier import taught_by, teacher_of  # noqa: E402
from m3ser.training.examples import Example, example_of, under  # noqa: E402
from m3ser.training.judging import logits_of  # noqa: E402
from m3ser.training.recipe import Recipe  # noqa: E402
from m3ser.training.run import Trained, train  # noqa: E402
from m3ser.training.states import Recording  # noqa: E402

pytestmark = pytest.mark.filterwarnings("ignore")


@pytest.fixture
def taught(tiny_recipe: Path, voice: Path) -> Callable[..., Recipe]:
    """The tiny recipe with that teacher."""

    def load(*settings: str, teacher: Path = voice) -> Recipe:
        told = f"training.distillation={{teacher: {teacher}, weight: 1.0, temperature: 2.0}}"
        alone = "training.modalities={audio_alone: 0.5, text_alone: 0.2}"
        return load_recipe(tiny_recipe, ["training.epochs=1", told, alone, *settings])

    return load


def test_the_loss_is_the_divergence_from_what_the_teacher_thinks() -> None:
    torch.manual_seed(0)
    logits, wanted = torch.randn(5, 4, requires_grad=True), torch.randn(5, 4)
    wanted[1] = wanted[3] = math.nan
    found = distillation_loss(logits, wanted, temperature=2.0)
    expected = 0.0
    for row in (0, 2, 4):
        teacher, student = functional.softmax(wanted[row] / 2, 0), functional.log_softmax(logits[row] / 2, 0)
        expected += float((teacher * (teacher.log() - student)).sum().detach()) * 4 / 5
    assert float(found.detach()) == pytest.approx(expected, rel=1e-5)
    found.backward()
    assert logits.grad is not None
    assert torch.isfinite(logits.grad).all()
    assert (logits.grad[[1, 3]] == 0).all()
    assert float(distillation_loss(wanted[[0]] + 3.0, wanted[[0]], temperature=2.0)) == pytest.approx(0.0, abs=1e-6)


def test_targets_are_of_what_is_shown() -> None:
    recording = Recording(Path("a.wav"))
    targets = Targets({(recording, None): torch.arange(4.0)})
    found = targets.of([Example(recording, None, 0), Example(recording, "words", 0), Example(None, "words", 0)])
    assert found[0].tolist() == [0, 1, 2, 3]
    assert torch.isnan(found[1:]).all()


def test_the_teacher_is_trained_on_the_same_fold_and_asked_about_its_training_part(
    taught: Callable[..., Recipe], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[tuple[Trained, Targets]] = []

    def observed(teacher: Trained, training: object, **options: object) -> Targets:
        asked.append((teacher, targets_of(teacher, training, **options)))  # type: ignore[arg-type]
        return asked[-1][1]

    monkeypatch.setattr(run_module, "targets_of", observed)
    recipe = taught()
    trained = train(recipe, prepare(recipe.data), tmp_path / "run", fold=2, cache=tmp_path / "cache")
    (teacher, targets) = asked[0]
    assert teacher.folder == tmp_path / "run" / "teacher"
    assert teacher.recipe.name == "tiny-voice"
    assert teacher.recipe.data == recipe.data

    def recordings(of: Trained, part: str) -> set[Path | None]:
        return {one.audio for one in of.part(part)[0]}

    for part in ("train", "validation", "test"):
        assert recordings(teacher, part) == recordings(trained, part)
    # Each voice of the training part by itself, and what the teacher, whose encoder has learnt, says of it.
    assert {recording.path for recording, _ in targets.logits if recording} == recordings(trained, "train")
    assert {text for _, text in targets.logits} == {None}
    shown = [
        under("audio", example_of(one, recipe.data.emotion_scheme)) for one in teacher.part("train")[0] if one.audio
    ]
    model = distillation.trainee(
        teacher.fusion, teacher.encoders, distillation.CrossEntropy(), adversary=None, state_dropout=0.0
    )
    wanted = logits_of(model, teacher.material)([one for one in shown if one is not None])
    torch.testing.assert_close(targets.of([one for one in shown if one]), torch.from_numpy(wanted), atol=1e-4, rtol=0)


def test_what_it_thinks_is_learnt(taught: Callable[..., Recipe], tiny_recipe: Path, tmp_path: Path) -> None:
    recipe = taught("training.epochs=3", "training.learning_rate=0.01", "training.distillation.weight=20.0")
    prepared = prepare(recipe.data)
    own = train(recipe, prepared, tmp_path / "taught", cache=tmp_path / "cache")
    plain_recipe = recipe.model_copy(update={"training": recipe.training.model_copy(update={"distillation": None})})
    plain = train(plain_recipe, prepared, tmp_path / "plain", cache=tmp_path / "cache")
    teacher = train(
        teacher_of(recipe),  # type: ignore[arg-type]
        prepared.only(1, once=True),
        tmp_path / "taught" / "teacher",
        cache=tmp_path / "cache",
        resume=True,
    )
    examples = [example_of(one, recipe.data.emotion_scheme) for one in own.part("train")[0]]
    alone = [shown for one in examples if (shown := under("audio", one)) is not None]
    targets = targets_of(teacher, examples, device="cpu").of(alone)

    def away(trained: Trained) -> float:
        found = torch.from_numpy(logits_of(trained.fusion, trained.material)(alone))
        return float(distillation_loss(found, targets, temperature=2.0))

    assert away(own) < 0.5 * away(plain)


def test_interrupted_it_comes_to_the_same(taught: Callable[..., Recipe], tmp_path: Path) -> None:
    recipe = taught()
    prepared = prepare(recipe.data)
    whole = train(recipe, prepared, tmp_path / "whole", cache=tmp_path / "cache")
    # The teacher had been finished when it was interrupted.
    (tmp_path / "begun").mkdir()
    (tmp_path / "whole" / "teacher").rename(tmp_path / "begun" / "teacher")
    again = train(recipe, prepared, tmp_path / "begun", cache=tmp_path / "cache", resume=True)
    for name, value in whole.fusion.state_dict().items():
        torch.testing.assert_close(again.fusion.state_dict()[name], value)
    # A finished run wants no teacher any more.
    assert train(recipe, prepared, tmp_path / "whole", cache=tmp_path / "cache", resume=True).scores == whole.scores


def test_what_makes_no_sense(taught: Callable[..., Recipe], tiny_recipe: Path, tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match="mixup and distillation exclude each other"):
        taught("training.mixup=0.3")
    with pytest.raises(RecipeError, match="cannot be read"):
        teacher_of(taught(teacher=tmp_path / "none.yaml"))
    pupil = tmp_path / "pupil.yaml"
    text = tiny_recipe.read_text(encoding="utf-8")
    pupil.write_text(text.replace("training: {", "training: {distillation: {teacher: x.yaml}, "), encoding="utf-8")
    with pytest.raises(RecipeError, match="has a teacher of its own; name that one"):
        teacher_of(taught(teacher=pupil))


def test_the_model_card_tells(taught: Callable[..., Recipe], voice: Path) -> None:
    (sentence,) = taught_by(taught())
    assert sentence == (
        f"It was also taught by a model that was trained before, by the recipe `{voice}`, on the same part."
    )
