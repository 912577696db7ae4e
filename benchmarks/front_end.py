"""The VGGish front end beside its peer, torchvggish 0.2, on the same real speech.

    python benchmarks/front_end.py [--runs 9]

Times ``log_mel_examples`` and ``torchvggish.vggish_input.waveform_to_examples`` in turn, on a minute and on a clip of
3 s, from 16 kHz and from 44.1 and 48 kHz (resampling included: soxr beside resampy). Each row says the median of the
runs, the fastest and the slowest, and how many times faster m3ser is. Both get the waveform in the precision that they
work in: float32 and float64. Then how near the spectra come to the matrix-multiply limit, measured in the same
run. Needs the ``dev`` extra.
"""

from __future__ import annotations

import argparse
import os
import platform
import statistics
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import soxr
from numpy.typing import NDArray
from torchvggish import vggish_input

import m3ser
from m3ser.audio import SAMPLE_RATE, load_waveform, log_mel_examples, whisper_log_mel

CLIPS = Path(m3ser.__file__).parent / "bundled" / "clips"
RATES = (SAMPLE_RATE, 44_100, 48_000)  # Hz
SECONDS = (60, 3)
REST = 0.1  # seconds before each run: OpenBLAS's threads keep a core busy for some 30 ms after torchvggish's product

# Multiply-adds a frame of the three products; see m3ser.audio.spectrum. (Frames a second: 100.)
MULTIPLY_ADDS = 13_600 + 16_320 + 16_320
LARGE = 1024  # rows and columns of the product that shows the limit


def main() -> None:
    """Run the comparison and print it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=9, help="of each, after one that is not counted (default: 9)")
    runs = max(5, parser.parse_args().runs)

    print(f"{runs} runs of each in turn; {hardware()}; NumPy {np.__version__}")
    print("median (fastest to slowest), ms        m3ser                      torchvggish                times faster")
    for seconds in SECONDS:
        speech = real_speech(seconds)
        for sample_rate in RATES:
            waveform = speech if sample_rate == SAMPLE_RATE else soxr.resample(speech, SAMPLE_RATE, sample_rate, "VHQ")
            double = waveform.astype(np.float64)
            ours, peer = time_in_turn(
                runs,
                partial(log_mel_examples, waveform, sample_rate),
                partial(vggish_input.waveform_to_examples, double, sample_rate, return_tensor=False),
            )
            ratio = statistics.median(peer) / statistics.median(ours)
            name = f"log-mel of {seconds} s from {sample_rate / 1000:g} kHz"
            print(f"{name:<36} {summary(ours):<26} {summary(peer):<26} {ratio:5.1f}")
    print_share_of_limit(runs)


def print_share_of_limit(runs: int) -> None:
    """A minute of speech on all cores, and on one: the time of the spectra beside that of their products alone."""
    speech = real_speech(60)
    square = np.random.default_rng(0).standard_normal((LARGE, LARGE)).astype(np.float32)
    product, vggish, alone, whisper = time_in_turn(
        runs,
        partial(np.matmul, square, square, out=np.empty_like(square)),
        partial(log_mel_examples, speech, SAMPLE_RATE),
        partial(log_mel_examples, speech, SAMPLE_RATE, threads=1),
        partial(whisper_log_mel, speech),
    )
    rate = 2 * LARGE**3 / min(product)  # FLOP/s
    limit = 60 * 100 * 2 * MULTIPLY_ADDS / rate
    print(f"60 s from 16 kHz: VGGish {summary(vggish)}, on one core {summary(alone)}; Whisper {summary(whisper)}")
    print(
        f"VGGish's matrix products at the {rate / 1e9:.0f} GFLOP/s of a large one: {1000 * limit:.2f} ms; "
        f"share of this limit: {limit / statistics.median(vggish):.0%}"
    )


def real_speech(seconds: int) -> NDArray[np.float32]:
    """The package's clips, one after the other, until there is enough."""
    clips = np.concatenate([load_waveform(path) for path in sorted(CLIPS.glob("*.wav"))])
    return np.resize(clips, seconds * SAMPLE_RATE)


def time_in_turn(runs: int, *functions: Callable[[], Any]) -> list[list[float]]:
    """Seconds of every run; the functions take turns, so that a busy spell of the machine hits them all."""
    times: list[list[float]] = [[] for _ in functions]
    for run in range(1 + runs):
        for function, own_times in zip(functions, times, strict=True):
            time.sleep(REST)
            began = time.perf_counter()
            function()
            if run:  # resampy compiles its kernel in the first
                own_times.append(time.perf_counter() - began)
    return times


def summary(times: list[float]) -> str:
    """Median, fastest and slowest, in milliseconds."""
    median, fastest, slowest = (1000 * value for value in (statistics.median(times), min(times), max(times)))
    return f"{median:.2f} ({fastest:.2f} to {slowest:.2f})"


def hardware() -> str:
    """The processor, as far as the system says."""
    name = platform.processor() or platform.machine()
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        models = [line.split(":", 1)[1].strip() for line in cpuinfo.read_text().splitlines() if "model name" in line]
        name = models[0] if models else name
    return f"{name}, {os.cpu_count()} cores"


if __name__ == "__main__":
    main()
