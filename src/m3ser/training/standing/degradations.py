"""What recordings sound like that were not made in a studio: noise, a telephone, an encoder, another level, a room.

Each is one call of a library. Randomness is seeded by the recording and the degradation, so that every model is asked
about the same sounds.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from types import MappingProxyType

import numpy as np
import soundfile
import soxr
from numpy.typing import NDArray
from scipy import fft, signal

from m3ser.audio import SAMPLE_RATE, load_waveform
from m3ser.training.rooms import in_a_room, power, with_power
from m3ser.training.states import Recording

__all__ = ["DEGRADATIONS", "Degraded"]

Waveform = NDArray[np.float32]
Degrade = Callable[[Waveform, np.random.Generator], Waveform]

_EDITION = 1  # of what is computed here; another one is computed anew in every cache
_TELEPHONE = (300.0, 3400.0)  # Hz, ITU-T G.712
_TELEPHONE_RATE = 8_000
_REVERBERATION = 0.6  # seconds to -60 dB, a large living room
_DIRECT = 1.0  # energy of the direct sound over that of the room


def _noisy(waveform: Waveform, generator: np.random.Generator, *, decibels: float) -> Waveform:
    """Pink noise (a spectrum that falls as 1 / f, as that of rooms and streets does) at a signal-to-noise ratio."""
    # Of a length that the transform is fast for.
    spectrum = fft.rfft(generator.standard_normal(fft.next_fast_len(len(waveform), real=True)))
    spectrum[1:] /= np.sqrt(np.arange(1, len(spectrum)))
    spectrum[0] = 0.0
    noise = fft.irfft(spectrum)[: len(waveform)]
    return waveform + with_power(noise, power(waveform) * 10 ** (-decibels / 10))


def _telephone(waveform: Waveform, _: np.random.Generator) -> Waveform:
    band = signal.butter(4, _TELEPHONE, "bandpass", fs=SAMPLE_RATE, output="sos")
    narrow = signal.sosfilt(band, waveform).astype(np.float32)
    there: Waveform = soxr.resample(narrow, SAMPLE_RATE, _TELEPHONE_RATE)
    back: Waveform = soxr.resample(there, _TELEPHONE_RATE, SAMPLE_RATE)
    return back


def _mp3(waveform: Waveform, _: np.random.Generator) -> Waveform:
    """There and back, constant 32 kbit/s, which at 16 kHz is between the lowest rate (8) and the highest (160)."""
    file = io.BytesIO()
    level = 1 - (32 - 8) / (160 - 8)  # libsndfile counts from the highest rate down
    soundfile.write(file, waveform, SAMPLE_RATE, format="MP3", bitrate_mode="CONSTANT", compression_level=level)
    file.seek(0)
    return load_waveform(file)


def _gained(waveform: Waveform, _: np.random.Generator, *, decibels: float) -> Waveform:
    """Another level; what does not fit is clipped, as in a recording."""
    louder: Waveform = np.clip(waveform * np.float32(10 ** (decibels / 20)), -1.0, 1.0)
    return louder


def _in_a_room(waveform: Waveform, generator: np.random.Generator) -> Waveform:
    return in_a_room(waveform, generator, seconds=_REVERBERATION, direct=_DIRECT)


DEGRADATIONS: Mapping[str, Degrade] = MappingProxyType(
    {
        "noise at 20 dB": partial(_noisy, decibels=20.0),
        "noise at 10 dB": partial(_noisy, decibels=10.0),
        "noise at 5 dB": partial(_noisy, decibels=5.0),
        "telephone band": _telephone,
        "MP3 at 32 kbit/s": _mp3,
        "12 dB louder": partial(_gained, decibels=12.0),
        "12 dB softer": partial(_gained, decibels=-12.0),
        "reverberation": _in_a_room,
    }
)
"""What it is called -> (samples,) at 16 kHz to (samples,), about as long."""


@dataclass(frozen=True, order=True)
class Degraded(Recording):
    """A recording as it would sound after one of :data:`DEGRADATIONS`."""

    how: str = ""

    def waveform(self) -> Waveform:
        """See :meth:`Recording.waveform`."""
        # By the name: the folder is another one on another machine.
        seed = [_EDITION, *self.path.stem.encode(), *self.how.encode()]
        return DEGRADATIONS[self.how](super().waveform(), np.random.default_rng(seed)).astype(np.float32, copy=False)

    def digest(self) -> str:
        """See :meth:`Recording.digest`."""
        return f"{super().digest()} {self.how} {_EDITION}"
