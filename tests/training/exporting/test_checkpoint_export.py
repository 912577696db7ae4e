"""A finished training to a bundle: the same answers, in every precision, for every kind of system."""

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

import m3ser
from m3ser.bundle import Bundle
from m3ser.errors import BundleError, CheckpointError, DataError, TextError
from m3ser.inference import Request
from m3ser.training import load_recipe
from m3ser.training.corpus import prepare
from m3ser.training.exporting.checkpoint_export import About, export_checkpoint
from m3ser.training.run import Trained, train

pytestmark = pytest.mark.filterwarnings("ignore")

MakeRun = Callable[..., Trained]


@pytest.fixture(scope="module")
def make_run(tiny_recipe: Path, tmp_path_factory: pytest.TempPathFactory) -> MakeRun:
    def make(*settings: str) -> Trained:
        folder = tmp_path_factory.mktemp("run")
        recipe = load_recipe(tiny_recipe, ["training.epochs=1", *settings])
        return train(recipe, prepare(recipe.data), folder / "run", cache=folder / "cache")

    return make


@pytest.fixture(scope="module")
def run(make_run: MakeRun) -> Trained:
    """3M-SER on a tiny Whisper and BERT, one epoch."""
    return make_run()


@pytest.fixture(autouse=True)
def draw_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """torch's exporter takes seconds for each graph; those of a training are the same in every test."""
    from m3ser.training.exporting import checkpoint_export

    draw = checkpoint_export._exported
    monkeypatch.setattr(
        checkpoint_export,
        "_exported",
        lambda checkpoint, progress: (
            DRAWN.get(checkpoint.folder) or DRAWN.setdefault(checkpoint.folder, draw(checkpoint, progress))
        ),
    )


DRAWN: dict[Path, Any] = {}


def asked(trained: Trained) -> list[Request]:
    """The test part's utterances as prediction takes them."""
    return [Request(u.audio, text=u.text, start=u.start, end=u.end) for u in trained.part("test")[0]]


def shares(recogniser: m3ser.inference.Recogniser, requests: list[Request]) -> np.ndarray:
    found = recogniser.predict_batch(requests)
    return np.array([[one.scores[label] for label in recogniser.labels] for one in found])


@pytest.mark.slow
def test_the_bundle_says_what_the_training_predicted(run: Trained, tmp_path: Path) -> None:
    done = export_checkpoint(run.folder, tmp_path / "bundle")
    assert done.parity.fp32.max_logit < 1e-4
    assert done.parity.fp32.agreement == 1
    assert done.parity.fp32.ua_change == 0
    assert done.parity.labelled
    recogniser = m3ser.load(tmp_path / "bundle", transcriber=None, threads=1)
    expected = run.predictions.where(condition="both").probabilities
    # A training keeps frozen encoders' states as float16.
    np.testing.assert_allclose(shares(recogniser, asked(run)), expected, atol=2e-3)


@pytest.mark.slow
def test_the_report_is_kept_in_the_bundle(run: Trained, tmp_path: Path) -> None:
    done = export_checkpoint(run.folder, tmp_path / "bundle", about=About(name="my model", licence="CC0-1.0"))
    kept = json.loads((tmp_path / "bundle" / "parity.json").read_text(encoding="utf-8"))
    assert kept == done.parity.to_dict()
    assert kept["measured_on"] == "the training's validation part"
    card = (tmp_path / "bundle" / "README.md").read_text(encoding="utf-8")
    assert "Licence of the weights: CC0-1.0" in card
    assert "| fp32 |" in card
    assert str(tmp_path) not in card
    assert Bundle.open(tmp_path / "bundle").manifest.full_name == "my-model@1"


@pytest.mark.slow
@pytest.mark.parametrize(("precision", "most"), [("fp16", 5e-3), ("int8-weights", 5e-2), ("int8", 0.1)])
def test_every_precision(run: Trained, tmp_path: Path, precision: Any, most: float) -> None:
    done = export_checkpoint(run.folder, tmp_path / "bundle", precision=precision)
    assert done.parity.stored is not None
    assert 0 < done.parity.stored.max_logit < most
    assert Bundle.open(tmp_path / "bundle").manifest.precision == precision


@pytest.mark.slow
def test_int8_gives_the_same_alone_and_in_a_batch(run: Trained, tmp_path: Path) -> None:
    export_checkpoint(run.folder, tmp_path / "bundle", precision="int8")
    recogniser = m3ser.load(tmp_path / "bundle", transcriber=None, threads=1)
    requests = asked(run)
    alone = np.concatenate([shares(recogniser, [one]) for one in requests])
    np.testing.assert_allclose(shares(recogniser, requests), alone, atol=1e-5)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("settings", "looks_at"),
    [
        (["model.system=audio-only", "model.options={}", "model.scale_audio=false"], ("audio",)),
        (["model.system=text-only", "model.options={}", "model.scale_audio=false"], ("text",)),
    ],
)
def test_a_system_of_one_modality(make_run: MakeRun, tmp_path: Path, settings: list[str], looks_at: Any) -> None:
    trained = make_run(*settings)
    done = export_checkpoint(trained.folder, tmp_path / "bundle")
    manifest = done.bundle.manifest
    assert manifest.modalities == looks_at
    if manifest.audio is not None:
        # A profile of recordings like those of its training hardly moves anything.
        training = [Request(u.audio, text=None) for u in trained.part("train")[0]]
        profile = m3ser.load(tmp_path / "bundle", transcriber=None).learn(training)
        usual = np.abs(np.asarray(profile.mean)).mean()
        assert np.abs(done.bundle.with_profile(profile).shift()).mean() < 0.1 * usual
    assert done.parity.fp32.max_logit < 1e-4
    recogniser = m3ser.load(tmp_path / "bundle", transcriber=None, threads=1)
    expected = trained.predictions.where(condition=looks_at[0]).probabilities
    np.testing.assert_allclose(shares(recogniser, asked(trained)), expected, atol=2e-3)
    (one,) = recogniser.predict_batch(asked(trained)[:1])
    assert one.text_source == ("given" if looks_at == ("text",) else "none")
    only_the_other: dict[str, Any] = {"audio": asked(trained)[0].audio} if looks_at == ("text",) else {"text": "Hello."}
    with pytest.raises(TextError, match="words alone" if looks_at == ("text",) else "voice alone"):
        recogniser.predict(**only_the_other)


@pytest.mark.slow
def test_word_vectors_bring_their_tokenizer(make_run: MakeRun, tmp_path: Path) -> None:
    vectors = tmp_path / "vectors.txt"
    vectors.write_text("".join(f"{letter} {i} {i % 3} 1\n" for i, letter in enumerate("abcdefgh")), encoding="utf-8")
    trained = make_run(
        "model.system=tre",
        "model.options={}",
        "model.scale_audio=false",
        f"text_encoder={{kind: word-vectors, source: {vectors}, frozen: false}}",
    )
    done = export_checkpoint(trained.folder, tmp_path / "bundle")
    assert done.bundle.manifest.text is not None
    assert not done.bundle.manifest.text.special_tokens
    assert done.parity.fp32.max_logit < 1e-4
    recogniser = m3ser.load(tmp_path / "bundle", transcriber=None, threads=1)
    expected = trained.predictions.where(condition="text").probabilities
    np.testing.assert_allclose(shares(recogniser, asked(trained)), expected, atol=1e-4)


@pytest.mark.slow
def test_without_the_corpus_noise_is_compared_and_said_so(run: Trained, tmp_path: Path, monkeypatch: Any) -> None:
    from m3ser.training.exporting.checkpoint import Checkpoint

    monkeypatch.setattr(Checkpoint, "utterances", lambda *_: ())
    done = export_checkpoint(run.folder, tmp_path / "bundle")
    assert done.parity.source == "noise"
    assert not done.parity.labelled
    assert done.parity.fp32.ua_change is None
    assert "noise was used" in done.parity.notes[0]
    assert done.bundle.manifest.audio is not None
    assert done.bundle.manifest.audio.centre is None, "where its training's recordings are not, its centre is not known"
    with pytest.raises(DataError, match="name a manifest by --calibrate"):
        export_checkpoint(run.folder, tmp_path / "int8", precision="int8")


@pytest.mark.slow
def test_a_manifest_to_calibrate_and_compare_on(run: Trained, tmp_path: Path, demo_clips: Path) -> None:
    manifest = demo_clips / "manifest.csv"
    done = export_checkpoint(run.folder, tmp_path / "bundle", precision="int8", calibrate=manifest, evaluate=manifest)
    assert done.parity.source == "'manifest.csv'"
    assert done.parity.ua is not None
    assert any("calibrated on" in note for note in done.parity.notes)


def test_what_cannot_be_exported_says_which_part(run: Trained, tmp_path: Path, monkeypatch: Any) -> None:
    from m3ser.encoders import WhisperEncoder

    monkeypatch.setattr(WhisperEncoder, "exportable", False)
    with pytest.raises(CheckpointError, match=r"The audio encoder of .* cannot be exported: padding leaks"):
        export_checkpoint(run.folder, tmp_path / "bundle")
    assert not (tmp_path / "bundle").exists()


@pytest.mark.slow
def test_what_the_exporter_cannot_draw_says_which_part(run: Trained, tmp_path: Path, monkeypatch: Any) -> None:
    from m3ser.training.exporting import checkpoint_export

    def refuse(*_: Any) -> None:
        raise RuntimeError("aten::mystery has no ONNX form")

    monkeypatch.setattr(checkpoint_export, "export_text_encoder", refuse)
    monkeypatch.setitem(DRAWN, run.folder, None)
    with pytest.raises(CheckpointError, match=r"The text encoder of .* \(TextEncoder\) cannot be exported.*mystery"):
        export_checkpoint(run.folder, tmp_path / "bundle")


@pytest.mark.slow
def test_a_bundle_that_is_there_is_not_replaced_unasked(run: Trained, tmp_path: Path, monkeypatch: Any) -> None:
    export_checkpoint(run.folder, tmp_path / "bundle")
    from m3ser.training.exporting import checkpoint_export

    with monkeypatch.context() as patched:
        # It says so before anything is loaded.
        patched.setattr(checkpoint_export, "load_checkpoint", lambda _: pytest.fail("loaded first"))
        with pytest.raises(BundleError, match="already exists"):
            export_checkpoint(run.folder, tmp_path / "bundle")
    export_checkpoint(run.folder, tmp_path / "bundle", overwrite=True)


def test_an_unfinished_training_is_refused(run: Trained, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="is not finished"):
        export_checkpoint(tmp_path, tmp_path / "bundle")
