"""Where the time of VGGish's log-mel goes, step by step, and what its products would take at the machine's limit.

    OPENBLAS_NUM_THREADS=1 python benchmarks/log_mel.py [--runs N]

Told are nanoseconds a frame, medians with the fastest and the slowest run, on one core. The limit is the speed of
NumPy's float32 products of 1,024 by 1,024, measured in the same process.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from functools import partial

import numpy as np

from m3ser.audio import spectrum
from m3ser.audio.vggish import HOP, _spectrum, _take_logarithm
from m3ser.bench.arithmetic import matrix_products
from m3ser.bench.measure import repeated, take_turns, timed

_TIMES = 20  # that a step is done in one run


def main() -> None:
    """Print a line for each step, their sum, and the limit of the products."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=50, help="counted runs of each step")
    runs = parser.parse_args().runs

    front_end = _spectrum()
    steps, frames = _steps(front_end)
    figures = take_turns([partial(timed, repeated(step, _TIMES)) for step in steps.values()], runs=runs, rest=0)
    for name, figure in zip(steps, figures, strict=True):
        low, middle, high = (1e9 * value / frames for value in (figure.lowest, figure.median, figure.highest))
        print(f"{name:16} {middle:6.0f} ({low:.0f} to {high:.0f})")
    print(f"{'sum of medians':16} {1e9 * sum(figure.median for figure in figures) / frames:6.0f}")

    rate = take_turns([partial(timed, matrix_products().run)], runs=5)[0].median
    columns = front_end._inner.shape[1] // 2
    multiply_adds = front_end._inner.size + front_end._outer.size * columns
    multiply_adds += sum(group.weights.size for group in front_end._groups)
    print(
        f"products: {multiply_adds:,} multiply-adds a frame, {2e9 * multiply_adds / rate:.0f} ns at {rate / 1e9:.0f} "
        f"GFLOP/s"
    )


def _steps(front_end: spectrum.MelSpectrum) -> tuple[dict[str, Callable[[], object]], int]:
    """What is done to as many blocks as are computed together, and how many frames these have."""
    buffers = spectrum._Buffers.for_blocks(front_end._inner, front_end._outer)[-1]
    count = len(buffers.inner) * buffers.inner.shape[-1]
    samples = np.random.default_rng(0).standard_normal(HOP * count + front_end.window_length, dtype=np.float32)
    frames = np.lib.stride_tricks.sliding_window_view(samples, front_end.window_length)[::HOP][:count]
    mel = np.empty((count, front_end.bands), np.float32)
    ones = np.ones_like(buffers.outer)  # squares of squares of noise would leave float32's range

    def squares() -> None:
        np.square(ones, out=ones)
        np.add(ones[:, 0], ones[:, 1], out=buffers.magnitudes)

    def bands() -> None:
        blocks = mel.reshape(len(buffers.by_frame), -1, front_end.bands)
        for group in front_end._groups:
            np.matmul(buffers.by_frame[..., group.bins], group.weights, out=blocks[..., group.bands])

    def logarithms() -> None:
        np.copyto(mel, 1.0)
        _take_logarithm(mel)

    return {
        "copy of frames": lambda: buffers.fill(frames),
        "inner product": lambda: np.matmul(front_end._inner, buffers.phases, out=buffers.inner),
        "outer product": lambda: np.matmul(front_end._outer, buffers.inner_pieces, out=buffers.outer_pieces),
        "squares": squares,
        "roots": lambda: np.sqrt(buffers.magnitudes, out=buffers.magnitudes),
        "mel bands": bands,
        "logarithms": logarithms,
    }, count


if __name__ == "__main__":
    main()
