"""The machine's limit: how many operations some work cannot do without, and how fast matrix products are here."""

from __future__ import annotations

import json
import math
import os
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from m3ser.bench.rows import Ready, Side

__all__ = ["MATRIX_PRODUCTS", "log_mel_flops", "matrix_products", "run_counted"]

_SIZE = 1024  # rows and columns: the operands leave the first cache, as those of encoders do
_PRODUCTS = 8  # in one run: about 0.1 s on one core of 2020

MATRIX_PRODUCTS = Side("matrix products (NumPy, float32)", f"{__name__}:matrix_products")
"""Its figure is not seconds but floating-point operations a second."""


def matrix_products(size: int = _SIZE, products: int = _PRODUCTS) -> Ready:
    """NumPy's float32 matrix product, square, on the threads that its BLAS was given."""
    from m3ser.bench.measure import repeated

    generator = np.random.default_rng(0)
    left, right = (generator.standard_normal((size, size), dtype=np.float32) for _ in range(2))
    result = np.empty_like(left)
    run = repeated(lambda: np.matmul(left, right, out=result), products)
    flops = 2.0 * size**3

    def rate() -> float:
        seconds = run()
        assert seconds is not None
        return flops / seconds

    return Ready(rate, flops=flops)


def log_mel_flops(frames: int, *, window: int = 400, points: int = 512, bins: int = 236, bands: int = 64) -> float:
    """Operations of a log-mel spectrum, by the usual counts.

    A frame costs its window, a real FFT of `points` (2.5 N log2 N), a magnitude for each bin that a band uses (four:
    two squares, their sum, a root), two weights for each of them, since triangles overlap in pairs, and for each band
    an offset and a logarithm.

    Args:
        frames: how many.
        window: samples in a frame.
        points: of the FFT.
        bins: that some band uses.
        bands: of the result.
    """
    per_frame = window + 2.5 * points * math.log2(points) + 4 * bins + 2 * 2 * bins + 2 * bands
    return float(frames * per_frame)


def run_counted(path: str | os.PathLike[str], feed: Mapping[str, NDArray[Any]]) -> tuple[float, list[NDArray[Any]]]:
    """Run an ONNX graph once, as it is written, and count the operations of its matrix products and convolutions.

    Args:
        path: the graph.
        feed: its inputs.

    Returns:
        Floating-point operations, and the graph's outputs.
    """
    import onnxruntime

    with tempfile.TemporaryDirectory() as folder:
        options = onnxruntime.SessionOptions()
        options.log_severity_level = 3
        options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
        options.enable_profiling = True
        options.profile_file_prefix = str(Path(folder) / "profile")
        session = onnxruntime.InferenceSession(os.fspath(path), options, providers=["CPUExecutionProvider"])
        outputs: list[NDArray[Any]] = session.run(None, dict(feed))
        events = json.loads(Path(session.end_profiling()).read_text(encoding="utf-8"))
    return sum(_flops(event["args"]) for event in events if "input_type_shape" in event.get("args", {})), outputs


def _flops(node: Mapping[str, Any]) -> float:
    """Operations of one node that ran, from the shapes that it ran on."""
    if node["op_name"] not in ("MatMul", "Gemm", "Conv"):
        return 0.0
    inputs = [shape for tensor in node["input_type_shape"] for shape in tensor.values()]
    (result,) = (shape for tensor in node["output_type_shape"] for shape in tensor.values())
    # Each element of the result is a sum over this many products: a filter of (out, in, ...), or a row of the left.
    summed = math.prod(inputs[1][1:]) if node["op_name"] == "Conv" else inputs[0][-1]
    return float(2 * math.prod(result) * summed)
