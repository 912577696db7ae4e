"""Real speech for the audio room's tests, and ways to write it in any format."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from numpy.typing import NDArray

Encode = Callable[..., bytes]


@pytest.fixture(scope="session")
def speech(demo_clip: Path) -> NDArray[np.float32]:
    """2.27 s of real speech at 16 kHz, read by libsndfile itself."""
    samples, sample_rate = soundfile.read(demo_clip, dtype="float32")
    assert sample_rate == 16_000
    return samples


@pytest.fixture(scope="session")
def encode() -> Encode:
    """``encode(samples, container="WAV", subtype=None, sample_rate=16000)`` -> the bytes of a file, by libsndfile."""

    def write(
        samples: NDArray[Any], container: str = "WAV", subtype: str | None = None, sample_rate: int = 16_000
    ) -> bytes:
        buffer = io.BytesIO()
        soundfile.write(buffer, samples, sample_rate, format=container, subtype=subtype)
        return buffer.getvalue()

    return write


@pytest.fixture(scope="session")
def encode_media() -> Encode:
    """``encode_media(samples, container, codec, sample_rate=16000, video=False, sound=True)`` -> a file, by FFmpeg.

    The samples are mono at 16 kHz; `sample_rate` is what the codec gets.
    """
    av = pytest.importorskip("av", reason="needs PyAV to write m4a, mp4 and webm")

    def write(
        samples: NDArray[np.float32],
        container: str,
        codec: str,
        *,
        sample_rate: int = 16_000,
        video: bool = False,
        sound: bool = True,
    ) -> bytes:
        buffer = io.BytesIO()
        with av.open(buffer, "w", format=container) as output:
            if video:
                pictures = output.add_stream("mpeg4", rate=10)
                pictures.width, pictures.height, pictures.pix_fmt = 32, 32, "yuv420p"
            if sound:
                track = output.add_stream(codec, rate=sample_rate, layout="mono")
                frame = av.AudioFrame.from_ndarray(samples[None], format="fltp", layout="mono")
                frame.sample_rate = 16_000
                # Codecs take frames of their own size, format and rate.
                resampler = av.AudioResampler(track.format, "mono", sample_rate, track.frame_size or 1024)
                for piece in (*resampler.resample(frame), *resampler.resample(None)):
                    output.mux(track.encode(piece))
                output.mux(track.encode(None))
            if video:
                for _ in range(5):
                    picture = av.VideoFrame.from_ndarray(np.zeros((32, 32, 3), dtype=np.uint8), format="rgb24")
                    output.mux(pictures.encode(picture.reformat(format="yuv420p")))
                output.mux(pictures.encode(None))
        return buffer.getvalue()

    return write
