"""How one stream goes: who may begin, what comes in, what goes out, and every way in which it can end.

Two tasks share a stream. One reads: messages become sound (for Opus through a decoder) and wait in a bounded backlog;
where that is full nothing more is read, and the client's own sending waits. The other answers, in order, in a thread
of all streams. Whatever ends a stream but the client's leaving, what was heard before is answered first: the end goes
through the backlog, too.
"""

from __future__ import annotations

import asyncio
import json
import logging
import time
from collections.abc import Callable
from typing import Any

from numpy.typing import NDArray
from starlette.websockets import WebSocket, WebSocketDisconnect

from m3ser.errors import M3serError, UsageError
from m3ser.profile import Profile
from m3ser.serving.problems import ProblemError, problem_of
from m3ser.serving.streaming.backlog import Backlog, End, Sound
from m3ser.serving.streaming.messages import (
    DONE,
    Finish,
    Gap,
    Start,
    close_code,
    close_reason,
    parse,
    parse_start,
    problem_message,
)
from m3ser.serving.streaming.opus import OpusDecoder
from m3ser.serving.streaming.session import OPUS_RATE, Session, pcm_samples
from m3ser.serving.streaming.streams import Streams, stopping

__all__ = ["Conversation"]

_log = logging.getLogger("m3ser.serving")

# What sending ends with where nobody listens: too long, a broken connection, or one that was closed before.
_UNHEARD = (asyncio.TimeoutError, OSError, WebSocketDisconnect, RuntimeError)


class _GoneError(Exception):
    """The client has left, or does not listen any more."""


class Conversation:
    """One client from its connection to its end; made in the event loop that it runs in.

    Args:
        socket: not accepted yet.
        streams: what all streams share.
        admit: is given the key of the start message, raises ProblemError (401) where that does not open the service.
        name: by which the log knows it, and the client is told it.

    Attributes:
        seconds: of sound heard so far, gaps included.
        how: how it ended, as :class:`~m3ser.serving.streaming.metrics.StreamMetrics` counts it.
    """

    def __init__(self, socket: WebSocket, streams: Streams, admit: Callable[[str | None], None], *, name: str) -> None:
        self._socket = socket
        self._name = name
        self._streams = streams
        self._limits = streams.limits
        self._admit = admit
        self.seconds = 0.0
        self.how = "gone"

    async def run(self) -> None:
        """All of it. Raises nothing but what ends the service itself."""
        self._stopping = asyncio.ensure_future(self._streams.stopping.wait())
        try:
            await self._socket.accept()
            start = await self._start()
            profile = self._profile(start)
            with self._streams.place():
                await self._stream(start, profile)
            self.how = "done"
            await self._close(DONE, "")
        except _GoneError:
            pass  # before it was done, or when there was nothing more to say
        except M3serError as error:
            await self._end(error)
        except Exception as error:  # noqa: BLE001 - a bug: the client is told so, and whoever runs the service what
            _log.exception("A stream failed", extra={"facts": {"id": self._name}})
            await self._end(error)
        finally:
            self._stopping.cancel()
            self._streams.metrics.ended.labels(self.how).inc()

    async def _start(self) -> Start:
        message = await self._receive(self._limits.start_seconds)
        if message is None:
            raise ProblemError(
                408, "idle", f"Nothing came for {self._limits.start_seconds:g} s; expected a start message first."
            )
        if isinstance(message, bytes):
            raise ProblemError(400, "bad-message", "Sound came first; expected a start message before it.")
        start = parse_start(message)
        self._admit(start.api_key)
        if start.encoding == "opus":
            OpusDecoder.check_installed()
        return start

    def _profile(self, start: Start) -> Profile | None:
        try:
            return self._streams.profiles.find(start.profile)
        except UsageError as error:
            raise ProblemError(400, "bad-message", str(error)) from error

    async def _stream(self, start: Start, profile: Profile | None) -> None:
        streams = self._streams
        session = await streams.work(
            Session, streams.recogniser, start, profile=profile, max_seconds=self._limits.max_seconds
        )
        backlog = Backlog(start.sample_rate or OPUS_RATE, self._limits.ahead_seconds)
        await self._send(self._ready(start, session))
        answering = asyncio.ensure_future(self._answer(session, backlog))
        reading = asyncio.ensure_future(self._read(start, backlog))
        try:
            await asyncio.wait({answering, reading}, return_when=asyncio.FIRST_COMPLETED)
            if reading.done():
                reading.result()  # raises where the client has gone
            await answering
        finally:
            reading.cancel()
            answering.cancel()
            await asyncio.gather(reading, answering, return_exceptions=True)
        await self._send(session.done())

    def _ready(self, start: Start, session: Session) -> dict[str, Any]:
        limits, recogniser = self._limits, self._streams.recogniser
        return {
            "type": "ready",
            "id": self._name,
            "model": session.model,
            "labels": list(recogniser.labels),
            "encoding": start.encoding,
            "sample_rate": start.sample_rate or OPUS_RATE,
            "transcribe": start.transcribe and recogniser.transcriber is not None,
            "max_seconds": limits.max_seconds,
            "idle_seconds": limits.idle_seconds,
            "message_bytes": limits.message_bytes,
        }

    # Reading

    async def _read(self, start: Start, backlog: Backlog) -> None:
        """Everything that the client says, into the backlog, up to its end.

        Raises:
            _GoneError: the client left without one.
        """
        decoder: OpusDecoder | None = None
        if start.encoding == "opus":
            decoder = OpusDecoder(lambda samples: backlog.put(backlog.sound(samples)))
        problem: M3serError | None = None
        try:
            try:
                await self._read_messages(start, backlog, decoder)
            except M3serError as error:
                problem = error
            if decoder is not None:
                try:
                    await decoder.finish()
                except M3serError as error:
                    problem = problem or error
            await backlog.end(problem)
        finally:
            if decoder is not None:
                await decoder.close()

    async def _read_messages(self, start: Start, backlog: Backlog, decoder: OpusDecoder | None) -> None:
        over = time.monotonic() + self._limits.max_seconds
        while True:
            message = await self._receive(min(self._limits.idle_seconds, over - time.monotonic()))
            if time.monotonic() >= over:
                raise ProblemError(
                    408,
                    "open-too-long",
                    f"The stream was open for {self._limits.max_seconds:g} s, as long as it may.",
                )
            if message is None:
                raise ProblemError(
                    408, "idle", f"Nothing came for {self._limits.idle_seconds:g} s; expected sound, a gap or finish."
                )
            if isinstance(message, bytes):
                if decoder is not None:
                    await decoder.feed(message)
                elif len(samples := pcm_samples(message, start.channels or 1)):
                    await backlog.put(backlog.sound(samples))
                continue
            said = parse(message)
            if isinstance(said, Finish):
                return
            if decoder is not None:
                raise ProblemError(
                    400, "bad-message", "A gap came within an Opus file; expected another stream with an offset."
                )
            await backlog.put(said)

    async def _receive(self, seconds: float) -> str | bytes | None:
        """The next message; None: there was none for so long.

        Raises:
            _GoneError: the client has left.
            ProblemError: the message is too large, or the service stops.
        """
        receiving = asyncio.ensure_future(self._socket.receive())
        try:
            await asyncio.wait(
                {receiving, self._stopping}, timeout=max(0.0, seconds), return_when=asyncio.FIRST_COMPLETED
            )
            # What has come is answered, though the service stops.
            if not receiving.done():
                if self._stopping.done():
                    raise stopping()
                return None
            message = receiving.result()
        finally:
            receiving.cancel()
            await asyncio.gather(receiving, return_exceptions=True)
        if message["type"] == "websocket.disconnect":
            raise _GoneError
        data: str | bytes | None = message.get("text")
        most = self._limits.text_bytes
        if data is None:
            data, most = message["bytes"], self._limits.message_bytes
        if len(data) > most:
            raise ProblemError(413, "message-too-large", f"A message has {len(data)} bytes; expected at most {most}.")
        return data

    # Answering

    async def _answer(self, session: Session, backlog: Backlog) -> None:
        """Everything that is in the backlog, up to its end, and then the problem that ended it."""
        metrics = self._streams.metrics
        while True:
            item = await backlog.get()
            now = time.monotonic()
            if isinstance(item, Sound):
                late = now - item.came
                if late > self._limits.lag_seconds:
                    raise ProblemError(
                        503,
                        "overloaded",
                        f"The service is too busy for this stream: sound has waited for {late:.0f} s, and at most "
                        f"{self._limits.lag_seconds:g} s are allowed; try again later.",
                    )
                messages = await self._streams.work(self._push, session, item.samples)
                metrics.heard.inc(session.seconds - self.seconds)
                came = item.came
            elif isinstance(item, Gap):
                messages = await self._streams.work(session.skip, item.seconds)
                came = now
            else:
                messages = await self._streams.work(session.finish)
                came = now
            self.seconds = session.seconds
            for message in messages:
                await self._send(message)
                metrics.segments.labels("final" if message["final"] else "provisional").inc()
                if message["final"]:
                    metrics.lag.observe(time.monotonic() - came)
            if isinstance(item, End):
                if item.problem is not None:
                    raise item.problem
                return

    def _push(self, session: Session, samples: NDArray[Any]) -> list[dict[str, Any]]:
        with self._streams.spare() as spare:
            return session.push(samples, provisional=spare)

    # Sending and ending

    async def _send(self, message: dict[str, Any]) -> None:
        try:
            await asyncio.wait_for(
                self._socket.send_text(json.dumps(message, ensure_ascii=False)), self._limits.send_seconds
            )
        except _UNHEARD as error:
            raise _GoneError from error  # it does not read, or its connection is closed

    async def _end(self, error: Exception) -> None:
        problem = problem_of(error)
        self.how = problem.cause
        try:
            await self._send(problem_message(problem, self._name))
            await self._close(close_code(problem), close_reason(problem))
        except _GoneError:
            pass

    async def _close(self, code: int, reason: str) -> None:
        try:
            await asyncio.wait_for(self._socket.close(code, reason), self._limits.send_seconds)
        except _UNHEARD as error:
            raise _GoneError from error
