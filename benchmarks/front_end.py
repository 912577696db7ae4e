"""The VGGish front end beside its peer, torchvggish 0.2, on the same minute of real speech.

    python benchmarks/front_end.py

Times ``log_mel_examples`` and ``torchvggish.vggish_input.waveform_to_examples`` in turn, from 16 kHz and from 48 kHz
(resampling included: soxr beside resampy), and prints median, fastest and slowest run, and how many times faster m3ser
is. Both get the waveform in the precision that they work in: float32 and float64. Needs the ``dev`` extra.
"""

from __future__ import annotations

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
from m3ser.audio import SAMPLE_RATE, load_waveform, log_mel_examples

CLIPS = Path(m3ser.__file__).parent / "bundled" / "clips"
SECONDS = 60
RUNS = 9  # of each, after one that is not counted (resampy compiles its kernel in it)
REST = 0.1  # seconds before each run: OpenBLAS's threads keep a core busy for some 30 ms after torchvggish's product


def main() -> None:
    """Run the comparison and print it."""
    print(f"{SECONDS} s of speech, {RUNS} runs of each in turn; {hardware()}; NumPy {np.__version__}")
    speech = minute_of_speech()
    for sample_rate in (SAMPLE_RATE, 48_000):
        waveform = speech if sample_rate == SAMPLE_RATE else soxr.resample(speech, SAMPLE_RATE, sample_rate, "VHQ")
        double = waveform.astype(np.float64)
        ours, peer = time_in_turn(
            partial(log_mel_examples, waveform, sample_rate),
            partial(vggish_input.waveform_to_examples, double, sample_rate, return_tensor=False),
        )
        print(f"from {sample_rate / 1000:g} kHz")
        print(f"  m3ser       {summary(ours)}")
        print(f"  torchvggish {summary(peer)}")
        medians, fastest = statistics.median(peer) / statistics.median(ours), min(peer) / min(ours)
        print(f"  times faster: {medians:.1f} by the medians, {fastest:.1f} by the fastest runs")


def minute_of_speech() -> NDArray[np.float32]:
    """The package's clips, one after the other, until a minute is full."""
    clips = np.concatenate([load_waveform(path) for path in sorted(CLIPS.glob("*.wav"))])
    return np.resize(clips, SECONDS * SAMPLE_RATE)


def time_in_turn(*functions: Callable[[], Any]) -> list[list[float]]:
    """Seconds of every run; the functions take turns, so that a busy spell of the machine hits them all."""
    times: list[list[float]] = [[] for _ in functions]
    for run in range(1 + RUNS):
        for function, own_times in zip(functions, times, strict=True):
            time.sleep(REST)
            began = time.perf_counter()
            function()
            if run:
                own_times.append(time.perf_counter() - began)
    return times


def summary(times: list[float]) -> str:
    """Median, fastest and slowest, in milliseconds."""
    median, fastest, slowest = (1000 * value for value in (statistics.median(times), min(times), max(times)))
    return f"median {median:7.1f} ms   fastest {fastest:7.1f}   slowest {slowest:7.1f}"


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
