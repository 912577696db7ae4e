"""``m3ser corpora validate`` of a million rows, beside readers that check nothing: ``csv``, ``json`` and pandas.

    python benchmarks/manifest_validation.py [ROWS]

The manifests are written to a temporary folder, once right and once with every row wrong; recordings are not looked
for. Each reading is a process of its own, which says how long it took and the most memory it ever had (in MiB, of which
the interpreter with its imports is a part). Prints seconds, and ratios.
"""

from __future__ import annotations

import json
import random
import subprocess
import sys
import tempfile
from pathlib import Path

ROWS = 1_000_000
COLUMNS = ("audio", "emotion", "text", "speaker", "session", "start", "end", "language", "split", "gender")
# What each process runs; `path` is the manifest.
OURS = "from m3ser.corpora import manifest_faults; n = sum(1 for _ in manifest_faults(path, check_audio=False))"
READERS = {
    "m3ser, CSV": OURS,
    "csv.reader": "import csv; n = sum(1 for _ in csv.reader(open(path, encoding='utf-8', newline='')))",
    "pandas.read_csv": "import pandas; n = len(pandas.read_csv(path))",
    "m3ser, JSON Lines": OURS,
    "json.loads": "import json; n = sum(bool(json.loads(line)) for line in open(path, encoding='utf-8'))",
}
CHILD = """
import resource, sys, time
path = sys.argv[1]
begin = time.perf_counter()
{work}
print(time.perf_counter() - begin, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024, n)
"""


def write(folder: Path, rows: int, *, wrong: bool) -> dict[str, Path]:
    """The same manifest in both forms."""
    paths = {form: folder / f"{'wrong' if wrong else 'right'}.{form}" for form in ("csv", "jsonl")}
    chance = random.Random(0)
    with paths["csv"].open("w", encoding="utf-8") as table, paths["jsonl"].open("w", encoding="utf-8") as lines:
        table.write(",".join(COLUMNS) + "\n")
        for i in range(rows):
            emotion = "joyful" if wrong else chance.choice(("angry", "happy", "sad", "neutral"))
            words = f"this is what was said in utterance {i}"
            who = (f"speaker{i % 997}", f"session{i % 50}")
            when = (f"{i % 60}.0", f"{i % 60 + 2.5}")
            row = (f"clips/{i // 60:06}.wav", emotion, words, *who, *when, "en", "train", chance.choice(("f", "m")))
            table.write(",".join(row) + "\n")
            lines.write(json.dumps(dict(zip(COLUMNS, row, strict=True))) + "\n")
    return paths


def measured(reader: str, path: Path) -> tuple[float, float, int]:
    """Seconds, MiB, and what was counted: rows, or faults."""
    child = [sys.executable, "-c", CHILD.format(work=READERS[reader]), str(path)]
    seconds, memory, count = subprocess.run(child, check=True, capture_output=True, text=True).stdout.split()
    return float(seconds), float(memory), int(count)


def main() -> None:
    """Measures and prints a table."""
    rows = int(sys.argv[1]) if len(sys.argv) > 1 else ROWS
    with tempfile.TemporaryDirectory() as scratch:
        right, wrong = write(Path(scratch), rows, wrong=False), write(Path(scratch), rows, wrong=True)
        print(f"{rows:,} rows: CSV of {right['csv'].stat().st_size / 1e6:.0f} MB, JSON Lines of ", end="")
        print(f"{right['jsonl'].stat().st_size / 1e6:.0f} MB")
        taken: dict[str, float] = {}
        for reader in READERS:
            path = right["jsonl" if "json" in reader.lower() else "csv"]
            seconds, memory, count = measured(reader, path)
            taken[reader] = seconds
            what = f"{count:,} faults" if "m3ser" in reader else "checks nothing"
            print(f"{reader:22s} {seconds:6.2f} s {memory:6.0f} MiB  {what}")
        for reader, form in (("m3ser, CSV", "csv"), ("m3ser, JSON Lines", "jsonl")):
            seconds, memory, count = measured(reader, wrong[form])
            print(f"{reader + ', all wrong':28s} {seconds:6.2f} s {memory:6.0f} MiB  {count:,} faults")
    print(f"m3ser / csv.reader: {taken['m3ser, CSV'] / taken['csv.reader']:.1f}")
    print(f"m3ser / pandas.read_csv: {taken['m3ser, CSV'] / taken['pandas.read_csv']:.1f}")
    print(f"m3ser / json.loads: {taken['m3ser, JSON Lines'] / taken['json.loads']:.1f}")


if __name__ == "__main__":
    main()
