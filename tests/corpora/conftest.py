"""Small corpora in their published layouts, made of real (if meaningless) sound."""

from __future__ import annotations

import random
import wave
from collections.abc import Callable, Iterable
from pathlib import Path

import pytest

from m3ser.corpora import READERS, Corpus
from m3ser.schema import Utterance

SPEECH_FOLDERS = {
    "emodb": "emodb",
    "ravdess": "ravdess",
    "emovo": "emovo",
    "nemo": "nemo",
    "crema-d": "crema_d_samples",
}


def _write_wav(path: Path, *, seconds: float = 0.05) -> Path:
    """A mono 16 kHz recording whose sound depends on the file's name."""
    noise = random.Random(path.name)
    path.parent.mkdir(parents=True, exist_ok=True)
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(16_000)
        file.writeframes(noise.randbytes(2 * round(16_000 * seconds)))
    return path


@pytest.fixture(scope="session")
def write_wav() -> Callable[..., Path]:
    return _write_wav


@pytest.fixture
def tree(tmp_path: Path) -> Callable[[Iterable[str]], Path]:
    """Make a folder that holds recordings of these relative paths."""

    def make(paths: Iterable[str]) -> Path:
        root = tmp_path / "copy"
        for path in paths:
            _write_wav(root / path)
        return root

    return make


@pytest.fixture(scope="session")
def real(shared_data: Path) -> Callable[[str], Corpus]:
    """The real corpus of that name, read once."""
    read: dict[str, Corpus] = {}

    def get(name: str) -> Corpus:
        if name not in read:
            folder = f"speech/{SPEECH_FOLDERS[name]}" if name in SPEECH_FOLDERS else f"text/{name}"
            if not (shared_data / folder).is_dir():
                pytest.skip(f"needs a copy of {name}")
            read[name] = READERS[name].read(shared_data / folder)
        return read[name]

    return get


@pytest.fixture(scope="session")
def voices() -> Callable[..., list[Utterance]]:
    """Recordings (that exist in name only) of a made-up corpus: every speaker says every sentence in every emotion."""

    def make(
        corpus: str = "acted",
        *,
        speakers: int = 5,
        emotions: Iterable[str] = ("angry", "happy", "sad", "neutral"),
        sentences: int = 2,
    ) -> list[Utterance]:
        return [
            Utterance(
                Path("nowhere", f"{corpus}-{speaker}-{emotion}-{sentence}.wav"),
                emotion,
                text=f"This is the sentence of number {sentence} here",
                speaker=f"{corpus}/{speaker}",
                script=f"{corpus}/{sentence}",
                language="en",
                extra={
                    "corpus": corpus,
                    "id": f"{speaker}-{emotion}-{sentence}",
                    "gender": "female" if speaker % 2 else "male",
                },
            )
            for speaker in range(speakers)
            for emotion in emotions
            for sentence in range(sentences)
        ]

    return make
