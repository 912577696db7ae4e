"""Which layers stay in float32, so that whole numbers change UA by no more than is allowed."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray

from m3ser.training.exporting.compensation import compensated
from m3ser.training.exporting.inputs import Inputs
from m3ser.training.exporting.parity import Outcome
from m3ser.training.exporting.quantisation import WholeNumbers, quantise
from m3ser.training.exporting.runners import GraphModel
from m3ser.training.exporting.storage import store_as_int8
from m3ser.training.recipe import ModalityRecipe

__all__ = ["TOLERANCE", "InInt8", "Layer", "encoders_in_int8", "within_tolerance"]

TOLERANCE = 0.5
"""Points of UA that whole numbers may cost on the calibration data."""

Layer = tuple[str, str]
"""The graph ("audio", "text") and the name of a node in it."""

_PROBED = 16  # utterances on which the layers are told apart
_TURNED = 4  # per cent of labels by one modality alone that may turn for each point of tolerance


@dataclass(frozen=True)
class InInt8:
    """Encoders in whole numbers.

    Attributes:
        graphs: by modality, as they are stored.
        kept: the layers that stay in float32, the worst first.
        layers: how many could have been int8.
    """

    graphs: Mapping[str, onnx.ModelProto]
    kept: tuple[Layer, ...]
    layers: int


def encoders_in_int8(
    graphs: Mapping[str, onnx.ModelProto],
    fp32: GraphModel,
    utterances: Sequence[Inputs],
    *,
    judged: Sequence[Inputs] | None = None,
    shown_alone: ModalityRecipe,
    full_range: bool = False,
    tolerance: float = TOLERANCE,
    waiting: Callable[[str, int], Callable[[], object]],
) -> InInt8:
    """The encoders of a model in int8, calibrated on utterances, as :func:`within_tolerance` leaves them.

    Their weights are rounded together, on the same utterances (:mod:`m3ser.training.exporting.compensation`).

    The fusion stays in float32: it is a thousandth of the arithmetic.

    Args:
        graphs: in float32, by modality; the fusion too.
        fp32: the model of these graphs.
        utterances: what the ranges are measured on.
        judged: what UA is kept on; None: the same.
        shown_alone: how often training showed a modality alone. A model that has met one without the other is held to
            what it makes of that, too.
        full_range: see :func:`~m3ser.training.exporting.quantisation.quantise`.
        tolerance: points of UA that it may cost, see :func:`within_tolerance`.
        waiting: see there.
    """
    numbers = {}
    for name in fp32.dims:
        feeds = list(_feeds(utterances, name))
        nearest = quantise(graphs[name], feeds, full_range=full_range)
        numbers[name] = compensated(nearest, feeds, full_range=full_range, waiting=waiting)
    shares = {"audio": shown_alone.audio_alone, "text": shown_alone.text_alone}
    found, kept = within_tolerance(
        fp32,
        numbers,
        utterances if judged is None else judged,
        alone=[name for name, share in shares.items() if share and len(numbers) > 1],
        tolerance=tolerance,
        waiting=waiting,
    )
    stored = {name: store_as_int8(graph, whole_numbers=True) for name, graph in found.items()}
    return InInt8(stored, kept, sum(len(one.layers) for one in numbers.values()))


def _feeds(utterances: Iterable[Inputs], modality: str) -> Iterator[dict[str, NDArray[Any]]]:
    for inputs in utterances:
        if modality == "text" and inputs.ids is not None:
            yield {"input_ids": inputs.ids[None], "attention_mask": np.ones((1, len(inputs.ids)), np.bool_)}
        elif modality == "audio":
            for window in inputs.windows:
                yield {"features": window[None], "mask": np.ones((1, len(window)), np.bool_)}


def within_tolerance(
    fp32: GraphModel,
    numbers: Mapping[str, WholeNumbers],
    sample: Sequence[Inputs],
    *,
    alone: Sequence[str] = (),
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
        alone: modalities by which alone they are recognised as well; of these labels, four times the tolerance may
            turn, in per cent.
        tolerance: the largest change that is allowed: points of UA, or per cent of the labels.
        waiting: called with what is being done and how often; gives what to call after each time.

    Returns:
        The graphs by name, and the layers that stay in float32, the worst first.
    """
    trial = _Trial(fp32, numbers, sample, alone)
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
    """A sample, and what the model in float32 makes of it: by all modalities (None), and by some alone."""

    def __init__(
        self,
        fp32: GraphModel,
        numbers: Mapping[str, WholeNumbers],
        sample: Sequence[Inputs],
        alone: Sequence[str],
    ) -> None:
        self._fp32 = fp32
        self._numbers = numbers
        self._sample = sample
        self._conditions: tuple[str | None, ...] = (None, *alone)
        self._states = [{name: fp32.states(name, inputs) for name in fp32.dims} for inputs in sample]
        self._labels = {
            condition: np.array([inputs.label_of(condition) for inputs in sample]) for condition in self._conditions
        }
        self._before = self._outcomes({}, len(sample))

    def graphs(self, kept: Sequence[Layer]) -> dict[str, onnx.ModelProto]:
        """The encoders with all layers in int8 but these."""
        return {
            name: one.with_floating(layer for graph, layer in kept if graph == name)
            for name, one in self._numbers.items()
        }

    def cost(self, kept: Sequence[Layer]) -> float:
        """What is held to the tolerance: the change of UA in points, or of unlabelled utterances labels in per cent.

        By a modality alone more labels turn, both ways: of a few hundred utterances UA may stay by chance, and be lost
        on others. So the turned labels themselves count, a quarter of a point for each per cent.
        """
        both, *alone = (
            before.difference(changed)
            for before, changed in zip(self._before, self._outcomes(self.graphs(kept), len(self._sample)), strict=True)
        )
        turned = 100 * (1 - both.agreement) if both.ua_change is None else abs(both.ua_change)
        return max([turned, *(100 * (1 - one.agreement) / _TURNED for one in alone)])

    def damage(self, layer: Layer) -> float:
        """The mean change of a logit where this layer alone is in int8."""
        graph, name = layer
        one = self._numbers[graph]
        alone = one.with_floating(other for other in one.layers if other != name)
        after = self._outcomes({graph: alone}, min(_PROBED, len(self._sample)))
        changes = [
            np.abs(changed.logits - before.logits[: len(changed.logits)]).mean()
            for before, changed in zip(self._before, after, strict=True)
        ]
        return float(np.mean(changes))

    def _outcomes(self, graphs: Mapping[str, onnx.ModelProto], count: int) -> list[Outcome]:
        """Under each condition, of the first `count` utterances, with these graphs in place of their originals."""
        model = self._fp32
        for name, graph in graphs.items():
            model = model.replaced(name, graph)
        found: list[list[NDArray[np.float32]]] = [[] for _ in self._conditions]
        for inputs, known in zip(self._sample[:count], self._states[:count], strict=True):
            states = {**known, **{name: model.states(name, inputs) for name in graphs}}
            for condition, logits in zip(self._conditions, found, strict=True):
                logits.append(model.of_states(_only(condition, states)))
        return [
            Outcome(np.stack(logits), self._labels[condition][:count])
            for condition, logits in zip(self._conditions, found, strict=True)
        ]


def _only(modality: str | None, states: Mapping[str, NDArray[np.float32]]) -> Mapping[str, NDArray[np.float32]]:
    """The states with those of other modalities taken away."""
    if modality is None:
        return states
    return {name: one if name == modality else one[:0] for name, one in states.items()}
