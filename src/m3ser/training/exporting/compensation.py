"""Weights rounded so that what a product makes of real activations changes least.

Rounding each weight to the nearest number is best for noise. What a layer reads is not noise: its channels go together,
so that what one rounded weight is off by can be made up for by the next ones. This is GPTQ (Frantar et al., "GPTQ:
Accurate Post-Training Quantization for Generative Pre-trained Transformers", ICLR 2023, algorithm 1), written anew: the
inputs are gone through in their order, and after each the weights that are still to be rounded are moved by what least
squares on the calibration data says.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import helper, numpy_helper

from m3ser.training.exporting.quantisation import WholeNumbers
from m3ser.training.exporting.runners import open_graph

__all__ = ["compensated", "round_together"]

_TOP = {False: 63, True: 127}  # the largest whole number, by whether weights have the full range
_WIDEST = 4096  # inputs of a product; the work grows with their third power, the memory with their second
_MEMORY = 1 << 29  # bytes of what is measured at once
_DAMPING = 0.01  # of the mean power of a channel is added to each: calibration data may not fill all directions
_TOGETHER = 64  # inputs that are rounded before the weights behind them are moved


def compensated(
    numbers: WholeNumbers,
    feeds: Sequence[Mapping[str, NDArray[Any]]],
    *,
    full_range: bool,
    waiting: Callable[[str, int], Callable[[], object]],
) -> WholeNumbers:
    """The same layers in int8, their matrix products' weights rounded together.

    Convolutions, and products with more than 4,096 inputs, stay as they are.

    Args:
        numbers: as :func:`~m3ser.training.exporting.quantisation.quantise` makes it.
        feeds: the inputs that it was calibrated on.
        full_range: see there.
        waiting: called with what is being done and how often; gives what to call after each time.
    """
    constants = {one.name: one for one in numbers.fp32.graph.initializer}
    products = _products(numbers, constants)
    if not products:
        return numbers
    int8 = onnx.ModelProto()
    int8.CopyFrom(numbers.int8)
    stored = {one.name: one for one in int8.graph.initializer}
    widened = {node.output[0]: node.input for node in int8.graph.node if node.op_type == "DequantizeLinear"}
    weights_of = {node.name: node.input[1] for node in int8.graph.node if node.name in numbers.layers}
    widths = {name: int(constants[nodes[0].input[1]].dims[0]) for name, nodes in products.items()}
    advance = waiting("Rounding weights", len(widths))
    for name, powers in _powers(numbers.fp32, feeds, widths):
        # An output does not depend on its neighbours: products that read the same are rounded as one.
        weights = [numpy_helper.to_array(constants[node.input[1]]) for node in products[name]]
        whole, scales = round_together(np.concatenate(weights, axis=1), powers, top=_TOP[full_range])
        ends = np.cumsum([one.shape[1] for one in weights])[:-1]
        parts = zip(products[name], np.split(whole, ends, axis=1), np.split(scales, ends), strict=True)
        for node, node_whole, node_scales in parts:
            whole_name, scales_name, *_ = widened[weights_of[node.name]]
            stored[whole_name].CopyFrom(numpy_helper.from_array(node_whole, whole_name))
            stored[scales_name].CopyFrom(numpy_helper.from_array(node_scales, scales_name))
        advance()
    return replace(numbers, int8=int8)


def round_together(
    weights: NDArray[np.floating[Any]], powers: NDArray[np.floating[Any]], *, top: int
) -> tuple[NDArray[np.int8], NDArray[np.float32]]:
    """Whole numbers and scales, whose product does to such inputs what the weights do.

    Args:
        weights: (inputs, outputs).
        powers: (inputs, inputs), the sum over the calibration data of the products of any two inputs.
        top: the largest whole number.

    Returns:
        (inputs, outputs) in [-top, top], and (outputs,) scales.
    """
    left = np.array(weights, np.float64)
    scales = np.abs(left).max(axis=0) / top
    scales[scales == 0] = 1.0
    # In the number format that the graph keeps them in, so that rounding is made up for by what will be there.
    kept = scales.astype(np.float32)
    scales = kept.astype(np.float64)
    damped = powers + np.eye(len(powers)) * (_DAMPING * np.mean(np.diag(powers)) or 1.0)
    inverse = np.linalg.cholesky(np.linalg.inv(damped)).T
    whole = np.empty(left.shape, np.int8)
    for first in range(0, len(left), _TOGETHER):
        block = slice(first, min(first + _TOGETHER, len(left)))
        errors = np.empty_like(left[block])
        for i in range(block.start, block.stop):
            whole[i] = np.clip(np.rint(left[i] / scales), -top, top)
            errors[i - first] = (left[i] - whole[i] * scales) / inverse[i, i]
            left[i + 1 : block.stop] -= np.outer(inverse[i, i + 1 : block.stop], errors[i - first])
        left[block.stop :] -= inverse[block, block.stop :].T @ errors
    return whole, kept


def _products(numbers: WholeNumbers, constants: Mapping[str, onnx.TensorProto]) -> dict[str, list[onnx.NodeProto]]:
    """The matrix products that are gone through, by the tensor that they read."""
    found = defaultdict(list)
    readers = Counter(name for node in numbers.fp32.graph.node for name in node.input)
    for node in numbers.fp32.graph.node:
        if node.op_type == "MatMul" and node.name in numbers.layers:
            weights = constants[node.input[1]]
            # Weights that two products share can be right for the inputs of one of them alone.
            if len(weights.dims) == 2 and weights.dims[0] <= _WIDEST and readers[weights.name] == 1:
                found[node.input[0]].append(node)
    return found


def _powers(
    model: onnx.ModelProto, feeds: Sequence[Mapping[str, NDArray[Any]]], widths: Mapping[str, int]
) -> Iterator[tuple[str, NDArray[np.float64]]]:
    """Of each of these tensors, whose last axis is so wide: the sum of the products of any two of its channels."""
    waiting = list(widths)
    while waiting:
        together = [waiting.pop(0)]
        memory = 8 * widths[together[0]] ** 2
        while waiting and (memory := memory + 8 * widths[waiting[0]] ** 2) <= _MEMORY:
            together.append(waiting.pop(0))
        watched = onnx.ModelProto()
        watched.CopyFrom(model)
        known = {one.name for one in (*watched.graph.input, *watched.graph.output)}
        watched.graph.output.extend(
            helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, None) for name in together if name not in known
        )
        session = open_graph(watched)
        given = {one.name for one in watched.graph.input}
        asked = [name for name in together if name not in given]
        sums = {name: np.zeros((widths[name], widths[name])) for name in together}
        for feed in feeds:
            found = {**feed, **dict(zip(asked, session.run(asked, dict(feed)) if asked else [], strict=True))}
            for name, total in sums.items():
                rows = found[name].reshape(-1, widths[name])
                total += rows.T @ rows
        yield from sums.items()
