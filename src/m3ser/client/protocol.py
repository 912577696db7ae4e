"""A stream's messages, from the client's side; no network here."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from numpy.typing import NDArray

from m3ser.client.answers import error_of, segment_of
from m3ser.client.recordings import pcm
from m3ser.errors import M3serError, ServiceError, UsageError
from m3ser.schema import Segment

__all__ = ["FINISH", "Protocol", "stream_url"]

FINISH = json.dumps({"type": "finish"})

_LARGEST = 1 << 16  # bytes of one message; a service takes 1 MiB


class Protocol:
    """One stream's side of the talk.

    Args:
        sample_rate: of 16-bit sound, in Hz.
        channels: of 16-bit sound.
        encoding: "pcm_s16le", or "opus", which states its own rate and channels.
        start: further members of the start message; what is None is left out where that is the service's default.

    Attributes:
        sent: seconds of sound and gaps that were sent, its offset not counted; 0 for encoded sound.
        totals: the service's last message; None: there is none yet.
    """

    def __init__(self, *, sample_rate: int, channels: int, encoding: str, **start: Any) -> None:
        said = {key: value for key, value in start.items() if value is not None or key == "provisional_seconds"}
        self._pcm = encoding == "pcm_s16le"
        if self._pcm:
            said |= {"sample_rate": sample_rate, "channels": channels}
        self.start = json.dumps({"type": "start", "encoding": encoding, **said})
        self._frame = 2 * channels
        self._bytes_a_second = self._frame * sample_rate
        self.sent = 0.0
        self.totals: dict[str, Any] | None = None

    def sound(self, chunk: bytes | NDArray[Any]) -> Iterator[bytes]:
        """The messages of a chunk.

        Raises:
            UsageError: an array where the sound is encoded, or one that is no sound.
        """
        if not isinstance(chunk, (bytes, bytearray, memoryview)):
            if not self._pcm:
                raise UsageError("A stream of Opus takes bytes; an array came.")
            chunk = pcm(chunk)
        data = bytes(chunk)
        size = _LARGEST // self._frame * self._frame
        for place in range(0, len(data), size):
            piece = data[place : place + size]
            if self._pcm:
                self.sent += len(piece) / self._bytes_a_second
            yield piece

    def gap(self, seconds: float) -> str:
        """The message of a gap."""
        self.sent += seconds
        return json.dumps({"type": "gap", "seconds": seconds})

    def heard(self, message: str | bytes) -> Segment | None:
        """What the service says: a segment; None: it begins, or (with `totals`) it is done.

        Raises:
            M3serError: it is a problem.
        """
        try:
            said = json.loads(message)
            kind = said["type"]
            if kind == "segment":
                return segment_of(said)
        except (ValueError, KeyError, TypeError) as error:
            raise ServiceError("The service's message is none of a stream's; is that an m3ser service?") from error
        if kind == "problem":
            raise error_of(said.get("problem"))
        if kind == "done":
            self.totals = said
        return None

    def lost(self) -> M3serError:
        """The connection is closed, and the service had not said why."""
        return ServiceError(
            f"The connection to the service was lost after {self.sent:.1f} s; begin another stream with an offset."
        )


def stream_url(url: str) -> str:
    """Where the streams of a service are."""
    return "ws" + url.removeprefix("http") + "/v1/stream"
