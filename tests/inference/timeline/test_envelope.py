from __future__ import annotations

import numpy as np
import pytest

from m3ser.inference.timeline import Envelope


@pytest.mark.parametrize("seconds", [0.003, 1.0, 40.96, 41.0, 100.0, 333.337])
def test_it_is_the_extremes_of_every_stretch_whatever_the_chunks(seconds: float) -> None:
    rng = np.random.default_rng(0)
    waveform = rng.normal(size=round(seconds * 16_000)).astype(np.float32)
    envelope = Envelope()
    place = 0
    while place < len(waveform):
        size = int(rng.integers(1, 50_000))
        envelope.push(waveform[place : place + size])
        place += size
    width = round(envelope.seconds * 16_000)
    low, high = envelope.read()
    starts = np.arange(0, len(waveform), width)
    np.testing.assert_array_equal(low, np.minimum.reduceat(waveform, starts))
    np.testing.assert_array_equal(high, np.maximum.reduceat(waveform, starts))
    assert len(low) <= 4097


def test_hours_need_no_more_memory_than_minutes() -> None:
    envelope = Envelope()
    for _ in range(3 * 60):
        envelope.push(np.zeros(16_000 * 60, np.float32))
    assert len(envelope.read()[0]) <= 4097
    assert len(envelope.read()[0]) * envelope.seconds == pytest.approx(3 * 3600, abs=envelope.seconds)


def test_nothing_yet() -> None:
    low, high = Envelope().read()
    assert len(low) == len(high) == 0
