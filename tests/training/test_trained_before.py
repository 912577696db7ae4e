"""Encoders that another recipe trains before, on each fold by itself: ``source: recipe:NAME``."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterable
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("transformers")

from m3ser import models  # noqa: E402
from m3ser.audio import FRONT_ENDS  # noqa: E402
from m3ser.corpora import read_manifest  # noqa: E402
from m3ser.errors import RecipeError  # noqa: E402
from m3ser.evaluation import Question, read_predictions  # noqa: E402
from m3ser.schema import Utterance  # noqa: E402
from m3ser.training import load_recipe  # noqa: E402
from m3ser.training.corpus import prepare  # noqa: E402
from m3ser.training.crossval import crossvalidate  # noqa: E402
from m3ser.training.encoding import load_encoders, prepare_material  # noqa: E402
from m3ser.training.evaluating import RunRespondent  # noqa: E402
from m3ser.training.examples import example_of  # noqa: E402
from m3ser.training.recipe import PairedRecipe, Recipe  # noqa: E402
from m3ser.training.run import train  # noqa: E402
from m3ser.training.states import Recording  # noqa: E402

pytestmark = pytest.mark.filterwarnings("ignore")


@pytest.fixture
def staged(tiny_recipe: Path, voice: Path) -> Callable[..., Recipe]:
    """The tiny recipe on what the other makes of its audio encoder."""

    def load(*settings: str) -> Recipe:
        return load_recipe(tiny_recipe, ["training.epochs=1", f"audio_encoder.source=recipe:{voice}", *settings])

    return load


def weights(encoder: torch.nn.Module) -> dict[str, torch.Tensor]:
    return dict(encoder.state_dict())


def names(utterances: Iterable[Utterance], part: str) -> set[str]:
    return {u.audio.name for u in utterances if u.audio is not None and u.split == part}


def same(one: torch.nn.Module, other: torch.nn.Module) -> bool:
    return all(torch.equal(value, weights(other)[name]) for name, value in weights(one).items())


def test_each_fold_has_an_encoder_that_heard_its_own_training_part_alone(
    staged: Callable[..., Recipe], tmp_path: Path
) -> None:
    recipe = staged("training.profiles=0.5")
    prepared = prepare(recipe.data)
    crossvalidate(recipe, tmp_path / "out", seeds=[3], cache=tmp_path / "cache", only=[1, 2])
    found = []
    for number in (1, 2):
        run = tmp_path / "out" / "seed3" / f"fold{number}"
        taught = read_manifest(run / "audio_encoder" / "split.csv", check_audio=False).utterances
        own, _ = prepared.fold(number)
        for part in ("train", "validation", "test"):
            assert names(taught, part) == names(own, part)
        before = load_recipe(run / "audio_encoder" / "recipe.yaml")
        assert before.seed == 3
        assert before.data == recipe.data
        whole = models.load(run / "model")
        assert same(models.load(run / "audio_encoder" / "model").audio_encoder, whole.audio_encoder)
        assert whole.audio_encoder.computed_once
        assert not same(whole.audio_encoder, load_encoders(recipe).audio)
        found.append(whole.audio_encoder)
    assert not same(*found)


def test_the_finished_run_answers_with_that_encoder(staged: Callable[..., Recipe], voice: Path, tmp_path: Path) -> None:
    recipe = staged()
    prepared = prepare(recipe.data)
    trained = train(recipe, prepared, tmp_path / "run", cache=tmp_path / "cache")
    tested, called = trained.part("test")
    table = read_predictions(tmp_path / "run" / "predictions.csv").where(condition="both")
    assert list(table.utterances) == list(called)
    voice.unlink()  # the run knows what it was trained by
    respondent = RunRespondent(tmp_path / "run", cache=tmp_path / "other")
    asked = [Question(n, "both", 0, u.audio, u.text) for u, n in zip(tested, called, strict=True)]
    np.testing.assert_allclose(np.stack(list(respondent.answer(asked))), table.probabilities, atol=1e-4)
    again = train(recipe, prepared, tmp_path / "run", cache=tmp_path / "cache", resume=True)
    shutil.move(tmp_path / "run" / "audio_encoder", tmp_path / "elsewhere")
    voice.write_text((tmp_path / "elsewhere" / "recipe.yaml").read_text(encoding="utf-8"), encoding="utf-8")
    alone = RunRespondent(tmp_path / "run", cache=tmp_path / "other")
    np.testing.assert_allclose(np.stack(list(alone.answer(asked))), table.probabilities, atol=1e-4)
    assert same(again.encoders.audio, trained.encoders.audio)


def test_its_states_begin_where_it_learnt_from(
    staged: Callable[..., Recipe], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What lies below is computed once for all folds; above it are the states that the whole encoder has, nearly."""
    recipe = staged()
    prepared = prepare(recipe.data)
    first, second = (
        train(recipe, prepared, tmp_path / f"run{fold}", fold=fold, cache=tmp_path / "cache") for fold in (1, 2)
    )
    for trained in (first, second):
        whole = models.load(trained.folder / "model").audio_encoder
        for recording in list(trained.material.audio)[:5]:
            features = torch.from_numpy(FRONT_ENDS[whole.front_end].features(recording.waveform()))[None]
            with torch.no_grad():
                expected = whole(features, torch.ones(features.shape[:2], dtype=torch.bool)).states[0].numpy()
            np.testing.assert_allclose(trained.material.audio[recording], expected, atol=0.02, rtol=0.02)
    # A third training of the upper block finds all of what lies below.
    monkeypatch.setattr(Recording, "waveform", None)
    train(recipe.model_copy(update={"seed": 1}), prepared, tmp_path / "run3", cache=tmp_path / "cache")


def test_recordings_that_are_longer_than_it_takes_at_once_are_heard_as_a_whole(
    staged: Callable[..., Recipe], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    recipe = staged()
    prepared = prepare(recipe.data)
    trained = train(recipe, prepared, tmp_path / "run", cache=tmp_path / "cache")
    encoders = load_encoders(recipe, run=tmp_path / "run")
    assert encoders.taught is not None
    monkeypatch.setattr(type(encoders.taught), "max_prefix", 30)
    examples = [example_of(one, recipe.data.emotion_scheme) for one in trained.utterances]
    found = prepare_material(encoders, examples, cache=tmp_path / "other").audio
    lengths = {len(one.audio.waveform()) // 320 for one in examples}
    assert min(lengths) < 30 < max(lengths)
    for example in examples:
        np.testing.assert_allclose(found[example.audio], trained.material.audio[example.audio], atol=0.02, rtol=0.02)


def test_what_was_trained_before_an_interruption_stays(
    staged: Callable[..., Recipe], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    recipe = staged()
    prepared = prepare(recipe.data)
    make = "m3ser.training.run.make_loss"
    original = __import__("m3ser.training.run", fromlist=["make_loss"]).make_loss
    calls = []

    def interrupted(*arguments: object) -> object:
        calls.append(arguments)
        if len(calls) == 2:
            raise KeyboardInterrupt
        return original(*arguments)

    with monkeypatch.context() as patched:
        patched.setattr(make, interrupted)
        with pytest.raises(KeyboardInterrupt):
            train(recipe, prepared, tmp_path / "run", cache=tmp_path / "cache")
    finished = tmp_path / "run" / "audio_encoder" / "scores.json"
    before = finished.stat().st_mtime_ns
    train(recipe, prepared, tmp_path / "run", cache=tmp_path / "cache", resume=True)
    assert finished.stat().st_mtime_ns == before
    assert (tmp_path / "run" / "scores.json").is_file()


def test_a_recording_in_several_pairs_is_heard_once(paired_corpora: Path) -> None:
    prepared = prepare(
        PairedRecipe.model_validate(
            {
                "root": paired_corpora,
                "voices": {"emodb": "emodb"},
                "sentences": {"goemotions": "goemotions"},
                "held_out": "speaker",
                "folds": 3,
                "shares": {"agree": 0.5, "neutral": 0.25, "conflict": 0.25},
                "per_clip": 2,
            }
        )
    )
    pairs, _ = prepared.fold(2)
    only = prepared.only(2, once=True)
    heard, called = only.fold(1)
    assert len(pairs) == 2 * len(heard)
    assert len({u.audio for u in heard}) == len(heard) == len(set(called))
    assert {(u.audio, u.split, u.emotion) for u in heard} == {(u.audio, u.split, u.emotion) for u in pairs}
    assert len(prepared.only(2).fold(1)[0]) == len(pairs)
    only.audited(1)
    with pytest.raises(RecipeError, match="Fold 4 is not one of the 3 folds"):
        prepared.only(4)


def test_part_of_the_way_is_an_average_of_weights(
    staged: Callable[..., Recipe], tiny_recipe: Path, tmp_path: Path
) -> None:
    recipe = staged("taught.audio=0.25")
    prepared = prepare(recipe.data)
    trained = train(recipe, prepared, tmp_path / "run", cache=tmp_path / "cache")
    began = weights(load_encoders(load_recipe(tiny_recipe)).audio)
    left = weights(models.load(tmp_path / "run" / "audio_encoder" / "model").audio_encoder)
    whole = models.load(tmp_path / "run" / "model").audio_encoder
    for name, value in weights(whole).items():
        torch.testing.assert_close(value, 0.75 * began[name] + 0.25 * left[name])
    assert any(not torch.equal(left[name], value) for name, value in weights(whole).items())
    recording = next(iter(trained.material.audio))
    features = torch.from_numpy(FRONT_ENDS[whole.front_end].features(recording.waveform()))[None]
    with torch.no_grad():
        expected = whole(features, torch.ones(features.shape[:2], dtype=torch.bool)).states[0].numpy()
    np.testing.assert_allclose(trained.material.audio[recording], expected, atol=0.02, rtol=0.02)


def test_what_is_trained_before_may_have_been_trained_before_itself(
    tiny_recipe: Path, voice: Path, tmp_path: Path
) -> None:
    longer = tmp_path / "longer.yaml"
    longer.write_text(
        f"extends: {voice}\nname: longer\naudio_encoder: {{source: 'recipe:{voice}'}}\n", encoding="utf-8"
    )
    recipe = load_recipe(tiny_recipe, ["training.epochs=1", f"audio_encoder.source=recipe:{longer}"])
    trained = train(recipe, prepare(recipe.data), tmp_path / "run", cache=tmp_path / "cache")
    first, second = (
        models.load(tmp_path / "run" / folder / "model").audio_encoder
        for folder in ("audio_encoder/audio_encoder", "audio_encoder")
    )
    assert same(second, trained.encoders.audio)
    assert not same(first, second)
    voice.unlink()
    longer.unlink()
    assert same(load_encoders(recipe, run=tmp_path / "run").audio, second)


def test_what_cannot_be_trained_before_is_said_in_a_sentence(
    tiny_recipe: Path, voice: Path, staged: Callable[..., Recipe], tmp_path: Path
) -> None:
    def refused(recipe: Recipe) -> str:
        with pytest.raises(RecipeError) as caught:
            train(recipe, prepare(recipe.data), tmp_path / "run", cache=tmp_path / "cache", resume=True)
        return str(caught.value)

    text = voice.read_text(encoding="utf-8")
    voice.write_text(text.replace("frozen: {first: 1}, ", ""), encoding="utf-8")
    assert refused(staged()).endswith("the training there left its audio encoder as it was.")
    source = str(load_recipe(tiny_recipe).audio_encoder.source)
    shutil.rmtree(tmp_path / "run")
    voice.write_text(text.replace(source, f"recipe:{voice}"), encoding="utf-8")
    assert refused(staged()) == f"Recipe '{voice}' takes its audio encoder from itself."
    with pytest.raises(RecipeError, match=r"taught\.text is for an encoder of an earlier training \(run: or recipe:\)"):
        staged("taught.text=0.5")
    voice.unlink()
    assert refused(staged()).startswith(f"Recipe '{voice}' cannot be read: there is no such file")
