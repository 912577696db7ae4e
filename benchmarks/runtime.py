"""The published-size model at work: ours in float32 and int8, beside the published graph in PyTorch eager at batch 1.

    python benchmarks/runtime.py [--runs 7] [--threads N] [--batch 32] [--clock wall]

3M-SER with LayerNorm: VGGish (4 examples of 0.96 s), BERT-base (16 tokens) and the fusion, random weights. The peer is
the graph as the published code runs it: torchvggish's network, transformers' BERT and the fusion, in eager mode, one
utterance at a time. All take turns in one run, so that a busy spell of the machine hits them all; ratios are of the
medians. The limit is what the machine's own matrix product (1024 x 1024, PyTorch's, measured in the same turns) would
need for the FLOPs that :mod:`m3ser.models.complexity` counts. int8 is calibrated on noise here: its speed does not
depend on what the numbers are, and nothing is said of its accuracy. Needs the `dev` extra. Takes some minutes.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import tempfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import torch
import transformers
from numpy.typing import NDArray
from torchvggish.torchvggish import VGG, make_layers
from transformers import BertConfig, BertModel

from m3ser.encoders import TextEncoder, VGGish, VGGishEncoder, freeze
from m3ser.inference import SessionSettings
from m3ser.models import build
from m3ser.models.complexity import measure
from m3ser.training.exporting import export_audio_encoder, export_fusion, export_text_encoder, store_as_int8
from m3ser.training.exporting.quantisation import quantise

SYSTEM = "3m-ser-ln"
TOKENS, EXAMPLES = 16, 4
SECONDS = 0.975 + 0.96 * (EXAMPLES - 1)
SIDE = 1024  # of the matrices that the limit is measured with
CALIBRATION = 8
Batch = dict[str, dict[str, NDArray[Any]]]


def main() -> None:
    """Build, measure in turn, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=7, help="of each, after one that is not counted")
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    parser.add_argument(
        "--clock",
        choices=("wall", "cpu"),
        default="wall",
        help="cpu: processor time, for a machine that is busy with other things; with --threads 1",
    )
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    given = parser.parse_args()
    torch.set_num_threads(given.threads)
    torch.manual_seed(0)
    text = freeze(TextEncoder(BertModel(BertConfig())))
    audio = freeze(VGGishEncoder(VGGish()))
    fusion = build(SYSTEM, text_dim=768, audio_dim=128, num_labels=4)
    fusion.train(False)
    models = _ours(text, audio, fusion, threads=given.threads)
    one, many = _batch(1, seed=1), _batch(given.batch, seed=2)
    peer = _peer(text, audio, fusion, one)
    product = _product()
    flops = measure(SYSTEM, tokens=TOKENS, seconds=SECONDS).flops
    tasks: dict[str, Callable[[], object]] = {
        "product": product,
        "peer": peer,
        **{f"{name}, 1": _run(sessions, one) for name, sessions in models.items()},
        **{f"{name}, {given.batch}": _run(sessions, many) for name, sessions in models.items()},
    }
    times = _in_turn(tasks, given.runs, clock=time.perf_counter if given.clock == "wall" else time.process_time)
    speed = 2 * SIDE**3 / statistics.median(times["product"])
    result = {
        "hardware": hardware(),
        "threads": given.threads,
        "clock": given.clock,
        "runs": given.runs,
        "flops": flops,
        "product_gflops": speed / 1e9,
        "largest_difference": _difference(models["fp32"], one, peer),
        "rows": [
            _row(name, times[name], flops, speed, statistics.median(times["peer"]))
            for name in times
            if name != "product"
        ],
    }
    if given.json:
        print(json.dumps(result))
    else:
        _print(result)


def _ours(text: Any, audio: Any, fusion: Any, *, threads: int) -> dict[str, dict[str, Any]]:
    """Sessions with the options of inference, for each precision."""
    graphs = {
        "text": export_text_encoder(text),
        "audio": export_audio_encoder(audio, (96, 64)),
        "fusion": export_fusion(fusion),
    }
    noise = [_batch(1, seed=100 + i) for i in range(CALIBRATION)]
    int8 = {"fusion": graphs["fusion"]}
    for name in ("text", "audio"):
        numbers = quantise(graphs[name], (batch[name] for batch in noise), full_range=False)
        int8[name] = store_as_int8(numbers.with_floating(()), tables_alone=True)
    settings = SessionSettings(threads=threads)
    return {
        "fp32": {name: _session(graph, settings, whole_numbers=False) for name, graph in graphs.items()},
        "int8": {name: _session(graph, settings, whole_numbers=name != "fusion") for name, graph in int8.items()},
    }


def _session(graph: onnx.ModelProto, settings: SessionSettings, *, whole_numbers: bool) -> Any:
    options = settings.session_options(whole_numbers=whole_numbers)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "graph.onnx"
        path.write_bytes(graph.SerializeToString())
        return onnxruntime.InferenceSession(path.read_bytes(), options, providers=list(settings.providers))


def _batch(size: int, *, seed: int) -> Batch:
    rng = np.random.default_rng(seed)
    return {
        "text": {
            "input_ids": rng.integers(1000, 30_000, (size, TOKENS)),
            "attention_mask": np.ones((size, TOKENS), np.bool_),
        },
        "audio": {
            "features": rng.normal(-2.0, 1.5, (size, EXAMPLES, 96, 64)).astype(np.float32),
            "mask": np.ones((size, EXAMPLES), np.bool_),
        },
    }


def _run(sessions: Mapping[str, Any], batch: Batch) -> Callable[[], NDArray[np.float32]]:
    """As inference runs them: VGGish at most 15 s of sound at a time, BERT the whole batch."""
    size = len(batch["text"]["input_ids"])
    step = max(1, 15 // EXAMPLES)

    def run() -> NDArray[np.float32]:
        (words,) = sessions["text"].run(None, batch["text"])
        pieces = [
            sessions["audio"].run(["states"], {name: value[i : i + step] for name, value in batch["audio"].items()})[0]
            for i in range(0, size, step)
        ]
        states = {
            "text": words,
            "text_mask": batch["text"]["attention_mask"],
            "audio": np.concatenate(pieces),
            "audio_mask": batch["audio"]["mask"],
        }
        logits: NDArray[np.float32] = sessions["fusion"].run(None, states)[0]
        return logits

    return run


def _peer(text: Any, audio: Any, fusion: Any, one: Batch) -> Callable[[], NDArray[np.float32]]:
    """The published composition with the same weights, in eager mode."""
    vggish = VGG(make_layers(), postprocess=False)
    vggish.load_state_dict(audio.vggish.state_dict())
    vggish.train(False)
    bert = text.model
    ids = torch.from_numpy(one["text"]["input_ids"])
    examples = torch.from_numpy(one["audio"]["features"]).flatten(0, 1).unsqueeze(1)

    def run() -> NDArray[np.float32]:
        with torch.no_grad():
            words = bert(input_ids=ids).last_hidden_state
            logits: NDArray[np.float32] = fusion(words, None, vggish(examples)[None], None).logits.numpy()
        return logits

    return run


def _product() -> Callable[[], object]:
    left, right = torch.randn(SIDE, SIDE), torch.randn(SIDE, SIDE)
    return lambda: left @ right


def _in_turn(
    tasks: Mapping[str, Callable[[], object]], runs: int, *, clock: Callable[[], float]
) -> dict[str, list[float]]:
    times: dict[str, list[float]] = {name: [] for name in tasks}
    for turn in range(1 + runs):
        for name, task in tasks.items():
            began = clock()
            task()
            if turn:
                times[name].append(clock() - began)
    return times


def _row(name: str, times: list[float], flops: int, speed: float, peer: float) -> dict[str, Any]:
    size = int(name.rpartition(", ")[2]) if ", " in name else 1
    each = [one / size for one in times]
    median = statistics.median(each)
    return {
        "what": name,
        "batch": size,
        "ms": 1000 * median,
        "ms_fastest": 1000 * min(each),
        "ms_slowest": 1000 * max(each),
        "times_faster_than_peer": peer / median,
        "share_of_limit": flops / speed / median,
    }


def _difference(sessions: Mapping[str, Any], one: Batch, peer: Callable[[], Any]) -> float:
    return float(np.abs(_run(sessions, one)() - peer()).max())


def _print(result: Mapping[str, Any]) -> None:
    print(
        f"{SYSTEM}: {TOKENS} tokens, {EXAMPLES} VGGish examples, {result['flops'] / 1e9:.2f} GFLOPs an utterance; "
        f"{result['runs']} runs in turn, {result['threads']} threads, {result['clock']} time; {result['hardware']}; "
        f"PyTorch {torch.__version__}, transformers {transformers.__version__}, ONNX Runtime {onnxruntime.__version__}"
    )
    print(
        f"matrix product {SIDE} x {SIDE}: {result['product_gflops']:.0f} GFLOPS, which is "
        f"{result['flops'] / result['product_gflops'] / 1e6:.1f} ms an utterance; largest difference of a logit, fp32 "
        f"from the peer: {result['largest_difference']:.1e}"
    )
    print(f"{'ms per utterance':22}{'median':>9}{'fastest':>9}{'slowest':>9}{'x peer':>9}{'of limit':>10}")
    for row in result["rows"]:
        print(
            f"{row['what']:22}{row['ms']:9.1f}{row['ms_fastest']:9.1f}{row['ms_slowest']:9.1f}"
            f"{row['times_faster_than_peer']:9.2f}{row['share_of_limit']:10.0%}"
        )


def hardware() -> str:
    """The processor, and what of its instructions matters here."""
    name = platform.processor() or platform.machine()
    cpuinfo = Path("/proc/cpuinfo")
    flags = ""
    if cpuinfo.exists():
        lines = cpuinfo.read_text().splitlines()
        found = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
        name = found[0] if found else name
        known = next((line for line in lines if line.startswith("flags")), "").split()
        flags = ", with VNNI" if {"avx512_vnni", "avx_vnni"} & set(known) else ", without VNNI"
    return f"{name}, {os.cpu_count()} cores{flags}"


if __name__ == "__main__":
    main()
