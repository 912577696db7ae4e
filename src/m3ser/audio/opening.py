"""Which reader a recording needs, and one clear sentence where there is none."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import closing, contextmanager

import soundfile

from m3ser.audio.containers import MEDIA_KINDS, Container, inspect_container
from m3ser.audio.media import MediaReader, NotMediaError
from m3ser.audio.readers import ArrayReader, BrokenReader, Reader, SoundFileReader, damaged
from m3ser.audio.samples import as_samples
from m3ser.audio.sources import AudioSource, ByteStream, is_array, open_bytes, source_label, source_name
from m3ser.errors import AudioReadError, AudioTooShortError, MissingExtraError, UsageError

__all__ = ["HIGHEST_RATE", "LOWEST_RATE", "open_recording"]

LOWEST_RATE, HIGHEST_RATE = 1_000, 768_000
"""Hz; what lies outside is a damaged header, not a recording."""


@contextmanager
def open_recording(
    source: AudioSource, sample_rate: float | None = None, *, what_is_there: bool = False
) -> Iterator[Reader]:
    """Open a recording of any kind; what m3ser opened is closed afterwards.

    Args:
        source: a path, the bytes of a file, a binary file object, or an array.
        sample_rate: Hz; for arrays, and only for them.
        what_is_there: do not refuse a recording that breaks off, but read it up to there and then raise.

    Raises:
        AudioReadError: not audio, damaged, truncated, or not a readable file.
        AudioTooShortError: a file without a single byte.
        MissingExtraError: a format that needs PyAV, where it is not installed.
        UsageError: nothing that could be a recording, or a sample rate that is missing or superfluous.
    """
    label = source_label(source)
    if is_array(source):
        if sample_rate is None:
            raise UsageError("An array of samples does not say how fast they follow; expected its sample_rate in Hz.")
        _check_rate(label, sample_rate)
        yield ArrayReader(label, as_samples(source), sample_rate)
        return
    if sample_rate is not None:
        raise UsageError(f"{label} states its own sample rate; sample_rate is expected with arrays only.")
    with open_bytes(source) as stream:
        if not stream.size:
            raise AudioTooShortError(f"{label} is empty (0 bytes); expected an audio file.")
        with closing(_reader(source, stream, what_is_there=what_is_there)) as reader:
            _check_rate(label, reader.sample_rate)
            yield reader


def _check_rate(label: str, sample_rate: float) -> None:
    if not LOWEST_RATE <= sample_rate <= HIGHEST_RATE:
        raise AudioReadError(
            f"{label} has a sample rate of {sample_rate:g} Hz; expected {LOWEST_RATE} to {HIGHEST_RATE} Hz."
        )


def _reader(source: AudioSource, stream: ByteStream, *, what_is_there: bool) -> Reader:
    label = source_label(source)
    container = inspect_container(stream)
    # Before a decoder sees the file: libsndfile would read what is there without a word, or print warnings.
    if container.share < 1.0 or container.cut:
        fault = _truncated(label, stream, container)
        if not what_is_there:
            raise fault
        stream.seek(0)
        return BrokenReader(_decoder(source, stream, container), fault)
    return _decoder(source, stream, container)


def _decoder(source: AudioSource, stream: ByteStream, container: Container) -> SoundFileReader | MediaReader:
    label = source_label(source)
    try:
        reader = SoundFileReader(label, stream, container)
    except soundfile.LibsndfileError:
        pass  # not one of libsndfile's formats, or one that it cannot make sense of
    else:
        if reader.duration or not container.unfinished:
            return reader
        reader.close()  # libsndfile believes the header; FFmpeg reads on to the end
    try:
        return MediaReader(label, stream)
    except ImportError as error:
        if container.kind in MEDIA_KINDS:
            raise MissingExtraError(f"Reading {source_name(source) or 'the recording'}", "media") from error
        raise _not_audio(label, stream, container) from error
    except NotMediaError as error:
        raise _not_audio(label, stream, container) from error


def _truncated(label: str, stream: ByteStream, container: Container) -> AudioReadError:
    if container.cut:
        return AudioReadError(
            f"{label} is truncated or damaged: its {container.kind} pages break off; expected a whole file."
        )
    if container.seconds is not None:
        return damaged(label, container.share * container.seconds, container.seconds)
    try:
        with closing(SoundFileReader(label, stream, container)) as reader:
            readable = reader.duration
    except soundfile.LibsndfileError:
        readable = None
    if readable:
        return damaged(label, readable, readable / container.share)
    return AudioReadError(
        f"{label} is truncated: only {math.floor(100 * container.share)}% of the sound that its header "
        "promises is there; expected a whole file."
    )


def _not_audio(label: str, stream: ByteStream, container: Container) -> AudioReadError:
    if stream.failure is not None:
        return AudioReadError(f"{label} cannot be read ({stream.failure}); expected a readable file.")
    if container.kind is not None:
        return AudioReadError(
            f"{label} begins like {container.kind} but holds no sound that could be decoded; "
            "expected a whole recording."
        )
    return AudioReadError(
        f"{label} is not audio (it begins with {stream.read_at(0, 8)!r}); "
        "expected WAV, FLAC, Ogg, MP3, AIFF, M4A, WebM or the like."
    )
