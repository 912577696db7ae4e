"""What becomes of a body that nobody reads, because its request was refused before its end.

A web server would read and drop all of it, ten gigabytes included. A small one is dropped here, so that the connection
can be used again; for a larger one the connection is closed behind the answer.
"""

from __future__ import annotations

import asyncio

from starlette.datastructures import Headers
from starlette.types import Message, Receive

__all__ = ["UnreadBody"]

_SMALL = 1 << 20  # bytes
_DROP_SECONDS = 2.0


class UnreadBody:
    """Keeps account of how far a request's body has been read.

    Args:
        headers: of the request.
        receive: what the body comes through.
    """

    def __init__(self, headers: Headers, receive: Receive) -> None:
        self._receive = receive
        length = headers.get("content-length", "")
        chunked = "transfer-encoding" in headers
        self._read = not chunked and not (length.isdecimal() and int(length))
        # Whoever asks beforehand whether to send it at all has sent nothing yet.
        self._can_be_dropped = not chunked and "expect" not in headers and length.isdecimal() and int(length) <= _SMALL

    async def receive(self) -> Message:
        """In place of the ASGI callable that it was made with."""
        message = await self._receive()
        if message["type"] == "http.request" and not message.get("more_body", False):
            self._read = True
        return message

    async def is_dealt_with(self) -> bool:
        """Read to its end, the rest of a small body having been dropped now; False: the connection has to be closed."""
        if not self._read and self._can_be_dropped:
            try:
                await asyncio.wait_for(self._drop(), _DROP_SECONDS)
            except asyncio.TimeoutError:
                return False
        return self._read

    async def _drop(self) -> None:
        while not self._read:
            if (await self.receive())["type"] == "http.disconnect":
                return
