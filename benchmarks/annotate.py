"""``annotate`` over few and over many recordings, beside a plain loop of ``recogniser.predict`` in one process.

    python benchmarks/annotate.py [--few N] [--many N] [--workers N] [--runs N] [--text given] [--quick]

The recordings are links to the clips that come with the package (2.3 s each, on average). Each side is a process of its
own; they take turns. Counted are files per second, once over everything and once from the first answers to the last
(without the imports, and without the beginning of the workers, which a few files do not make up for), and the peak
memory of the parent and of its largest worker (VmHWM of Linux's /proc, so Linux alone).

The voice alone by default; with ``--text given`` each clip has its words as well, from a manifest.
"""

from __future__ import annotations

import argparse
import csv
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import m3ser

CLIPS = Path(m3ser.__file__).parent / "bundled" / "clips"
MEGABYTE = 1024  # kB in /proc
Found = dict[str, float]


def main() -> None:
    """Runs all sides in turn and prints a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--few", type=int, default=100)
    parser.add_argument("--many", type=int, default=10_000)
    parser.add_argument("--workers", type=int, default=len(os.sched_getaffinity(0)))
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--text", choices=["given", "none"], default="none")
    parser.add_argument(
        "--quick", action="store_true", help="40 and 400 files, one run: whether it works, not how fast"
    )
    parser.add_argument("--side", choices=["ours", "peer"], help=argparse.SUPPRESS)
    parser.add_argument("--manifest", type=Path, help=argparse.SUPPRESS)
    wanted = parser.parse_args()
    if wanted.side == "ours":
        ours(wanted.manifest, wanted.workers, wanted.text)
    elif wanted.side == "peer":
        peer(wanted.manifest, wanted.text)
    else:
        few, many, runs = (40, 400, 1) if wanted.quick else (wanted.few, wanted.many, wanted.runs)
        compare(few, many, runs=runs, workers=wanted.workers, text=wanted.text)


def compare(few: int, many: int, *, runs: int, workers: int, text: str) -> None:
    """All sides in turn."""
    with tempfile.TemporaryDirectory() as folder:
        manifests = {count: recordings(Path(folder) / str(count), count) for count in (few, many)}
        sides = {f"annotate, {count:,} files": ("ours", count) for count in (few, many)}
        # The loop takes as long for each file of many as of few; a few hundred are enough to tell.
        sides[f"loop of predict, {few:,} files"] = ("peer", few)
        found: dict[str, list[Found]] = {name: [] for name in sides}
        for _ in range(runs):
            for name, (side, count) in sides.items():
                found[name].append(measured(side, manifests[count], workers, text))
    print(
        f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}; words: {text}; {runs} runs"
    )
    print(f"{workers} workers of one thread; the loop has one thread per core")
    for name, values in found.items():
        print(
            f"{name:28s} files/s {median(values, 'whole'):7.1f} whole, {median(values, 'steady'):7.1f} steady "
            f"({min(v['steady'] for v in values):.1f} to {max(v['steady'] for v in values):.1f})   "
            f"peak {median(values, 'parent'):6.0f} MB, a worker {median(values, 'worker'):6.0f} MB"
        )
    small, large, loop = found.values()
    print(f"many / few, files/s, steady: {median(large, 'steady') / median(small, 'steady'):.2f}")
    print(f"many / few, peak memory of the parent: {median(large, 'parent') / median(small, 'parent'):.2f}")
    if workers > 1:
        print(f"many / few, peak memory of a worker: {median(large, 'worker') / median(small, 'worker'):.2f}")
    print(f"annotate / loop, files/s, steady: {median(large, 'steady') / median(loop, 'steady'):.2f}")


def median(values: list[Found], name: str) -> float:
    """The median of what was measured under this name."""
    return statistics.median(value[name] for value in values)


def recordings(folder: Path, count: int) -> Path:
    """A folder of `count` recordings, and the manifest of them."""
    folder.mkdir()
    with (CLIPS / "manifest.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    with (folder / "manifest.csv").open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["audio", "text"])
        for number in range(count):
            row = rows[number % len(rows)]
            name = f"{number:06d}.wav"
            (folder / name).symlink_to(CLIPS / row["audio"])
            writer.writerow([name, row["text"]])
    return folder / "manifest.csv"


def measured(side: str, manifest: Path, workers: int, text: str) -> Found:
    """One run of a side, as a process whose memory is watched."""
    command = [sys.executable, __file__, "--side", side, "--manifest", str(manifest)]
    command += ["--workers", str(workers), "--text", text]
    begun = time.perf_counter()
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    peaks: dict[int, int] = {}
    while process.poll() is None:
        for pid in (process.pid, *children(process.pid)):
            peaks[pid] = max(peaks.get(pid, 0), peak(pid))
        time.sleep(0.05)
    seconds = time.perf_counter() - begun
    assert process.stdout is not None
    if process.returncode:
        sys.exit(f"{side} broke off")
    told: Found = json.loads(process.stdout.read())
    parent = peaks.pop(process.pid)
    return {
        "whole": told["files"] / seconds,
        "steady": told["steady"],
        "parent": parent / MEGABYTE,
        "worker": max(peaks.values(), default=0) / MEGABYTE,
    }


def children(pid: int) -> list[int]:
    """The processes that this one has started."""
    try:
        return [int(one) for one in Path(f"/proc/{pid}/task/{pid}/children").read_text(encoding="ascii").split()]
    except OSError:
        return []


def peak(pid: int) -> int:
    """The most memory that a process has had, in kB; 0 where it has ended."""
    try:
        status = Path(f"/proc/{pid}/status").read_text(encoding="utf-8")
    except OSError:
        return 0
    return next((int(line.split()[1]) for line in status.splitlines() if line.startswith("VmHWM:")), 0)


def ours(manifest: Path, workers: int, text: str) -> None:
    """One annotation."""
    from m3ser.inference.annotation import Progress, annotate

    times: list[tuple[float, int]] = []

    def note(progress: Progress) -> None:
        if progress.stage == "annotating" and progress.finished:
            times.append((time.perf_counter(), progress.finished))

    given = text == "given"
    with tempfile.TemporaryDirectory() as folder:
        found = annotate(
            manifest if given else manifest.parent,
            Path(folder) / "out.csv",
            text="given" if given else None,
            workers=workers,
            progress=note,
        )
    # Each worker's first answers come after its beginning.
    begin = times[min(2 * workers, len(times) // 2)]
    print(json.dumps({"files": found.done, "steady": (times[-1][1] - begin[1]) / (times[-1][0] - begin[0])}))


def peer(manifest: Path, text: str) -> None:
    """What anybody writes first."""
    recogniser = m3ser.load()
    with manifest.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    paths = [(manifest.parent / row["audio"], row["text"] if text == "given" else None) for row in rows]
    recogniser.predict(paths[0][0], text=paths[0][1])
    begun = time.perf_counter()
    for path, words in paths:
        recogniser.predict(path, text=words)
    print(json.dumps({"files": len(paths), "steady": len(paths) / (time.perf_counter() - begun)}))


if __name__ == "__main__":
    main()
