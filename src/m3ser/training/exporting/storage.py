"""How a graph's weights are stored: as int8 or float16, and widened to float32 when it is loaded.

A quarter, or half, of the size. The arithmetic being float32, an utterance gives the same in a batch as alone.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import helper, numpy_helper

__all__ = ["store_as_fp16", "store_as_int8"]

_SMALLEST = 4096  # elements; below, the nodes cost more than they save
_TOP = 127


def store_as_int8(model: onnx.ModelProto, *, whole_numbers: bool = False) -> onnx.ModelProto:
    """Store the large weights of `model` as int8, symmetric, with one scale per output channel or table row.

    What a MatMul or Gemm reads is scaled along its columns (or rows, where transposed), what a Conv reads along its
    first axis; each becomes a DequantizeLinear of an int8 initializer. Of a table that a Gather reads, only the rows
    that were looked up are widened: a vocabulary stays int8 in memory. Vectors stay as they are.

    Args:
        model: the graph.
        whole_numbers: some products of the graph are those of int8 numbers. A DequantizeLinear would make that of the
            others, too; their weights are widened by Cast and Mul instead, which ONNX Runtime computes while loading.

    Returns:
        The same model.
    """
    graph = model.graph
    axes = {name: axis for node in graph.node for name, axis in _channel_axes(node)}
    looked_up = {node.input[0] for node in graph.node if node.op_type == "Gather"}
    read_otherwise = {
        name for node in graph.node for k, name in enumerate(node.input) if (node.op_type, k) != ("Gather", 0)
    }
    tables = looked_up - read_otherwise
    kept, widened, stored_tables = [], [], set()
    for initializer in graph.initializer:
        name = initializer.name
        values = numpy_helper.to_array(initializer)
        axis = axes.get(name)
        if axis is None or values.dtype != np.float32 or values.size < _SMALLEST or values.ndim < 2:
            kept.append(initializer)
            continue
        axis %= values.ndim
        stored, scales = _rounded(values, axis)
        if name in tables:
            stored_tables.add(name)
            scales = scales.reshape(-1, *[1] * (values.ndim - 1))  # so that a looked-up row finds its scale beside it
        else:
            if whole_numbers:
                scales = scales.reshape([-1 if place == axis else 1 for place in range(values.ndim)])
            widened += _widened(name, axis, whole_numbers=whole_numbers)
        kept += [numpy_helper.from_array(stored, f"{name}.int8"), numpy_helper.from_array(scales, f"{name}.scale")]
    nodes = [*widened]
    for node in graph.node:
        nodes += _lookup(node) if node.op_type == "Gather" and node.input[0] in stored_tables else [node]
    del graph.initializer[:]
    graph.initializer.extend(kept)
    del graph.node[:]
    graph.node.extend(nodes)
    onnx.checker.check_model(model)
    return model


def store_as_fp16(model: onnx.ModelProto) -> onnx.ModelProto:
    """Store the large weights of `model` as float16, widened by a Cast that ONNX Runtime computes once, while loading.

    Not the arithmetic: on a processor ONNX Runtime has no float16 products, and would cast around each of them.

    Returns:
        The same model.

    Raises:
        ValueError: a weight is larger than float16 reaches (65,504).
    """
    graph = model.graph
    kept, widened = [], []
    for initializer in graph.initializer:
        values = numpy_helper.to_array(initializer)
        if values.dtype != np.float32 or values.size < _SMALLEST:
            kept.append(initializer)
            continue
        name = initializer.name
        if np.abs(values).max() > np.finfo(np.float16).max:
            raise ValueError(f"weight '{name}' is larger than float16 reaches")
        kept.append(numpy_helper.from_array(values.astype(np.float16), f"{name}.fp16"))
        widened.append(
            helper.make_node("Cast", [f"{name}.fp16"], [name], name=f"{name}.widen", to=onnx.TensorProto.FLOAT)
        )
    nodes = [*widened, *graph.node]
    del graph.initializer[:]
    graph.initializer.extend(kept)
    del graph.node[:]
    graph.node.extend(nodes)
    onnx.checker.check_model(model)
    return model


def _widened(name: str, axis: int, *, whole_numbers: bool) -> list[onnx.NodeProto]:
    """What makes the weight called `name` of its stored numbers and scales."""
    stored, scale = f"{name}.int8", f"{name}.scale"
    if not whole_numbers:
        return [helper.make_node("DequantizeLinear", [stored, scale], [name], name=f"{name}.widen", axis=axis)]
    cast = f"{name}.cast"
    return [
        helper.make_node("Cast", [stored], [cast], name=f"{name}.widen", to=onnx.TensorProto.FLOAT),
        helper.make_node("Mul", [cast, scale], [name], name=f"{name}.scaled"),
    ]


def _lookup(gather: onnx.NodeProto) -> list[onnx.NodeProto]:
    """`gather` on a table of int8 rows with a scale each."""
    table, indices = gather.input
    found = gather.output[0]
    return [
        helper.make_node("Gather", [f"{table}.int8", indices], [f"{found}.int8"], axis=0),
        helper.make_node("Gather", [f"{table}.scale", indices], [f"{found}.scale"], axis=0),
        helper.make_node("Cast", [f"{found}.int8"], [f"{found}.cast"], to=onnx.TensorProto.FLOAT),
        helper.make_node("Mul", [f"{found}.cast", f"{found}.scale"], [found]),
    ]


def _rounded(values: NDArray[np.float32], axis: int) -> tuple[NDArray[np.int8], NDArray[np.float32]]:
    others = tuple(i for i in range(values.ndim) if i != axis)
    scales = np.maximum(np.abs(values).max(axis=others, keepdims=True), np.float32(1e-12)) / _TOP
    stored = np.clip(np.rint(values / scales), -_TOP, _TOP).astype(np.int8)
    return stored, scales.reshape(-1).astype(np.float32)


def _channel_axes(node: onnx.NodeProto) -> Iterator[tuple[str, int]]:
    """The inputs of `node` that may be weights, and the axis of each that has a scale of its own per position."""
    if node.op_type == "MatMul":
        yield node.input[1], -1
    elif node.op_type == "Gemm":
        transposed = any(a.name == "transB" and a.i for a in node.attribute)
        yield node.input[1], 0 if transposed else 1
    elif node.op_type == "Conv":
        yield node.input[1], 0
    elif node.op_type == "Gather" and not any(a.name == "axis" and a.i for a in node.attribute):  # noqa: SIM114
        yield node.input[0], 0
    elif node.op_type == "Transpose":  # a weight on its way to a MatMul
        yield node.input[0], 0
