"""The core of the spectral front ends against NumPy's FFT, and what must not change a frame."""

from __future__ import annotations

import tracemalloc
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from m3ser.audio import FRONT_ENDS, SAMPLE_RATE, log_mel_examples, spectrum
from m3ser.audio.spectrum import MelSpectrum

SHAPES = [(16, 4, 16), (48, 16, 64), (400, 160, 400), (400, 160, 512), (320, 400, 512)]


def _oracle(samples: np.ndarray, window_length: int, hop: int, fft_length: int) -> np.ndarray:
    """Magnitudes by NumPy's FFT, in double precision: (frames, bins)."""
    starts = range(0, len(samples) - window_length + 1, hop)
    window = np.sin(np.pi * np.arange(window_length) / window_length) ** 2
    return np.abs([np.fft.rfft(samples[start : start + window_length] * window, fft_length) for start in starts])


@pytest.fixture
def noise() -> np.ndarray:
    return np.random.default_rng(0).uniform(-1, 1, 100_000).astype(np.float32)


@pytest.fixture
def core() -> MelSpectrum:
    filters = np.random.default_rng(1).uniform(0, 1, (257, 64))
    return MelSpectrum(window_length=400, hop=160, fft_length=512, filters=filters)


@pytest.mark.parametrize(("window_length", "hop", "fft_length"), SHAPES)
def test_every_bin_equals_numpys(noise, window_length: int, hop: int, fft_length: int) -> None:
    """With an identity for filters, each band is one bin: none is lost, none counts twice, none in another's place."""
    samples = noise[: window_length + 150 * hop + 3]
    bins = np.eye(fft_length // 2 + 1)
    found = MelSpectrum(window_length=window_length, hop=hop, fft_length=fft_length, filters=bins)(samples)
    expected = _oracle(samples, window_length, hop, fft_length)
    assert found.shape == expected.shape == (151, fft_length // 2 + 1)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-5)


def test_powers_and_filters(noise) -> None:
    filters = np.random.default_rng(1).uniform(0, 1, (201, 128))
    core = MelSpectrum(window_length=400, hop=160, fft_length=400, filters=filters, power=True)
    expected = _oracle(noise[:20_000], 400, 160, 400) ** 2 @ filters
    np.testing.assert_allclose(core(noise[:20_000]), expected, rtol=1e-5)


def test_other_kinds_of_arrays(core, noise) -> None:
    expected = core(noise[:20_000])
    np.testing.assert_array_equal(core(noise[:20_000].astype(np.float64)), expected)
    np.testing.assert_array_equal(core(np.repeat(noise[:20_000], 2)[::2]), expected)
    np.testing.assert_array_equal(core(noise[:20_000][::-1].copy()[::-1]), expected)


@pytest.mark.parametrize("frames", [1, 95, 96, 97, 192, 300])
def test_no_frame_depends_on_what_follows(core, noise, frames: int) -> None:
    """Nor on how long the waveform is, nor on what the same buffers held before."""
    whole = core(noise)
    core(np.full(40_000, 1e6, np.float32))
    np.testing.assert_array_equal(core(noise[: 400 + 160 * (frames - 1)]), whole[:frames])


@pytest.mark.parametrize("threads", [2, 3, 50, None])
def test_threads_change_nothing(core, noise, threads: int | None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(spectrum, "available_cores", lambda: 4)
    samples = np.tile(noise, 4)
    np.testing.assert_array_equal(core(samples, threads=threads), core(samples))


def test_many_callers_share_one_core(core, noise) -> None:
    parts = [noise[start : start + 30_000] for start in range(0, 64_000, 4_000)]
    expected = [core(part) for part in parts]
    with ThreadPoolExecutor(6) as pool:
        for found, alone in zip(pool.map(lambda part: core(part, threads=2), parts), expected, strict=True):
            np.testing.assert_array_equal(found, alone)


def test_an_error_in_another_thread_is_not_lost(noise) -> None:
    def fail(mel: np.ndarray) -> None:
        raise FloatingPointError("no logarithm")

    core = MelSpectrum(window_length=400, hop=160, fft_length=512, filters=np.eye(257), finish=fail)
    with pytest.raises(FloatingPointError, match="no logarithm"):
        core(noise, threads=3)


def test_memory_does_not_grow_with_the_length(core) -> None:
    samples = np.zeros(120 * SAMPLE_RATE, np.float32)
    core(samples[:400])
    tracemalloc.start()
    try:
        mel = core(samples)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < mel.nbytes + 100_000


def test_helpers_are_for_long_recordings_alone(monkeypatch: pytest.MonkeyPatch, noise) -> None:
    """And never for the front ends by name: prediction and training have threads of their own around them."""

    def refuse(*args: object, **options: object) -> None:
        raise AssertionError("started a thread")

    monkeypatch.setattr(spectrum, "ThreadPoolExecutor", refuse)
    monkeypatch.setattr(spectrum, "available_cores", lambda: 4)
    minutes = np.resize(noise, 150 * SAMPLE_RATE)
    log_mel_examples(minutes[: 100 * SAMPLE_RATE], SAMPLE_RATE)
    for name in ("vggish", "whisper80", "whisper128"):
        FRONT_ENDS[name].features(minutes)
    with pytest.raises(AssertionError, match="started a thread"):
        log_mel_examples(minutes, SAMPLE_RATE)


@pytest.mark.parametrize(("window_length", "fft_length"), [(40, 64), (48, 72), (64, 48)])
def test_lengths_that_do_not_fit(window_length: int, fft_length: int) -> None:
    with pytest.raises(ValueError, match="expected a multiple of 16"):
        MelSpectrum(window_length=window_length, hop=16, fft_length=fft_length, filters=np.eye(fft_length // 2 + 1))
