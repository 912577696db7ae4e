"""Requests that nobody should send, each with the answer that it should get."""

from __future__ import annotations

import asyncio
import io
import sys
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from pathlib import Path

import numpy as np
import soundfile
from service_client import Client

__all__ = ["kinds", "post"]

ROUTE = "/v1/emotions?transcribe=false"


def post(path: str, content: bytes, *, length: int | None = None, kind: str = "audio/wav") -> bytes:
    """A request whole, or with a length that is not its own."""
    size = len(content) if length is None else length
    lines = (f"POST {path} HTTP/1.1", "Host: x", f"Content-Type: {kind}", f"Content-Length: {size}", "", "")
    return "\r\n".join(lines).encode() + content


def kinds(clips: Path) -> Mapping[str, Callable[[int], Awaitable[None]]]:
    """What can be done to a service at a port, by name.

    Args:
        clips: a folder of recordings.
    """
    clip = min(clips.glob("*.wav")).read_bytes()
    bomb = _flac_of_hours()

    def answered(status: int, request: bytes) -> Callable[[int], Awaitable[None]]:
        async def ask(port: int) -> None:
            async with Client(port) as client:
                reply = await client.ask(request)
            if reply.status not in (status, 503):
                sys.exit(f"expected {status}: {reply.status} {reply.body!r}")

        return ask

    async def slow(port: int) -> None:
        async with Client(port) as client:
            _, writer = await client.connected()
            writer.write(post(ROUTE, clip[:100], length=len(clip)))
            reply = await client.answer()
        if reply.status not in (408, 503):
            sys.exit(f"a slow sender was answered with {reply.status}")

    async def hang_up_in_the_body(port: int) -> None:
        async with Client(port) as client:
            _, writer = await client.connected()
            writer.write(post(ROUTE, clip[: len(clip) // 2], length=len(clip)))
            await writer.drain()

    async def hang_up_before_the_answer(port: int) -> None:
        async with Client(port) as client:
            _, writer = await client.connected()
            writer.write(post(ROUTE, clip))
            await writer.drain()
            await asyncio.sleep(0.02)

    async def no_http(port: int) -> None:
        async with Client(port) as client:
            reader, writer = await client.connected()
            writer.write(b"\x16\x03\x01" + bytes(200) + b"\r\n\r\n")
            with suppress(ConnectionError):
                await reader.read()

    return {
        "truncated": answered(422, post(ROUTE, clip[: len(clip) // 2])),
        "wrong type": answered(422, post(ROUTE, b"\x89PNG\r\n\x1a\n" + bytes(5_000))),
        "wrong content type": answered(415, post(ROUTE, clip, kind="text/html")),
        "empty": answered(422, post(ROUTE, b"")),
        "NaN": answered(422, post(ROUTE, _nan())),
        "no JSON": answered(400, post("/v1/emotions", b"[" * 10_000, kind="application/json")),
        "no form": answered(400, post("/v1/emotions", b"--x" * 1_000, kind="multipart/form-data; boundary=x")),
        "FLAC of hours": answered(413, post(ROUTE, bomb)),
        "10 GB": answered(413, post(ROUTE, b"", length=10_000_000_000)),
        "slow sender": slow,
        "hangs up in the body": hang_up_in_the_body,
        "hangs up before the answer": hang_up_before_the_answer,
        "no HTTP": no_http,
    }


def _flac_of_hours() -> bytes:
    """Silence in FLAC, ten minutes in a few kilobytes, whose header does not say how long it is."""
    file = io.BytesIO()
    soundfile.write(file, np.zeros(600 * 16_000, np.int16), 16_000, format="FLAC")
    content = bytearray(file.getvalue())
    content[21] &= 0xF0
    content[22:26] = bytes(4)
    return bytes(content)


def _nan() -> bytes:
    file = io.BytesIO()
    soundfile.write(file, np.full(16_000, np.nan, np.float32), 16_000, format="WAV", subtype="FLOAT")
    return file.getvalue()
