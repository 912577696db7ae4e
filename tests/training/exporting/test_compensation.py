"""Weights that are rounded together: nearer to what was meant on inputs like those of the calibration."""

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

from m3ser.training.exporting import compensation  # noqa: E402
from m3ser.training.exporting.compensation import compensated, round_together  # noqa: E402
from m3ser.training.exporting.quantisation import WholeNumbers, quantise  # noqa: E402
from m3ser.training.exporting.runners import open_graph  # noqa: E402

INPUTS, OUTPUTS = 96, 80


def mixing() -> np.ndarray:
    """Six sources in ninety-six channels: channels go together."""
    return np.random.default_rng(0).normal(size=(6, INPUTS))


def inputs(count: int, seed: int) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return (rng.normal(size=(count, 6)) @ mixing() + 0.1 * rng.normal(size=(count, INPUTS))).astype(np.float32)


def weights(seed: int = 1, outputs: int = OUTPUTS) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(INPUTS, outputs)).astype(np.float32)


def nearest(values: np.ndarray, top: int) -> tuple[np.ndarray, np.ndarray]:
    scales = (np.abs(values.astype(np.float64)).max(axis=0) / top).astype(np.float32)
    return np.rint(values / scales.astype(np.float64)), scales


@pytest.mark.parametrize("top", [63, 127])
def test_what_comes_out_changes_less_on_inputs_that_were_not_seen(top: int) -> None:
    values, seen, unseen = weights(), inputs(500, 2).astype(np.float64), inputs(200, 3)
    whole, scales = round_together(values, seen.T @ seen, top=top)
    assert whole.dtype == np.int8
    assert scales.dtype == np.float32
    assert np.abs(whole.astype(int)).max() <= top
    plain, plain_scales = nearest(values, top)
    np.testing.assert_array_equal(scales, plain_scales)
    error = np.abs(unseen @ (whole * scales - values)).mean()
    assert error < 0.5 * np.abs(unseen @ (plain * plain_scales - values)).mean()


def test_inputs_that_do_not_go_together_are_rounded_each_for_itself() -> None:
    whole, scales = round_together(weights(), np.diag(np.linspace(1, 9, INPUTS)), top=63)
    plain, _ = nearest(weights(), 63)
    np.testing.assert_array_equal(whole, plain)
    assert (scales > 0).all()


def test_nothing_was_heard_or_nothing_is_weighed() -> None:
    values = weights()
    values[:, 0] = 0
    whole, scales = round_together(values, np.zeros((INPUTS, INPUTS)), top=63)
    np.testing.assert_array_equal(whole[:, 1:], nearest(values[:, 1:], 63)[0])
    assert not whole[:, 0].any()
    assert np.isfinite(scales).all()


def graph(*, shared: bool = False) -> Any:
    """x -> two products that read it and their sum -> a third; with `shared`, that has the weights of the first."""
    constants = {"one": weights(1, INPUTS), "two": weights(2, INPUTS), "three": weights(3, INPUTS)}
    nodes = [
        helper.make_node("MatMul", ["x", "one"], ["a"], name="first"),
        helper.make_node("MatMul", ["x", "two"], ["b"], name="second"),
        helper.make_node("Add", ["a", "b"], ["sum"], name="sum"),
        helper.make_node("MatMul", ["sum", "one" if shared else "three"], ["y"], name="third"),
    ]
    if shared:
        del constants["three"]
    drawn = helper.make_graph(
        nodes,
        "tiny",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["batch", "steps", INPUTS])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["batch", "steps", INPUTS])],
        [numpy_helper.from_array(value, name) for name, value in constants.items()],
    )
    return helper.make_model(drawn, opset_imports=[helper.make_opsetid("", 20)], ir_version=10)


def feeds(seed: int = 2) -> list[dict[str, np.ndarray]]:
    rows = inputs(400, seed)
    return [{"x": rows[start : start + 40][None]} for start in range(0, 400, 40)]


def weights_in_int8(numbers: WholeNumbers) -> list[np.ndarray]:
    values = [numpy_helper.to_array(one) for one in numbers.with_floating(()).graph.initializer]
    return [one for one in values if one.dtype == np.int8 and one.ndim == 2]


def silent(_what: str, _total: int) -> Callable[[], object]:
    return lambda: None


def error(numbers: WholeNumbers) -> float:
    """The mean deviation of the graph with every layer in int8, on inputs that were not seen."""
    off = []
    for feed in feeds(seed=3):
        (found,) = open_graph(numbers.with_floating(()), whole_numbers=True).run(None, feed)
        (expected,) = open_graph(numbers.fp32).run(None, feed)
        off.append(np.abs(found - expected).mean())
    return float(np.mean(off))


def test_a_graph_comes_nearer_and_its_layers_can_be_had_back() -> None:
    plain = quantise(graph(), feeds(), full_range=False)
    before = plain.int8.SerializeToString()
    done: list[str] = []

    def waiting(what: str, total: int) -> Callable[[], object]:
        done.append(f"{what}: {total}")
        return lambda: done.append("one")

    better = compensated(plain, feeds(), full_range=False, waiting=waiting)
    assert done == ["Rounding weights: 2", "one", "one"]  # the tensors that are read
    assert plain.int8.SerializeToString() == before
    assert better.layers == plain.layers == ("first", "second", "third")
    assert error(better) < 0.85 * error(plain)  # the rounding of the activations is in both
    assert max(int(np.abs(one.astype(int)).max()) for one in weights_in_int8(better)) == 63
    (found,) = open_graph(better.with_floating(better.layers)).run(None, feeds()[0])
    (expected,) = open_graph(plain.fp32).run(None, feeds()[0])
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-3)


def test_each_product_has_weights_of_its_own() -> None:
    """Those of two that read the same are found together."""
    seen = np.concatenate([feed["x"][0] for feed in feeds()]).astype(np.float64)
    better = compensated(quantise(graph(), feeds(), full_range=False), feeds(), full_range=False, waiting=silent)
    stored = {one.name: numpy_helper.to_array(one) for one in better.int8.graph.initializer}
    widened = {node.output[0]: node.input for node in better.int8.graph.node if node.op_type == "DequantizeLinear"}
    for node in better.int8.graph.node:
        if node.name in ("first", "second"):
            whole, scales = round_together(weights(1 if node.name == "first" else 2, INPUTS), seen.T @ seen, top=63)
            whole_name, scales_name, *_ = widened[node.input[1]]
            # Sums in another order: a number halfway between two may go either way.
            assert (stored[whole_name] == whole).mean() > 0.99
            np.testing.assert_array_equal(stored[scales_name], scales)


def test_little_memory_is_another_pass_over_the_data(monkeypatch: pytest.MonkeyPatch) -> None:
    plain = quantise(graph(), feeds(), full_range=False)
    expected = compensated(plain, feeds(), full_range=False, waiting=silent).int8.SerializeToString()
    monkeypatch.setattr(compensation, "_MEMORY", 1)
    assert compensated(plain, feeds(), full_range=False, waiting=silent).int8.SerializeToString() == expected


@pytest.mark.parametrize("shared", [False, True])
def test_what_is_too_wide_or_shared_stays_rounded_to_the_nearest(shared: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    plain = quantise(graph(shared=shared), feeds(), full_range=False)
    if not shared:
        monkeypatch.setattr(compensation, "_WIDEST", INPUTS - 1)
    found = weights_in_int8(compensated(plain, feeds(), full_range=False, waiting=silent))
    same = [np.array_equal(one, other) for one, other in zip(found, weights_in_int8(plain), strict=True)]
    assert len(same) == (2 if shared else 3)
    assert same.count(False) == (1 if shared else 0)
