"""Chunks of sound as they are spoken: from a microphone, or from a recording played at its own pace."""

from __future__ import annotations

import queue
import time
from collections.abc import Callable, Generator, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from m3ser.audio.decode import open_blocks
from m3ser.audio.resampling import SAMPLE_RATE
from m3ser.audio.samples import of_length
from m3ser.audio.sources import AudioSource
from m3ser.errors import AudioDeviceError, MissingExtraError

__all__ = ["Gap", "listen", "play"]

CHUNK_SECONDS = 0.1

_MOST_WAITING = 300  # chunks, 30 s: who is further behind than that loses what comes then
_SILENT_FOR = 5.0  # seconds without a chunk after which a device is said to have stopped


@dataclass(frozen=True)
class Gap:
    """Sound that was lost between two chunks.

    Attributes:
        seconds: how much.
    """

    seconds: float


def listen(device: int | str | None = None) -> Generator[NDArray[np.float32] | Gap, None, None]:
    """What a microphone hears, until the caller stops asking.

    Args:
        device: its number or a part of its name, as ``python -m sounddevice`` lists them; None: the system's own.

    Yields:
        (samples,) float32 at 16 kHz, 0.1 s each; where the caller was too slow, a :class:`Gap` for what was lost.

    Raises:
        MissingExtraError: sounddevice is not installed.
        AudioDeviceError: PortAudio is not there, nor such a device; or it stopped.
    """
    try:
        import sounddevice
    except ModuleNotFoundError as error:
        raise MissingExtraError("Listening to a microphone", "live") from error
    except OSError as error:  # the package is there, and the library that it stands on is not
        raise AudioDeviceError(
            "PortAudio is not installed, which a microphone is heard through: install the system's package "
            "(libportaudio2 on Debian and Ubuntu)."
        ) from error
    chunks = _Chunks()
    try:
        stream = sounddevice.InputStream(
            samplerate=SAMPLE_RATE,
            blocksize=round(CHUNK_SECONDS * SAMPLE_RATE),
            channels=1,
            dtype="float32",
            device=device,
            callback=lambda block, _frames, _times, _status: chunks.put(block[:, 0].copy()),
        )
    except (sounddevice.PortAudioError, ValueError) as error:
        named = "" if device is None else f" '{device}'"
        raise AudioDeviceError(
            f"No microphone{named} can be opened ({_one_line(error)}); python -m sounddevice lists the devices."
        ) from error
    with stream:
        yield from chunks


def play(audio: AudioSource, *, clock: Callable[[], float] | None = time.monotonic) -> Iterator[NDArray[np.float32]]:
    """A recording in chunks, each when it would have been spoken.

    Args:
        audio: as :func:`m3ser.audio.load_waveform` takes it, of any length.
        clock: seconds; None: do not wait.

    Yields:
        (samples,) float32 at 16 kHz, 0.1 s each, the last one shorter.

    Raises:
        AudioError: the recording cannot be used.
    """
    length = round(CHUNK_SECONDS * SAMPLE_RATE)
    begun = None if clock is None else clock()
    sent = 0
    with open_blocks(audio) as blocks:
        for chunk in of_length((block[:, 0] for block in blocks), length):
            sent += len(chunk)
            if clock is not None and begun is not None:
                time.sleep(max(0.0, begun + sent / SAMPLE_RATE - clock()))
            yield chunk


class _Chunks:
    """What the device's thread hands over. It must never wait, so what finds no room is counted instead."""

    def __init__(self) -> None:
        self._waiting: queue.Queue[NDArray[np.float32] | Gap] = queue.Queue(_MOST_WAITING)
        self._lost = 0

    def put(self, chunk: NDArray[np.float32]) -> None:
        if self._lost and self._waiting.qsize() <= _MOST_WAITING - 2:
            self._waiting.put_nowait(Gap(self._lost / SAMPLE_RATE))
            self._lost = 0
        if self._lost or self._waiting.full():  # what comes behind a loss comes behind its gap
            self._lost += len(chunk)
        else:
            self._waiting.put_nowait(chunk)

    def __iter__(self) -> Iterator[NDArray[np.float32] | Gap]:
        while True:
            yield self._next()

    def _next(self) -> NDArray[np.float32] | Gap:
        try:
            return self._waiting.get(timeout=_SILENT_FOR)
        except queue.Empty:
            message = f"The microphone has given no sound for {_SILENT_FOR:g} s; was it unplugged?"
            raise AudioDeviceError(message) from None


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split()).rstrip(".")
