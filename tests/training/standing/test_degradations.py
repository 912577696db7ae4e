"""Degraded recordings: as much as they say, the same every time, and found in the cache by what they are."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("torch")

import m3ser
from m3ser.training.standing.degradations import DEGRADATIONS, Degraded
from m3ser.training.states import Recording

CLIP = Path(m3ser.__file__).parent / "bundled" / "clips" / "1001_DFA_ANG_XX.wav"


@pytest.fixture(scope="module")
def clean() -> np.ndarray:
    return Recording(CLIP).waveform()


@pytest.mark.parametrize("how", DEGRADATIONS)
def test_the_same_every_time_and_about_as_long(how: str, clean: np.ndarray) -> None:
    one, again = (Degraded(CLIP, how=how).waveform() for _ in range(2))
    assert one.dtype == np.float32
    np.testing.assert_array_equal(one, again)
    assert abs(len(one) - len(clean)) < 0.2 * 16_000
    assert np.abs(one[: len(clean)] - clean[: len(one)]).max() > 1e-3, "something has been done to it"


@pytest.mark.parametrize("decibels", [20, 10, 5])
def test_the_noise_is_as_loud_as_it_says(decibels: int, clean: np.ndarray) -> None:
    noise = Degraded(CLIP, how=f"noise at {decibels} dB").waveform() - clean
    assert 10 * np.log10(np.square(clean).mean() / np.square(noise).mean()) == pytest.approx(decibels, abs=0.1)


def test_a_telephone_has_nothing_below_and_above(clean: np.ndarray) -> None:
    power = np.square(np.abs(np.fft.rfft(Degraded(CLIP, how="telephone band").waveform())))
    hertz = np.linspace(0, 8_000, len(power))
    assert power[(hertz < 150) | (hertz > 4_200)].sum() < 0.01 * power.sum()


def test_a_gain_changes_the_level_and_clips(clean: np.ndarray) -> None:
    softer, louder = (Degraded(CLIP, how=f"12 dB {way}").waveform() for way in ("softer", "louder"))
    np.testing.assert_allclose(softer, clean * 10 ** (-12 / 20), rtol=1e-5)
    assert np.abs(louder).max() <= 1.0


def test_each_has_a_digest_of_its_own() -> None:
    digests = {Degraded(CLIP, how=how).digest() for how in DEGRADATIONS} | {Recording(CLIP).digest()}
    assert len(digests) == len(DEGRADATIONS) + 1
