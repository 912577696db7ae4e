"""Recordings as blocks of samples at their own rate: arrays, and every file that libsndfile reads."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Protocol

import numpy as np
import soundfile
from numpy.typing import NDArray

from m3ser.audio.containers import Container
from m3ser.audio.sources import ByteStream
from m3ser.errors import AudioReadError

__all__ = ["ArrayReader", "BrokenReader", "Reader", "SoundFileReader", "damaged"]

BLOCK_FRAMES = 1 << 16
"""Samples of each channel that are decoded at a time: 2 MB for eight channels."""

# Two MPEG frames: encoders disagree about whether their summary counts itself, and about the padding at the end.
_MP3_TOLERANCE = 2 * 1152

# Seconds decoded and thrown away before the part that is wanted: Opus and MP3 decoders remember that far back.
_RUN_UP = 1.0


class Reader(Protocol):
    """One open recording.

    Attributes:
        label: what error messages call it.
        sample_rate: Hz.
        channels: how many are averaged.
        format: the container, in words.
        duration: seconds; None where the container does not say.
    """

    label: str
    sample_rate: float
    channels: int
    format: str
    duration: float | None

    def blocks(self, first: int, last: int | None) -> Iterator[NDArray[Any]]:
        """The samples from `first` up to `last` (None: to the end), in order, as they were decoded.

        Yields:
            (samples,) or (samples, channels), floats or integers; the memory may be that of the next block, too.

        Raises:
            AudioReadError: while iterating, where the recording turns out to be damaged or truncated.
        """
        ...

    def close(self) -> None:
        """Let go of what reads it; a stream of bytes stays open."""
        ...


class ArrayReader:
    """Samples that the caller has already decoded."""

    def __init__(self, label: str, samples: NDArray[Any], sample_rate: float) -> None:
        self.label = label
        self.sample_rate = sample_rate
        self.channels = 1 if samples.ndim == 1 else samples.shape[1]
        self.format = f"array of {samples.dtype}"
        self.duration: float | None = len(samples) / sample_rate
        self._samples = samples

    def blocks(self, first: int, last: int | None) -> Iterator[NDArray[Any]]:
        """See :class:`Reader`."""
        part = self._samples[first:last]
        for offset in range(0, len(part), BLOCK_FRAMES):
            yield part[offset : offset + BLOCK_FRAMES]

    def close(self) -> None:
        """Nothing to let go of."""


class _SequentialFile(soundfile.SoundFile):  # type: ignore[misc,unused-ignore]
    """A SoundFile that goes on reading where it stopped.

    The base class seeks after every read, to where it already is. An MP3 decoder loses its bit reservoir by that: the
    next block begins with a few damaged samples, and complaints appear on stderr.
    """

    def seekable(self) -> bool:
        return False

    def can_seek(self) -> bool:
        """Whether the format allows :meth:`seek`."""
        return bool(super().seekable())


class SoundFileReader:
    """A file that libsndfile reads.

    Raises:
        soundfile.LibsndfileError: libsndfile does not know this format.
    """

    def __init__(self, label: str, stream: ByteStream, container: Container) -> None:
        self.label = label
        self._stream = stream
        self._file = _SequentialFile(stream)
        self.sample_rate: float = self._file.samplerate
        self.channels: int = self._file.channels
        self.format: str = self._file.format_info
        # A FLAC file that was written to a pipe states no length; libsndfile then reports the largest number it has.
        unknown = container.guesses_length or self._file.frames >= np.iinfo(np.int64).max // 2
        self._frames: int | None = None if unknown else self._file.frames
        self._tolerance = _MP3_TOLERANCE if container.kind == "MP3" else 0
        self.duration: float | None = None if self._frames is None else self._frames / self.sample_rate

    def blocks(self, first: int, last: int | None) -> Iterator[NDArray[Any]]:
        """See :class:`Reader`."""
        position = 0
        buffer = np.empty((BLOCK_FRAMES, self.channels), dtype=np.float32)
        try:
            run_up = first - round(_RUN_UP * self.sample_rate)
            if run_up > 0 and self._frames is not None and self._file.can_seek():
                position = self._file.seek(run_up)
            while last is None or position < last:
                wanted = BLOCK_FRAMES if last is None else min(BLOCK_FRAMES, last - position)
                block = self._file.read(wanted, out=buffer[:wanted])
                if not len(block):
                    break
                skipped = max(0, min(len(block), first - position))
                position += len(block)
                if skipped < len(block):
                    yield block[skipped:]
        except soundfile.LibsndfileError as error:
            # Some of the block that failed was decoded: the decoder knows how far it came.
            raise self._damaged(max(position, self._file.tell())) from error
        if self._stream.failure is not None or self._is_short(position, last):
            raise self._damaged(position)

    def _is_short(self, position: int, last: int | None) -> bool:
        if self._frames is None:
            return False
        expected = self._frames if last is None else min(last, self._frames)
        return position < expected - self._tolerance

    def _damaged(self, position: int) -> AudioReadError:
        if self._stream.failure is not None:
            return AudioReadError(
                f"{self.label} cannot be read beyond {position / self.sample_rate:.2f} s ({self._stream.failure}); "
                "expected a readable file."
            )
        return damaged(self.label, position / self.sample_rate, self.duration)

    def close(self) -> None:
        """Let go of the decoder; the stream stays open."""
        self._file.close()


class BrokenReader:
    """What is there of a recording that breaks off; the error that says so comes behind the last sample.

    Args:
        reader: reads what is there.
        fault: what is wrong with the recording.
    """

    def __init__(self, reader: Reader, fault: AudioReadError) -> None:
        self.label = reader.label
        self.sample_rate = reader.sample_rate
        self.channels = reader.channels
        self.format = reader.format
        self.duration = reader.duration
        self._reader = reader
        self._fault = fault

    def blocks(self, first: int, last: int | None) -> Iterator[NDArray[Any]]:
        """See :class:`Reader`."""
        position = first
        try:
            for block in self._reader.blocks(first, last):
                position += len(block)
                yield block
        except AudioReadError as error:
            raise self._fault from error
        if last is None or position < last:
            raise self._fault

    def close(self) -> None:
        """Let go of the decoder; the stream stays open."""
        self._reader.close()


def damaged(label: str, readable: float, promised: float | None) -> AudioReadError:
    """The error for a recording whose sound ends before it should; both lengths in seconds."""
    of = "" if promised is None else f" of {promised:.2f} s"
    return AudioReadError(
        f"{label} is truncated or damaged: {readable:.2f} s{of} could be read; expected a whole file."
    )
