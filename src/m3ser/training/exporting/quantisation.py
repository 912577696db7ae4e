"""Encoders in whole numbers: their products with weights in int8, with ranges of the activations that are fixed.

ONNX Runtime's dynamic int8 takes the range of the activations over the whole batch, so that what is said of an
utterance depends on its neighbours. Here the ranges are measured beforehand, on calibration data, and stored in the
graph: no neighbour has a part in how an utterance is rounded. Weights have one scale for each output channel. (What
lies between the products stays in float32, whose last digit depends on the shape of a batch; where it decides how a
number is rounded, an int8 model's scores alone and in a batch differ by more than float32's 1e-5, but not by more than
its own rounding.)

Weights are rounded to seven bits by default: processors that lack VNNI add pairs of products of eight bits in sixteen
and saturate, and would silently give other numbers than the machine that the model was judged on.
"""

from __future__ import annotations

import logging
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_static

__all__ = ["WholeNumbers", "quantise"]

_TYPES = ("Conv", "Gemm", "MatMul")
_PASSED_ON = ("MaxPool", "Relu")  # stay in whole numbers between convolutions
_ROUNDED = ("Conv", *_PASSED_ON)  # what leaves them stays in whole numbers
_SMALLEST = 1024  # weights; the nodes around a smaller product cost more than it


@dataclass(frozen=True)
class WholeNumbers:
    """A graph whose layers are int8, each of which can be had back in float32.

    Attributes:
        fp32: the graph that it was made from.
        int8: as the library makes it: every layer in int8, and rounded numbers for whatever else reads what they read.
        layers: the names of the layers' nodes, in the order of the graph.
    """

    fp32: onnx.ModelProto
    int8: onnx.ModelProto
    layers: tuple[str, ...]

    def with_floating(self, names: Iterable[str]) -> onnx.ModelProto:
        """The graph with these layers in float32 and the others in int8."""
        model = onnx.ModelProto()
        model.CopyFrom(self.int8)
        originals = {node.name: node for node in self.fp32.graph.node}
        producers = {output: node for node in originals.values() for output in node.output}
        active = set(self.layers).difference(names)
        for node in originals.values():
            before = producers.get(node.input[0]) if node.input else None
            if node.op_type in _PASSED_ON and before is not None and before.name in active:
                active.add(node.name)
        weights = {one.name: one for one in self.fp32.graph.initializer}
        there = {one.name for one in model.graph.initializer}
        back: set[str] = set()
        for node in model.graph.node:
            original = originals.get(node.name)
            if original is None or node.name in active:
                continue
            for place, name in enumerate(original.input):
                before = producers.get(name)
                if before is not None and before.name in active and before.op_type in _ROUNDED:
                    continue
                # The library lets whatever else reads a layer's input read it rounded, residual connections too.
                node.input[place] = name
                if name in weights and name not in there:
                    model.graph.initializer.append(weights[name])
                    there.add(name)
                    back.add(name)
        # A bias in int8 is widened under the name that it had in float32.
        nodes = [node for node in model.graph.node if not back.intersection(node.output)]
        del model.graph.node[:]
        model.graph.node.extend(nodes)
        _prune(model.graph)
        return model


def quantise(model: onnx.ModelProto, feeds: Iterable[Mapping[str, NDArray[Any]]], *, full_range: bool) -> WholeNumbers:
    """Put every convolution and every product with constant weights into int8.

    Args:
        model: a graph in float32, as :mod:`m3ser.training.exporting.graphs` makes it.
        feeds: its inputs, one unpadded utterance after another: what the ranges of the activations are measured on.
        full_range: round weights to eight bits; exact only on processors with VNNI, and on ARM.
    """
    layers = tuple(_layers(model))
    if not layers:
        return WholeNumbers(model, model, ())
    passed_on = [node.name for node in model.graph.node if node.op_type in _PASSED_ON]
    with tempfile.TemporaryDirectory() as folder, _quiet():
        source, target = Path(folder) / "fp32.onnx", Path(folder) / "int8.onnx"
        onnx.save(model, str(source))
        quantize_static(
            str(source),
            str(target),
            _Feeds(feeds),
            quant_format=QuantFormat.QDQ,
            op_types_to_quantize=[*_TYPES, *_PASSED_ON],
            nodes_to_quantize=[*layers, *passed_on],
            per_channel=True,
            reduce_range=not full_range,
            activation_type=QuantType.QUInt8,
            weight_type=QuantType.QInt8,
            extra_options={
                "MatMulConstBOnly": True,
                # So that every tensor of the float32 graph keeps its name and its node.
                "QDQKeepRemovableActivations": True,
                # What leaves a product is rounded only where the next one reads it.
                "OpTypesToExcludeOutputQuantization": ["MatMul", "Gemm"],
            },
        )
        int8 = onnx.load(str(target))
    return WholeNumbers(model, int8, layers)


def _layers(model: onnx.ModelProto) -> Iterator[str]:
    sizes = {one.name: int(np.prod(one.dims)) for one in model.graph.initializer}
    for node in model.graph.node:
        # A small convolution still works on large maps.
        least = 1 if node.op_type == "Conv" else _SMALLEST
        if node.op_type in _TYPES and sizes.get(node.input[1], 0) >= least:
            yield node.name


class _Feeds(CalibrationDataReader):  # type: ignore[misc,unused-ignore]
    def __init__(self, feeds: Iterable[Mapping[str, NDArray[Any]]]) -> None:
        self._feeds = iter(feeds)

    def get_next(self) -> dict[str, NDArray[Any]] | None:
        """The next inputs; None: there are no more."""
        found = next(self._feeds, None)
        return None if found is None else dict(found)


def _prune(graph: onnx.GraphProto) -> None:
    """Leave out what no output depends on."""
    needed = {one.name for one in graph.output}
    kept: list[onnx.NodeProto] = []
    for node in reversed(graph.node):
        if needed.intersection(node.output):
            kept.append(node)
            needed.update(node.input)
    nodes: Sequence[onnx.NodeProto] = kept[::-1]
    initializers = [one for one in graph.initializer if one.name in needed]
    del graph.node[:]
    graph.node.extend(nodes)
    del graph.initializer[:]
    graph.initializer.extend(initializers)


class _quiet:  # noqa: N801 - used as a function
    """Keeps the library's advice off the terminal: it speaks of steps that the exporter has done already."""

    def __enter__(self) -> None:
        self._before = logging.root.manager.disable
        logging.disable(logging.WARNING)

    def __exit__(self, *_: object) -> None:
        logging.disable(self._before)
