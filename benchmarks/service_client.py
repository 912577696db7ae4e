"""As little of an HTTP client as a load needs: it shares its two cores with the service that it asks."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass

__all__ = ["Client", "Reply"]

_PATIENCE = 120.0  # seconds; an answer that takes longer is lost
_IDLE = 5.0  # seconds; a connection that rests for longer is not used again, for the service closes it after ten


@dataclass(frozen=True)
class Reply:
    """An answer; header names are in lower case."""

    status: int
    headers: dict[str, str]
    body: bytes


class Client:
    """One connection at a time, opened again where the service has closed it."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None
        self._used = 0.0

    async def __aenter__(self) -> Client:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def connected(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """The connection's two ends."""
        if self._streams is None:
            self._streams = await asyncio.open_connection("127.0.0.1", self._port, limit=1 << 20)
        return self._streams

    async def ask(self, request: bytes) -> Reply:
        """Send a whole request and wait for its answer."""
        if time.monotonic() - self._used > _IDLE:
            await self.close()
        _, writer = await self.connected()
        writer.write(request)
        return await asyncio.wait_for(self.answer(), _PATIENCE)

    async def answer(self) -> Reply:
        """Wait for an answer to what was sent."""
        reader, _ = await self.connected()
        first, *lines = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
        pairs = (line.partition(":") for line in lines if line)
        headers = {name.lower(): value.strip() for name, _, value in pairs}
        body = await reader.readexactly(int(headers["content-length"]))
        if headers.get("connection") == "close":
            await self.close()
        self._used = time.monotonic()
        return Reply(int(first.split()[1]), headers, body)

    async def close(self) -> None:
        """Hang up."""
        if self._streams is not None:
            self._streams[1].close()
            self._streams = None
