"""One utterance at a time through the model: as PyTorch runs it, and as ONNX Runtime runs its graphs."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any

import numpy as np
import onnx
import onnxruntime
import torch
from numpy.typing import NDArray

from m3ser.batching import pad
from m3ser.encoders import Encoder
from m3ser.models import FusionModel
from m3ser.training.encoding import Encoders
from m3ser.training.exporting.inputs import Inputs

__all__ = ["GraphModel", "Model", "TorchModel", "open_graph"]

Arrays = Mapping[str, NDArray[Any]]


class Model(ABC):
    """What gives logits for utterances, each by itself, so that padding has no part in it."""

    @abstractmethod
    def encode(self, modality: str, inputs: NDArray[Any], mask: NDArray[np.bool_]) -> NDArray[np.float32]:
        """States (steps, dim) of a batch of one."""

    @abstractmethod
    def fuse(self, states: Arrays) -> NDArray[np.float32]:
        """Logits (classes,) from ``text``, ``text_mask``, ``audio``, ``audio_mask``, as far as they are looked at."""

    @property
    @abstractmethod
    def dims(self) -> Mapping[str, int]:
        """Width of the states of each modality that is looked at, the text's first."""

    def states(self, modality: str, inputs: Inputs) -> NDArray[np.float32]:
        """States (steps, dim) of one modality of an utterance; (0, dim) where it has none of it."""
        words = () if inputs.ids is None else (inputs.ids,)
        pieces: tuple[NDArray[Any], ...] = inputs.windows if modality == "audio" else words
        nothing = np.zeros((0, self.dims[modality]), np.float32)
        return np.concatenate([nothing, *(self.encode(modality, *pad([piece])) for piece in pieces)])

    def logits(self, inputs: Inputs) -> NDArray[np.float32]:
        """Logits (classes,) of one utterance."""
        return self.of_states({modality: self.states(modality, inputs) for modality in self.dims})

    def of_states(self, states: Arrays) -> NDArray[np.float32]:
        """Logits (classes,) from the states (steps, dim) of each modality that is looked at."""
        padded: dict[str, NDArray[Any]] = {}
        for modality in self.dims:
            padded[modality], padded[f"{modality}_mask"] = pad([states[modality]])
        return self.fuse(padded)


class TorchModel(Model):
    """The model as it was trained."""

    def __init__(self, encoders: Encoders, fusion: FusionModel) -> None:
        self._encoders: dict[str, Encoder] = {}
        if encoders.text is not None:
            self._encoders["text"] = encoders.text
        if encoders.audio is not None:
            self._encoders["audio"] = encoders.audio
        self._fusion = fusion.train(False)

    @property
    def dims(self) -> Mapping[str, int]:
        """See :attr:`Model.dims`."""
        return {name: encoder.dim for name, encoder in self._encoders.items()}

    def encode(self, modality: str, inputs: NDArray[Any], mask: NDArray[np.bool_]) -> NDArray[np.float32]:
        """See :meth:`Model.encode`."""
        with torch.inference_mode():
            found = self._encoders[modality](torch.from_numpy(inputs), torch.from_numpy(mask))
        states: NDArray[np.float32] = found.states[found.mask].numpy()
        return states

    def fuse(self, states: Arrays) -> NDArray[np.float32]:
        """See :meth:`Model.fuse`."""
        with torch.inference_mode():
            found = self._fusion(**{name: torch.from_numpy(value) for name, value in states.items()}).logits
        logits: NDArray[np.float32] = found[0].numpy()
        return logits


class GraphModel(Model):
    """The model as graphs.

    Args:
        graphs: "audio", "text" (those that there are) and "fusion".
        dims: see :attr:`Model.dims`.
        whole_numbers: run the encoders' products in int8 where their graphs say so.
    """

    def __init__(
        self, graphs: Mapping[str, onnx.ModelProto], dims: Mapping[str, int], *, whole_numbers: bool = False
    ) -> None:
        self._dims = dims
        self._sessions = {
            name: open_graph(graph, whole_numbers=whole_numbers and name != "fusion") for name, graph in graphs.items()
        }

    @property
    def dims(self) -> Mapping[str, int]:
        """See :attr:`Model.dims`."""
        return self._dims

    def replaced(self, name: str, graph: onnx.ModelProto) -> GraphModel:
        """The same with another graph in one place, its products in int8 where it says so."""
        other = GraphModel({}, self._dims)
        other._sessions = {**self._sessions, name: open_graph(graph, whole_numbers=True)}
        return other

    def encode(self, modality: str, inputs: NDArray[Any], mask: NDArray[np.bool_]) -> NDArray[np.float32]:
        """See :meth:`Model.encode`."""
        names = ("features", "mask") if modality == "audio" else ("input_ids", "attention_mask")
        found = self._sessions[modality].run(None, dict(zip(names, (inputs, mask), strict=True)))
        real = found[1] if modality == "audio" else mask[:, : found[0].shape[1]]
        states: NDArray[np.float32] = found[0][real]
        return states

    def fuse(self, states: Arrays) -> NDArray[np.float32]:
        """See :meth:`Model.fuse`."""
        logits: NDArray[np.float32] = self._sessions["fusion"].run(None, dict(states))[0][0]
        return logits


def open_graph(model: onnx.ModelProto, *, whole_numbers: bool = False) -> Any:
    """A session with the options that inference has."""
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    options.enable_mem_pattern = False
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    options.add_session_config_entry("session.disable_quant_qdq", "0" if whole_numbers else "1")
    options.add_session_config_entry("optimization.disable_specified_optimizers", "SkipLayerNormFusion")
    return onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
