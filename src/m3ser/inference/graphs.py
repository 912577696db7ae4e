"""A bundle's graphs under ONNX Runtime: each loaded once, when it is first needed."""

from __future__ import annotations

import os
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from numpy.typing import NDArray

from m3ser.bundle import Bundle
from m3ser.errors import BundleError, UsageError

__all__ = ["Graph", "Graphs", "SessionSettings"]

Array = NDArray[Any]

_CPU = "CPUExecutionProvider"


@dataclass(frozen=True)
class SessionSettings:
    """How ONNX Runtime is to run the graphs.

    Args:
        threads: processor threads for one call; None: one per physical core.
        providers: ONNX Runtime execution providers by their own names, the preferred one first.

    Raises:
        UsageError: fewer than one thread, or a provider that the installed ONNX Runtime does not have.
    """

    threads: int | None = None
    providers: tuple[str, ...] = (_CPU,)

    def __post_init__(self) -> None:
        if self.threads is not None and self.threads < 1:
            raise UsageError(f"threads is {self.threads}; it must be 1 or more, or None for one per core.")
        if self.providers == (_CPU,):
            return  # every build has it, so nothing needs importing to find out
        import onnxruntime

        available = onnxruntime.get_available_providers()
        unknown = [name for name in self.providers if name not in available]
        if not self.providers:
            raise UsageError(f"providers is empty; the installed ONNX Runtime has {', '.join(available)}.")
        if unknown:
            raise UsageError(
                f"The installed ONNX Runtime has no execution provider '{', '.join(unknown)}'; it has "
                f"{', '.join(available)}."
            )

    def session_options(self, *, whole_numbers: bool = False) -> Any:
        """The options a graph is loaded with.

        Args:
            whole_numbers: its products are to be those of int8 numbers, as its QuantizeLinear nodes say.
        """
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.log_severity_level = 3  # errors only: its warnings speak of graph surgery, not of the user's audio
        if self.threads is not None:
            options.intra_op_num_threads = self.threads
        # Memory plans are kept per input shape. Utterances rarely share one, so the plans would only pile up.
        options.enable_mem_pattern = False
        # A thread pool that spins while it waits for work takes the cores from the next graph's pool and from the
        # decoders: on two cores, the three graphs in turn then take twice as long.
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        # int8 weights are stored as DequantizeLinear of an initializer. With the QDQ rewrites on, ONNX Runtime leaves
        # them int8 and runs them as block-quantised MatMuls, which rounds the activations too; off, it widens them to
        # fp32 once, while loading, and the graph is then exactly the fp32 one. The rewrites are what makes a graph
        # with ranges of its own for the activations (precision "int8") fast.
        options.add_session_config_entry("session.disable_quant_qdq", "0" if whole_numbers else "1")
        # A graph may point to weights in files beside it. Those would not be in the bundle's list of hashes, so they
        # are looked for where nothing can be. ONNX Runtime before 1.21 takes no notice of this.
        options.add_session_config_entry("session.model_external_initializers_file_folder_path", os.devnull)
        options.add_session_config_entry("session.load_model_format", "ONNX")
        if self.providers == (_CPU,):
            # On a processor the fused residual connection and layer norm takes four times as long as the two apart.
            options.add_session_config_entry("optimization.disable_specified_optimizers", "SkipLayerNormFusion")
        return options


class Graph:
    """One ONNX graph of a bundle, loaded when it is first run. Several threads may run it at once.

    Args:
        bundle: the opened bundle.
        file: the graph's file in it.
        inputs, outputs: the names that the graph must have, in the order of :meth:`run`.
        width: what the last axis of its first output must be.
        settings: how to run it.
        whole_numbers: see :meth:`SessionSettings.session_options`.
    """

    def __init__(
        self,
        bundle: Bundle,
        file: str,
        *,
        inputs: tuple[str, ...],
        outputs: tuple[str, ...],
        width: int,
        settings: SessionSettings,
        whole_numbers: bool = False,
    ) -> None:
        self._path = bundle.path(file)
        self._title = f"Graph '{file}' of bundle '{bundle.folder}'"
        self._inputs = inputs
        self._outputs = outputs
        self._width = width
        self._settings = settings
        self._whole_numbers = whole_numbers
        self._lock = threading.Lock()
        self._session: Any = None

    def load(self) -> None:
        """Load the graph now, unless it is loaded already.

        Raises:
            BundleError: ONNX Runtime refuses it, or it is not the graph that the bundle says it is.
        """
        with self._lock:
            if self._session is None:
                self._session = self._open()

    def run(self, *arrays: Array) -> list[Array]:
        """The graph's outputs for one array (batch, ...) per input, in the order of `outputs`.

        Raises:
            BundleError: the graph cannot be loaded, fails on these arrays, or yields something of another shape.
        """
        self.load()
        feed = dict(zip(self._inputs, arrays, strict=True))
        try:
            results: list[Array] = self._session.run(self._outputs, feed)
        except _runtime_faults() as error:
            shapes = ", ".join(f"{name} {array.shape}" for name, array in feed.items())
            raise BundleError(f"{self._title} failed on {shapes}: {_one_line(error)}.") from error
        first, batch = results[0], len(arrays[0])
        # One row for a whole batch would be taken for that of each utterance.
        if first.ndim < 2 or (len(first), first.shape[-1]) != (batch, self._width):
            raise BundleError(
                f"{self._title} yields '{self._outputs[0]}' of shape {first.shape} for a batch of {batch}; expected "
                f"vectors of {self._width} for each."
            )
        for name, mask in zip(self._outputs[1:], results[1:], strict=True):
            if mask.shape != first.shape[:-1]:
                raise BundleError(
                    f"{self._title} yields '{name}' of shape {mask.shape} beside '{self._outputs[0]}' of shape "
                    f"{first.shape}; expected {first.shape[:-1]}."
                )
        return results

    def _open(self) -> Any:
        import onnxruntime

        try:
            session = onnxruntime.InferenceSession(
                self._path.read_bytes(),
                sess_options=self._settings.session_options(whole_numbers=self._whole_numbers),
                providers=list(self._settings.providers),
            )
        except OSError as error:
            raise BundleError(f"{self._title} cannot be read: {error.strerror or error}.") from error
        except _runtime_faults() as error:
            raise BundleError(f"{self._title} is not one that ONNX Runtime can load: {_one_line(error)}.") from error
        self._require("inputs", self._inputs, session.get_inputs())
        self._require("outputs", self._outputs, session.get_outputs())
        shape = next(node for node in session.get_outputs() if node.name == self._outputs[0]).shape
        found = shape[-1] if shape else None
        # A symbolic axis has a name in place of a number; then the arrays themselves tell.
        if isinstance(found, int) and found != self._width:
            raise BundleError(f"{self._title} yields vectors of {found}; bundle.json says {self._width}.")
        return session

    def _require(self, what: str, expected: tuple[str, ...], nodes: Sequence[Any]) -> None:
        found = [node.name for node in nodes]
        if sorted(found) != sorted(expected):
            raise BundleError(f"{self._title} has the {what} {', '.join(found)}; expected {', '.join(expected)}.")


class Graphs:
    """The graphs of a bundle, with their shapes.

    Attributes:
        audio, text: the encoders; None where the model does not look at that modality.
        fusion: from their states to logits.

    Raises:
        UsageError: see :class:`SessionSettings`.
    """

    def __init__(self, bundle: Bundle, settings: SessionSettings) -> None:
        manifest = bundle.manifest
        whole_numbers = manifest.precision == "int8"
        self.audio: Graph | None = None
        self.text: Graph | None = None
        if manifest.audio is not None:
            self.audio = Graph(
                bundle,
                manifest.audio.graph,
                inputs=("features", "mask"),
                outputs=("states", "states_mask"),
                width=manifest.audio.dim,
                settings=settings,
                whole_numbers=whole_numbers,
            )
        if manifest.text is not None:
            self.text = Graph(
                bundle,
                manifest.text.graph,
                inputs=("input_ids", "attention_mask"),
                outputs=("states",),
                width=manifest.text.dim,
                settings=settings,
                whole_numbers=whole_numbers,
            )
        read = () if self.text is None else ("text", "text_mask")
        heard = () if self.audio is None else ("audio", "audio_mask")
        self.fusion = Graph(
            bundle,
            manifest.fusion.graph,
            inputs=(*read, *heard),
            outputs=("logits",),
            width=len(manifest.labels),
            settings=settings,
        )


def _runtime_faults() -> tuple[type[Exception], ...]:
    """What ONNX Runtime raises: a class per status code of its own, and RuntimeError or ValueError from its wrapper."""
    from onnxruntime.capi import onnxruntime_pybind11_state as state

    own = [value for value in vars(state).values() if isinstance(value, type) and issubclass(value, Exception)]
    return (RuntimeError, ValueError, *own)


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split()).rstrip(".")
