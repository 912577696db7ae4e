"""Real speech as Opus, for the tests of streams."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from numpy.typing import NDArray

from m3ser.inference import Stream
from m3ser.inference.timeline import Segmenter
from m3ser.schema import Prediction


class _Sink(io.RawIOBase):
    """A file that cannot be sought in, as a recorder's."""

    def __init__(self) -> None:
        self.data = bytearray()

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:
        self.data += data
        return len(data)


def encode_opus(
    waveform: NDArray[np.float32], container: str, *, codec: str = "libopus", layout: str = "mono"
) -> bytes:
    """A waveform (samples,) at 16 kHz as MediaRecorder would write it: in clusters of a tenth of a second."""
    av = pytest.importorskip("av", reason="needs PyAV to write Opus")
    options = {"page_duration": "60000"} if container == "ogg" else {"live": "1", "cluster_time_limit": "100"}
    sink = _Sink()
    with av.open(sink, "w", format=container, container_options=options) as output:
        track = output.add_stream(codec, rate=48_000, layout=layout)
        frame = av.AudioFrame.from_ndarray(waveform[None], format="fltp", layout="mono")
        frame.sample_rate = 16_000
        resampler = av.AudioResampler(track.format, layout, 48_000, track.frame_size or 960)
        for piece in (*resampler.resample(frame), *resampler.resample(None)):
            output.mux(track.encode(piece))
        output.mux(track.encode(None))
    return bytes(sink.data)


@pytest.fixture(scope="session")
def to_opus() -> Callable[..., bytes]:
    return encode_opus


@pytest.fixture(scope="session")
def speech(demo_clip: Path) -> NDArray[np.float32]:
    """2.27 s of real speech at 16 kHz."""
    return soundfile.read(demo_clip, dtype="float32")[0]


@pytest.fixture(scope="session")
def webm(speech: NDArray[np.float32]) -> bytes:
    return encode_opus(np.tile(speech, 2), "webm")


@pytest.fixture(scope="session")
def ogg(speech: NDArray[np.float32]) -> bytes:
    return encode_opus(speech, "ogg")


class ScriptedVoice:
    """Takes the first sample of every frame for the probability of speech."""

    def __init__(self) -> None:
        self._samples = np.empty(0, np.float32)

    def push(self, waveform: NDArray[np.float32]) -> NDArray[np.float32]:
        samples = np.concatenate([self._samples, waveform])
        whole = len(samples) // 512 * 512
        self._samples = samples[whole:]
        return samples[:whole:512]

    def finish(self) -> NDArray[np.float32]:
        return self._samples[:1]


class Echo:
    """A recogniser that hears what the waveform says: its scores tell the length of what it was given.

    Attributes:
        before: is called before every answer, in the thread that answers.
    """

    name = "echo@1"
    labels = ("sad", "angry")
    transcriber = None

    def __init__(self) -> None:
        self.before: Callable[[], object] = lambda: None

    def predict(self, audio: Any = None, **_: Any) -> Prediction:
        self.before()
        share = min(1.0, len(audio) / 240_000)
        return Prediction("sad", {"sad": share, "angry": 1 - share}, len(audio) / 16_000, None, "none", self.name)

    def stream(self, **options: Any) -> Stream:
        return Stream(self, make_segmenter=lambda settings: Segmenter(settings, voice=ScriptedVoice), **options)


@pytest.fixture
def echo() -> Echo:
    return Echo()


def scripted_speech(*lengths: float) -> bytes:
    """Silence and speech in turn, in seconds, as the scripted voice hears it; 16-bit, 16 kHz."""
    return b"".join(np.full(round(s * 16_000), 30_000 * (i % 2), "<i2").tobytes() for i, s in enumerate(lengths))


@pytest.fixture
def spoken() -> Callable[..., bytes]:
    return scripted_speech
