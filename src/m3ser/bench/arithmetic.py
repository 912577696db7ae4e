"""The machine's limit: how many operations some work cannot do without, and how fast matrix products are here."""

from __future__ import annotations

import math

import numpy as np

from m3ser.bench.rows import Ready, Side

__all__ = ["MATRIX_PRODUCTS", "log_mel_flops", "matrix_products"]

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
