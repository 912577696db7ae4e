"""A trained model as ONNX graphs in float32, as the bundle wants them. Every length stays open."""

from __future__ import annotations

import contextlib
import io
import logging
import tempfile
import warnings
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import onnx
import torch
from torch import Tensor, nn
from torch.export import Dim

from m3ser.encoders import AudioEncoder, EncoderStates, TokenEncoder, merged
from m3ser.errors import UsageError
from m3ser.models import FusionModel

__all__ = ["export_audio_encoder", "export_fusion", "export_text_encoder"]

OPSET = 20


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
    length = min(9, encoder.max_tokens or 9)
    mask = torch.ones(2, length, dtype=torch.bool)
    mask[1, length // 2 :] = False
    ids = torch.randint(0, min(100, encoder.vocabulary), (2, length))
    return _exported(
        _StatesOnly(encoder), {"input_ids": ids, "attention_mask": mask}, ["states"], [{0: batch, 1: tokens}] * 2
    )


def export_fusion(fusion: FusionModel) -> onnx.ModelProto:
    """The graph ``text, text_mask, audio, audio_mask -> logits``; without the modality that it does not look at."""
    batch, tokens, steps = Dim("batch"), Dim("tokens"), Dim("steps")
    inputs: dict[str, Tensor] = {}
    shapes: list[dict[int, Any]] = []
    if "text" in fusion.modalities:
        mask = torch.ones(2, 5, dtype=torch.bool)
        mask[1, 3:] = False
        inputs |= {"text": torch.randn(2, 5, fusion.config.text_dim), "text_mask": mask}
        shapes += [{0: batch, 1: tokens}] * 2
    if "audio" in fusion.modalities:
        mask = torch.ones(2, 3, dtype=torch.bool)
        mask[0, 2:] = False
        inputs |= {"audio": torch.randn(2, 3, fusion.config.audio_dim), "audio_mask": mask}
        shapes += [{0: batch, 1: steps}] * 2
    return _exported(_LogitsOnly(fusion), inputs, ["logits"], shapes)


class _StatesOnly(nn.Module):
    def __init__(self, encoder: TokenEncoder) -> None:
        super().__init__()
        self.encoder = encoder

    def forward(self, input_ids: Tensor, attention_mask: Tensor) -> Tensor:
        found: EncoderStates = self.encoder(input_ids, attention_mask)
        return found.states


class _LogitsOnly(nn.Module):
    """The fusion with its inputs by position: those that it looks at, the text's first."""

    def __init__(self, fusion: FusionModel) -> None:
        super().__init__()
        self.fusion = fusion
        self.names = [name for one in ("text", "audio") if one in fusion.modalities for name in (one, f"{one}_mask")]

    def forward(self, *inputs: Tensor) -> Tensor:
        logits: Tensor = self.fusion(**dict(zip(self.names, inputs, strict=True))).logits
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
            dynamic_shapes=_for(module, shapes),
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


def _for(module: nn.Module, shapes: list[dict[int, Any]]) -> tuple[Any, ...]:
    """The open lengths in the form of the module's own arguments: ``*inputs`` are one of them."""
    return (tuple(shapes),) if isinstance(module, _LogitsOnly) else tuple(shapes)


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
