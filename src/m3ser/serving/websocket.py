"""``/v1/stream``: live speech over a WebSocket. The protocol is in ``docs/streaming.md``."""

from __future__ import annotations

import logging
import time
import uuid
from collections.abc import Mapping

from fastapi import APIRouter, WebSocket

from m3ser.serving.keys import ApiKeys
from m3ser.serving.problems import ProblemError
from m3ser.serving.streaming.conversation import Conversation
from m3ser.serving.streaming.streams import Streams

__all__ = ["stream_router"]

_PATH = "/v1/stream"

_log = logging.getLogger("m3ser.serving.requests")


def stream_router(streams: Streams, keys: ApiKeys) -> APIRouter:
    """The WebSocket door.

    Args:
        streams: what all streams share; whoever made it stops it.
        keys: who may stream.
    """
    router = APIRouter()

    @router.websocket(_PATH)
    async def stream(socket: WebSocket) -> None:
        begun = time.perf_counter()
        name = uuid.uuid4().hex
        conversation = Conversation(socket, streams, lambda key: _admit(keys, socket.headers, key), name=name)
        try:
            await conversation.run()
        finally:
            facts = {
                "id": name,
                "route": _PATH,
                "how": conversation.how,
                "audio_seconds": round(conversation.seconds, 3),
                "ms": round(1000 * (time.perf_counter() - begun), 1),
            }
            _log.info("stream", extra={"facts": facts})

    return router


def _admit(keys: ApiKeys, headers: Mapping[str, str], key: str | None) -> None:
    """Let a stream in by its headers, as a request, or by the key in its first message.

    Raises:
        ProblemError: 401, neither opens the service.
    """
    if key is not None and keys.admits(key):
        return
    try:
        keys.check(headers)
    except ProblemError as refused:
        what = "This service asks for an API key" if key is None else "The API key is not one of this service's"
        raise ProblemError(
            401,
            refused.problem.cause,
            f"{what}; expected 'Authorization: Bearer KEY', 'X-API-Key: KEY', or api_key in the start message.",
        ) from None
