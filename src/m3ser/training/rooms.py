"""Recordings as they would sound in a room."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import signal

from m3ser.audio import SAMPLE_RATE

__all__ = ["in_a_room", "power", "with_power"]


def in_a_room(
    waveform: NDArray[np.float32], generator: np.random.Generator, *, seconds: float, direct: float
) -> NDArray[np.float32]:
    """Convolved with noise that dies away exponentially, behind the direct sound: Polack's model of a room.

    Args:
        waveform: (samples,) at 16 kHz.
        generator: of the noise.
        seconds: until the sound of the room has fallen by 60 dB.
        direct: energy of the direct sound over that of the room.

    Returns:
        (samples,), as loud as before.
    """
    time = np.arange(round(seconds * SAMPLE_RATE)) / SAMPLE_RATE
    response = generator.standard_normal(len(time)) * 10 ** (-3 * time / seconds)
    response /= np.sqrt(np.square(response).sum() * direct)
    response[0] = 1.0
    wet = signal.fftconvolve(waveform, response)[: len(waveform)]
    return with_power(wet, power(waveform))


def power(waveform: NDArray[np.floating]) -> float:
    """The mean square."""
    return float(np.square(waveform, dtype=np.float64).mean())


def with_power(waveform: NDArray[np.floating], wanted: float) -> NDArray[np.float32]:
    """`waveform` with another power; silence stays silent."""
    own = power(waveform)
    return (waveform * np.sqrt(wanted / own) if own else waveform).astype(np.float32)
