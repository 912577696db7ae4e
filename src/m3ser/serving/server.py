"""The application behind a socket of its own, until somebody stops it."""

from __future__ import annotations

import asyncio
import logging
import signal
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol

from m3ser.errors import M3serError
from m3ser.inference import Recogniser
from m3ser.serving.app import create_app
from m3ser.serving.logs import JsonLines
from m3ser.serving.settings import ServiceSettings

__all__ = ["Server", "serve"]

_LARGEST_HEAD = 16_384  # bytes of a request's head
_HEAD_SECONDS = 10.0
_IDLE_SECONDS = 10
_MOST_CONNECTIONS = 1_000


class _Protocol(H11Protocol):
    """HTTP/1.1 in which the head of a request has to arrive in time."""

    _head_is_late: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._await_head()

    def connection_lost(self, exc: Exception | None) -> None:
        self._have_head()
        super().connection_lost(exc)

    def handle_events(self) -> None:
        before = self.cycle
        super().handle_events()
        if self.cycle is not before:
            self._have_head()

    def handle_websocket_upgrade(self, event: Any) -> None:
        self._have_head()
        super().handle_websocket_upgrade(event)

    def on_response_complete(self) -> None:
        self._await_head()  # first: a request that has arrived meanwhile begins in the next line
        super().on_response_complete()

    def _await_head(self) -> None:
        self._have_head()
        self._head_is_late = self.loop.call_later(_HEAD_SECONDS, self.transport.close)

    def _have_head(self) -> None:
        if self._head_is_late is not None:
            self._head_is_late.cancel()
            self._head_is_late = None


class Server(uvicorn.Server):
    """A web server for one service; it loads the model before it listens.

    Args:
        settings: of the service.
        recogniser: the model; None: the one that the settings name.
        announce: is told the address once it is listened on.

    Raises:
        M3serError: the address cannot be listened on, or the model not be loaded.
    """

    def __init__(
        self,
        settings: ServiceSettings,
        recogniser: Recogniser | None = None,
        *,
        announce: Callable[[str], None] = lambda _: None,
    ) -> None:
        self._listener = _listener(settings)
        self._announce = announce
        self._host = f"[{settings.host}]" if ":" in settings.host else settings.host
        try:
            app = create_app(settings, recogniser)
        except BaseException:
            self._listener.close()
            raise
        self.service = app.state.service
        super().__init__(
            uvicorn.Config(
                app,
                http=_Protocol,
                log_config=None,
                access_log=False,
                server_header=False,
                proxy_headers=False,
                h11_max_incomplete_event_size=_LARGEST_HEAD,
                limit_concurrency=_MOST_CONNECTIONS,
                timeout_keep_alive=_IDLE_SECONDS,
                timeout_graceful_shutdown=max(1, round(settings.stop_seconds)),
            )
        )

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"http://{self._host}:{self._listener.getsockname()[1]}"

    def serve_until_stopped(self) -> None:
        """Start, answer, and end when asked to: by a signal, or by ``should_exit``.

        Raises:
            M3serError: the service cannot be started.
        """
        url = self.url
        try:
            self.service.start()
            self._announce(url)
            self.run(sockets=[self._listener])
        finally:
            self._listener.close()
            self.service.stop()

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Stop at SIGINT and SIGTERM. Uvicorn's own would raise them again behind a stop that went well."""
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        before = {sort: signal.signal(sort, self.handle_exit) for sort in (signal.SIGINT, signal.SIGTERM)}
        try:
            yield
        finally:
            for sort, handler in before.items():
                signal.signal(sort, handler)


def serve(settings: ServiceSettings, *, announce: Callable[[str], None] = lambda _: None) -> None:
    """Serve until SIGINT or SIGTERM; what was accepted is answered before it ends.

    Args:
        settings: of the service.
        announce: is told the address once it is listened on.

    Raises:
        M3serError: as :class:`Server`.
    """
    server = Server(settings, announce=announce)
    _log_as_json()
    server.serve_until_stopped()


def _listener(settings: ServiceSettings) -> socket.socket:
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    if hasattr(signal, "SIGHUP"):  # not on Windows, where it would share the port with whoever has it
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((settings.host, settings.port))
        listener.listen(2048)  # now, or another service could bind to the same port until this one listens
    except OSError as error:
        listener.close()
        raise M3serError(
            f"Cannot listen on {settings.host} port {settings.port} ({error.strerror}); --port chooses another one."
        ) from error
    return listener


def _log_as_json() -> None:
    handler = JsonLines(logging.INFO)
    for name, level in (("m3ser", logging.INFO), ("uvicorn", logging.WARNING)):
        logger = logging.getLogger(name)
        logger.handlers = [handler]
        logger.propagate = False
        logger.setLevel(level)
