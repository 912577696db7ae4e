"""A whole training in seconds: a made-up IEMOCAP, and random encoders of transformers in their published layouts."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")
pytest.importorskip("accelerate")

import m3ser  # noqa: E402
from m3ser.corpora import get_reader  # noqa: E402
from m3ser.training import load_recipe  # noqa: E402
from m3ser.training.corpus import prepare  # noqa: E402
from m3ser.training.run import Trained, train  # noqa: E402

RECIPE = """\
name: tiny
data: {{kind: corpus, corpora: {{iemocap: {corpus}}}, protocol: session}}
audio_encoder: {{kind: whisper, source: {encoders}/whisper, step_seconds: 0.2, statistics: mean+std}}
text_encoder: {{kind: text, source: {encoders}/bert}}
model: {{system: 3m-ser-ln, options: {{fusion_dim: 16, num_heads: 2, dropout: 0.1}}, scale_audio: true}}
training: {{epochs: 4, batch_size: 8, learning_rate: 0.003}}
"""


GERMAN = {"angry": "W", "happy": "F", "sad": "T", "neutral": "N"}
SENTENCES = {
    "angry": ["I hate this stupid thing so much", "stop it right now you idiot"],
    "happy": ["what a wonderful day that was", "we won and I love it"],
    "sad": ["I miss her every single day", "nothing will ever be good again"],
    "neutral": ["the train leaves at nine tomorrow", "there are four chairs in here"],
}
LABELS = {"angry": 2, "happy": 17, "sad": 25, "neutral": 27}


@pytest.fixture(scope="session")
def tiny_encoders(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with ``whisper`` and ``bert``, each of 2 layers and width 16, random."""
    from tokenizers import Tokenizer, models, pre_tokenizers, processors

    root = tmp_path_factory.mktemp("encoders")
    torch.manual_seed(0)
    whisper = transformers.WhisperConfig(
        vocab_size=60,
        num_mel_bins=80,
        d_model=16,
        encoder_layers=2,
        decoder_layers=1,
        encoder_attention_heads=2,
        decoder_attention_heads=2,
        encoder_ffn_dim=24,
        decoder_ffn_dim=24,
        pad_token_id=0,
        bos_token_id=1,
        eos_token_id=2,
        decoder_start_token_id=1,
    )
    transformers.WhisperModel(whisper).save_pretrained(root / "whisper")
    bert = transformers.BertConfig(
        vocab_size=130, hidden_size=16, num_hidden_layers=2, num_attention_heads=2, intermediate_size=24
    )
    transformers.BertModel(bert).save_pretrained(root / "bert")
    letters = [chr(code) for code in range(ord("a"), ord("z") + 1)]
    pieces = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", *letters, *(f"##{letter}" for letter in letters)]
    tokenizer = Tokenizer(models.WordPiece({piece: i for i, piece in enumerate(pieces)}, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.post_processor = processors.BertProcessing(("[SEP]", 3), ("[CLS]", 2))
    tokenizer.save(str(root / "bert" / "tokenizer.json"))
    return root


@pytest.fixture(scope="session")
def speech_source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A random wav2vec 2.0 of 2 blocks and width 16."""
    torch.manual_seed(0)
    config = transformers.Wav2Vec2Config(
        hidden_size=16,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=24,
        conv_dim=[8] * 7,
        num_conv_pos_embeddings=16,
        num_conv_pos_embedding_groups=2,
    )
    folder = tmp_path_factory.mktemp("speech") / "wav2vec2"
    transformers.Wav2Vec2Model(config).save_pretrained(folder)
    return folder


@pytest.fixture(scope="session")
def tiny_recipe(
    tmp_path_factory: pytest.TempPathFactory, tiny_encoders: Path, iemocap_tree: Callable[..., Any]
) -> Path:
    """A recipe for `session` on three made-up sessions."""
    corpus = iemocap_tree(sessions=3, turns=6, labels=("ang", "hap", "sad", "neu"), seconds=(0.4, 0.9))
    path = tmp_path_factory.mktemp("recipes") / "tiny.yaml"
    path.write_text(RECIPE.format(corpus=corpus.root, encoders=tiny_encoders), encoding="utf-8")
    return path


@pytest.fixture
def voice(tiny_recipe: Path, tmp_path: Path) -> Path:
    """A recipe that looks at voices alone, and teaches the upper block of the tiny recipe's audio encoder."""
    path = tmp_path / "voice.yaml"
    text = tiny_recipe.read_text(encoding="utf-8")
    model = "model: {system: audio-only, options: {pooling: mean}, scale_audio: true}\n"
    lines = [line for line in text.splitlines() if not line.startswith(("name", "text_encoder", "model", "training"))]
    lines = [line.replace("kind: whisper", "kind: whisper, frozen: {first: 1}") for line in lines]
    path.write_text(
        "\n".join(["name: tiny-voice", *lines, model, "training: {epochs: 1, learning_rate: 0.01}"]), encoding="utf-8"
    )
    return path


@pytest.fixture
def run(tiny_recipe: Path, tmp_path: Path) -> Callable[..., Trained]:
    """Train the tiny recipe for two epochs, with further settings."""

    def start(*settings: str, out: str = "run") -> Trained:
        recipe = load_recipe(tiny_recipe, ["training.epochs=2", *settings])
        return train(recipe, prepare(recipe.data), tmp_path / out, cache=tmp_path / "cache")

    return start


@pytest.fixture(scope="session")
def paired_corpora(tmp_path_factory: pytest.TempPathFactory) -> Path:
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
