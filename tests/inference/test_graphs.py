"""ONNX Runtime sessions: made once, when needed, and refused when they are not what the bundle says."""

from __future__ import annotations

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from m3ser.bundle import AudioPart, Bundle, TextPart
from m3ser.errors import BundleError, UsageError
from m3ser.inference.graphs import Graphs, SessionSettings

onnx = pytest.importorskip("onnx")
onnxruntime = pytest.importorskip("onnxruntime")


@pytest.fixture
def count_sessions(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Grows by one, the size in bytes of its graph, for every session that is made."""
    made: list[int] = []
    real = onnxruntime.InferenceSession

    def make(content: bytes, **options: Any) -> Any:
        made.append(len(content))
        return real(content, **options)

    monkeypatch.setattr(onnxruntime, "InferenceSession", make)
    return made


def run_text(graphs: Graphs) -> Any:
    return graphs.text.run(np.array([[2, 4, 3]], np.int64), np.ones((1, 3), np.bool_))[0]


def test_a_graph_is_loaded_when_first_run_and_only_once(tiny_bundle: Bundle, count_sessions: list[int]) -> None:
    graphs = Graphs(tiny_bundle, SessionSettings())
    assert count_sessions == []
    run_text(graphs)
    run_text(graphs)
    assert count_sessions == [tiny_bundle.path("text_encoder.onnx").stat().st_size]


def test_threads_that_come_together_load_it_once(tiny_bundle: Bundle, count_sessions: list[int]) -> None:
    graphs = Graphs(tiny_bundle, SessionSettings(threads=1))
    with ThreadPoolExecutor(8) as pool:
        results = list(pool.map(lambda _: run_text(graphs), range(8)))
    assert len(count_sessions) == 1
    for result in results:
        np.testing.assert_array_equal(result, results[0])


class TestSettings:
    @pytest.mark.parametrize("threads", [0, -1])
    def test_threads_below_one(self, threads: int) -> None:
        with pytest.raises(UsageError, match="1 or more"):
            SessionSettings(threads=threads)

    def test_unknown_provider_lists_the_known_ones(self) -> None:
        with pytest.raises(UsageError, match=r"'AbacusExecutionProvider'.*CPUExecutionProvider"):
            SessionSettings(providers=("AbacusExecutionProvider", "CPUExecutionProvider"))

    def test_no_provider(self) -> None:
        with pytest.raises(UsageError, match="CPUExecutionProvider"):
            SessionSettings(providers=())


class TestRefusal:
    """What the hashes cannot catch: a bundle that was written with the wrong content."""

    def refused(self, folder: Path, part: str, *fragments: str) -> None:
        graphs = Graphs(Bundle.open(folder), SessionSettings())
        with pytest.raises(BundleError) as caught:
            getattr(graphs, part).load()
        message = str(caught.value)
        for fragment in fragments:
            assert fragment in message
        assert "\n" not in message

    @pytest.mark.parametrize("damage", [lambda b: b[: len(b) // 2], lambda b: b"", lambda b: b"not a graph"])
    def test_not_a_graph(
        self, write_tiny: Callable[..., Path], tiny_bundle: Bundle, damage: Callable[[bytes], bytes]
    ) -> None:
        content = damage(tiny_bundle.path("fusion.onnx").read_bytes())
        folder = write_tiny(files={"fusion.onnx": content})
        self.refused(folder, "fusion", "'fusion.onnx'", "not one that ONNX Runtime can load")

    def test_another_graph(self, write_tiny: Callable[..., Path], tiny_bundle: Bundle) -> None:
        folder = write_tiny(files={"fusion.onnx": tiny_bundle.path("text_encoder.onnx").read_bytes()})
        self.refused(folder, "fusion", "input_ids, attention_mask", "expected text, text_mask, audio, audio_mask")

    def test_another_width(self, write_tiny: Callable[..., Path]) -> None:
        text = TextPart(graph="text_encoder.onnx", tokenizer="tokenizer.json", max_tokens=16, dim=7, language="en")
        self.refused(write_tiny(text=text), "text", "vectors of 5", "bundle.json says 7")

    def test_another_number_of_labels(self, write_tiny: Callable[..., Path]) -> None:
        self.refused(write_tiny(labels=("angry", "sad")), "fusion", "vectors of 4", "bundle.json says 2")

    @pytest.mark.parametrize(
        ("logits", "declared", "shape"),
        [
            (1.0, [], r"\(\)"),
            ([[1.0, 2, 3, 4]], [1, 4], r"\(1, 4\)"),
            ([[1.0, 2, 3, 4]] * 3, ["rows", 4], r"\(3, 4\)"),
        ],
    )
    def test_logits_of_another_shape(
        self, write_tiny: Callable[..., Path], tiny_bundle: Bundle, logits: Any, declared: list[Any], shape: str
    ) -> None:
        """One row for two utterances would be broadcast: both would get the same answer, and nobody would know."""
        model = onnx.load(tiny_bundle.path("fusion.onnx"))
        output = onnx.helper.make_tensor_value_info("logits", onnx.TensorProto.FLOAT, declared)
        constant = onnx.numpy_helper.from_array(np.asarray(logits, np.float32), "constant")
        drawn = onnx.helper.make_graph(
            [onnx.helper.make_node("Identity", ["constant"], ["logits"])],
            "constant",
            list(model.graph.input),
            [output],
            [constant],
        )
        content = onnx.helper.make_model(drawn, opset_imports=[onnx.helper.make_opsetid("", 17)], ir_version=8)
        folder = write_tiny(files={"fusion.onnx": content.SerializeToString()})
        graphs = Graphs(Bundle.open(folder), SessionSettings())
        mask = np.ones((2, 1), np.bool_)
        with pytest.raises(BundleError, match=rf"yields 'logits' of shape {shape} for a batch of 2; expected vectors"):
            graphs.fusion.run(np.zeros((2, 1, 5), np.float32), mask, np.zeros((2, 1, 6), np.float32), mask)

    def test_a_mask_of_another_shape(self, write_tiny: Callable[..., Path], tiny_bundle: Bundle) -> None:
        """It would be broadcast over the states, or cut them off."""
        model = onnx.load(tiny_bundle.path("audio_encoder.onnx"))
        (slicing,) = (node for node in model.graph.node if "states_mask" in node.output)
        slicing.op_type = "Identity"
        del slicing.input[1:]
        folder = write_tiny(files={"audio_encoder.onnx": model.SerializeToString()})
        graphs = Graphs(Bundle.open(folder), SessionSettings())
        features = np.zeros((1, 7, 80), np.float32)
        with pytest.raises(BundleError, match=r"yields 'states_mask' of shape \(1, 7\) beside 'states'"):
            graphs.audio.run(features, np.ones((1, 7), np.bool_))

    def test_file_gone_since_it_was_checked(self, write_tiny: Callable[..., Path]) -> None:
        graphs = Graphs(Bundle.open(folder := write_tiny()), SessionSettings())
        (folder / "fusion.onnx").unlink()
        with pytest.raises(BundleError, match="cannot be read"):
            graphs.fusion.load()

    def test_features_of_another_shape(self, write_tiny: Callable[..., Path]) -> None:
        audio = AudioPart(graph="audio_encoder.onnx", front_end="vggish", dim=6)
        graphs = Graphs(Bundle.open(write_tiny(audio=audio)), SessionSettings())
        with pytest.raises(BundleError, match=r"failed on features \(1, 2, 96, 64\)"):
            graphs.audio.run(np.zeros((1, 2, 96, 64), np.float32), np.ones((1, 2), np.bool_))

    def test_weights_in_an_unlisted_file(
        self, write_tiny: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, tiny_bundle: Bundle
    ) -> None:
        """ONNX Runtime would read them from the working directory, unchecked."""
        model = onnx.load(tiny_bundle.path("text_encoder.onnx"))
        monkeypatch.chdir(tmp_path)
        onnx.save_model(model, "graph.onnx", save_as_external_data=True, location="weights.bin", size_threshold=100)
        assert (tmp_path / "weights.bin").stat().st_size
        folder = write_tiny(files={"text_encoder.onnx": (tmp_path / "graph.onnx").read_bytes()})
        (folder / "weights.bin").write_bytes((tmp_path / "weights.bin").read_bytes())
        self.refused(folder, "text", "'text_encoder.onnx'", os.devnull)


def test_int8_weights_are_widened_not_run_as_int8(tmp_path: Path, tiny_bundle: Bundle) -> None:
    """A MatMul of int8-stored weights gives what NumPy gives with the widened ones, not a rounded neighbour of it."""
    helper, numpy_helper = onnx.helper, onnx.numpy_helper
    rng = np.random.default_rng(0)
    weights = rng.integers(-127, 128, size=(256, 128), dtype=np.int8)
    scales = rng.uniform(0.001, 0.02, size=128).astype(np.float32)
    graph = helper.make_graph(
        [
            helper.make_node("DequantizeLinear", ["q", "s"], ["w"], axis=1),
            helper.make_node("MatMul", ["x", "w"], ["y"]),
        ],
        "int8",
        [helper.make_tensor_value_info("x", onnx.TensorProto.FLOAT, ["n", 256])],
        [helper.make_tensor_value_info("y", onnx.TensorProto.FLOAT, ["n", 128])],
        [numpy_helper.from_array(weights, "q"), numpy_helper.from_array(scales, "s")],
    )
    content = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8).SerializeToString()
    options = SessionSettings().session_options()
    options.optimized_model_filepath = str(tmp_path / "optimised.onnx")
    session = onnxruntime.InferenceSession(content, sess_options=options, providers=["CPUExecutionProvider"])
    x = rng.normal(size=(5, 256)).astype(np.float32)
    expected = x.astype(np.float64) @ (weights * scales.astype(np.float64))
    np.testing.assert_allclose(session.run(None, {"x": x})[0], expected, atol=1e-5 * np.abs(expected).max())
    assert [node.op_type for node in onnx.load(options.optimized_model_filepath).graph.node] == ["MatMul"]


def test_a_residual_connection_and_its_layer_norm_stay_two(tmp_path: Path) -> None:
    """On a processor their fusion is the slower one. What it is called, the library may change."""
    helper, numpy_helper = onnx.helper, onnx.numpy_helper
    graph = helper.make_graph(
        [
            helper.make_node("Add", ["x", "skipped"], ["sum"]),
            helper.make_node("LayerNormalization", ["sum", "gain", "shift"], ["y"], axis=-1, epsilon=1e-5),
        ],
        "residual",
        [helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, ["n", "t", 64]) for name in ("x", "skipped")],
        [helper.make_tensor_value_info("y", onnx.TensorProto.FLOAT, ["n", "t", 64])],
        [numpy_helper.from_array(np.full(64, value, np.float32), name) for name, value in (("gain", 2), ("shift", 1))],
    )
    content = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8).SerializeToString()

    def operations(options: Any) -> list[str]:
        options.optimized_model_filepath = str(tmp_path / "optimised.onnx")
        onnxruntime.InferenceSession(content, sess_options=options, providers=["CPUExecutionProvider"])
        return [node.op_type for node in onnx.load(options.optimized_model_filepath).graph.node]

    assert operations(onnxruntime.SessionOptions()) == ["SkipLayerNormalization"]
    assert operations(SessionSettings().session_options()) == ["Add", "LayerNormalization"]
