"""What the timeline's tests share: a voice that is scripted, and a recording whose clips have known places."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import soundfile
from numpy.typing import NDArray

from m3ser.inference.timeline import CutSettings, Segmenter, Timeline

FRAME = 512


class ScriptedVoice:
    """Takes the first sample of every frame for its probability."""

    def __init__(self) -> None:
        self._samples = np.empty(0, np.float32)

    def push(self, waveform: NDArray[np.float32]) -> NDArray[np.float32]:
        samples = np.concatenate([self._samples, waveform])
        whole = len(samples) // FRAME * FRAME
        self._samples = samples[whole:]
        return samples[:whole:FRAME]

    def finish(self) -> NDArray[np.float32]:
        return self._samples[:1]


@pytest.fixture(scope="session")
def scripted() -> Callable[[CutSettings | None], Segmenter]:
    """A segmenter that hears what the waveform says."""
    return lambda settings=None: Segmenter(settings, voice=ScriptedVoice)


@dataclass(frozen=True)
class Recording:
    """Clips one after the other.

    Attributes:
        waveform: (samples,) float32, 16 kHz.
        places: the clips' places in it, in samples, in order.
        texts: what is said in them.
        path: the same as a FLAC file.
    """

    waveform: NDArray[np.float32]
    places: list[tuple[int, int]]
    texts: list[str]
    path: Path


@pytest.fixture(scope="session")
def recording(demo_clips: Path, demo_rows: list[dict[str, str]], tmp_path_factory: pytest.TempPathFactory) -> Recording:
    """Every clip of the package with pauses of 1.2 to 2.4 s before and after it."""
    rng = np.random.default_rng(5)
    parts: list[NDArray[np.float32]] = []
    places = []
    length = 0
    for row in demo_rows:
        clip = soundfile.read(demo_clips / row["audio"], dtype="float32")[0]
        pause = (1e-4 * rng.normal(size=rng.integers(19_200, 38_400))).astype(np.float32)
        places.append((length + len(pause), length + len(pause) + len(clip)))
        length += len(pause) + len(clip)
        parts += [pause, clip]
    parts.append(np.zeros(24_000, np.float32))
    path = tmp_path_factory.mktemp("recording") / "clips.flac"
    soundfile.write(path, np.concatenate(parts), 16_000, "PCM_16")
    return Recording(
        waveform=soundfile.read(path, dtype="float32")[0],
        places=places,
        texts=[row["text"] for row in demo_rows],
        path=path,
    )


@pytest.fixture
def timeline_of() -> Callable[..., Timeline]:
    """A finished timeline of given segments, for what writes and draws it: timeline_of(segments, labels=...)."""
    from types import SimpleNamespace

    from m3ser.inference.timeline import Envelope, TimelineSettings
    from m3ser.schema import Segment

    def make(
        segments: list[Segment], *, seconds: float = 10.0, channels: int = 1, file: str | None = "call.wav"
    ) -> Timeline:
        recogniser = SimpleNamespace(name="starter@1", labels=("angry", "happy", "sad", "neutral"))
        timeline = Timeline(recogniser, file or np.zeros(1), TimelineSettings())  # type: ignore[arg-type]
        rng = np.random.default_rng(0)
        envelopes = [Envelope() for _ in range(channels)]
        second = rng.uniform(-0.5, 0.5, 16_000).astype(np.float32)
        for envelope in envelopes:
            for place in range(0, round(seconds * 16_000), 16_000):
                envelope.push(second[: round(seconds * 16_000) - place])
        timeline._cutting = SimpleNamespace(envelopes=envelopes, seconds=seconds)  # type: ignore[assignment]
        timeline._run = lambda: iter(segments)  # type: ignore[method-assign]
        timeline.segments = list(segments)
        timeline.duration = seconds
        return timeline

    return make
