"""What a recording says about itself, read at little cost where the file is whole and ordinary.

Reading through :class:`~m3ser.audio.sources.ByteStream` costs a Python call for every few bytes that the decoder asks
for, and libsndfile sets up a decoder before it says how long an Opus file is. A corpus has tens of thousands of
recordings of which only the headers matter, and nearly all of them are whole. Whatever is not plainly in order is left
to :func:`~m3ser.audio.opening.open_recording`, which says what is wrong with it.
"""

from __future__ import annotations

import stat
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soundfile

from m3ser.audio.containers import MEDIA_KINDS, inspect_container
from m3ser.audio.opening import HIGHEST_RATE, LOWEST_RATE
from m3ser.audio.sources import ByteStream

__all__ = ["AudioInfo", "peek"]

_UNKNOWN_LENGTH = np.iinfo(np.int64).max // 2  # what libsndfile reports for a FLAC file that was written to a pipe
_OGG = "OGG (OGG Container format)"  # as libsndfile calls it


@dataclass(frozen=True)
class AudioInfo:
    """What a recording says about itself.

    Attributes:
        duration: seconds; None where the container does not say (a raw stream, or one written to a pipe).
        sample_rate: Hz.
        channels: 1 for mono.
        format: the container, in words ("WAV (Microsoft)").
    """

    duration: float | None
    sample_rate: float
    channels: int
    format: str


def peek(path: Path) -> AudioInfo | None:
    """The header of a file, or None where it takes a closer look to tell.

    It never raises for what a file holds, or for one that is not there.
    """
    try:
        # Opening a pipe would wait for somebody to write into it.
        if not stat.S_ISREG(path.stat().st_mode):
            return None
        with path.open("rb", buffering=0) as file:
            container = inspect_container(ByteStream(file))
        if container.opus is not None:
            frames, rate, channels = container.opus
            return AudioInfo(frames / rate, rate, channels, _OGG)
        # Where content does not tell the format, libsndfile goes by the file's name: nothing to rely on.
        if container.kind is None or container.kind in MEDIA_KINDS or not container.whole:
            return None
        if path.suffix.lower() == ".raw":  # soundfile takes that for bare samples
            return None
        with soundfile.SoundFile(path) as sound:
            frames, rate = sound.frames, sound.samplerate
            if not 0 < frames < _UNKNOWN_LENGTH or not LOWEST_RATE <= rate <= HIGHEST_RATE:
                return None
            return AudioInfo(frames / rate, rate, sound.channels, sound.format_info)
    except (OSError, ValueError, soundfile.LibsndfileError):  # ValueError: a null character in the path
        return None
