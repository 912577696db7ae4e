"""``m3ser corpora import`` of nEMO (4,481 Opus clips), beside ``soundfile.info`` over the same files.

    python benchmarks/corpora_import.py [FOLDER]

In one process, in turn, after one run of each that is not counted; five runs. An import finds and reads the recordings'
headers, and writes the manifest. Prints seconds, and the ratio of the medians. FOLDER is a copy of nEMO; without it,
the one beside the checkout.
"""

from __future__ import annotations

import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import soundfile

from m3ser.corpora import read_corpus, write_manifest

RUNS = 5
NEMO = Path(__file__).resolve().parents[2] / "shared" / "data" / "speech" / "nemo"


def seconds(work: Callable[[], object]) -> float:
    """Wall time of one run of `work`."""
    begin = time.perf_counter()
    work()
    return time.perf_counter() - begin


def main() -> None:
    """Runs both in turn and prints a table."""
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else NEMO
    if not folder.is_dir():
        sys.exit(f"'{folder}' is not there; expected a copy of nEMO.")
    files = [utterance.audio for utterance in read_corpus("nemo", folder).utterances if utterance.audio is not None]

    def peer() -> None:
        for file in files:
            soundfile.info(file)

    with tempfile.TemporaryDirectory() as scratch:
        manifest = Path(scratch) / "nemo.csv"

        def ours() -> None:
            write_manifest(manifest, read_corpus("nemo", folder).utterances)

        taken: dict[str, list[float]] = {"m3ser corpora import": [], "soundfile.info": []}
        for run in range(RUNS + 1):
            for title, work in zip(taken, (ours, peer), strict=True):
                measured = seconds(work)
                if run:  # the first fills the file cache
                    taken[title].append(measured)
    print(f"{len(files):,} recordings, {RUNS} runs in turn in one process, seconds; soundfile {soundfile.__version__}")
    for title, values in taken.items():
        print(f"{title:22s} median {statistics.median(values):.3f}  min {min(values):.3f}  max {max(values):.3f}")
    mine, theirs = (statistics.median(values) for values in taken.values())
    print(f"m3ser corpora import / soundfile.info: {mine / theirs:.2f}")


if __name__ == "__main__":
    main()
