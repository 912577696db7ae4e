"""Recordings and models small enough that hundreds of answers take no time."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from numpy.typing import NDArray

Sound = Callable[..., NDArray[np.float32]]


@pytest.fixture
def recordings(tmp_path: Path, sound: Sound) -> Callable[..., Path]:
    """Writes a folder of so many recordings, all different: 000.wav, 001.wav, ..."""

    def write(count: int, name: str = "calls") -> Path:
        folder = tmp_path / name
        folder.mkdir(exist_ok=True)
        for number in range(count):
            soundfile.write(folder / f"{number:03d}.wav", sound(0.3 + number % 7 / 10, seed=number), 16000)
        return folder

    return write


@pytest.fixture
def rows() -> Callable[[Path], list[dict[str, Any]]]:
    """The objects of a file of JSON Lines."""
    return lambda path: [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
