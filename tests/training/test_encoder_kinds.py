"""Every kind of encoder from a recipe to a saved model that says the same again."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")

from m3ser import models  # noqa: E402
from m3ser.errors import RecipeError  # noqa: E402
from m3ser.models import SpeechEmotionModel  # noqa: E402
from m3ser.training import load_recipe  # noqa: E402
from m3ser.training.corpus import prepare  # noqa: E402
from m3ser.training.encoding import load_encoders, prepare_material  # noqa: E402
from m3ser.training.examples import example_of  # noqa: E402
from m3ser.training.run import Trained, train  # noqa: E402

pytestmark = pytest.mark.filterwarnings("ignore")

Train = Callable[..., Trained]


@pytest.fixture
def run(tiny_recipe: Path, tmp_path: Path) -> Train:
    def start(*settings: str) -> Trained:
        fixed = ["training.epochs=2", "model.scale_audio=false", "model.system=audio-only", "model.options={}"]
        recipe = load_recipe(tiny_recipe, [*fixed, *settings])
        return train(recipe, prepare(recipe.data), tmp_path / "run", cache=tmp_path / "cache")

    return start


def logits_again(trained: Trained, modality: str = "audio") -> tuple[np.ndarray, np.ndarray]:
    """What was predicted of the first test utterance, and what the saved model makes of its raw input."""
    from m3ser.audio import FRONT_ENDS

    model = models.load(trained.folder / "model")
    assert isinstance(model, SpeechEmotionModel)
    one = example_of(trained.part("test")[0][0], trained.recipe.data.emotion_scheme)
    if modality == "audio":
        assert trained.encoders.audio is not None
        features = FRONT_ENDS[trained.encoders.audio.front_end].features(one.audio.waveform())
        inputs = {"features": torch.from_numpy(features)[None]}
    else:
        ids, _ = trained.encoders.tokens.encode([one.text])
        inputs = {"input_ids": torch.from_numpy(ids)}
    with torch.no_grad():
        found = model(**inputs).logits[0].softmax(0).numpy()
    temperature = trained.scores["temperatures"][modality]
    expected = np.asarray(trained.predictions.where(condition=modality).probabilities[0])
    with np.errstate(divide="ignore"):
        return np.exp(np.log(found) / temperature) / np.exp(np.log(found) / temperature).sum(), expected


@pytest.mark.parametrize(
    "encoder",
    [
        "{kind: speech, source: SOURCE, combine: mix, step_seconds: 0.1}",
        "{kind: speech, source: SOURCE, lora: {rank: 2, alpha: 4}}",
        "{kind: speech, source: SOURCE, frozen: {first: 1}}",
        "{kind: speech, source: SOURCE, frozen: false, layer: 1}",
    ],
)
def test_a_speech_encoder_that_learns(run: Train, speech_source: Path, encoder: str) -> None:
    pytest.importorskip("peft")
    trained = run(f"audio_encoder={encoder.replace('SOURCE', str(speech_source))}")
    found, expected = logits_again(trained)
    np.testing.assert_allclose(found, expected, atol=2e-3)  # frozen states are kept as float16


def test_a_mix_is_learnt_while_the_encoder_stays(run: Train, speech_source: Path) -> None:
    trained = run(f"audio_encoder={{kind: speech, source: {speech_source}, combine: mix}}")
    saved = models.load(trained.folder / "model")
    assert isinstance(saved, SpeechEmotionModel)
    assert bool(saved.audio_encoder.mix.scores.any())  # they were all zero
    before = transformers.Wav2Vec2Model.from_pretrained(speech_source).state_dict()
    for name, weight in saved.audio_encoder.model.state_dict().items():
        assert torch.equal(weight, before[name])


@pytest.mark.parametrize(
    ("text", "learnt"),
    [
        ("combine: mix", "mix.scores"),
        ("frozen: {first: 1}", "model.encoder.layer.1."),
        ("lora: {rank: 2, alpha: 4}", "lora_B"),
    ],
)
def test_a_text_encoder_that_learns_in_part(run: Train, tiny_encoders: Path, text: str, learnt: str) -> None:
    pytest.importorskip("peft")
    settings = ["model.system=text-only", f"text_encoder={{kind: text, source: {tiny_encoders}/bert, {text}}}"]
    trained = run(*settings)
    found, expected = logits_again(trained, "text")
    np.testing.assert_allclose(found, expected, atol=2e-3)
    saved = models.load(trained.folder / "model")
    assert isinstance(saved, SpeechEmotionModel)
    assert all(
        learnt in name for name, w in saved.text_encoder.named_parameters() if w.requires_grad and "lora_A" not in name
    )


@pytest.mark.parametrize("frozen", ["true", "false"])
def test_word_vectors(run: Train, tmp_path: Path, frozen: str) -> None:
    vectors = tmp_path / "vectors.txt"
    vectors.write_text("".join(f"{letter} {i} {i % 3} 1\n" for i, letter in enumerate("abcdefgh")), encoding="utf-8")
    trained = run("model.system=text-only", f"text_encoder={{kind: word-vectors, source: {vectors}, frozen: {frozen}}}")
    assert trained.encoders.text.dim == 3
    if frozen == "false":
        found, expected = logits_again(trained, "text")
        np.testing.assert_allclose(found, expected, atol=1e-4)


@pytest.mark.parametrize("kind", ["{kind: mfcc, normalise: true, functionals: egemaps}", "{kind: egemaps}"])
def test_acoustic_features_are_states_that_are_kept_exactly(run: Train, kind: str) -> None:
    pytest.importorskip("opensmile")
    trained = run(f"audio_encoder={kind}", "training.epochs=1")
    assert trained.encoders.all_frozen
    recording = example_of(trained.utterances[0], trained.recipe.data.emotion_scheme).audio
    from m3ser.audio import FRONT_ENDS

    features = FRONT_ENDS[trained.encoders.audio.front_end].features(recording.waveform())
    np.testing.assert_array_equal(trained.material.audio[recording][:, -88:], features[:, -88:])


def test_options_of_an_encoder_never_share_states(tiny_recipe: Path, speech_source: Path, tmp_path: Path) -> None:
    """Layers 0 and 1 are of one width and, with both in the module, of the same weights."""
    shown: list[Any] = []
    for layer in ("[0, 2]", "[1, 2]"):
        spec = f"audio_encoder={{kind: speech, source: {speech_source}, layer: {layer}}}"
        recipe = load_recipe(tiny_recipe, [spec, "model.scale_audio=false"])
        utterance = prepare(recipe.data).fold(1)[0][0]
        one = example_of(utterance, recipe.data.emotion_scheme)
        shown.append(prepare_material(load_encoders(recipe), [one], cache=tmp_path / "cache").audio[one.audio])
    assert shown[0].shape == shown[1].shape
    assert not np.allclose(shown[0][:, :16], shown[1][:, :16])


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        (["training.encoder_learning_rate=1e-5"], "encoder_learning_rate is for encoders that learn; all are frozen"),
        (["audio_encoder={kind: speech, source: x, frozen: {last: 1}}"], "frozen"),
        (["audio_encoder={kind: mfcc, frozen: false}"], "no weights that could learn"),
    ],
)
def test_a_recipe_that_cannot_work_says_why(tiny_recipe: Path, settings: list[str], words: str) -> None:
    with pytest.raises(RecipeError, match=words):
        load_recipe(tiny_recipe, settings)


def test_a_pair_of_encoder_and_tokenizer_that_cannot_work_says_why(tiny_recipe: Path) -> None:
    with pytest.raises(RecipeError, match=r"training\.max_tokens is 600; '.*bert' takes at most 512 tokens"):
        load_encoders(load_recipe(tiny_recipe, ["training.max_tokens=600"]))


def test_a_tokenizer_of_another_vocabulary_is_refused(tiny_recipe: Path, tiny_encoders: Path, tmp_path: Path) -> None:
    import shutil

    source = tmp_path / "bert"
    shutil.copytree(tiny_encoders / "bert", source)
    text = (source / "tokenizer.json").read_text(encoding="utf-8").replace('"##z": 55', '"##z": 999')
    text = text.replace('"##z":55', '"##z":999')
    (source / "tokenizer.json").write_text(text, encoding="utf-8")
    with pytest.raises(RecipeError, match="gives token ids up to 999; its model knows 130 tokens"):
        load_encoders(load_recipe(tiny_recipe, [f"text_encoder={{kind: text, source: {source}}}"]))
