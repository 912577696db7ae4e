"""The quick look at a header tells what the long way round tells, or nothing."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from m3ser.audio import AudioInfo, probe
from m3ser.audio.headers import peek
from m3ser.audio.opening import open_recording

Encode = Callable[..., bytes]


def the_long_way(path: Path) -> AudioInfo:
    with open_recording(path) as reader:
        return AudioInfo(reader.duration, reader.sample_rate, reader.channels, reader.format)


@pytest.mark.parametrize(
    ("container", "subtype", "sample_rate"),
    [
        ("WAV", "PCM_16", 16_000),
        ("WAV", "FLOAT", 44_100),
        ("FLAC", None, 48_000),
        ("AIFF", None, 22_050),
        ("AU", None, 16_000),
        ("W64", None, 16_000),
        ("OGG", "VORBIS", 16_000),
        ("OGG", "OPUS", 8_000),
        ("OGG", "OPUS", 16_000),
        ("OGG", "OPUS", 48_000),
    ],
)
@pytest.mark.parametrize("channels", [1, 2])
def test_a_whole_file(
    tmp_path: Path, encode: Encode, container: str, subtype: str | None, sample_rate: int, channels: int
) -> None:
    samples = np.random.default_rng(0).uniform(-0.1, 0.1, (sample_rate * 3 // 2 + 7, channels))
    path = tmp_path / "clip"
    path.write_bytes(encode(samples, container, subtype, sample_rate))
    found = peek(path)
    assert found == the_long_way(path)
    assert found is not None
    assert found.duration == len(samples) / sample_rate
    assert (found.sample_rate, found.channels) == (sample_rate, channels)
    assert probe(path) == probe(str(path)) == found


def test_real_clips(shared_data: Path) -> None:
    clips = [
        path
        for folder in ("emovo/f1", "nemo/samples", "emodb/wav", "ravdess/Actor_01", "crema_d_samples")
        for path in sorted((shared_data / "speech" / folder).glob("*.*"))[:40]
        if path.suffix != ".csv"
    ]
    assert len(clips) > 100
    assert [peek(path) for path in clips] == [the_long_way(path) for path in clips]


def _wav(encode: Encode, speech: NDArray[Any]) -> bytes:
    return encode(speech, "WAV")


def _opus(encode: Encode, speech: NDArray[Any]) -> bytes:
    return encode(np.tile(speech, 3), "OGG", "OPUS")


@pytest.mark.parametrize("make", [_wav, _opus])
def test_a_truncated_file_takes_a_closer_look(tmp_path: Path, encode: Encode, speech: Any, make: Any) -> None:
    data = make(encode, speech)
    path = tmp_path / "clip.wav"
    for share in (0.3, 0.6, 0.95):
        path.write_bytes(data[: int(len(data) * share)])
        assert peek(path) is None


@pytest.mark.parametrize("content", [b"", b"RIFF", b"not audio at all", b"OggS", b"\xff\xfb\x90\x00" + bytes(500)])
def test_what_is_no_recording_takes_a_closer_look(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "clip.wav"
    path.write_bytes(content)
    assert peek(path) is None


def test_what_is_no_file_takes_a_closer_look(tmp_path: Path) -> None:
    assert peek(tmp_path) is None
    assert peek(tmp_path / "gone.wav") is None
    assert peek(Path("null\0character.wav")) is None
    os.mkfifo(tmp_path / "pipe.wav")
    assert peek(tmp_path / "pipe.wav") is None


def test_no_samples_and_misleading_names_take_a_closer_look(tmp_path: Path, encode: Encode, speech: Any) -> None:
    (tmp_path / "none.wav").write_bytes(encode(speech[:0], "WAV"))
    assert peek(tmp_path / "none.wav") is None
    (tmp_path / "clip.raw").write_bytes(encode(speech, "WAV"))
    assert peek(tmp_path / "clip.raw") is None
    assert probe(tmp_path / "clip.raw").sample_rate == 16_000
