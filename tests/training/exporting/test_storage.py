"""Weights as int8: what the graph then gives, and what it holds."""

from __future__ import annotations

import numpy as np
import pytest

onnx = pytest.importorskip("onnx")
ort = pytest.importorskip("onnxruntime")
pytest.importorskip("torch")
pytest.importorskip("onnxscript")

from onnx import TensorProto, helper, numpy_helper  # noqa: E402

from m3ser.training.exporting import store_as_int8  # noqa: E402

ROWS, WIDTH, OUT = 200, 64, 96


@pytest.fixture
def weights() -> dict[str, np.ndarray]:
    rng = np.random.default_rng(0)
    # Channels and rows of very different scale: one scale for all would lose the small ones.
    return {
        "table": (rng.normal(size=(ROWS, WIDTH)) * np.geomspace(1e-3, 10, ROWS)[:, None]).astype(np.float32),
        "linear": (rng.normal(size=(WIDTH, OUT)) * np.geomspace(1e-3, 10, OUT)).astype(np.float32),
        "bias": rng.normal(size=OUT).astype(np.float32),
    }


@pytest.fixture
def model(weights: dict[str, np.ndarray]):
    nodes = [
        helper.make_node("Gather", ["table", "ids"], ["rows"], axis=0),
        helper.make_node("MatMul", ["rows", "linear"], ["product"]),
        helper.make_node("Add", ["product", "bias"], ["out"]),
    ]
    graph = helper.make_graph(
        nodes,
        "lookup",
        [helper.make_tensor_value_info("ids", TensorProto.INT64, ["batch", "tokens"])],
        [
            helper.make_tensor_value_info("rows", TensorProto.FLOAT, ["batch", "tokens", WIDTH]),
            helper.make_tensor_value_info("out", TensorProto.FLOAT, ["batch", "tokens", OUT]),
        ],
        [numpy_helper.from_array(value, name) for name, value in weights.items()],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10)


def run(model, ids, *, whole_numbers: bool = False):
    options = ort.SessionOptions()
    options.add_session_config_entry("session.disable_quant_qdq", "0" if whole_numbers else "1")
    session = ort.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    return session.run(["rows", "out"], {"ids": ids})


@pytest.mark.parametrize("whole_numbers", [False, True])
def test_each_channel_and_row_keeps_its_own_scale(model, weights, whole_numbers: bool) -> None:
    """Beside products of whole numbers, too: there this one stays in float32, its activations unrounded."""
    ids = np.arange(ROWS).reshape(4, 50)
    rows, out = run(store_as_int8(model, whole_numbers=whole_numbers), ids, whole_numbers=whole_numbers)
    table, linear = weights["table"][ids], weights["linear"]
    # Rounding to 127 steps errs by half a step at most.
    assert (np.abs(rows - table) <= np.abs(table).max(axis=-1, keepdims=True) / 127 / 2 * 1.001).all()
    widened = np.rint(linear / (np.abs(linear).max(axis=0) / 127)) * (np.abs(linear).max(axis=0) / 127)
    np.testing.assert_allclose(out, rows @ widened + weights["bias"], rtol=1e-4, atol=1e-4)


def test_large_weights_are_int8_and_vectors_are_not(model) -> None:
    stored = {one.name: numpy_helper.to_array(one) for one in store_as_int8(model).graph.initializer}
    assert {name for name, value in stored.items() if value.dtype == np.int8} == {"table.int8", "linear.int8"}
    assert stored["bias"].dtype == np.float32
    assert stored["table.scale"].shape == (ROWS, 1)
    assert stored["linear.scale"].shape == (OUT,)


def test_a_table_that_is_also_multiplied_is_widened_whole(model, weights) -> None:
    tied = helper.make_node("Transpose", ["table"], ["turned"], perm=[1, 0])
    model.graph.node.append(tied)
    model.graph.node.append(helper.make_node("MatMul", ["rows", "turned"], ["likeness"]))
    shape = ["batch", "tokens", ROWS]
    model.graph.output.append(helper.make_tensor_value_info("likeness", TensorProto.FLOAT, shape))
    ids = np.zeros((1, 1), np.int64)
    rows, _ = run(store_as_int8(model), ids)
    np.testing.assert_allclose(rows[0, 0], weights["table"][0], atol=np.abs(weights["table"][0]).max() / 200)
