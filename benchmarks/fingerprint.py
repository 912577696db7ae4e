"""How well the audit's audio fingerprint tells the same recording from another take, and what it costs.

    python benchmarks/fingerprint.py FOLDER [FOLDER...] [--reencode N]

Each folder holds recordings (EmoDB, RAVDESS, ...). Printed: the pairs that are called the same within it, and over N of
its recordings, changed as people change them, in how many the original is found; beside the time for decoding alone.
"""

from __future__ import annotations

import argparse
import io
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import soundfile
import soxr
from numpy.typing import NDArray

from m3ser.audio import SAMPLE_RATE, load_waveform
from m3ser.corpora.fingerprint import Fingerprint, find_matches, fingerprint

Floats = NDArray[np.float32]


def through(codec: str, subtype: str, waveform: Floats, **options: float) -> Floats:
    """`waveform` written and read again."""
    file = io.BytesIO()
    soundfile.write(file, waveform, SAMPLE_RATE, format=codec, subtype=subtype, **options)
    return load_waveform(file.getvalue())


def resampled(waveform: Floats, rate: int) -> Floats:
    """`waveform` to `rate` Hz and back."""
    there = soxr.resample(waveform, SAMPLE_RATE, rate)
    return np.asarray(soxr.resample(there, rate, SAMPLE_RATE), np.float32)


CHANGES: dict[str, Callable[[Floats], Floats]] = {
    "FLAC": lambda w: through("FLAC", "PCM_16", w),
    "MP3, lowest quality": lambda w: through("MP3", "MPEG_LAYER_III", w, compression_level=0.9),
    "Ogg Vorbis": lambda w: through("OGG", "VORBIS", w),
    "Opus": lambda w: through("OGG", "OPUS", w),
    "8 kHz and back": lambda w: resampled(w, 8_000),
    "44.1 kHz and back": lambda w: resampled(w, 44_100),
    "+12 dB (clipped at full scale)": lambda w: np.clip(w * 3.98, -1, 1).astype(np.float32),
    "-12 dB": lambda w: (w / 3.98).astype(np.float32),
    "100 ms of silence in front": lambda w: np.concatenate([np.zeros(1600, np.float32), w]),
    "100 ms cut off the front": lambda w: w[1600:],
}


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folders", nargs="+", type=Path)
    parser.add_argument("--reencode", type=int, default=50, help="recordings that are changed, of each folder")
    wanted = parser.parse_args()
    for folder in wanted.folders:
        files = sorted(path for path in folder.rglob("*") if path.suffix in (".wav", ".flac", ".opus", ".ogg", ".mp3"))
        if not files:
            sys.exit(f"'{folder}' holds no recordings.")
        begin = time.perf_counter()
        with ThreadPoolExecutor(2) as pool:
            waveforms = list(pool.map(load_waveform, files))
        decoded = time.perf_counter()
        with ThreadPoolExecutor(2) as pool:
            prints: list[Fingerprint | None] = list(pool.map(lambda waveform: fingerprint([waveform]), waveforms))
        printed = time.perf_counter()
        matches = find_matches(prints)
        done = time.perf_counter()
        print(f"{folder.name}: {len(files):,} recordings, {prints.count(None)} without a fingerprint")
        print(
            f"  decoding {decoded - begin:.1f} s, fingerprints {printed - decoded:.1f} s, search {done - printed:.1f} s"
        )
        print(f"  called the same: {len(matches)} of {len(files) * (len(files) - 1) // 2:,} pairs")
        for match in matches[:10]:
            print(f"    {files[match.first].name} = {files[match.second].name} (BER {match.error:.3f})")
        chosen = np.random.default_rng(0).permutation(len(files))[: wanted.reencode]
        for name, change in CHANGES.items():
            with ThreadPoolExecutor(2) as pool:
                changed = list(pool.map(lambda i: fingerprint([change(waveforms[i])]), chosen.tolist()))  # noqa: B023
            found = {(m.first, m.second) for m in find_matches([*prints, *changed])}
            hits = sum((int(i), len(files) + k) in found for k, i in enumerate(chosen))
            strangers = sum(a < len(files) <= b and a != chosen[b - len(files)] for a, b in found)
            print(f"  {name}: {hits} of {len(chosen)} found, {strangers} others called the same")


if __name__ == "__main__":
    main()
