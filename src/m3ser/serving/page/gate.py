"""What of Gradio a stranger may reach: its page, its uploads, its queue; no other file, no URL, no other route.

Gradio is made for demos. Mounted, it opens whatever local path a request names, fetches URLs for it, and has routes for
developers. So a list says here what the page needs, a request's JSON may name no file but one that was uploaded to this
page, and every body has a limit. The browser is told to load and to send nothing anywhere else.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from typing import Any
from urllib.parse import unquote

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from m3ser.serving.page.uploads import Uploads
from m3ser.serving.problems import MEDIA_TYPE, ProblemError

__all__ = ["Gate"]

_API = "/gradio_api"
_FILE = f"{_API}/file="
_PAGES = ("/", "/config", "/theme.css", "/favicon.ico", "/manifest.json", "/robots.txt", "/logout")
_PAGES_BELOW = ("/assets/", "/static/", "/svelte/", f"{_API}/heartbeat/", _FILE)
_READS = tuple(
    f"{_API}/{name}" for name in ("queue/data", "upload_progress", "startup-events", "app_id", "login_check")
)
_UPLOAD = f"{_API}/upload"
_LOGIN = "/login"
_JSON = tuple(f"{_API}/{name}" for name in ("queue/join", "cancel", "reset", "component_server"))

_LARGEST_JSON = 256 * 1024
_LARGEST_FORM = 16 * 1024
_AROUND_UPLOAD = 64 * 1024  # what multipart/form-data puts around a file

_HEADERS = {
    # Gradio's page has its scripts and styles in it, and makes functions of text; all else is from here or nowhere.
    "content-security-policy": (
        "default-src 'self'; script-src 'self' 'unsafe-inline' 'unsafe-eval' blob:; worker-src 'self' blob:; "
        "style-src 'self' 'unsafe-inline'; img-src 'self' data: blob:; media-src 'self' data: blob:; "
        "font-src 'self' data:; connect-src 'self' data: blob:; object-src 'none'; base-uri 'self'; "
        "form-action 'self'; frame-ancestors 'self'"
    ),
    "permissions-policy": "microphone=(self), camera=(), geolocation=()",
    "referrer-policy": "no-referrer",
    "x-content-type-options": "nosniff",
}


class Gate:
    """Middleware around the Gradio app.

    Args:
        app: what is behind it.
        uploads: the files that visitors may send and name.
        body_seconds: within which the body of a request has to come in.
    """

    def __init__(self, app: ASGIApp, *, uploads: Uploads, body_seconds: float) -> None:
        self._app = app
        self._uploads = uploads
        self._body_seconds = body_seconds

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request."""
        if scope["type"] != "http":
            if scope["type"] == "lifespan":
                await self._app(scope, receive, send)
            else:
                await send({"type": "websocket.close", "code": 1000})  # the page has none
            return

        begun = False

        async def send_with_headers(message: Message) -> None:
            nonlocal begun
            if message["type"] == "http.response.start":
                begun = True
                headers = MutableHeaders(scope=message)
                for name, value in _HEADERS.items():
                    headers[name] = value
            await send(message)

        try:
            scope, receive = await self._admit(scope, receive)
            await self._app(scope, receive, send_with_headers)
        except ProblemError as refused:  # at once, or while the body comes in
            if not begun:
                problem = refused.problem
                response = JSONResponse(problem.to_dict(), problem.status, media_type=MEDIA_TYPE)
                await response(scope, receive, send_with_headers)

    async def _admit(self, scope: Scope, receive: Receive) -> tuple[Scope, Receive]:
        """What goes on to Gradio.

        Raises:
            ProblemError: it does not go on.
        """
        path: str = scope["path"].removeprefix(scope.get("root_path", ""))
        path = path if path == "/" else path.rstrip("/")
        if scope["method"] in ("GET", "HEAD"):
            if not (path in _PAGES + _READS or path.startswith(_PAGES_BELOW)):
                raise ProblemError(404, "not-found", "There is nothing at this address.")
            if path.startswith(_FILE) and not self._uploads.holds(unquote(path.removeprefix(_FILE))):
                raise ProblemError(404, "not-found", "There is no such file.")
            return scope, receive
        if scope["method"] != "POST":
            raise ProblemError(405, "method-not-allowed", "This address does not take that method.")
        if path == _UPLOAD:
            if not self._uploads.has_room():
                raise ProblemError(503, "overloaded", "Too many recordings are here already; try again in minutes.")
            return scope, self._limited(receive, scope, self._uploads.max_bytes + _AROUND_UPLOAD)
        if path == _LOGIN:
            return scope, self._limited(receive, scope, _LARGEST_FORM)
        if path in _JSON:
            return await self._checked(scope, self._limited(receive, scope, _LARGEST_JSON))
        raise ProblemError(404, "not-found", "There is nothing at this address.")

    async def _checked(self, scope: Scope, receive: Receive) -> tuple[Scope, Receive]:
        """A request with a body of JSON that names no file but uploaded ones: written anew, so that both read alike."""
        body = bytearray()
        while True:
            message = await receive()
            if message["type"] == "http.disconnect":
                raise ProblemError(400, "bad-request", "The request broke off.")
            body += message.get("body", b"")
            if not message.get("more_body", False):
                break
        try:
            content = json.loads(body or b"{}")
            if not self._names_ours_alone(content):
                raise ProblemError(403, "forbidden", "That is not a file that was uploaded to this page.")
            written = json.dumps(content).encode("ascii")
        except (ValueError, RecursionError):
            raise ProblemError(400, "bad-request", "The request is not JSON.") from None
        headers = [(name, value) for name, value in scope["headers"] if name != b"content-length"]
        headers.append((b"content-length", str(len(written)).encode("ascii")))
        handed_over = False

        async def receive_once() -> Message:
            nonlocal handed_over
            if handed_over:
                return await receive()  # waits for the client to go away
            handed_over = True
            return {"type": "http.request", "body": written, "more_body": False}

        return {**scope, "headers": headers}, receive_once

    def _limited(self, receive: Receive, scope: Scope, most: int) -> Receive:
        """`receive` of a body of at most so many bytes: the stated length at once, and what comes in, and in time.

        Raises:
            ProblemError: the stated length is beyond the limit, or none that makes sense.
        """
        too_large = ProblemError(413, "body-too-large", f"More than the {most:,} bytes that are taken.")
        stated = Headers(scope=scope).get("content-length")
        if stated is not None and (not stated.isdecimal() or int(stated) > most):
            raise too_large
        loop = asyncio.get_running_loop()
        end = loop.time() + self._body_seconds
        taken = 0
        complete = False

        async def receive_some() -> Message:
            nonlocal taken, complete
            if complete:
                return await receive()  # waits for the client to go away
            try:
                message = await asyncio.wait_for(receive(), max(0.0, end - loop.time()))
            except asyncio.TimeoutError as error:
                raise ProblemError(
                    408, "body-too-slow", f"The body did not arrive within {self._body_seconds:g} s."
                ) from error
            taken += len(message.get("body", b""))
            if taken > most:
                raise too_large
            complete = not message.get("more_body", False)
            return message

        return receive_some

    def _names_ours_alone(self, content: Any) -> bool:
        waiting = [content]
        while waiting:
            value = waiting.pop()
            if isinstance(value, Mapping):
                if "path" in value and value["path"] is not None and not self._uploads.holds(value["path"]):
                    return False
                waiting += value.values()
            elif isinstance(value, list):
                waiting += value
        return True
