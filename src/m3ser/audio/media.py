"""What libsndfile cannot read (m4a, mp4, webm, ...), through PyAV's FFmpeg."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain
from typing import Any

from numpy.typing import NDArray

from m3ser.audio.readers import damaged
from m3ser.audio.sources import ByteStream
from m3ser.errors import AudioReadError

__all__ = ["MediaReader", "NotMediaError"]

# FFmpeg also knows play lists, image sequences and scripts, which make it open further files and addresses: a recording
# sent by a stranger must not be able to do that. So only containers that hold their own sound are named.
_DEMUXERS = (
    "aac,ac3,aiff,amr,amrnb,amrwb,ape,asf,au,avi,caf,dsf,eac3,flac,flv,matroska,mov,mp3,mpeg,mpegts,ogg,rm,tak,tta,"
    "w64,wav,wv"
)
# Containers with an index: seeking lands where it was asked to, and the stated length is the true one.
_INDEXED = frozenset(("mov", "matroska"))
_RUN_UP = 0.5  # seconds decoded and thrown away after seeking, until the decoder's state no longer matters
_LENGTH_TOLERANCE = 0.5  # seconds by which containers misstate a sound track's length; priming and padding


class NotMediaError(Exception):
    """FFmpeg finds no sound in these bytes."""


class MediaReader:
    """The first sound track of a file that FFmpeg reads; see :class:`m3ser.audio.readers.Reader`.

    Raises:
        ImportError: PyAV is not installed.
        NotMediaError: no container that FFmpeg knows, or no sound in it.
    """

    def __init__(self, label: str, stream: ByteStream) -> None:
        import av

        self.label = label
        self._stream = stream
        self._errors: type[Exception] = av.error.FFmpegError
        self._container: Any
        self._track: Any
        try:
            self._open()
        except av.error.FFmpegError as error:
            raise NotMediaError(str(error)) from error
        self.sample_rate: float = self._track.codec_context.sample_rate
        self.channels: int = self._track.codec_context.channels
        self.format: str = self._container.format.long_name
        self._indexed = not _INDEXED.isdisjoint(self._container.format.name.split(","))
        self.duration: float | None = self._stated_duration() if self._indexed else None

    def _open(self) -> None:
        import av

        self._stream.seek(0)
        self._container = av.open(
            self._stream, metadata_errors="replace", container_options={"format_whitelist": _DEMUXERS}
        )
        tracks = self._container.streams.audio
        # A track without a codec context is one whose codec FFmpeg could not make out.
        if not tracks or tracks[0].codec_context is None or not tracks[0].codec_context.sample_rate:
            self._container.close()
            raise NotMediaError("no sound track")
        self._track = tracks[0]

    def _stated_duration(self) -> float | None:
        if self._track.duration is not None:
            return float(self._track.duration * self._track.time_base)
        if self._container.duration is not None and len(self._container.streams) == 1:
            return float(self._container.duration) / 1_000_000  # FFmpeg counts a container's time in microseconds
        return None

    def blocks(self, first: int, last: int | None) -> Iterator[NDArray[Any]]:
        """See :class:`m3ser.audio.readers.Reader`."""
        position = 0
        try:
            for position, samples in self._stretches(first):
                begin = max(0, first - position)
                end = len(samples) if last is None else min(len(samples), last - position)
                if begin < end:
                    yield samples[begin:end]
                position += len(samples)
                if last is not None and position >= last:
                    return
        except self._errors as error:
            raise damaged(self.label, position / self.sample_rate, self.duration) from error
        if not position:
            raise damaged(self.label, 0.0, self.duration)
        if self.duration is not None:
            expected = self.duration if last is None else min(self.duration, last / self.sample_rate)
            if position / self.sample_rate < expected - _LENGTH_TOLERANCE:
                raise damaged(self.label, position / self.sample_rate, self.duration)

    def _stretches(self, first: int) -> Iterator[tuple[int, NDArray[Any]]]:
        """Decoded stretches from some place at or before sample `first` on, each with its place in samples."""
        position, frames = self._seek(first)
        for frame in frames:
            if frame.sample_rate != self.sample_rate:
                raise AudioReadError(
                    f"{self.label} changes its sample rate from {self.sample_rate:g} to {frame.sample_rate} Hz after "
                    f"{position / self.sample_rate:.2f} s; expected one rate throughout."
                )
            samples = frame.to_ndarray()
            # Planar: (channels, samples). Packed: (1, samples * channels).
            samples = samples.T if frame.format.is_planar else samples.reshape(-1, len(frame.layout.channels))
            yield position, samples
            position += len(samples)

    def _seek(self, first: int) -> tuple[int, Iterator[Any]]:
        """The frames from the last place before sample `first` where decoding can start, and that place in samples.

        Only the first frame's time is asked for. Later gaps between times are pauses in the recording, which decoding
        from the beginning does not fill either.
        """
        frames = self._container.decode(self._track)
        run_up = first / self.sample_rate - _RUN_UP
        if run_up <= 0 or not self._indexed:
            return 0, frames
        # Times count from the first frame that comes out, not from the track's start, which FFmpeg's versions state
        # differently. What a decoder drops at the beginning (Opus's pre-skip) it drops where it is sent to, too, but
        # only while it has not decoded anything yet: hence a new one.
        beginning = next(frames, None)
        if beginning is None or beginning.pts is None:
            return 0, chain(() if beginning is None else (beginning,), frames)
        self.close()
        self._open()
        self._container.seek(beginning.pts + int(run_up / self._track.time_base), stream=self._track)
        frames = self._container.decode(self._track)
        landed = next(frames, None)
        if landed is None:
            return 0, iter(())
        passed = float((landed.pts - beginning.pts) * self._track.time_base)
        return round(passed * self.sample_rate), chain((landed,), frames)

    def close(self) -> None:
        """Let go of the decoder; the stream stays open."""
        self._container.close()
