"""Opus in, samples out: an Ogg or WebM file in pieces, decoded in a process that can be killed.

Each stream has a process of its own (:mod:`m3ser.serving.streaming.opus_worker`) between two pipes. They hold 64 kB
each, and who finds one full waits: so a slow answer slows the decoder, and that the client.
"""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from m3ser.errors import AudioReadError, M3serError, MissingExtraError
from m3ser.serving.problems import ProblemError
from m3ser.serving.streaming import opus_worker

__all__ = ["OpusDecoder"]

_CONTAINERS = {b"OggS": "ogg", b"\x1a\x45\xdf\xa3": "matroska"}
_MAGIC = 4  # bytes by which they are known
_BLOCK = 1 << 15  # bytes of samples taken out at a time
_FULL_SCALE_ROOM = 4.0  # Opus may overshoot; what is far beyond is no sound
_BUFFERED = 1 << 15  # bytes that wait for the process besides those in its pipe

Program = tuple[str, ...]


class OpusDecoder:
    """Decodes one stream. Made by :meth:`begin`; whoever has one closes it.

    Args:
        take: is given the samples (samples, channels), float32 at 48 kHz, in order; as long as it waits, decoding does.
        hang_seconds: that the process may keep bytes without giving anything for them before it is killed.
        cpu_seconds: processor time that it may have.
        program: what is run, for tests.
    """

    def __init__(
        self,
        take: Callable[[NDArray[np.float32]], Awaitable[None]],
        *,
        hang_seconds: float = 15.0,
        cpu_seconds: int = 600,
        program: Program | None = None,
    ) -> None:
        self._take = take
        self._hang_seconds = hang_seconds
        self._cpu_seconds = cpu_seconds
        self._program = program
        self._head = b""
        self._process: asyncio.subprocess.Process | None = None
        self._pump: asyncio.Task[None] | None = None
        self._since: float | None = None  # since when we have waited for samples; None: the process waits for us

    @staticmethod
    def check_installed() -> None:
        """Make sure that Opus can be decoded here.

        Raises:
            MissingExtraError: PyAV is not installed.
        """
        if find_spec("av") is None:
            raise MissingExtraError("A stream of Opus", "media")

    async def feed(self, data: bytes) -> None:
        """Decode the next piece of the file; waits as long as the process has enough to do.

        Raises:
            AudioReadError: it is neither Ogg nor WebM, or damaged.
            ProblemError: 504, the process hangs.
            M3serError: what `take` raised.
        """
        if self._process is None:
            self._head += data
            if len(self._head) < _MAGIC:
                return
            data, self._head = self._head, b""
            await self._start(data[:_MAGIC])
        process = self._process
        assert process is not None
        assert process.stdin is not None
        assert self._pump is not None
        process.stdin.write(data)
        draining = asyncio.ensure_future(process.stdin.drain())
        try:
            await self._until(draining)
        finally:
            draining.cancel()
            # A process that has ended breaks the pipe; how it ended is known by the pump.
            await asyncio.gather(draining, return_exceptions=True)
        if self._pump.done():
            self._pump.result()  # raises what ended it
            raise AudioReadError("The Opus stream went on behind its end; expected one file.")

    async def finish(self) -> None:
        """Decode what remains.

        Raises:
            AudioReadError, ProblemError, M3serError: as :meth:`feed`.
        """
        if self._process is None:
            if self._head:
                raise _unknown(self._head)
            return
        assert self._process.stdin is not None
        assert self._pump is not None
        self._process.stdin.close()
        await self._until(self._pump)
        self._pump.result()

    async def close(self) -> None:
        """End the process, whatever it does; can be called in any state, and again."""
        if self._pump is not None:
            self._pump.cancel()
            await asyncio.gather(self._pump, return_exceptions=True)
        if self._process is not None:
            if self._process.returncode is None:
                with suppress(ProcessLookupError):
                    self._process.kill()
            assert self._process.stdin is not None
            assert self._process.stdout is not None
            self._process.stdin.close()
            await self._process.stdout.read()  # what is left in the pipe, or it would stay open
            await self._process.wait()

    async def _start(self, magic: bytes) -> None:
        kind = _CONTAINERS.get(magic)
        if kind is None:
            raise _unknown(magic)
        program = self._program or (sys.executable, str(Path(opus_worker.__file__)))
        self._process = await asyncio.create_subprocess_exec(
            *program,
            kind,
            str(self._cpu_seconds),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.DEVNULL,
            limit=_BLOCK,
            # Ctrl-C at a terminal is for the service, which still answers what it has heard.
            start_new_session=True,
        )
        assert self._process.stdin is not None
        self._process.stdin.transport.set_write_buffer_limits(high=_BUFFERED)
        self._pump = asyncio.ensure_future(self._move(self._process))

    async def _until(self, future: asyncio.Future[Any]) -> None:
        """Wait for `future`, or until the pump has ended.

        Raises:
            ProblemError: 504, neither happened, and the process has given nothing for too long.
        """
        assert self._pump is not None
        began = time.monotonic()
        while not (future.done() or self._pump.done()):
            await asyncio.wait({future, self._pump}, timeout=0.5, return_when=asyncio.FIRST_COMPLETED)
            if self._since is not None and time.monotonic() - max(self._since, began) > self._hang_seconds:
                raise ProblemError(504, "decoder-hung", "The Opus stream made its decoder hang; it was ended.")

    async def _move(self, process: asyncio.subprocess.Process) -> None:
        """Bring samples from the process to who takes them, until it ends."""
        assert process.stdout is not None
        channels = 0
        rest = b""
        while True:
            self._since = time.monotonic()
            block = await process.stdout.read(_BLOCK)
            self._since = None
            if not block:
                break
            data = rest + block
            if not channels:
                channels, data = data[0], data[1:]
            whole = len(data) // (4 * channels) * 4 * channels
            rest = data[whole:]
            samples = np.frombuffer(data[:whole], "<f4").reshape(-1, channels)
            # NaN is none of the numbers between the two.
            if not (np.abs(samples) <= _FULL_SCALE_ROOM).all():
                raise AudioReadError("The Opus stream holds samples far beyond full scale; expected sound.")
            if whole:
                await self._take(samples)
        problem = _how_it_ended(await process.wait())
        if problem is not None:
            raise problem


def _unknown(head: bytes) -> AudioReadError:
    return AudioReadError(f"The Opus stream begins with {head!r}; expected an Ogg or WebM file.")


def _how_it_ended(code: int) -> M3serError | None:
    if code == 0:
        return None
    if code == opus_worker.MISSING:
        return MissingExtraError("A stream of Opus", "media")
    sentences = {
        opus_worker.DAMAGED: "The Opus stream is damaged; expected an Ogg or WebM file.",
        opus_worker.NO_OPUS: "The Opus stream holds no Opus track; expected one with at most 8 channels.",
        opus_worker.CHANGED: "The Opus stream changes its number of channels; expected one throughout.",
    }
    return AudioReadError(sentences.get(code, "The Opus stream made its decoder crash; expected an Ogg or WebM file."))
