"""A trained model as ONNX graphs, as the bundle wants them.

Every length stays open. The encoders' weights can be stored as int8 with one scale per output channel and are widened
to float32 when the graph is loaded: a quarter of the size, and, the arithmetic being float32, an utterance still gives
the same in a batch as alone (with int8 arithmetic the activations' ranges would be shared by the batch).
"""

from __future__ import annotations

import contextlib
import io
import logging
import tempfile
import warnings
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import torch
from numpy.typing import NDArray
from onnx import helper, numpy_helper
from torch import Tensor, nn
from torch.export import Dim

from m3ser.encoders import AudioEncoder, EncoderStates, TokenEncoder, merged
from m3ser.errors import UsageError
from m3ser.models import FusionModel

__all__ = ["export_audio_encoder", "export_fusion", "export_text_encoder", "store_as_int8"]

OPSET = 20
_SMALLEST_STORED_AS_INT8 = 4096  # elements; below, the scales and nodes cost more than they save
_TOP = 127


def export_audio_encoder(encoder: AudioEncoder, feature_shape: Sequence[int]) -> onnx.ModelProto:
    """The graph ``features, mask -> states, states_mask``.

    Args:
        encoder: in evaluation mode.
        feature_shape: shape of one frame of its features: (80,) for Whisper's log-mel.

    Raises:
        UsageError: it cannot be one graph.
    """
    if not encoder.exportable:
        raise UsageError("This audio encoder runs utterances one by one, to be exact: that is no single ONNX graph.")
    encoder = merged(encoder)
    batch, frames = Dim("batch"), Dim("frames", max=encoder.max_frames)
    length = encoder.example_frames
    mask = torch.ones(2, length, dtype=torch.bool)
    mask[1, length * 6 // 10 :] = False
    return _exported(
        encoder,
        {"features": torch.randn(2, length, *feature_shape), "mask": mask},
        ["states", "states_mask"],
        [{0: batch, 1: frames}] * 2,
    )


def export_text_encoder(encoder: TokenEncoder) -> onnx.ModelProto:
    """The graph ``input_ids, attention_mask -> states``."""
    encoder = merged(encoder)
    batch, tokens = Dim("batch"), Dim("tokens", max=encoder.max_tokens)
    mask = torch.ones(2, 9, dtype=torch.bool)
    mask[1, 5:] = False
    ids = torch.randint(5, 100, (2, 9))
    return _exported(
        _StatesOnly(encoder), {"input_ids": ids, "attention_mask": mask}, ["states"], [{0: batch, 1: tokens}] * 2
    )


def export_fusion(fusion: FusionModel) -> onnx.ModelProto:
    """The graph ``text, text_mask, audio, audio_mask -> logits``."""
    batch, tokens, steps = Dim("batch"), Dim("tokens"), Dim("steps")
    text_mask, audio_mask = torch.ones(2, 5, dtype=torch.bool), torch.ones(2, 3, dtype=torch.bool)
    text_mask[1, 3:] = False
    audio_mask[0, 2:] = False
    inputs = {
        "text": torch.randn(2, 5, fusion.config.text_dim),
        "text_mask": text_mask,
        "audio": torch.randn(2, 3, fusion.config.audio_dim),
        "audio_mask": audio_mask,
    }
    shapes = [{0: batch, 1: tokens}] * 2 + [{0: batch, 1: steps}] * 2
    return _exported(_LogitsOnly(fusion), inputs, ["logits"], shapes)


def store_as_int8(model: onnx.ModelProto) -> onnx.ModelProto:
    """Store the large weights of `model` as int8, symmetric, with one scale per output channel or table row.

    What a MatMul or Gemm reads is scaled along its columns (or rows, where transposed), what a Conv reads along its
    first axis; each becomes a DequantizeLinear of an int8 initializer. Of a table that a Gather reads, only the rows
    that were looked up are widened: a vocabulary stays int8 in memory. Vectors stay as they are.

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
        if axis is None or values.dtype != np.float32 or values.size < _SMALLEST_STORED_AS_INT8 or values.ndim < 2:
            kept.append(initializer)
            continue
        axis %= values.ndim
        stored, scales = _rounded(values, axis)
        if name in tables:
            stored_tables.add(name)
            scales = scales.reshape(-1, *[1] * (values.ndim - 1))  # so that a looked-up row finds its scale beside it
        else:
            inputs = [f"{name}.int8", f"{name}.scale"]
            widened.append(helper.make_node("DequantizeLinear", inputs, [name], name=f"{name}.widen", axis=axis))
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


class _StatesOnly(nn.Module):
    def __init__(self, encoder: TokenEncoder) -> None:
        super().__init__()
        self.encoder = encoder

    def forward(self, input_ids: Tensor, attention_mask: Tensor) -> Tensor:
        found: EncoderStates = self.encoder(input_ids, attention_mask)
        return found.states


class _LogitsOnly(nn.Module):
    def __init__(self, fusion: FusionModel) -> None:
        super().__init__()
        self.fusion = fusion

    def forward(self, text: Tensor, text_mask: Tensor, audio: Tensor, audio_mask: Tensor) -> Tensor:
        logits: Tensor = self.fusion(text, text_mask, audio, audio_mask).logits
        return logits


def _exported(
    module: nn.Module, inputs: dict[str, Tensor], outputs: list[str], shapes: list[dict[int, Any]]
) -> onnx.ModelProto:
    with tempfile.TemporaryDirectory() as folder, _quiet():
        path = Path(folder) / "graph.onnx"
        torch.onnx.export(
            module.eval(),
            tuple(inputs.values()),
            path,
            dynamo=True,
            opset_version=OPSET,
            input_names=list(inputs),
            output_names=outputs,
            dynamic_shapes=tuple(shapes),
            external_data=False,
            verbose=False,
        )
        model = onnx.load(str(path))
    # The exporter notes the source line of every node, with the paths of the machine it ran on.
    model.ClearField("metadata_props")
    for node in model.graph.node:
        node.ClearField("metadata_props")
        node.ClearField("doc_string")
    for value in (*model.graph.value_info, *model.graph.input, *model.graph.output, *model.graph.initializer):
        value.ClearField("metadata_props")
    model.graph.ClearField("metadata_props")
    return model


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Keep what torch's exporter says of itself off the terminal."""
    logger = logging.getLogger("torch.onnx")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.setLevel(level)
