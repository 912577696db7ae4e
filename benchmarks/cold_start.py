"""Cold ``m3ser predict`` of one clip with given text, beside what importing torch and transformers alone takes.

    python benchmarks/cold_start.py

Whole processes, in turn, after one warm-up each; five runs. Prints seconds and the ratio of the medians.
"""

from __future__ import annotations

import platform
import statistics
import subprocess
import sys
import time
from pathlib import Path

RUNS = 5
CLIP = Path(__file__).resolve().parents[1] / "src" / "m3ser" / "bundled" / "clips" / "1013_ITH_ANG_XX.wav"
OURS = [
    sys.executable,
    "-m",
    "m3ser",
    "predict",
    str(CLIP),
    "--text",
    "I think I have a doctor's appointment.",
    "--json",
]
PEER = [sys.executable, "-c", "import torch, transformers"]


def seconds(command: list[str]) -> float:
    """Wall time of one run of `command`."""
    begin = time.perf_counter()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - begin


def main() -> None:
    """Runs both in turn and prints a table."""
    taken: dict[str, list[float]] = {"m3ser predict (2.9 s clip, text given)": [], "import torch, transformers": []}
    for run in range(RUNS + 1):
        for title, command in zip(taken, (OURS, PEER), strict=True):
            measured = seconds(command)
            if run:  # the first fills the file cache
                taken[title].append(measured)
    print(f"{platform.machine()}, Python {platform.python_version()}, {RUNS} runs in turn, whole processes, seconds")
    for title, values in taken.items():
        print(f"{title:40s} median {statistics.median(values):.2f}  min {min(values):.2f}  max {max(values):.2f}")
    ours, peer = (statistics.median(values) for values in taken.values())
    print(f"import torch, transformers / m3ser predict: {peer / ours:.2f}")


if __name__ == "__main__":
    main()
