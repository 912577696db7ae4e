"""The machine's limit: how many operations some work cannot do without, and how fast matrix products are here."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from m3ser.bench.rows import Ready, Side
from m3ser.cores import available_cores

__all__ = ["PRODUCTS", "log_mel_flops", "matrix_products", "whole_products"]

_SIZE = 1024  # rows and columns: the operands leave the first cache, as those of encoders do
_PRODUCTS = 8  # in one run: about 0.1 s on one core of 2020
_WHOLE_PRODUCTS = 16  # in int8, which is two to four times as fast

PRODUCTS = {
    "float32": Side("matrix products (NumPy, float32)", f"{__name__}:matrix_products"),
    "int8": Side(
        "matrix products (ONNX Runtime, int8)", f"{__name__}:whole_products", install='pip install "m3ser[train]"'
    ),
}
"""By what is multiplied. Their figures are not seconds but operations a second, additions and multiplications."""


def matrix_products(size: int = _SIZE, products: int = _PRODUCTS) -> Ready:
    """NumPy's float32 matrix product, square, on the threads that its BLAS was given."""
    generator = np.random.default_rng(0)
    left, right = (generator.standard_normal((size, size), dtype=np.float32) for _ in range(2))
    result = np.empty_like(left)
    return _rate(lambda: np.matmul(left, right, out=result), size, products)


def whole_products(size: int = _SIZE, products: int = _WHOLE_PRODUCTS) -> Ready:
    """ONNX Runtime's product of int8 weights with activations in eight bits, square, on the cores that it may use.

    The weights are known beforehand and the result is in eight bits again, as in a calibrated model.
    """
    import onnxruntime
    from onnx import TensorProto, helper, numpy_helper

    from m3ser.inference import SessionSettings

    generator = np.random.default_rng(0)
    known: dict[str, NDArray[Any]] = {
        "weights": generator.integers(-127, 128, (size, size)).astype(np.int8),
        "zero": np.array(0, np.int8),
        "middle": np.array(128, np.uint8),
        "scale": np.array(0.01, np.float32),
        "wide": np.array(0.01 * np.sqrt(size), np.float32),
    }
    graph = helper.make_graph(
        [
            helper.make_node(
                "QLinearMatMul", ["given", "scale", "middle", "weights", "scale", "zero", "wide", "middle"], ["found"]
            )
        ],
        "products",
        [helper.make_tensor_value_info("given", TensorProto.UINT8, [size, size])],
        [helper.make_tensor_value_info("found", TensorProto.UINT8, [size, size])],
        [numpy_helper.from_array(value, name) for name, value in known.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10)
    session = onnxruntime.InferenceSession(
        model.SerializeToString(),
        SessionSettings(threads=available_cores()).session_options(whole_numbers=True),
        providers=["CPUExecutionProvider"],
    )
    given = {"given": generator.integers(0, 256, (size, size)).astype(np.uint8)}
    return _rate(lambda: session.run(None, given), size, products)


def _rate(product: Callable[[], object], size: int, products: int) -> Ready:
    from m3ser.bench.measure import repeated

    run = repeated(product, products)
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
