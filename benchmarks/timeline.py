"""How fast ``m3ser timeline`` is, and how much memory it takes, on five minutes and on three hours.

    python benchmarks/timeline.py
    python benchmarks/timeline.py --long-minutes 30     # a shorter long one

The recordings are the package's own clips over and over, in drawn order, with drawn pauses of 0.3 to 3 s between them
(16 kHz FLAC, about half of it speech). Each command is a process of its own, loading included; memory is its peak
resident set. Prints seconds, how many times faster than real time, and the ratio of the peaks. Aims: at least 50 times
without transcription and 8 times with the default one, on two cores; three hours in at most 1.2 times the memory of
five minutes.
"""

from __future__ import annotations

import argparse
import os
import platform
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import soundfile

RATE = 16_000
CLIPS = Path(__file__).resolve().parents[1] / "src" / "m3ser" / "bundled" / "clips"


def write_recording(path: Path, minutes: float) -> float:
    """Writes a recording of about so many minutes, in little memory; gives its length in seconds."""
    rng = np.random.default_rng(0)
    clips = [soundfile.read(clip, dtype="float32")[0] for clip in sorted(CLIPS.glob("*.wav"))]
    samples = 0
    with soundfile.SoundFile(path, "w", RATE, 1, "PCM_16") as file:
        while samples < minutes * 60 * RATE:
            pause = 1e-4 * rng.normal(size=int(rng.uniform(0.3, 3.0) * RATE))
            clip = clips[rng.integers(len(clips))]
            file.write(pause)
            file.write(clip)
            samples += len(pause) + len(clip)
    return samples / RATE


def measure(recording: Path, out: Path, *options: str) -> tuple[float, float]:
    """Seconds and peak resident memory (MB) of ``m3ser timeline`` on a recording."""
    command = [sys.executable, "-m", "m3ser", "timeline", str(recording), "--out", str(out), *options]
    begin = time.perf_counter()
    with subprocess.Popen(command) as process:
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise SystemExit(f"{' '.join(command)} ended with {process.returncode}")
    return time.perf_counter() - begin, usage.ru_maxrss / 1024


def main() -> None:
    """Runs short and long, without and with transcription, and prints a table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--short-minutes", type=float, default=5.0)
    parser.add_argument("--long-minutes", type=float, default=180.0)
    parser.add_argument("--transcribed-minutes", type=float, default=5.0, help="of the run with transcription")
    chosen = parser.parse_args()
    print(f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}")
    peaks = []
    with tempfile.TemporaryDirectory() as folder:
        for minutes, title, options in (
            (chosen.short_minutes, "voice alone", ("--no-text",)),
            (chosen.long_minutes, "voice alone", ("--no-text",)),
            (chosen.transcribed_minutes, "transcribed", ()),
        ):
            recording = Path(folder) / "recording.flac"
            length = write_recording(recording, minutes)
            seconds, peak = measure(recording, Path(folder) / "out.json", *options)
            peaks.append(peak)
            print(
                f"{title:12s} {length / 60:7.1f} min  {seconds:7.1f} s  {length / seconds:6.1f} times real time  "
                f"{peak:6.0f} MB",
                flush=True,
            )
    print(f"memory, long / short, voice alone: {peaks[1] / peaks[0]:.2f}")


if __name__ == "__main__":
    main()
