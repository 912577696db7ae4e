"""The VGGish front end against torchvggish, its reference."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import soxr
from hypothesis import given
from hypothesis import strategies as st

from m3ser.audio import SAMPLE_RATE, load_waveform, log_mel_examples, stream_log_mel_examples
from m3ser.errors import AudioTooShortError, UsageError


@pytest.fixture(scope="session")
def reference():
    """torchvggish's own ``waveform_to_examples``, as a NumPy function."""
    vggish_input = pytest.importorskip("torchvggish.vggish_input", reason="needs torchvggish, of the 'dev' extra")
    return lambda waveform, rate: vggish_input.waveform_to_examples(waveform, rate, return_tensor=False)


@pytest.fixture(scope="session")
def clips(demo_clips: Path) -> list[np.ndarray]:
    return [load_waveform(path) for path in sorted(demo_clips.glob("*.wav"))]


def _assert_close(ours: np.ndarray, theirs: np.ndarray) -> None:
    """As near to double precision as single precision comes on speech."""
    assert ours.shape == theirs.shape
    difference = np.abs(ours - theirs)
    assert difference.max() < 1e-4
    assert difference.mean() < 1e-6


def test_equals_torchvggish_at_16_khz(clips, reference) -> None:
    assert len(clips) >= 10
    for clip in clips:
        ours, theirs = log_mel_examples(clip, SAMPLE_RATE), reference(clip.astype(np.float64), SAMPLE_RATE)
        assert ours.dtype == np.float32
        _assert_close(ours, theirs)


def test_equals_torchvggish_on_other_corpora(shared_data: Path, reference) -> None:
    patterns = ("emodb/wav/*.flac", "emovo/f1/*.opus", "ravdess/Actor_01/*.flac", "nemo/samples/*.opus")
    for pattern in patterns:
        paths = sorted((shared_data / "speech").glob(pattern))[:8]
        assert paths, pattern
        for path in paths:
            clip = load_waveform(path)
            if len(clip) >= 15_600:
                _assert_close(log_mel_examples(clip, SAMPLE_RATE), reference(clip.astype(np.float64), SAMPLE_RATE))


def test_a_loud_low_tone_beside_quiet_bands(reference) -> None:
    """The worst for single precision: the rounding errors of one bin, 100 dB above all others, in the logarithm."""
    time = np.arange(32_000) / SAMPLE_RATE
    clip = 0.99 * np.sin(2 * np.pi * 130.0 * time) + 1e-5 * np.random.default_rng(0).standard_normal(32_000)
    np.testing.assert_allclose(log_mel_examples(clip, SAMPLE_RATE), reference(clip, SAMPLE_RATE), rtol=0, atol=2e-3)


@pytest.mark.parametrize("rate", [22_050, 44_100, 48_000])
def test_other_rates_differ_by_the_resamplers_alone(clips, reference, rate: int) -> None:
    for clip in clips[:4]:
        waveform = soxr.resample(clip.astype(np.float64), SAMPLE_RATE, rate, quality="VHQ")
        ours, theirs = log_mel_examples(waveform, rate), reference(waveform, rate)
        assert ours.shape == theirs.shape
        difference = np.abs(ours - theirs)
        assert difference.mean() < 0.01
        assert difference[..., :62].max() < 0.01
        assert difference.max() < 0.7  # the last two bands, which resampy's low-pass has begun to cut


def test_telephone_speech_differs_at_the_edge_of_its_band_alone(clips, reference) -> None:
    for clip in clips[:4]:
        waveform = soxr.resample(clip.astype(np.float64), SAMPLE_RATE, 8_000, quality="VHQ")
        difference = np.abs(log_mel_examples(waveform, 8_000) - reference(waveform, 8_000))
        assert difference.mean() < 0.05
        assert difference[..., :44].max() < 0.02  # bands that end below 3.5 kHz


def test_channels_and_integers_as_torchvggish_takes_them(clips, reference) -> None:
    stereo = np.stack([clips[0], 0.3 * clips[0][::-1]], axis=1)
    _assert_close(log_mel_examples(stereo, SAMPLE_RATE), reference(stereo.astype(np.float64), SAMPLE_RATE))
    integers = np.round(clips[0] * 32_768).astype(np.int16)
    _assert_close(log_mel_examples(integers, SAMPLE_RATE), reference(integers / 32_768, SAMPLE_RATE))


@pytest.mark.parametrize(
    ("samples", "examples"), [(0, 0), (399, 0), (15_599, 0), (15_600, 1), (30_959, 1), (30_960, 2)]
)
def test_how_many_examples(samples: int, examples: int) -> None:
    noise = np.random.default_rng(0).uniform(-0.5, 0.5, samples).astype(np.float32)
    features = log_mel_examples(noise, SAMPLE_RATE)
    assert features.shape == (examples, 96, 64)
    assert features.dtype == np.float32


@given(samples=st.integers(0, 80_000))
def test_the_stated_formula_for_examples(samples: int) -> None:
    examples = log_mel_examples(np.zeros(samples, np.float32), SAMPLE_RATE)
    assert len(examples) == max(0, (samples - 240) // 15_360)
    np.testing.assert_allclose(examples, np.log(0.01), rtol=1e-6)


@given(extra=st.integers(0, 15_359), seed=st.integers(0, 1000))
def test_an_example_does_not_depend_on_what_follows(extra: int, seed: int) -> None:
    noise = np.random.default_rng(seed).uniform(-1, 1, 30_960 + extra).astype(np.float32)
    alone, longer = log_mel_examples(noise[:15_600], SAMPLE_RATE), log_mel_examples(noise, SAMPLE_RATE)
    np.testing.assert_allclose(longer[:1], alone, rtol=0, atol=1e-6)


@pytest.mark.parametrize("block_seconds", [0.3, 1.0, 2.5, 30.0])
def test_the_stream_equals_the_whole(demo_clips: Path, tmp_path: Path, clips, encode, block_seconds: float) -> None:
    speech = soxr.resample(np.concatenate(clips[:4]), SAMPLE_RATE, 44_100)
    path = tmp_path / "call.flac"
    path.write_bytes(encode(np.stack([speech, 0.5 * speech], axis=1), "FLAC", sample_rate=44_100))
    whole = log_mel_examples(load_waveform(path), SAMPLE_RATE)
    blocks = list(stream_log_mel_examples(path, block_seconds=block_seconds))
    assert all(len(block) for block in blocks)
    np.testing.assert_allclose(np.concatenate(blocks), whole, rtol=0, atol=1e-6)
    part = log_mel_examples(load_waveform(path, start=1.0, end=4.0), SAMPLE_RATE)
    streamed = list(stream_log_mel_examples(path, start=1.0, end=4.0, block_seconds=block_seconds))
    np.testing.assert_allclose(np.concatenate(streamed), part, rtol=0, atol=1e-6)


def test_the_stream_of_less_than_an_example(speech) -> None:
    assert list(stream_log_mel_examples(speech[:15_599], sample_rate=SAMPLE_RATE)) == []
    with pytest.raises(AudioTooShortError):
        list(stream_log_mel_examples(speech[:100], sample_rate=SAMPLE_RATE))


def test_what_is_not_a_waveform() -> None:
    with pytest.raises(UsageError, match="pass its transpose"):
        log_mel_examples(np.zeros((2, 16_000)), SAMPLE_RATE)
