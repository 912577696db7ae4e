"""openSMILE's features against the definitions, written out anew."""

from __future__ import annotations

import builtins
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from m3ser.audio import FRONT_ENDS, acoustic
from m3ser.errors import MissingExtraError


def cepstra(waveform: np.ndarray, *, bands: int, first: int, last: int, lifter: int) -> np.ndarray:
    """MFCC by the HTK book, in double precision, of the 16-bit samples that openSMILE is handed."""
    samples = (waveform * 32768).astype(np.int16).astype(np.float64)
    frames = np.lib.stride_tricks.sliding_window_view(samples, 400)[::160]
    emphasised = frames - 0.97 * np.concatenate([frames[:, :1], frames[:, :-1]], axis=1)
    hamming = 0.54 - 0.46 * np.cos(2 * np.pi * np.arange(400) / 399)
    power = np.abs(np.fft.rfft(emphasised * hamming, 512)) ** 2
    bins = 1127 * np.log(1 + np.arange(257) * 31.25 / 700)
    edges = np.linspace(0, 1127 * np.log(1 + 8000 / 700), bands + 2)
    rising = (bins[:, None] - edges[:-2]) / (edges[1:-1] - edges[:-2])
    falling = (edges[2:] - bins[:, None]) / (edges[2:] - edges[1:-1])
    log_mel = np.log(power @ np.maximum(0, np.minimum(rising, falling)))
    numbers = np.arange(first, last + 1)
    cosines = np.sqrt(2 / bands) * np.cos(np.pi * numbers[:, None] * (np.arange(bands) + 0.5) / bands)
    found = log_mel @ cosines.T
    return found * (1 + lifter / 2 * np.sin(np.pi * numbers / lifter)) if lifter else found


def slopes(values: np.ndarray) -> np.ndarray:
    """Regression over two frames either way; beyond the ends the last one is repeated."""
    padded = np.pad(values, ((2, 2), (0, 0)), mode="edge")
    return (padded[3:-1] - padded[1:-3] + 2 * (padded[4:] - padded[:-4])) / 10


@pytest.fixture(scope="module")
def noise() -> np.ndarray:
    return (np.random.default_rng(0).standard_normal(16_000) * 0.1).astype(np.float32)


def test_the_39_are_htks(noise):
    pytest.importorskip("opensmile")
    found = acoustic.mfcc39(noise)
    assert found.shape == (98, 39)
    expected = cepstra(noise, bands=26, first=1, last=12, lifter=22)
    np.testing.assert_allclose(found[:, :12], expected, atol=1e-3)
    samples = (noise * 32768).astype(np.int16).astype(np.float64)
    energy = np.log((np.lib.stride_tricks.sliding_window_view(samples, 400)[::160] ** 2).sum(axis=1))
    np.testing.assert_allclose(found[:, 12], energy, atol=1e-4)
    np.testing.assert_allclose(found[:, 13:26], slopes(found[:, :13]), atol=1e-4)
    # Of the last two frames openSMILE knows deltas that lie beyond the end.
    np.testing.assert_allclose(found[:-2, 26:], slopes(found[:, 13:26])[:-2], atol=1e-4)


def test_the_40_are_all_cosines_of_40_bands(noise):
    pytest.importorskip("opensmile")
    expected = cepstra(noise, bands=40, first=0, last=39, lifter=0)
    # By convention coefficient 0 may have any factor; here it has the others'.
    np.testing.assert_allclose(acoustic.mfcc40(noise), expected, atol=1e-3)


def test_the_loudest_sample_does_not_turn_round():
    pytest.importorskip("opensmile")
    loud = np.ones(1600, np.float32)
    loud[::2] = 0.999
    found = acoustic.mfcc39(loud)
    assert np.isfinite(found).all()
    np.testing.assert_allclose(found[:, 12], np.log(400 * 32750.0**2), atol=0.01)


def test_functionals_stand_behind_every_frame(noise):
    pytest.importorskip("opensmile")
    functionals = acoustic.egemaps(noise)
    assert functionals.shape == (1, 88)
    assert np.isfinite(functionals).all()
    both = FRONT_ENDS["mfcc39+egemaps"].features(noise)
    np.testing.assert_array_equal(both[:, :39], acoustic.mfcc39(noise))
    np.testing.assert_array_equal(both[:, 39:], np.repeat(functionals, 98, axis=0))
    assert FRONT_ENDS["mfcc40+egemaps"].features(noise[:959]).shape == (0, 128)


def test_silence_has_finite_features():
    pytest.importorskip("opensmile")
    for name in ("mfcc39+egemaps", "mfcc40+egemaps"):
        assert np.isfinite(FRONT_ENDS[name].features(np.zeros(16_000, np.float32))).all()


def test_threads_may_share_it(noise):
    pytest.importorskip("opensmile")
    parts = [noise[start:] for start in range(0, 8000, 500)]
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(FRONT_ENDS["mfcc39+egemaps"].features, parts))
    for part, features in zip(parts, found, strict=True):
        np.testing.assert_array_equal(features, FRONT_ENDS["mfcc39+egemaps"].features(part))


def test_without_opensmile_it_says_what_to_install(noise, monkeypatch):
    real = builtins.__import__

    def missing(name, *args, **kwargs):
        if name == "opensmile":
            raise ModuleNotFoundError(name="opensmile")
        return real(name, *args, **kwargs)

    acoustic._extractor.cache_clear()
    monkeypatch.setattr(builtins, "__import__", missing)
    with pytest.raises(MissingExtraError, match="needs the 'acoustic' extra"):
        acoustic.mfcc39(noise)
