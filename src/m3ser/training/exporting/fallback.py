"""Which layers stay in float32, so that whole numbers change UA by no more than is allowed."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np
import onnx
from numpy.typing import NDArray

from m3ser.training.exporting.inputs import Inputs
from m3ser.training.exporting.parity import Outcome
from m3ser.training.exporting.quantisation import WholeNumbers
from m3ser.training.exporting.runners import GraphModel

__all__ = ["Layer", "within_tolerance"]

Layer = tuple[str, str]
"""The graph ("audio", "text") and the name of a node in it."""

_PROBED = 16  # utterances on which the layers are told apart


def within_tolerance(
    fp32: GraphModel,
    numbers: Mapping[str, WholeNumbers],
    sample: Sequence[Inputs],
    *,
    tolerance: float,
    waiting: Callable[[str, int], Callable[[], object]],
) -> tuple[dict[str, onnx.ModelProto], tuple[Layer, ...]]:
    """The encoders' graphs in int8, but for as few layers as is found to be enough.

    If all layers in int8 change too much, each is put into int8 alone and the change of the logits measured; then the
    worst 1, 2, 4, ... stay in float32 until it is enough, and between the last two numbers the smallest that is.

    Args:
        fp32: the model's graphs as exported.
        numbers: the encoders that are to be int8.
        sample: calibration data; their UA is what is to be kept, or their labels where their emotions are not known.
        tolerance: the largest change that is allowed: points of UA, or per cent of the labels.
        waiting: called with what is being done and how often; gives what to call after each time.

    Returns:
        The graphs by name, and the layers that stay in float32, the worst first.
    """
    trial = _Trial(fp32, numbers, sample)
    layers = [(name, layer) for name, one in numbers.items() for layer in one.layers]
    if not layers or trial.cost(()) <= tolerance:
        return trial.graphs(()), ()
    advance = waiting("Measuring layers", len(layers))
    damage = {}
    for layer in layers:
        damage[layer] = trial.damage(layer)
        advance()
    ranked = sorted(layers, key=lambda layer: -damage[layer])
    too_few, enough = 0, 1
    while enough < len(ranked) and trial.cost(ranked[:enough]) > tolerance:
        too_few, enough = enough, min(2 * enough, len(ranked))
    while enough - too_few > 1:
        middle = (too_few + enough) // 2
        if trial.cost(ranked[:middle]) <= tolerance:
            enough = middle
        else:
            too_few = middle
    kept = tuple(ranked[:enough])
    return trial.graphs(kept), kept


class _Trial:
    """A sample, and what the model in float32 makes of it."""

    def __init__(self, fp32: GraphModel, numbers: Mapping[str, WholeNumbers], sample: Sequence[Inputs]) -> None:
        self._fp32 = fp32
        self._numbers = numbers
        self._sample = sample
        self._states = [{name: fp32.states(name, inputs) for name in fp32.dims} for inputs in sample]
        self._labels = np.array([-1 if inputs.label is None else inputs.label for inputs in sample])
        self._before = Outcome(np.stack([fp32.of_states(states) for states in self._states]), self._labels)

    def graphs(self, kept: Sequence[Layer]) -> dict[str, onnx.ModelProto]:
        """The encoders with all layers in int8 but these."""
        return {
            name: one.with_floating(layer for graph, layer in kept if graph == name)
            for name, one in self._numbers.items()
        }

    def cost(self, kept: Sequence[Layer]) -> float:
        """By how much that changes UA, in points; or labels, in per cent."""
        difference = self._before.difference(Outcome(self._logits(self.graphs(kept), len(self._sample)), self._labels))
        if difference.ua_change is not None:
            return abs(difference.ua_change)
        return 100 * (1 - difference.agreement)

    def damage(self, layer: Layer) -> float:
        """The mean change of a logit where this layer alone is in int8."""
        graph, name = layer
        one = self._numbers[graph]
        alone = one.with_floating(other for other in one.layers if other != name)
        logits = self._logits({graph: alone}, min(_PROBED, len(self._sample)))
        return float(np.abs(logits - self._before.logits[: len(logits)]).mean())

    def _logits(self, graphs: Mapping[str, onnx.ModelProto], count: int) -> NDArray[np.float32]:
        """Of the first `count` utterances, with these graphs in place of their originals."""
        model = self._fp32
        for name, graph in graphs.items():
            model = model.replaced(name, graph)
        found = []
        for inputs, states in zip(self._sample[:count], self._states[:count], strict=True):
            changed = {name: model.states(name, inputs) for name in graphs}
            found.append(model.of_states({**states, **changed}))
        return np.stack(found)
