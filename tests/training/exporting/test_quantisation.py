"""Whole numbers on graphs that are small enough to know: a convolution that feeds products, with one bad layer."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

onnx = pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")
pytest.importorskip("torch")
pytest.importorskip("onnxscript")

from onnx import TensorProto, helper, numpy_helper  # noqa: E402

from m3ser.training.exporting.fallback import within_tolerance  # noqa: E402
from m3ser.training.exporting.inputs import Inputs  # noqa: E402
from m3ser.training.exporting.quantisation import quantise  # noqa: E402
from m3ser.training.exporting.runners import GraphModel, open_graph  # noqa: E402

SIDE, CHANNELS, WIDTH, CLASSES = 8, 16, 64, 4
FLAT = CHANNELS * SIDE * SIDE


def weights(seed: int = 0) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(seed)
    # Output channels of very different scale: one scale for all would lose the small ones.
    kernel = rng.normal(size=(CHANNELS, 8, 3, 3)) * np.geomspace(0.01, 1, CHANNELS)[:, None, None, None]
    return {
        name: value.astype(np.float32)
        for name, value in {
            "kernel": kernel,
            "kernel_bias": rng.normal(size=CHANNELS),
            "dense": rng.normal(size=(FLAT, WIDTH)) / 30,
            "last": rng.normal(size=(WIDTH, WIDTH)) / 8,
        }.items()
    }


def graph(*, spike: float = 1.0) -> Any:
    """features (batch, frames, 8, 8, 8), mask -> states (batch, frames, 64), mask; what `last` reads has a `spike`."""
    factor = np.ones(WIDTH, np.float32)
    factor[0] = spike
    constants = {
        **weights(),
        "factor": factor,
        "rows": np.array([-1, 8, SIDE, SIDE], np.int64),
        "flat": np.array([-1, FLAT], np.int64),
    }
    # The outlier is taken back by the weights, so that in float32 it changes nothing.
    constants["last"][0] /= spike
    nodes = [
        helper.make_node("Shape", ["features"], ["shape"], name="shape", start=0, end=2),
        helper.make_node("Reshape", ["features", "rows"], ["maps"], name="to_maps"),
        helper.make_node("Conv", ["maps", "kernel", "kernel_bias"], ["heard"], name="conv", pads=[1, 1, 1, 1]),
        helper.make_node("Relu", ["heard"], ["positive"], name="relu"),
        helper.make_node("Reshape", ["positive", "flat"], ["flattened"], name="to_rows"),
        helper.make_node("MatMul", ["flattened", "dense"], ["hidden"], name="dense"),
        helper.make_node("Mul", ["hidden", "factor"], ["spiked"], name="spike"),
        helper.make_node("MatMul", ["spiked", "last"], ["out"], name="last"),
        helper.make_node("Concat", ["shape", "width"], ["full"], name="full", axis=0),
        helper.make_node("Reshape", ["out", "full"], ["states"], name="to_states"),
        helper.make_node("Identity", ["mask"], ["states_mask"], name="mask"),
    ]
    constants["width"] = np.array([WIDTH], np.int64)
    drawn = helper.make_graph(
        nodes,
        "tiny",
        [
            helper.make_tensor_value_info("features", TensorProto.FLOAT, ["batch", "frames", 8, SIDE, SIDE]),
            helper.make_tensor_value_info("mask", TensorProto.BOOL, ["batch", "frames"]),
        ],
        [
            helper.make_tensor_value_info("states", TensorProto.FLOAT, ["batch", "frames", WIDTH]),
            helper.make_tensor_value_info("states_mask", TensorProto.BOOL, ["batch", "frames"]),
        ],
        [numpy_helper.from_array(value, name) for name, value in constants.items()],
    )
    return helper.make_model(drawn, opset_imports=[helper.make_opsetid("", 20)], ir_version=10)


def fusion() -> Any:
    """The logits are the mean over the frames of the first states."""
    nodes = [
        helper.make_node("ReduceMean", ["audio", "one"], ["mean"], keepdims=0),
        helper.make_node("Slice", ["mean", "zero", "four", "one"], ["logits"]),
        helper.make_node("Identity", ["audio_mask"], ["unused"]),
    ]
    constants = {name: np.array([value], np.int64) for name, value in (("one", 1), ("zero", 0), ("four", CLASSES))}
    drawn = helper.make_graph(
        nodes,
        "fusion",
        [
            helper.make_tensor_value_info("audio", TensorProto.FLOAT, ["batch", "steps", WIDTH]),
            helper.make_tensor_value_info("audio_mask", TensorProto.BOOL, ["batch", "steps"]),
        ],
        [helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["batch", CLASSES])],
        [numpy_helper.from_array(value, name) for name, value in constants.items()],
    )
    return helper.make_model(drawn, opset_imports=[helper.make_opsetid("", 20)], ir_version=10)


def features(count: int, frames: int = 2) -> list[np.ndarray]:
    rng = np.random.default_rng(1)
    return [rng.normal(size=(frames, 8, SIDE, SIDE)).astype(np.float32) for _ in range(count)]


def feeds(arrays: list[np.ndarray]) -> list[dict[str, np.ndarray]]:
    return [{"features": one[None], "mask": np.ones((1, len(one)), bool)} for one in arrays]


def run(model: Any, feed: dict[str, np.ndarray]) -> np.ndarray:
    found: np.ndarray = open_graph(model, whole_numbers=True).run(["states"], feed)[0]
    return found


def saturates() -> bool:
    """Whether this processor adds two products of a byte and a full int8 up in what cannot hold them."""
    weights = numpy_helper.from_array(np.full((32, 16), 127, np.int8), "b")
    node = helper.make_node("MatMulInteger", ["a", "b"], ["found"])
    given = helper.make_tensor_value_info("a", TensorProto.UINT8, [4, 32])
    gives = helper.make_tensor_value_info("found", TensorProto.INT32, [4, 16])
    drawn = helper.make_graph([node], "product", [given], [gives], [weights])
    model = helper.make_model(drawn, opset_imports=[helper.make_opsetid("", 20)], ir_version=10)
    (found,) = open_graph(model).run(None, {"a": np.full((4, 32), 255, np.uint8)})
    return bool((found != 32 * 255 * 127).any())


def silent(_what: str, _total: int) -> Callable[[], object]:
    return lambda: None


@pytest.mark.parametrize("full_range", [False, True])
def test_whole_numbers_come_close(full_range: bool) -> None:
    arrays = features(8)
    numbers = quantise(graph(), feeds(arrays), full_range=full_range)
    assert numbers.layers == ("conv", "dense", "last")
    for feed in feeds(arrays):
        expected = run(numbers.fp32, feed)
        error = np.abs(run(numbers.with_floating(()), feed) - expected).max() / np.abs(expected).max()
        assert error > 0
        assert error < 0.05 or (full_range and saturates())
    stored = [numpy_helper.to_array(one) for one in numbers.with_floating(()).graph.initializer]
    largest = max(int(np.abs(one.astype(int)).max()) for one in stored if one.dtype == np.int8)
    # Seven bits: two products of a byte and such a weight stay within sixteen bits.
    assert largest <= (127 if full_range else 64)
    assert full_range or 2 * 255 * largest <= 2**15


def test_an_utterance_is_the_same_beside_any_neighbour() -> None:
    """Dynamic ranges would be those of the whole batch: a loud neighbour would round a quiet utterance away."""
    arrays = features(4)
    numbers = quantise(graph(), feeds(arrays), full_range=False)
    alone = run(numbers.with_floating(()), feeds(arrays)[0])
    loud = 1000 * arrays[1]
    together = run(numbers.with_floating(()), {"features": np.stack([arrays[0], loud]), "mask": np.ones((2, 2), bool)})
    np.testing.assert_array_equal(together[0], alone[0])


def test_layers_can_be_had_back() -> None:
    arrays = features(4)
    numbers = quantise(graph(), feeds(arrays), full_range=False)
    feed = feeds(arrays)[0]
    whole = numbers.with_floating(numbers.layers)
    np.testing.assert_allclose(run(whole, feed), run(numbers.fp32, feed), atol=1e-5)
    assert not [one for one in whole.graph.initializer if numpy_helper.to_array(one).dtype == np.int8]
    assert not [node for node in whole.graph.node if "QuantizeLinear" in node.op_type]
    kinds = {one.name: numpy_helper.to_array(one).dtype for one in numbers.with_floating(["dense"]).graph.initializer}
    assert kinds["dense"] == np.float32
    assert "kernel" not in kinds
    assert np.dtype(np.int8) in kinds.values()


def test_the_layer_that_does_the_damage_stays_in_float32() -> None:
    """`last` reads one feature that is a thousand times as large as the others: one range cannot hold them."""
    arrays = features(24)
    model = graph(spike=1000.0)
    numbers = quantise(model, feeds(arrays), full_range=False)
    fp32 = GraphModel({"audio": model, "fusion": fusion()}, {"audio": WIDTH})
    sample = [Inputs((one,), None, None) for one in arrays]
    labelled = [Inputs((one.windows[0],), None, int(fp32.logits(one).argmax())) for one in sample]
    for utterances in (sample, labelled):
        graphs, kept = within_tolerance(fp32, {"audio": numbers}, utterances, tolerance=0.5, waiting=silent)
        assert kept == (("audio", "last"),)
        after = fp32.replaced("audio", graphs["audio"])
        assert [after.logits(one).argmax() for one in utterances] == [fp32.logits(one).argmax() for one in utterances]


def test_a_tolerance_of_nothing_still_leaves_layers_in_int8() -> None:
    arrays = features(24)
    model = graph()
    numbers = quantise(model, feeds(arrays), full_range=False)
    fp32 = GraphModel({"audio": model, "fusion": fusion()}, {"audio": WIDTH})
    sample = [Inputs((one,), None, None) for one in arrays]
    _, kept = within_tolerance(fp32, {"audio": numbers}, sample, tolerance=0.0, waiting=silent)
    assert len(kept) < len(numbers.layers)


def test_where_all_is_well_nothing_stays() -> None:
    arrays = features(24)
    model = graph()
    numbers = quantise(model, feeds(arrays), full_range=False)
    fp32 = GraphModel({"audio": model, "fusion": fusion()}, {"audio": WIDTH})
    sample = [Inputs((one,), None, None) for one in arrays]
    graphs, kept = within_tolerance(fp32, {"audio": numbers}, sample, tolerance=100.0, waiting=silent)
    assert kept == ()
    assert len(graphs["audio"].SerializeToString()) < len(model.SerializeToString()) / 2
