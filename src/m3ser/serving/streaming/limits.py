"""How much the streams of a service may take."""

from __future__ import annotations

import math
from dataclasses import dataclass, field, fields

from m3ser.cores import available_cores
from m3ser.errors import UsageError

__all__ = ["StreamLimits"]


def _threads() -> int:
    return min(4, available_cores())


@dataclass(frozen=True)
class StreamLimits:
    """Bounds of one stream, and of all of them together.

    Attributes:
        streams: how many may be open at a time.
        threads: that listen and answer, for all streams together.
        start_seconds: within which the first message has to come.
        idle_seconds: without any message before a stream is ended.
        send_seconds: that a client may leave an answer unread.
        max_seconds: of sound and gaps in one stream, and of the time that it is open.
        ahead_seconds: of sound that are taken in before they are answered; then nothing more is read, so that a client
            that is faster waits. One message may go beyond.
        lag_seconds: that sound may wait for its answer before the stream is ended: the service is overloaded.
        message_bytes: of one binary message.
        text_bytes: of one text message.

    Raises:
        UsageError: a value that is not above 0, or less lag allowed than sound taken in ahead.
    """

    streams: int = 64
    threads: int = field(default_factory=_threads)
    start_seconds: float = 10.0
    idle_seconds: float = 30.0
    send_seconds: float = 10.0
    max_seconds: float = 4 * 3600.0
    ahead_seconds: float = 5.0
    lag_seconds: float = 15.0
    message_bytes: int = 1 << 20
    text_bytes: int = 4096

    def __post_init__(self) -> None:
        for one in fields(self):
            value = getattr(self, one.name)
            if not (math.isfinite(value) and value > 0):
                raise UsageError(f"{one.name} is {value:g}; expected more than 0.")
        if self.lag_seconds <= self.ahead_seconds:
            raise UsageError(
                f"lag_seconds is {self.lag_seconds:g}; expected more than ahead_seconds, {self.ahead_seconds:g}."
            )
