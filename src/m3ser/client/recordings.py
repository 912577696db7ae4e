"""Recordings of any kind, as they are sent: a name and bytes."""

from __future__ import annotations

import os
import struct
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

from numpy.typing import NDArray

from m3ser.errors import AudioReadError, UsageError

__all__ = ["Audio", "Sent", "as_sent", "pcm"]

Audio: TypeAlias = "str | os.PathLike[str] | bytes | NDArray[Any]"
"""A path, the bytes of a file, or an array (samples,) or (samples, channels): floats in [-1, 1], or integers."""

_FLOAT = 3  # WAVE_FORMAT_IEEE_FLOAT
_FULL_SCALE = 32_768


@dataclass(frozen=True)
class Sent:
    """A recording on its way.

    Attributes:
        file: as the caller named it; None: it has no name.
        content: the bytes of a file.
    """

    file: str | None
    content: bytes

    @property
    def part(self) -> tuple[str, bytes, str]:
        """The part of a form: a name (which a file must have there; never the folder), bytes, and their type."""
        return (Path(self.file).name if self.file else "recording", self.content, "application/octet-stream")


def as_sent(audio: Audio, sample_rate: float | None, *, apart: bool = False) -> Sent:
    """A recording as it is sent; files are read whole.

    Args:
        audio: the recording.
        sample_rate: of an array, in Hz.
        apart: keep the channels of an array, in place of their average.

    Raises:
        AudioReadError: the file cannot be read.
        UsageError: an array without a sample rate, or anything else with one.
    """
    if isinstance(audio, (str, os.PathLike, bytes)) and sample_rate is not None:
        raise UsageError("sample_rate is for arrays; a file states its own.")
    if isinstance(audio, bytes):
        return Sent(None, audio)
    if isinstance(audio, (str, os.PathLike)):
        try:
            return Sent(os.fspath(audio), Path(audio).read_bytes())
        except OSError as error:
            raise AudioReadError(f"{os.fspath(audio)} cannot be read ({error.strerror}).") from error
    if sample_rate is None or not (sample_rate > 0 and float(sample_rate).is_integer()):
        raise UsageError(f"sample_rate is {sample_rate}; an array is sent with a whole number of Hz.")
    return Sent(None, _wav(audio, int(sample_rate), apart=apart))


def pcm(samples: NDArray[Any]) -> bytes:
    """An array (samples,) or (samples, channels) as 16-bit little-endian samples, channels interleaved.

    Raises:
        UsageError: not a waveform, or NaN.
    """
    import numpy as np

    from m3ser.audio.samples import as_samples

    samples = as_samples(samples)
    if samples.dtype == np.int16:
        return samples.astype("<i2", copy=False).tobytes()
    if samples.dtype.kind != "f" or not np.isfinite(samples).all():
        raise UsageError("A chunk must hold 16-bit integers or finite floats in [-1, 1].")
    return np.clip(np.round(samples * _FULL_SCALE), -_FULL_SCALE, _FULL_SCALE - 1).astype("<i2").tobytes()


def _wav(samples: NDArray[Any], sample_rate: int, *, apart: bool) -> bytes:
    """A WAV file of 32-bit floats, in which nothing is lost; the service averages the channels as it is done here."""
    import numpy as np

    from m3ser.audio.samples import as_samples, to_mono

    samples = as_samples(samples)
    kept = [to_mono(channel) for channel in samples.T] if apart and samples.ndim == 2 else [to_mono(samples)]
    channels = len(kept)
    data = np.stack(kept, axis=1).astype("<f4").tobytes()
    size = np.dtype(np.float32).itemsize
    form = struct.pack(
        "<HHIIHH", _FLOAT, channels, sample_rate, size * channels * sample_rate, size * channels, 8 * size
    )
    chunks = b"WAVEfmt " + struct.pack("<I", len(form)) + form + b"data" + struct.pack("<I", len(data)) + data
    return b"RIFF" + struct.pack("<I", len(chunks)) + chunks
