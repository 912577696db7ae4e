"""Real speech to measure with: the clips that come with the package, as often as it takes."""

from __future__ import annotations

import csv
import os
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
import soundfile
import soxr
from numpy.typing import NDArray

import m3ser
from m3ser.audio import SAMPLE_RATE, load_waveform

__all__ = ["Clip", "clips", "link_clips", "speech", "write_conversation", "write_recording"]

CLIPS = Path(m3ser.__file__).parent / "bundled" / "clips"


@dataclass(frozen=True)
class Clip:
    """One clip: CREMA-D, 16 kHz mono WAV."""

    path: Path
    text: str


def clips() -> list[Clip]:
    """The clips that come with the package, with their words, in the order of their manifest."""
    with (CLIPS / "manifest.csv").open(encoding="utf-8", newline="") as file:
        return [Clip(CLIPS / row["audio"], row["text"]) for row in csv.DictReader(file)]


def speech(seconds: float, sample_rate: int) -> NDArray[np.float32]:
    """The clips one after the other, and again, until there are so many seconds: (samples,) float32."""
    waveform = np.resize(_all_clips(), round(seconds * SAMPLE_RATE))
    if sample_rate == SAMPLE_RATE:
        return waveform
    return np.asarray(soxr.resample(waveform, SAMPLE_RATE, sample_rate, "VHQ"), np.float32)


def write_recording(path: str | os.PathLike[str], seconds: float, *, sample_rate: int = 48_000) -> None:
    """Write such speech as a stereo file of 16 bits, a second at a time; its format is that of the path's suffix."""
    piece = np.tile(speech(len(_all_clips()) / SAMPLE_RATE, sample_rate)[:, None], 2)
    left = round(seconds * sample_rate)
    with soundfile.SoundFile(path, "w", sample_rate, 2, subtype="PCM_16") as file:
        while left > 0:
            file.write(piece[:left])
            left -= len(piece)


def write_conversation(path: str | os.PathLike[str], seconds: float) -> float:
    """Write clips in drawn order with drawn pauses of 0.3 to 3 s between them, as long as that or a little longer.

    16 kHz, mono, 16 bits, a clip at a time; about half of it is speech. Its format is that of the path's suffix.

    Returns:
        How long it is, in seconds.
    """
    rng = np.random.default_rng(0)
    spoken = [load_waveform(clip.path) for clip in clips()]
    samples = 0
    with soundfile.SoundFile(path, "w", SAMPLE_RATE, 1, subtype="PCM_16") as file:
        while samples < seconds * SAMPLE_RATE:
            pause = 1e-4 * rng.standard_normal(round(rng.uniform(0.3, 3.0) * SAMPLE_RATE))
            for piece in (pause, spoken[rng.integers(len(spoken))]):
                file.write(piece)
                samples += len(piece)
    return samples / SAMPLE_RATE


def link_clips(folder: Path, count: int) -> None:
    """Fill a folder with so many files, each of them one of the clips: hard links, or symbolic ones where need be."""
    sources = clips()
    for number in range(count):
        source, file = sources[number % len(sources)].path, folder / f"{number:06d}.wav"
        try:
            os.link(source, file)
        except OSError:  # another file system, or one that has none
            file.symlink_to(source)


@cache
def _all_clips() -> NDArray[np.float32]:
    return np.concatenate([load_waveform(clip.path) for clip in clips()])
