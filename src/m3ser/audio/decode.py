"""Recordings of any kind -> mono float32 waveforms at 16 kHz.

What a recording is gets decided by its content: libsndfile is asked first, then FFmpeg (PyAV). Everything is decoded,
mixed and resampled block by block, so that only the caller decides how much is in memory at a time.
"""

from __future__ import annotations

import math
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from m3ser.audio.headers import AudioInfo, peek
from m3ser.audio.opening import open_recording
from m3ser.audio.readers import Reader
from m3ser.audio.resampling import SAMPLE_RATE, Resampler
from m3ser.audio.samples import of_length, to_mono
from m3ser.audio.sources import AudioSource
from m3ser.errors import AudioContentError, AudioTooLongError, AudioTooShortError, UsageError

__all__ = ["MIN_SAMPLES", "AudioInfo", "Blocks", "load_waveform", "open_blocks", "probe", "stream_waveform"]

MIN_SAMPLES = SAMPLE_RATE * 25 // 1000
"""400 samples, 25 ms: one analysis frame. Anything shorter holds nothing to recognise."""

_SILENCE = 1e-4  # -80 dBFS: about the last bit of 16, which carries no speech
_HIGHEST_SAMPLE = 100.0  # floats beyond are integers that were never divided by full scale


@dataclass(frozen=True)
class _Part:
    """The part of a recording that is asked for, in seconds."""

    start: float | None
    end: float | None
    longest: float | None

    def __post_init__(self) -> None:
        for name, value in (("start", self.start), ("end", self.end), ("max_seconds", self.longest)):
            if value is not None and not (math.isfinite(value) and value >= 0):
                raise UsageError(f"{name} is {value}; expected seconds, not negative.")
        if self.end is not None and self.end <= (self.start or 0):
            raise UsageError(
                f"The part from {self.start or 0:g} to {self.end:g} s is empty; expected start before end."
            )

    def __str__(self) -> str:
        if self.start is None and self.end is None:
            return ""
        return f" from {self.start or 0:g} s" + ("" if self.end is None else f" to {self.end:g} s")


def probe(source: AudioSource) -> AudioInfo:
    """Read a recording's header, and nothing else.

    Args:
        source: a path, the bytes of a file, or a binary file object.

    Raises:
        AudioReadError, AudioTooShortError, MissingExtraError, UsageError: as :func:`load_waveform`, as far as the
            header shows it.
    """
    if isinstance(source, (str, os.PathLike)):
        info = peek(Path(source))
        if info is not None:
            return info
    with open_recording(source) as reader:
        return AudioInfo(reader.duration, reader.sample_rate, reader.channels, reader.format)


def load_waveform(
    source: AudioSource,
    *,
    sample_rate: float | None = None,
    start: float | None = None,
    end: float | None = None,
    max_seconds: float | None = None,
) -> NDArray[np.float32]:
    """Decode a recording: mono (the channels averaged), 16 kHz (libsoxr, high quality), float32 in [-1, 1].

    Args:
        source: a path, the bytes of a file, a binary file object, or an array (samples,) or (samples, channels) of
            floats in [-1, 1] or of integers, taken as fractions of full scale.
        sample_rate: Hz; for arrays, and only for them.
        start: where the part to decode begins, in seconds. Files are sought in, not decoded from the beginning,
            wherever that lands on the same sample.
        end: where it ends, in seconds; beyond the recording's end means its end.
        max_seconds: refuse anything longer, before decoding it where the header states the length.

    Returns:
        (samples,) float32, at least 400 samples, in memory of its own.

    Raises:
        AudioReadError: not audio, damaged, truncated, or not a readable file.
        AudioTooShortError: empty, or less than 25 ms.
        AudioTooLongError: longer than `max_seconds`.
        AudioContentError: silent (no sample 80 dB below full scale or more), NaN or infinite samples, or floats far
            outside [-1, 1].
        MissingExtraError: a format that needs PyAV, where it is not installed.
        UsageError: arguments that make no sense.
    """
    return np.concatenate(list(_decode(source, sample_rate, _Part(start, end, max_seconds))))


def stream_waveform(
    source: AudioSource,
    *,
    sample_rate: float | None = None,
    start: float | None = None,
    end: float | None = None,
    max_seconds: float | None = None,
    block_seconds: float = 30.0,
) -> Iterator[NDArray[np.float32]]:
    """Decode a recording of any length in bounded memory; joined, the blocks equal :func:`load_waveform`'s result.

    Args:
        source: as in :func:`load_waveform`, like all that follow but the last.
        sample_rate: Hz; for arrays, and only for them.
        start: where the part to decode begins, in seconds.
        end: where it ends, in seconds.
        max_seconds: refuse anything longer.
        block_seconds: length of every block but the last; at least 0.025.

    Yields:
        (samples,) float32 mono at 16 kHz.

    Raises:
        AudioError: as :func:`load_waveform`, while iterating: what is wrong with the end of a recording, and that all
            of it was silent, shows only after the blocks before.
        MissingExtraError, UsageError: as :func:`load_waveform`, with the first block.
    """
    if not (math.isfinite(block_seconds) and block_seconds * SAMPLE_RATE >= MIN_SAMPLES):
        raise UsageError(f"block_seconds is {block_seconds}; expected at least {MIN_SAMPLES / SAMPLE_RATE} s.")
    yield from of_length(
        _decode(source, sample_rate, _Part(start, end, max_seconds)), round(block_seconds * SAMPLE_RATE)
    )


def _decode(source: AudioSource, sample_rate: float | None, part: _Part) -> Iterator[NDArray[np.float32]]:
    """The waveform at 16 kHz, in pieces of whatever size decoding brings; one that is silent is refused at its end."""
    with open_recording(source, sample_rate) as reader:
        blocks = Blocks(reader, part, split=False)
        for block in blocks:
            yield block[:, 0]
        blocks.check_not_silent()


class Blocks:
    """A recording of any length, block by block. Made by :func:`open_blocks`.

    Attributes:
        label: what error messages call it.
        channels: how many the blocks have: 1, or as many as the recording where they are kept apart.
        duration: of the part that is read, in seconds; None where the container does not say.
    """

    def __init__(self, reader: Reader, part: _Part, *, split: bool) -> None:
        _check_length(reader, part)
        self.label = reader.label
        self.channels = reader.channels if split else 1
        self.duration: float | None = None
        if reader.duration is not None:
            self.duration = min(reader.duration, part.end or math.inf) - (part.start or 0.0)
        self._reader = reader
        self._part = part
        self._content = _Content(reader, part)

    def __iter__(self) -> Iterator[NDArray[np.float32]]:
        """Blocks (samples, channels) of any length at 16 kHz, in order; can be asked for once.

        Raises:
            AudioReadError: behind the last block, where the recording is damaged or breaks off.
            AudioContentError: behind the blocks before, where samples are NaN, infinite or far outside [-1, 1].
            AudioTooShortError: less than 25 ms in all.
        """
        rate = self._reader.sample_rate
        first = round((self._part.start or 0.0) * rate)
        last = None if self._part.end is None else round(self._part.end * rate)
        resampler = Resampler(rate, self.channels)
        count = 0
        for samples in self._reader.blocks(first, last):
            if self.channels == 1:
                block = to_mono(samples)[:, None]
            else:
                block = np.stack([to_mono(samples[:, channel]) for channel in range(self.channels)], axis=1)
            self._content.hear(block)
            piece = resampler.push(block)
            count += len(piece)
            if len(piece):
                yield piece
        piece = resampler.flush()
        count += len(piece)
        if count < MIN_SAMPLES:
            raise _too_short(self.label, count, self._part)
        if len(piece):
            yield piece

    def check_not_silent(self) -> None:
        """Once all has been read.

        Raises:
            AudioContentError: nothing of it can be heard.
        """
        self._content.check_not_silent()


@contextmanager
def open_blocks(
    source: AudioSource,
    *,
    sample_rate: float | None = None,
    start: float | None = None,
    end: float | None = None,
    split: bool = False,
) -> Iterator[Blocks]:
    """Open a recording of any length, to be read in bounded memory; it may be silent, and it may break off.

    Args:
        source: as in :func:`load_waveform`, like the next three.
        sample_rate: Hz; for arrays, and only for them.
        start: where the part to read begins, in seconds.
        end: where it ends, in seconds.
        split: keep the channels apart, instead of their average.

    Raises:
        AudioError, MissingExtraError, UsageError: as :func:`load_waveform`, but that a recording which breaks off is
            read up to there (see :class:`Blocks`).
    """
    part = _Part(start, end, None)
    with open_recording(source, sample_rate, what_is_there=True) as reader:
        yield Blocks(reader, part, split=split)


def _too_short(label: str, count: int, part: _Part) -> AudioTooShortError:
    return AudioTooShortError(
        f"{label} holds {1000 * count / SAMPLE_RATE:.2f} ms of sound{part}; "
        f"expected at least {1000 * MIN_SAMPLES / SAMPLE_RATE:g} ms."
    )


def _check_length(reader: Reader, part: _Part) -> None:
    """What can be said before decoding."""
    if reader.duration is None:
        return
    start = part.start or 0.0
    if 0 < reader.duration <= start:
        raise AudioTooShortError(
            f"{reader.label} is {reader.duration:.2f} s long, so nothing is left{part}; "
            "expected a start before its end."
        )
    length = min(reader.duration, part.end or math.inf) - start
    # Half a sample, so that a part of exactly the longest length is not lost to rounding.
    if part.longest is not None and length > part.longest + 0.5 / reader.sample_rate:
        raise AudioTooLongError(f"{reader.label} is {length:.1f} s long; expected at most {part.longest:g} s.")


class _Content:
    """What has been heard of a recording so far, before resampling; refuses what cannot be sound."""

    def __init__(self, reader: Reader, part: _Part) -> None:
        self._label = reader.label
        self._rate = reader.sample_rate
        self._part = part
        self._samples = 0
        self._low = math.inf
        self._high = -math.inf

    def hear(self, block: NDArray[np.float32]) -> None:
        low, high = float(block.min()), float(block.max())
        if not (math.isfinite(low) and math.isfinite(high)):
            where = self._samples + int(np.flatnonzero(~np.isfinite(block))[0]) // (block.size // len(block))
            raise AudioContentError(
                f"{self._label} holds NaN or infinite samples, the first at "
                f"{(self._part.start or 0) + where / self._rate:.3f} s; expected finite samples."
            )
        if max(-low, high) > _HIGHEST_SAMPLE:
            raise AudioContentError(
                f"{self._label} holds samples as large as {max(-low, high):g}; expected floats in [-1, 1]."
            )
        self._low, self._high = min(self._low, low), max(self._high, high)
        self._samples += len(block)
        longest = self._part.longest
        if longest is not None and self._samples > longest * self._rate + 0.5:
            raise AudioTooLongError(f"{self._label} is longer than {longest:g} s; expected at most that.")

    def check_not_silent(self) -> None:
        # Half the distance between the extremes: a constant, however large, cannot be heard.
        level = (self._high - self._low) / 2
        if level < _SILENCE:
            found = f"its peak level is {20 * math.log10(level):.0f} dBFS" if level > 0 else "it holds no sound at all"
            raise AudioContentError(
                f"{self._label} is silent{self._part} ({found}); "
                f"expected a peak of at least {20 * math.log10(_SILENCE):.0f} dBFS."
            )
