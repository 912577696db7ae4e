"""A bundle small enough to compute by hand: real ONNX graphs, whose arithmetic NumPy repeats in `Arithmetic`.

The audio encoder depends on its whole window and has half as many steps as frames, so that windows, masks and steps all
show in the scores.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from m3ser import inference
from m3ser.audio import FRONT_ENDS
from m3ser.bundle import (
    AudioPart,
    Bundle,
    FusionPart,
    HeadPart,
    Manifest,
    NeutralPart,
    Temperature,
    TextPart,
    write_bundle,
)
from m3ser.inference import Recogniser
from m3ser.schema import Prediction
from m3ser.text import load_tokenizer

onnx = pytest.importorskip("onnx", reason="builds its bundle with onnx (the train extra)")

LABELS = ("angry", "happy", "sad", "neutral")
WORDS = ["i", "am", "fine", "no", "said", "never", "again", "you", "do", "not", "care", "jacket"]
TOKENS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", *WORDS]
MELS, AUDIO_DIM, TEXT_DIM = 80, 6, 5
TEMPERATURE = Temperature(both=2.0, audio=0.5, text=1.25)


@dataclass(frozen=True)
class Weights:
    """Everything the tiny model has learned, which is nothing."""

    audio: NDArray[np.float32]  # (mels, audio_dim)
    words: NDArray[np.float32]  # (vocabulary, text_dim)
    from_audio: NDArray[np.float32]  # (audio_dim, labels)
    from_text: NDArray[np.float32]  # (text_dim, labels)
    bias: NDArray[np.float32]  # (labels,)

    @classmethod
    def draw(cls, seed: int) -> Weights:
        rng = np.random.default_rng(seed)
        shapes = ((MELS, AUDIO_DIM), (len(TOKENS), TEXT_DIM), (AUDIO_DIM, 4), (TEXT_DIM, 4), (4,))
        return cls(*(rng.normal(size=shape).astype(np.float32) for shape in shapes))


class Arithmetic:
    """The tiny model, written independently of its graphs and of m3ser.inference."""

    def __init__(self, weights: Weights, folder: Path) -> None:
        self.weights = weights
        self.tokenizer = load_tokenizer(folder / "tokenizer.json", 16)

    def audio_states(self, waveform: NDArray[np.float32], cuts: Sequence[int] = ()) -> NDArray[np.float64]:
        """States of a waveform; `cuts`: the frames at which it is divided into windows."""
        features = FRONT_ENDS["whisper80"].features(waveform).astype(np.float64)
        windows = np.split(features, cuts)
        return np.concatenate([(window - 0.5 * window.mean(axis=0))[::2] @ self.weights.audio for window in windows])

    def text_states(self, text: str) -> NDArray[np.float64]:
        ids, _ = self.tokenizer.encode([text])
        return self.weights.words[ids[0]].astype(np.float64)

    def scores(
        self, waveform: NDArray[np.float32] | None, text: str | None, *, temperature: float, cuts: Sequence[int] = ()
    ) -> dict[str, float]:
        logits = self.weights.bias.astype(np.float64)
        if waveform is not None:
            logits = logits + self.audio_states(waveform, cuts).mean(axis=0) @ self.weights.from_audio
        if text is not None:
            logits = logits + self.text_states(text).mean(axis=0) @ self.weights.from_text
        shares = np.exp(logits / temperature)
        return dict(zip(LABELS, (shares / shares.sum()).tolist(), strict=True))


def _tensor(name: str, array: Any) -> Any:
    return onnx.numpy_helper.from_array(np.asarray(array), name)


def _serialise(nodes: list[Any], inputs: list[Any], outputs: list[Any], constants: list[Any]) -> bytes:
    graph = onnx.helper.make_graph(nodes, "tiny", inputs, outputs, constants)
    model = onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 17)], ir_version=8)
    onnx.checker.check_model(model, full_check=True)
    content: bytes = model.SerializeToString()
    return content


def _value(name: str, kind: str, *shape: str | int) -> Any:
    return onnx.helper.make_tensor_value_info(name, getattr(onnx.TensorProto, kind), list(shape))


def _masked_mean(sequence: str, mask: str, result: str, prefix: str, *, keepdims: int) -> list[Any]:
    """Nodes for the mean over axis 1 of what the mask says is real; zero where nothing is."""
    node = onnx.helper.make_node
    return [
        node("Cast", [mask], [prefix + "float"], to=onnx.TensorProto.FLOAT),
        node("Unsqueeze", [prefix + "float", "last"], [prefix + "weight"]),
        # Where, not Mul: whatever the padding holds, NaN included, must not reach the mean.
        node("Cast", [prefix + "weight"], [prefix + "real"], to=onnx.TensorProto.BOOL),
        node("Where", [prefix + "real", sequence, "zero"], [prefix + "kept"]),
        node("ReduceSum", [prefix + "kept", "one"], [prefix + "sum"], keepdims=keepdims),
        node("ReduceSum", [prefix + "weight", "one"], [prefix + "count"], keepdims=keepdims),
        node("Max", [prefix + "count", "unit"], [prefix + "divisor"]),
        node("Div", [prefix + "sum", prefix + "divisor"], [result]),
    ]


def _constants() -> list[Any]:
    return [
        _tensor("last", np.array([-1], np.int64)),
        _tensor("one", np.array([1], np.int64)),
        _tensor("zero", np.float32(0)),
        _tensor("unit", np.float32(1)),
    ]


def audio_graph(weights: Weights) -> bytes:
    node = onnx.helper.make_node
    return _serialise(
        [
            *_masked_mean("features", "mask", "mean", "a_", keepdims=1),
            node("Mul", ["mean", "half"], ["shift"]),
            node("Sub", ["features", "shift"], ["centred"]),
            node("Slice", ["centred", "start", "end", "one", "two"], ["halved"]),
            node("MatMul", ["halved", "weight"], ["states"]),
            node("Slice", ["mask", "start", "end", "one", "two"], ["states_mask"]),
        ],
        [_value("features", "FLOAT", "batch", "frames", MELS), _value("mask", "BOOL", "batch", "frames")],
        [_value("states", "FLOAT", "batch", "steps", AUDIO_DIM), _value("states_mask", "BOOL", "batch", "steps")],
        [
            *_constants(),
            _tensor("half", np.float32(0.5)),
            _tensor("start", np.array([0], np.int64)),
            _tensor("end", np.array([1 << 40], np.int64)),
            _tensor("two", np.array([2], np.int64)),
            _tensor("weight", weights.audio),
        ],
    )


def text_graph(weights: Weights) -> bytes:
    node = onnx.helper.make_node
    return _serialise(
        [
            node("Gather", ["words", "input_ids"], ["embedded"]),
            node("Unsqueeze", ["attention_mask", "last"], ["real"]),
            node("Where", ["real", "embedded", "zero"], ["states"]),
        ],
        [_value("input_ids", "INT64", "batch", "tokens"), _value("attention_mask", "BOOL", "batch", "tokens")],
        [_value("states", "FLOAT", "batch", "tokens", TEXT_DIM)],
        [*_constants(), _tensor("words", weights.words)],
    )


def fusion_graph(weights: Weights) -> bytes:
    node = onnx.helper.make_node
    return _serialise(
        [
            *_masked_mean("text", "text_mask", "text_mean", "t_", keepdims=0),
            *_masked_mean("audio", "audio_mask", "audio_mean", "a_", keepdims=0),
            node("MatMul", ["text_mean", "from_text"], ["text_part"]),
            node("MatMul", ["audio_mean", "from_audio"], ["audio_part"]),
            node("Add", ["text_part", "audio_part"], ["parts"]),
            node("Add", ["parts", "bias"], ["logits"]),
        ],
        [
            _value("text", "FLOAT", "batch", "tokens", TEXT_DIM),
            _value("text_mask", "BOOL", "batch", "tokens"),
            _value("audio", "FLOAT", "batch", "steps", AUDIO_DIM),
            _value("audio_mask", "BOOL", "batch", "steps"),
        ],
        [_value("logits", "FLOAT", "batch", len(LABELS))],
        [
            *_constants(),
            _tensor("from_text", weights.from_text),
            _tensor("from_audio", weights.from_audio),
            _tensor("bias", weights.bias),
        ],
    )


def tokenizer_json() -> bytes:
    import tokenizers
    from tokenizers import models, normalizers, pre_tokenizers, processors

    vocabulary = {token: i for i, token in enumerate(TOKENS)}
    tokenizer = tokenizers.Tokenizer(models.WordPiece(vocabulary, unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.BertNormalizer(lowercase=True)
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.post_processor = processors.BertProcessing(("[SEP]", 3), ("[CLS]", 2))
    tokenizer.add_special_tokens(TOKENS[:4])
    return str(tokenizer.to_str()).encode()


def manifest(**changes: Any) -> Manifest:
    values: dict[str, Any] = {
        "name": "tiny",
        "version": "3",
        "architecture": "3m-ser-ln",
        "scheme": "iemocap4",
        "labels": LABELS,
        "temperature": TEMPERATURE,
        "audio": AudioPart(graph="audio_encoder.onnx", front_end="whisper80", dim=AUDIO_DIM),
        "text": TextPart(
            graph="text_encoder.onnx", tokenizer="tokenizer.json", max_tokens=16, dim=TEXT_DIM, language="en"
        ),
        "fusion": FusionPart(graph="fusion.onnx"),
        "precision": "fp32",
        "licence": "CC0-1.0",
    }
    return Manifest(**(values | changes))


WEIGHTS = Weights.draw(0)


def _files() -> dict[str, Path | bytes]:
    return {
        "audio_encoder.onnx": audio_graph(WEIGHTS),
        "text_encoder.onnx": text_graph(WEIGHTS),
        "fusion.onnx": fusion_graph(WEIGHTS),
        "tokenizer.json": tokenizer_json(),
        "README.md": b"# tiny\n",
    }


def npy(array: NDArray[Any]) -> bytes:
    """An array as a .npy file."""
    file = io.BytesIO()
    np.save(file, array)
    return file.getvalue()


WriteBundle = Callable[..., Path]


@pytest.fixture(scope="session")
def write_tiny(tmp_path_factory: pytest.TempPathFactory) -> WriteBundle:
    """Write a tiny bundle to a folder of its own: `files` replaces files, other keywords replace manifest values."""

    def write(*, files: dict[str, bytes] | None = None, **changes: Any) -> Path:
        folder = tmp_path_factory.mktemp("bundle") / "tiny"
        return write_bundle(folder, manifest(**changes), _files() | (files or {})).folder

    return write


@pytest.fixture(scope="session")
def write_adaptable(write_tiny: WriteBundle) -> Callable[..., Path]:
    """Write a tiny bundle that takes profiles, of a given centre (AUDIO_DIM,); with a head.

    With `neutral`, how neutral recordings differ (AUDIO_DIM,), for profiles that say how much of them is neutral.
    """
    part = AudioPart(graph="audio_encoder.onnx", front_end="whisper80", dim=AUDIO_DIM, centre="audio_centre.npy")
    head = HeadPart(scheme="basic7", labels=LABELS, temperature=TEMPERATURE, fusion=FusionPart(graph="head.onnx"))

    def write(centre: NDArray[np.float32], neutral: NDArray[np.float32] | None = None) -> Path:
        files = {"audio_centre.npy": npy(centre), "head.onnx": fusion_graph(WEIGHTS)}
        if neutral is None:
            return write_tiny(files=files, audio=part, heads=(head,))
        told = part.model_copy(update={"neutral": NeutralPart(offset="audio_neutral.npy", share=0.25)})
        return write_tiny(files={**files, "audio_neutral.npy": npy(neutral)}, audio=told, heads=(head,))

    return write


@pytest.fixture(scope="session")
def tiny_folder(write_tiny: WriteBundle) -> Path:
    """The folder of the tiny bundle. Tests that damage one write their own."""
    return write_tiny()


@pytest.fixture(scope="session")
def tiny_bundle(tiny_folder: Path) -> Bundle:
    return Bundle.open(tiny_folder)


@pytest.fixture(scope="session")
def arithmetic(tiny_folder: Path) -> Arithmetic:
    """What the tiny bundle's scores must be."""
    return Arithmetic(WEIGHTS, tiny_folder)


@pytest.fixture(scope="session")
def recogniser(tiny_folder: Path) -> Recogniser:
    """The tiny bundle without a transcriber."""
    return inference.load(tiny_folder, transcriber=None, threads=1)


@pytest.fixture(scope="session")
def sound() -> Callable[..., NDArray[np.float32]]:
    """Noise of so many seconds whose loudness and colour change with time, so that no two windows are alike."""

    def draw(seconds: float, seed: int = 0) -> NDArray[np.float32]:
        rng = np.random.default_rng(seed)
        noise = rng.normal(size=round(seconds * 16000)).astype(np.float32)
        noise[1:] += np.linspace(-0.9, 0.9, len(noise) - 1, dtype=np.float32) * noise[:-1]
        return noise * np.linspace(0.01, 0.2, len(noise), dtype=np.float32)

    return draw


@pytest.fixture(scope="session")
def assert_scores() -> Callable[[Prediction, dict[str, float]], None]:
    """Check a prediction's scores by value, their order, their sum and the label."""

    def check(prediction: Prediction, expected: dict[str, float]) -> None:
        assert list(prediction.scores) == list(expected)
        np.testing.assert_allclose(list(prediction.scores.values()), list(expected.values()), atol=1e-5)
        assert sum(prediction.scores.values()) == pytest.approx(1, abs=1e-9)
        assert prediction.label == max(expected, key=lambda label: expected[label])

    return check
