"""One line of JSON for each request; never what was said, how it sounded, or what a file was called."""

from __future__ import annotations

import asyncio
import json
import logging
import re
import sys
import time
import traceback
import uuid
from typing import Any

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from m3ser.serving.metrics import Metrics
from m3ser.serving.problems import INTERNAL, MEDIA_TYPE, STOPPING, Problem
from m3ser.serving.unread import UnreadBody

__all__ = ["GONE", "JsonLines", "RequestLog", "facts_of"]

GONE = 499
"""Stands for the status of a request whose client did not wait for one."""

_REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{1,64}", re.ASCII)

_log = logging.getLogger("m3ser.serving.requests")


def facts_of(scope: Scope) -> dict[str, Any]:
    """What the log will say of a request: `id`; a handler adds `cause` and `audio_seconds`."""
    facts: dict[str, Any] = scope.setdefault("m3ser", {})
    return facts


class JsonLines(logging.Handler):
    """Writes records on stderr, one JSON object a line."""

    def emit(self, record: logging.LogRecord) -> None:
        """Write one line."""
        seconds = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(record.created))
        line: dict[str, Any] = {
            "time": f"{seconds}.{int(record.msecs):03d}Z",
            "level": record.levelname.lower(),
            "message": record.getMessage(),
            **getattr(record, "facts", {}),
        }
        if record.exc_info:
            line["trace"] = "".join(traceback.format_exception(*record.exc_info))
        print(json.dumps(line, default=str), file=sys.stderr, flush=True)  # noqa: T201


class RequestLog:
    """Outermost layer of the app: request ids, the log, metrics, and what no handler has caught.

    Args:
        app: what is inside.
        metrics: what is counted.
    """

    def __init__(self, app: ASGIApp, metrics: Metrics) -> None:
        self._app = app
        self._metrics = metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """See ASGI."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        begun = time.perf_counter()
        headers = Headers(scope=scope)
        facts = facts_of(scope)
        facts["id"] = _request_id(headers)
        body = UnreadBody(headers, receive)
        status = 0

        async def send_on(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                answered = MutableHeaders(scope=message)
                answered["X-Request-ID"] = facts["id"]
                if not await body.is_dealt_with():
                    answered["Connection"] = "close"
            await send(message)

        try:
            await self._app(scope, body.receive, send_on)
        except Exception:  # noqa: BLE001 - a bug; whoever asked is told so, and the log has the rest
            _log.exception("A request failed", extra={"facts": {"id": facts["id"]}})
            facts["cause"] = INTERNAL.cause
            self._metrics.failures.labels(INTERNAL.cause).inc()
            if not status:
                await _answer(INTERNAL, facts)(scope, receive, send_on)
        except asyncio.CancelledError:
            # The time for a stop is over. Nothing is left to be cancelled once the client has been told.
            facts["cause"] = STOPPING.cause
            self._metrics.failures.labels(STOPPING.cause).inc()
            if not status:
                await _answer(STOPPING, facts)(scope, receive, send_on)
        finally:
            route = getattr(scope.get("route"), "path", None) or "other"
            seconds = time.perf_counter() - begun
            self._metrics.requests.labels(route, str(status or GONE)).inc()
            self._metrics.seconds.labels(route).observe(seconds)
            facts |= {"method": scope["method"][:16], "route": route, "status": status or GONE}
            _log.info("request", extra={"facts": {**facts, "ms": round(1000 * seconds, 1)}})


def _answer(problem: Problem, facts: dict[str, Any]) -> JSONResponse:
    content = problem.to_dict(request_id=facts["id"])
    return JSONResponse(content, problem.status, headers=dict(problem.headers), media_type=MEDIA_TYPE)


def _request_id(headers: Headers) -> str:
    given = headers.get("x-request-id", "")
    return given if _REQUEST_ID.fullmatch(given) else uuid.uuid4().hex
