"""A finished training is asked: the same as it said itself, and as the bundle that is made of it."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

torch = pytest.importorskip("torch")
pytest.importorskip("transformers")
pytest.importorskip("jiwer")

from typer.testing import CliRunner  # noqa: E402

from m3ser import inference  # noqa: E402
from m3ser.cli.app import app  # noqa: E402
from m3ser.corpora import write_manifest  # noqa: E402
from m3ser.errors import AudioTooShortError, DataError, M3serError  # noqa: E402
from m3ser.evaluation import PredictionTable, Question, answers, questions, read_predictions  # noqa: E402
from m3ser.files import Journal  # noqa: E402
from m3ser.training import load_recipe, states  # noqa: E402
from m3ser.training.corpus import prepare  # noqa: E402
from m3ser.training.evaluating import RunRespondent  # noqa: E402
from m3ser.training.run import Trained, train  # noqa: E402

pytestmark = pytest.mark.filterwarnings("ignore")


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cache")


@pytest.fixture(scope="module")
def trainings(tiny_recipe: Path, tmp_path_factory: pytest.TempPathFactory, cache: Path) -> Callable[..., Trained]:
    def start(*settings: str) -> Trained:
        recipe = load_recipe(tiny_recipe, ("training.epochs=2", "training.learning_rate=0.02", *settings))
        return train(recipe, prepare(recipe.data), tmp_path_factory.mktemp("runs") / "run", cache=cache)

    return start


@pytest.fixture(scope="module")
def trained(trainings: Callable[..., Trained]) -> Trained:
    return trainings()


@pytest.fixture(scope="module")
def test_part(trained: Trained, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A manifest of what the training was tested on."""
    return write_manifest(tmp_path_factory.mktemp("manifest") / "test.csv", trained.part("test")[0])


def evaluate(*arguments: object) -> Any:
    return CliRunner().invoke(app, ["evaluate", *map(str, arguments)], catch_exceptions=False)


def same(found: PredictionTable, expected: PredictionTable, *, within: float) -> None:
    """The same rows, whatever their order."""

    def rows(table: PredictionTable) -> dict[tuple[str, ...], Any]:
        cells = zip(table.utterances, table.conditions, table.speakers, table.truth.tolist(), strict=True)
        return dict(zip(cells, table.probabilities, strict=True))

    one, other = rows(found), rows(expected)
    assert set(one) == set(other)
    for cell in one:
        np.testing.assert_allclose(one[cell], other[cell], atol=within)


def test_a_training_says_again_what_it_said_of_its_test_part(
    trained: Trained, test_part: Path, tmp_path: Path, cache: Path
) -> None:
    result = evaluate(trained.folder, test_part, "--out", tmp_path / "out", "--cache", cache, "--json")
    assert result.exit_code == 0, result.output
    found = read_predictions(tmp_path / "out" / "predictions.csv")
    same(found, trained.predictions, within=1e-6)
    assert (set(found.folds), set(found.seeds.tolist())) == ({"fold1"}, {0})
    record = json.loads(result.stdout)
    for condition, scores in record["conditions"].items():
        assert scores["confusion"] == trained.scores["conditions"][condition]["confusion"]
        assert scores["brier_score"] == pytest.approx(trained.scores["conditions"][condition]["brier_score"])
    assert record["notes"] == []
    assert (record["model"], record["scheme"]) == ("tiny, seed 0, fold1", "iemocap4")


@pytest.mark.parametrize(
    "settings",
    [
        ("text_encoder.frozen=false", "training.epochs=1"),
        ("model={system: audio-only, options: {}, scale_audio: true}", "training.epochs=1"),
        ("model={system: text-only, options: {}}", "training.epochs=1"),
    ],
    ids=["encoder-that-learnt", "audio-only", "text-only"],
)
def test_other_models(
    trainings: Callable[..., Trained], test_part: Path, tmp_path: Path, cache: Path, settings: tuple[str, ...]
) -> None:
    trained = trainings(*settings)
    result = evaluate(trained.folder, test_part, "--out", tmp_path / "out", "--cache", cache)
    assert result.exit_code == 0, result.output
    same(read_predictions(tmp_path / "out" / "predictions.csv"), trained.predictions, within=1e-6)


def test_what_it_was_trained_on_is_said(trained: Trained, tmp_path: Path, cache: Path) -> None:
    respondent = RunRespondent(trained.folder, cache=cache)
    seen = [u for u in trained.utterances if u.split != "test"]
    assert respondent.trained_on(trained.utterances) == len(seen)
    manifest = write_manifest(tmp_path / "all.csv", [replace(u, split=None) for u in trained.utterances])
    result = evaluate(trained.folder, manifest, "--cache", cache, "--condition", "audio", "--json")
    assert f"this training saw {len(seen)} of the utterances itself" in json.loads(result.stdout)["notes"][0]


def test_a_model_is_asked_under_its_own_conditions_alone(
    trainings: Callable[..., Trained], test_part: Path, cache: Path
) -> None:
    trained = trainings("model={system: text-only, options: {}}", "training.epochs=1")
    result = evaluate(trained.folder, test_part, "--cache", cache, "--condition", "both")
    assert result.exit_code == 2
    assert "cannot be judged under both, only under text." in result.stderr


@pytest.fixture
def broken(trained: Trained, tmp_path: Path) -> list[Question]:
    """Questions about a good recording, and about ones that are no audio, too short, gone, and broken off."""
    good = trained.part("test")[0][0]
    assert good.audio is not None
    header = good.audio.read_bytes()
    contents = {"good": header, "junk": b"no audio at all", "short": None, "gone": None, "cut": header}
    found = []
    for name, content in contents.items():
        path = tmp_path / f"{name}.wav"
        if name == "short":
            soundfile = pytest.importorskip("soundfile")
            soundfile.write(path, np.random.default_rng(0).normal(scale=0.1, size=100), 16_000)
        elif name == "cut":
            # The header is right, and the samples are not numbers: only decoding shows it.
            soundfile = pytest.importorskip("soundfile")
            soundfile.write(path, np.full(16_000, np.nan), 16_000, subtype="FLOAT")
        elif content is not None:
            path.write_bytes(content)
        found.append(Question(name, "audio", 0, audio=path, text=None))
    return found


def test_what_cannot_be_used_takes_nothing_else_with_it(trained: Trained, broken: list[Question], cache: Path) -> None:
    respondent = RunRespondent(trained.folder, cache=cache)
    found = dict(zip([q.utterance for q in broken], respondent.answer(broken), strict=True))
    assert isinstance(found["good"], np.ndarray)
    assert found["good"].sum() == pytest.approx(1)
    for name in ("junk", "short", "gone", "cut"):
        assert isinstance(found[name], M3serError), name
        assert f"{name}.wav" in str(found[name])
    assert isinstance(found["short"], AudioTooShortError)


def test_nothing_usable_at_all(trained: Trained, broken: list[Question], cache: Path) -> None:
    found = list(RunRespondent(trained.folder, cache=cache).answer(broken[1:]))
    assert all(isinstance(one, M3serError) for one in found)
    assert list(RunRespondent(trained.folder, cache=cache).answer([])) == []


def test_long_lists_are_asked_in_pieces(trained: Trained, cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    utterances, names = trained.part("test")
    respondent = RunRespondent(trained.folder, cache=cache)
    asked = questions(utterances, names, condition="both", scheme=respondent.scheme)
    whole = [shares for _, shares in answers(respondent, asked, scheme=respondent.scheme, journal=Journal(None))]
    monkeypatch.setattr("m3ser.training.evaluating._CHUNK", 5)
    taken: list[Question] = []

    def watched() -> Iterator[Question]:
        for question in asked:
            taken.append(question)
            yield question

    stream = respondent.answer(watched())
    first = next(stream)
    assert len(taken) == 5
    np.testing.assert_allclose([first, *stream], np.array(whole), atol=1e-5)


def test_a_cross_validation_and_an_unfinished_training_are_refused(
    trained: Trained, test_part: Path, tmp_path: Path
) -> None:
    shutil.copytree(trained.folder, tmp_path / "cv" / "seed0" / "fold1")
    shutil.copy(trained.folder / "recipe.yaml", tmp_path / "cv")
    result = evaluate(tmp_path / "cv", test_part)
    assert result.exit_code == 1
    assert "is a cross-validation of 1 trainings, not one model; name one of them, such as '" in result.stderr
    assert str(Path("cv", "seed0", "fold1")) in result.stderr
    (tmp_path / "cv" / "seed0" / "fold1" / "scores.json").unlink()
    with pytest.raises(DataError, match="is not finished"):
        RunRespondent(tmp_path / "cv" / "seed0" / "fold1", cache=tmp_path)


TEMPERATURES = {"audio": 1.0, "text": 1.0, "both": 1.0}
"""Those that are fitted to a training of seconds level out what it says."""


@pytest.fixture(scope="module")
def uncalibrated(trained: Trained, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The run, with these temperatures."""
    folder = tmp_path_factory.mktemp("uncalibrated") / "run"
    shutil.copytree(trained.folder, folder)
    scores = json.loads((folder / "scores.json").read_text())
    (folder / "scores.json").write_text(json.dumps({**scores, "temperatures": TEMPERATURES}))
    return folder


@pytest.fixture(scope="module")
def exported(trained: Trained, tmp_path_factory: pytest.TempPathFactory) -> inference.BundleRespondent:
    """A bundle of the same training, in float32."""
    pytest.importorskip("onnxscript")
    from m3ser.audio import FRONT_ENDS
    from m3ser.bundle import AudioPart, FusionPart, Manifest, Temperature, TextPart, write_bundle
    from m3ser.training.exporting import export_audio_encoder, export_fusion, export_text_encoder

    audio, text, tokens = trained.encoders.audio, trained.encoders.text, trained.encoders.tokenizer_file
    assert audio is not None
    assert text is not None
    assert tokens is not None
    graphs = {
        "audio_encoder.onnx": export_audio_encoder(audio, FRONT_ENDS[audio.front_end].feature_shape),
        "text_encoder.onnx": export_text_encoder(text),
        "fusion.onnx": export_fusion(trained.fusion),
    }
    manifest = Manifest(
        name="tiny",
        version="1",
        architecture="3m-ser-ln",
        scheme="iemocap4",
        labels=trained.predictions.labels,
        temperature=Temperature(**TEMPERATURES),
        audio=AudioPart(graph="audio_encoder.onnx", front_end=audio.front_end, dim=audio.dim),
        text=TextPart(
            graph="text_encoder.onnx",
            tokenizer="tokenizer.json",
            max_tokens=trained.recipe.training.max_tokens,
            dim=text.dim,
            language="en",
        ),
        fusion=FusionPart(graph="fusion.onnx"),
        precision="fp32",
        licence="CC0-1.0",
    )
    files: dict[str, Path | bytes] = {name: graph.SerializeToString() for name, graph in graphs.items()}
    files |= {"tokenizer.json": tokens, "README.md": b"# tiny\n"}
    bundle = write_bundle(tmp_path_factory.mktemp("bundle") / "tiny", manifest, files)
    return inference.BundleRespondent(inference.load(bundle.folder, transcriber=None, threads=1))


@pytest.mark.slow
@pytest.mark.parametrize("condition", ["audio", "text", "both"])
def test_a_bundle_of_the_same_training_says_the_same(
    trained: Trained,
    uncalibrated: Path,
    exported: inference.BundleRespondent,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    condition: str,
) -> None:
    asked = questions(*trained.part("test"), condition=condition, scheme=exported.scheme)
    from_bundle = np.array(list(exported.answer(asked)))
    # A training of seconds says almost the same of all utterances: what counts is how far apart it tells them.
    apart = np.ptp(logits(from_bundle), axis=0).max()
    # The cache rounds states to float16.
    cached = np.array(list(RunRespondent(uncalibrated, cache=tmp_path / "half").answer(asked)))
    np.testing.assert_allclose(logits(cached), logits(from_bundle), rtol=0, atol=0.01 * apart)
    # Without that rounding both compute the same.
    plain = states._Store.__init__

    def unrounded(self: Any, *arguments: Any, stored: Any, **options: Any) -> None:
        plain(self, *arguments, stored=np.float32, **options)

    monkeypatch.setattr(states._Store, "__init__", unrounded)
    exact = np.array(list(RunRespondent(uncalibrated, cache=tmp_path / "whole").answer(asked)))
    np.testing.assert_allclose(logits(exact), logits(from_bundle), rtol=0, atol=0.001 * apart)
    np.testing.assert_allclose(exact, from_bundle, rtol=0, atol=1e-4)


def logits(shares: NDArray[np.float64]) -> NDArray[np.float64]:
    """As far as the probabilities know them: each row sums to 0."""
    found = np.log(shares)
    return np.asarray(found - found.mean(axis=1, keepdims=True))
