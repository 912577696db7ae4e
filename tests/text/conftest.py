"""What several tests of the text room ask for."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import soundfile
from numpy.typing import NDArray

Waveform = NDArray[np.float32]


@pytest.fixture(scope="session")
def clips(demo_clips: Path, demo_rows: list[dict[str, str]]) -> list[tuple[Waveform, str]]:
    """The waveforms of the demo clips, 16 kHz mono, each with the sentence that is spoken in it."""
    pairs = []
    for row in demo_rows:
        waveform, rate = soundfile.read(demo_clips / row["audio"], dtype="float32")
        assert (rate, waveform.ndim) == (16_000, 1)
        pairs.append((waveform, row["text"]))
    return pairs


@pytest.fixture(scope="session")
def jfk(shared_data: Path) -> tuple[Waveform, str]:
    """Eleven seconds of a speech, and what is said in it."""
    import soxr

    waveform, rate = soundfile.read(shared_data / "speech" / "read_en" / "jfk.flac", dtype="float32", always_2d=True)
    text = "And so my fellow Americans ask not what your country can do for you ask what you can do for your country"
    return soxr.resample(waveform.mean(axis=1), rate, 16_000).astype(np.float32), text


@pytest.fixture(scope="session")
def word_errors() -> Callable[[str, str], tuple[int, int]]:
    """Word errors of a transcript (substitutions, deletions and insertions), and the number of words said."""

    def count(said: str, written: str) -> tuple[int, int]:
        truth, guess = (re.findall(r"[a-z']+", text.lower()) for text in (said, written))
        row = list(range(len(guess) + 1))
        for i, word in enumerate(truth, start=1):
            previous = [i]
            for j, other in enumerate(guess, start=1):
                previous.append(min(row[j] + 1, previous[-1] + 1, row[j - 1] + (word != other)))
            row = previous
        return row[-1], len(truth)

    return count
