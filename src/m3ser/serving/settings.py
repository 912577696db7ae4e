"""What a service is told when it starts."""

from __future__ import annotations

import ipaddress
import math
from collections import Counter
from dataclasses import dataclass, field

from m3ser.cores import available_cores
from m3ser.errors import UsageError
from m3ser.profile import Profile
from m3ser.serving.streaming.limits import StreamLimits

__all__ = ["LARGEST_BATCH", "ServiceSettings"]

LARGEST_BATCH = 8
"""Utterances that go through the model together, at most: as in :meth:`m3ser.inference.Recogniser.predict_batch`."""


@dataclass(frozen=True)
class ServiceSettings:
    """Where a service listens, what it answers with, and how much it takes on.

    Attributes:
        model: the bundle, as :func:`m3ser.inference.load` names it.
        profile: how the speaker or source of all recordings usually sounds; None: anybody.
        profiles: those that a request may name instead, each by a name of its own.
        host, port: where to listen; port 0: any that is free.
        workers: processes that decode recordings.
        lanes: threads that answer, each with one processor thread.
        transcriber: what turns speech into text: "auto", the name of one, or None for the voice alone.
        api_keys: any one of them opens the service; empty: everybody may ask.
        page: whether the web page is served at ``/``.
        max_duration: the longest recording, in seconds.
        max_bytes: the largest body of a request.
        max_files: the most recordings in one batch request.
        queue_size: recordings and texts that are taken on at a time, being answered or waiting; the next one gets 503.
        max_wait: seconds in which one of them is answered, as far as can be foreseen; else it gets 503.
        request_seconds: seconds from the end of its body to the answer before a request gets 504.
        body_seconds: seconds in which a body has to arrive.
        decode_seconds: seconds that one recording may keep a decoding process busy.
        stop_seconds: seconds in which what was accepted is answered when the service is stopped.
        batch_size: utterances that go through the model together, at most.
        batch_wait: seconds that the first one waits for others to join it.
        streams: bounds of what comes over WebSockets.

    Raises:
        UsageError: a value that makes no sense.
    """

    model: str = "starter"
    profile: Profile | None = None
    profiles: tuple[Profile, ...] = ()
    host: str = "127.0.0.1"
    port: int = 8080
    workers: int = field(default_factory=lambda: min(4, available_cores()))
    lanes: int = field(default_factory=available_cores)
    transcriber: str | None = "auto"
    api_keys: tuple[str, ...] = field(default=(), repr=False)
    page: bool = True
    max_duration: float = 600.0
    max_bytes: int = 32_000_000
    max_files: int = 32
    queue_size: int = 64
    max_wait: float = 10.0
    request_seconds: float = 60.0
    body_seconds: float = 30.0
    decode_seconds: float = 10.0
    stop_seconds: float = 20.0
    batch_size: int = LARGEST_BATCH
    batch_wait: float = 0.004
    streams: StreamLimits = field(default_factory=StreamLimits)

    def __post_init__(self) -> None:
        if not self.host:
            raise UsageError("host is empty; expected an address to listen on, such as 127.0.0.1.")
        if not 0 <= self.port <= 65_535:
            raise UsageError(f"port is {self.port}; expected 0 to 65535.")
        for name in ("workers", "lanes", "max_bytes", "max_files", "queue_size", "batch_size"):
            value = getattr(self, name)
            if value < 1:
                raise UsageError(f"{name} is {value}; expected 1 or more.")
        if self.batch_size > LARGEST_BATCH:
            raise UsageError(f"batch_size is {self.batch_size}; expected at most {LARGEST_BATCH}.")
        for name in ("max_duration", "max_wait", "request_seconds", "body_seconds", "decode_seconds", "stop_seconds"):
            value = getattr(self, name)
            if not (math.isfinite(value) and value > 0):
                raise UsageError(f"{name} is {value:g}; expected seconds, above 0.")
        if not 0 <= self.batch_wait <= 1:
            raise UsageError(f"batch_wait is {self.batch_wait:g}; expected 0 to 1 s.")
        for name, count in Counter(profile.name for profile in self.profiles).items():
            if count > 1:
                raise UsageError(f"{count} profiles are called '{name}'; expected one of a name.")
        if not all(self.api_keys):
            raise UsageError("An API key is empty; expected a secret.")

    @property
    def max_buffered(self) -> int:
        """Bytes of bodies that are held at a time, those that are still arriving included; beyond it there is 503."""
        return 8 * self.max_bytes

    @property
    def is_loopback(self) -> bool:
        """Whether only this machine can reach the service."""
        if self.host == "localhost":
            return True
        try:
            return ipaddress.ip_address(self.host).is_loopback
        except ValueError:
            return False
