from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from numpy.typing import NDArray

from m3ser.audio import load_waveform, open_blocks
from m3ser.errors import AudioContentError, AudioReadError, AudioTooShortError, UsageError


def noise(seconds: float, rate: int, channels: int = 1) -> NDArray[np.float32]:
    rng = np.random.default_rng(0)
    return rng.uniform(-0.5, 0.5, (round(seconds * rate), channels)).astype(np.float32)


def file_of(samples: NDArray[Any], rate: int, form: str = "WAV", subtype: str = "FLOAT") -> bytes:
    content = io.BytesIO()
    soundfile.write(content, samples, rate, format=form, subtype=subtype)
    return content.getvalue()


@pytest.mark.parametrize("rate", [8_000, 16_000, 44_100])
def test_joined_they_are_the_waveform(rate: int) -> None:
    content = file_of(noise(9, rate, 2), rate)
    with open_blocks(content) as blocks:
        found = list(blocks)
        assert blocks.channels == 1
        assert blocks.duration == pytest.approx(9)
    assert len(found) > 1
    np.testing.assert_allclose(np.concatenate(found)[:, 0], load_waveform(content), atol=1e-6)


@pytest.mark.parametrize("rate", [16_000, 44_100])
def test_channels_are_what_each_would_be_alone(rate: int) -> None:
    samples = noise(5, rate, 3)
    with open_blocks(file_of(samples, rate), split=True) as blocks:
        assert blocks.channels == 3
        found = np.concatenate(list(blocks))
    for channel in range(3):
        alone = load_waveform(file_of(samples[:, channel], rate))
        np.testing.assert_allclose(found[:, channel], alone, atol=1e-6)


def test_integers_and_one_channel_can_be_split() -> None:
    samples = (noise(1, 16_000, 2) * 32_767).astype(np.int16)
    with open_blocks(samples, sample_rate=16_000, split=True) as blocks:
        np.testing.assert_array_equal(np.concatenate(list(blocks)), samples / np.float32(32_768))
    with open_blocks(samples[:, 0], sample_rate=16_000, split=True) as blocks:
        assert blocks.channels == 1
        np.testing.assert_array_equal(np.concatenate(list(blocks))[:, 0], samples[:, 0] / np.float32(32_768))


def test_media_files_can_be_split() -> None:
    av = pytest.importorskip("av", reason="reads mp4 with PyAV (the media extra)")
    content = io.BytesIO()
    with av.open(content, "w", format="mp4") as container:
        stream = container.add_stream("aac", rate=16_000, layout="stereo")
        time = np.arange(16_000 * 2) / 16_000
        tone = np.stack([0.5 * np.sin(2 * np.pi * 300 * time), 0 * time]).astype(np.float32)
        for first in range(0, tone.shape[1], 1024):
            part = np.ascontiguousarray(tone[:, first : first + 1024])
            frame = av.AudioFrame.from_ndarray(part, format="fltp", layout="stereo")
            frame.sample_rate, frame.pts = 16_000, first
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    with open_blocks(content.getvalue(), split=True) as blocks:
        assert blocks.channels == 2
        found = np.concatenate(list(blocks))
    assert np.sqrt((found**2).mean(axis=0)) == pytest.approx([0.35, 0.0], abs=0.02)


def test_a_part(demo_clip: Path) -> None:
    with open_blocks(demo_clip, start=0.5, end=1.25) as blocks:
        assert blocks.duration == 0.75
        np.testing.assert_array_equal(np.concatenate(list(blocks))[:, 0], load_waveform(demo_clip, start=0.5, end=1.25))


def test_silence_is_sound() -> None:
    with open_blocks(np.zeros(16_000, np.float32), sample_rate=16_000) as blocks:
        assert sum(map(len, blocks)) == 16_000


@pytest.mark.parametrize(("form", "subtype"), [("WAV", "PCM_16"), ("FLAC", "PCM_16"), ("MP3", "MPEG_LAYER_III")])
def test_what_is_there_of_a_broken_recording_comes_before_the_error(form: str, subtype: str) -> None:
    content = file_of(noise(20, 16_000), 16_000, form, subtype)
    found = []
    half = content[: len(content) // 2]
    with open_blocks(half) as blocks, pytest.raises(AudioReadError, match="truncated or damaged"):
        found.extend(blocks)
    assert 7 * 16_000 < sum(map(len, found)) <= 10.5 * 16_000
    whole = load_waveform(content)
    heard = np.concatenate(found)[:, 0]
    np.testing.assert_allclose(heard[: 6 * 16_000], whole[: 6 * 16_000], atol=1e-3)
    # A part that is wholly there is no reason to complain.
    with open_blocks(half, end=5.0) as blocks:
        assert sum(map(len, blocks)) == 5 * 16_000


def test_samples_that_are_no_numbers_are_placed_in_time() -> None:
    samples = noise(10, 16_000, 2)
    samples[16_000 * 9, 1] = np.inf
    found = []
    with (
        open_blocks(samples, sample_rate=16_000, split=True) as blocks,
        pytest.raises(AudioContentError, match=r"the first at 9.000 s"),
    ):
        found.extend(blocks)
    assert 4 * 16_000 < sum(map(len, found)) < 9 * 16_000


def test_too_short_and_bad_use() -> None:
    with open_blocks(np.ones(399, np.float32), sample_rate=16_000) as blocks, pytest.raises(AudioTooShortError):
        list(blocks)
    with pytest.raises(UsageError, match="expected start before end"), open_blocks(noise(1, 16_000), start=2, end=1):
        pass


def test_a_block_is_never_long(tmp_path: Path) -> None:
    path = tmp_path / "long.flac"
    with soundfile.SoundFile(path, "w", 16_000, 2, "PCM_16") as file:
        for _ in range(600):
            file.write(np.zeros((16_000, 2), np.int16))
    with open_blocks(path, split=True) as blocks:
        lengths = [len(block) for block in blocks]
    assert sum(lengths) == 600 * 16_000
    assert max(lengths) <= 1 << 16
