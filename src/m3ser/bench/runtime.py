"""Rows: a model of the published size as ONNX graphs, beside the published composition in PyTorch eager at batch 1.

3M-SER with LayerNorm: VGGish, BERT-base and the fusion, with random weights that are the same on both sides. The peer
is what the published code runs: torchvggish's network, transformers' BERT and the fusion, an utterance at a time. int8
is calibrated on noise: its speed does not depend on what the numbers are, and nothing is said of its accuracy.

On all cores, and on one: where a neighbour has one of several, the threads of eager PyTorch wait for each other at
every operation and take up to fifteen times as long, which would be told of as our speed. On one core nobody waits.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from m3ser.bench.rows import Ready, Row, Side
from m3ser.cores import available_cores

__all__ = ["ROWS", "eager", "eager_logits", "graph_logits", "graphs"]

_SYSTEM = "3m-ser-ln"
_TOKENS, _EXAMPLES = 16, 4
_SECONDS = 0.975 + 0.96 * (_EXAMPLES - 1)
_CALIBRATION = 8
_LAYERS, _HIDDEN = 12, 768  # of BERT-base
_MANY = 32

Arrays = Mapping[str, Mapping[str, NDArray[Any]]]


def graphs(precision: str, batch: int, *, layers: int = _LAYERS, hidden: int = _HIDDEN) -> Ready:
    """The graphs under ONNX Runtime; the figure is the seconds for each utterance.

    Args:
        precision: "fp32" or "int8".
        batch: utterances at once.
        layers: of BERT.
        hidden: width of BERT, a multiple of 64.
    """
    from m3ser.models.complexity import measure

    logits, inputs = graph_logits(precision, layers=layers, hidden=hidden), _inputs(batch, seed=2)

    def run() -> float:
        began = time.perf_counter()
        logits(inputs)
        return (time.perf_counter() - began) / batch

    published = (layers, hidden) == (_LAYERS, _HIDDEN)
    flops = measure(_SYSTEM, tokens=_TOKENS, seconds=_SECONDS).flops if published else None
    return Ready(run, audio_seconds=_SECONDS, flops=flops)


def eager(*, layers: int = _LAYERS, hidden: int = _HIDDEN) -> Ready:
    """The published composition, an utterance at a time; the arguments are those of :func:`graphs`."""
    logits, inputs = eager_logits(layers=layers, hidden=hidden), _inputs(1, seed=2)

    def run() -> None:
        logits(inputs)

    return Ready(run, audio_seconds=_SECONDS)


def graph_logits(precision: str, *, layers: int, hidden: int) -> Callable[[Arrays], NDArray[np.float32]]:
    """From a batch of inputs to logits (batch, 4), by sessions with the options of inference."""
    import onnxruntime

    from m3ser.audio import FRONT_ENDS
    from m3ser.inference import SessionSettings
    from m3ser.training.exporting import export_audio_encoder, export_fusion, export_text_encoder, store_as_int8

    text, audio, fusion = _models(layers, hidden)
    drawn = {
        "text": export_text_encoder(text),
        "audio": export_audio_encoder(audio, (96, 64)),
        "fusion": export_fusion(fusion),
    }
    if precision == "int8":
        from m3ser.training.exporting.quantisation import quantise

        noise = [_inputs(1, seed=100 + i) for i in range(_CALIBRATION)]
        for name in ("text", "audio"):
            numbers = quantise(drawn[name], (inputs[name] for inputs in noise), full_range=False)
            drawn[name] = store_as_int8(numbers.with_floating(()), whole_numbers=True)
    settings = SessionSettings(threads=available_cores())
    sessions = {
        name: onnxruntime.InferenceSession(
            graph.SerializeToString(),
            settings.session_options(whole_numbers=precision == "int8" and name != "fusion"),
            providers=list(settings.providers),
        )
        for name, graph in drawn.items()
    }

    together = FRONT_ENDS["vggish"].batch_frames // _EXAMPLES  # utterances that VGGish hears at once, as in inference

    def logits(inputs: Arrays) -> NDArray[np.float32]:
        (words,) = sessions["text"].run(None, dict(inputs["text"]))
        heard = [
            sessions["audio"].run(["states"], {name: v[i : i + together] for name, v in inputs["audio"].items()})[0]
            for i in range(0, len(words), together)
        ]
        states = {
            "text": words,
            "text_mask": inputs["text"]["attention_mask"],
            "audio": np.concatenate(heard),
            "audio_mask": inputs["audio"]["mask"],
        }
        found: NDArray[np.float32] = sessions["fusion"].run(None, states)[0]
        return found

    return logits


def eager_logits(*, layers: int, hidden: int) -> Callable[[Arrays], NDArray[np.float32]]:
    """From the inputs of one utterance to logits (1, 4), by the published composition with the same weights."""
    import torch
    from torchvggish.torchvggish import VGG, make_layers

    torch.set_num_threads(available_cores())
    text, audio, fusion = _models(layers, hidden)
    vggish = VGG(make_layers(), postprocess=False)
    vggish.load_state_dict(audio.vggish.state_dict())
    vggish.train(False)

    def logits(inputs: Arrays) -> NDArray[np.float32]:
        ids = torch.from_numpy(inputs["text"]["input_ids"])
        examples = torch.from_numpy(inputs["audio"]["features"]).flatten(0, 1).unsqueeze(1)
        with torch.no_grad():
            words = text.model(input_ids=ids).last_hidden_state
            found: NDArray[np.float32] = fusion(words, None, vggish(examples)[None], None).logits.numpy()
        return found

    return logits


def _models(layers: int, hidden: int) -> tuple[Any, Any, Any]:
    """Text encoder, audio encoder and fusion in evaluation mode, with weights that are the same each time."""
    import torch
    from transformers import BertConfig, BertModel

    from m3ser.encoders import TextEncoder, VGGish, VGGishEncoder, freeze
    from m3ser.models import build

    torch.manual_seed(0)
    config = BertConfig(
        num_hidden_layers=layers, hidden_size=hidden, intermediate_size=4 * hidden, num_attention_heads=hidden // 64
    )
    text, audio = freeze(TextEncoder(BertModel(config))), freeze(VGGishEncoder(VGGish()))
    fusion = build(_SYSTEM, text_dim=hidden, audio_dim=128, num_labels=4)
    return text, audio, fusion.train(False)


def _inputs(batch: int, *, seed: int) -> Arrays:
    rng = np.random.default_rng(seed)
    return {
        "text": {
            "input_ids": rng.integers(1000, 30_000, (batch, _TOKENS)),
            "attention_mask": np.ones((batch, _TOKENS), np.bool_),
        },
        "audio": {
            "features": rng.normal(-2.0, 1.5, (batch, _EXAMPLES, 96, 64)).astype(np.float32),
            "mask": np.ones((batch, _EXAMPLES), np.bool_),
        },
    }


_AIMS = {("fp32", 1): 2, ("int8", 1): 4, ("int8", _MANY): 10}


def _row(precision: str, batch: int, cores: int | None) -> Row:
    size = "one at a time" if batch == 1 else f"{batch} at a time (the peer's: 1)"
    alone = cores == 1
    return Row(
        name="runtime-" + "one-core-" * alone + f"{precision}-{batch}",
        what=f"3M-SER of published size (VGGish, BERT-base), {precision}, {_SECONDS:.1f} s, {size}"
        + ", one core" * alone,
        ours=Side(
            f"m3ser, {precision}",
            f"{__name__}:graphs",
            {"precision": precision, "batch": batch},
            install='pip install "m3ser[train]"',
        ),
        peer=Side("PyTorch eager", f"{__name__}:eager", install='pip install "m3ser[train,dev]"'),
        cores=cores,
        aim=None if alone else _AIMS.get((precision, batch)),
        arithmetic="int8" if precision == "int8" else "float32",
    )


ROWS = tuple(
    _row(precision, batch, cores) for cores in (None, 1) for precision in ("fp32", "int8") for batch in (1, _MANY)
)
"""On all cores and on one, in float32 and in int8, alone and in batches."""
