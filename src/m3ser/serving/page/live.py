"""Live mode: what browsers send while somebody speaks, and one stream of it for every visitor who does."""

from __future__ import annotations

import struct
import threading
import time
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from m3ser.errors import AudioReadError, UsageError
from m3ser.inference import TRANSCRIBE, Stream
from m3ser.page import Html
from m3ser.schema import Segment
from m3ser.serving.page.answer import live_rows
from m3ser.serving.page.downloads import download_links, heard_files
from m3ser.serving.page.service import PageService

__all__ = ["LiveSessions", "read_chunk"]

MOST_SESSIONS = 4
"""Visitors who speak at a time: each costs a share of a processor core."""

MOST_SECONDS = 600.0
"""The longest live session: what was heard is kept in memory for its downloads."""

_IDLE_SECONDS = 30.0  # a browser that was closed says nothing
_LATE_SECONDS = 1.0  # in which a chunk may come that was sent before the end
_PCM, _EXTENSIBLE = 1, 0xFFFE
_RATES = range(8_000, 192_001)


def read_chunk(data: bytes) -> tuple[int, NDArray[np.int16]]:
    """A chunk as browsers make them: a WAV header whose lengths are not known yet, and 16-bit samples.

    Returns:
        The sample rate in Hz, and (samples, channels).

    Raises:
        AudioReadError: it is something else.
    """
    strange = AudioReadError("The microphone's sound is not 16-bit WAV, as browsers send it.")
    if data[:4] != b"RIFF" or data[8:12] != b"WAVE":
        raise strange
    place, form = 12, None
    while place + 8 <= len(data):
        name, size = data[place : place + 4], struct.unpack_from("<I", data, place + 4)[0]
        place += 8
        if name == b"data" and form is not None:
            rate, channels = form
            samples = np.frombuffer(data, "<i2", offset=place, count=(len(data) - place) // 2)
            return rate, samples[: len(samples) // channels * channels].reshape(-1, channels)
        if name == b"fmt " and place + 16 <= len(data):
            kind, channels, rate, _, _, bits = struct.unpack_from("<HHIIHH", data, place)
            if kind not in (_PCM, _EXTENSIBLE) or bits != 16 or channels not in (1, 2) or rate not in _RATES:
                raise strange
            form = (rate, channels)
        place += size + size % 2
    raise strange


class _Session:
    """One visitor who speaks."""

    def __init__(self, stream: Stream, sample_rate: int) -> None:
        self.stream = stream
        self.sample_rate = sample_rate
        self.lock = threading.Lock()
        self.heard: list[Segment] = []
        self.provisional: Segment | None = None
        self.last = 0.0

    def take(self, segments: list[Segment]) -> None:
        """Show these from now on; whatever was provisional is superseded by them."""
        for segment in segments:
            if segment.final:
                self.heard.append(segment)
                self.provisional = None
            else:
                self.provisional = segment


class LiveSessions:
    """The streams of everybody who speaks, each known by its visitor. Several threads may use it at once.

    Args:
        service: what makes the streams.
        clock: seconds, for finding out who has gone.
    """

    def __init__(self, service: PageService, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._service = service
        self._clock = clock
        self._sessions: dict[str, _Session] = {}
        self._ended: dict[str, float] = {}
        self._lock = threading.Lock()

    def push(self, visitor: str, chunk: bytes, *, voice_alone: bool) -> Html | None:
        """Hear the next chunk, and tell what was heard up to now; None: it came too late, and was not heard.

        Raises:
            AudioError: this is no sound.
            UsageError: too many others speak already, the session has lasted too long, or its sample rate changed.
            MissingExtraError: speech cannot be found (the ``asr`` extra).
        """
        rate, samples = read_chunk(chunk)
        session = self._session(visitor, rate, voice_alone=voice_alone)
        if session is None:
            return None
        with session.lock:
            if session.sample_rate != rate:
                raise UsageError("The microphone changed while it was heard; stop, and begin again.")
            if session.stream.seconds > MOST_SECONDS:
                raise UsageError(f"Live mode ends after {MOST_SECONDS / 60:.0f} minutes; stop, and begin again.")
            session.take(session.stream.push(samples))
            return live_rows(session.heard, session.provisional)

    def finish(self, visitor: str) -> Html | None:
        """End a visitor's stream, and give everything that was heard, with downloads; None: there is no such stream."""
        with self._lock:
            self._ended[visitor] = self._clock()
            session = self._sessions.pop(visitor, None)
        if session is None:
            return None
        with session.lock:
            session.take(session.stream.finish())
        if not session.heard:
            return Html("<p>No speech was heard.</p>")
        files = heard_files(session.heard, labels=self._service.labels, model=self._service.model)
        return Html(f"{live_rows(session.heard, None)}{download_links(files, name='live')}")

    def _session(self, visitor: str, rate: int, *, voice_alone: bool) -> _Session | None:
        now = self._clock()
        with self._lock:
            self._sessions = {name: one for name, one in self._sessions.items() if now - one.last <= _IDLE_SECONDS}
            self._ended = {name: when for name, when in self._ended.items() if now - when <= _LATE_SECONDS}
            session = self._sessions.get(visitor)
            if session is None:
                if visitor in self._ended:
                    return None
                if len(self._sessions) >= MOST_SESSIONS:
                    raise UsageError(f"{MOST_SESSIONS} others speak to this page already; try again in a minute.")
                text = None if voice_alone else TRANSCRIBE
                session = _Session(self._service.stream(sample_rate=rate, text=text), rate)
                self._sessions[visitor] = session
            session.last = now
            return session
