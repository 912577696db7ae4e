"""Bundles of models that look at the voice alone, or at words alone."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from m3ser import inference
from m3ser.bundle import Bundle
from m3ser.errors import TextError
from m3ser.inference import BundleRespondent

onnx = pytest.importorskip("onnx")

from onnx import TensorProto, helper, numpy_helper  # noqa: E402

WIDTHS = {"audio": 6, "text": 5}


def fusion(modality: str) -> bytes:
    """The logits are the first four features of the mean over all steps, padded ones too: for one utterance alone."""
    width = WIDTHS[modality]
    constants = {"one": 1, "zero": 0, "four": 4}
    graph = helper.make_graph(
        [
            helper.make_node("ReduceMean", [modality], ["mean"], axes=[1], keepdims=0),
            helper.make_node("Slice", ["mean", "zero", "four", "one"], ["logits"]),
        ],
        "one",
        [
            helper.make_tensor_value_info(modality, TensorProto.FLOAT, ["batch", "steps", width]),
            helper.make_tensor_value_info(f"{modality}_mask", TensorProto.BOOL, ["batch", "steps"]),
        ],
        [helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["batch", 4])],
        [numpy_helper.from_array(np.array([value], np.int64), name) for name, value in constants.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    content: bytes = model.SerializeToString()
    return content


@pytest.fixture(scope="module")
def folders(write_tiny: Callable[..., Path]) -> dict[str, Path]:
    return {
        "audio": write_tiny(files={"fusion.onnx": fusion("audio")}, text=None),
        "text": write_tiny(files={"fusion.onnx": fusion("text")}, audio=None),
    }


@pytest.mark.parametrize("modality", ["audio", "text"])
def test_it_says_what_it_looks_at(folders: dict[str, Path], modality: str) -> None:
    assert Bundle.open(folders[modality]).manifest.modalities == (modality,)
    recogniser = inference.load(folders[modality], transcriber=None)
    assert BundleRespondent(recogniser).modalities == (modality,)


def test_the_voice_alone(folders: dict[str, Path], arithmetic: Any, sound: Any) -> None:
    recogniser = inference.load(folders["audio"], threads=1)
    assert recogniser.transcriber is None  # whatever is installed: nothing would read the words
    waveform = sound(1.3)
    expected = np.exp(arithmetic.audio_states(waveform).mean(axis=0)[:4] / 0.5)
    for words in ({}, {"text": "I am fine."}, {"text": None}):
        found = recogniser.predict(waveform, sample_rate=16_000, **words)
        np.testing.assert_allclose(list(found.scores.values()), expected / expected.sum(), atol=1e-5)
        assert (found.text, found.text_source) == (None, "none")
    with pytest.raises(TextError, match="Model 'tiny@3' listens to the voice alone, and there is no recording"):
        recogniser.predict(text="I am fine.")


def test_words_alone(folders: dict[str, Path], arithmetic: Any, sound: Any) -> None:
    recogniser = inference.load(folders["text"], transcriber=None, threads=1)
    expected = np.exp(arithmetic.text_states("I am fine.").mean(axis=0)[:4] / 1.25)
    for voice in ({}, {"audio": sound(1.0), "sample_rate": 16_000}):
        found = recogniser.predict(text="I am fine.", **voice)
        np.testing.assert_allclose(list(found.scores.values()), expected / expected.sum(), atol=1e-5)
        assert found.text_source == "given"
    assert found.duration == 1.0
    with pytest.raises(TextError, match="reads words alone, and there are none with"):
        recogniser.predict(sound(1.0), sample_rate=16_000)
