"""The application behind a socket of its own, until somebody stops it."""

from __future__ import annotations

import logging
import socket

import uvicorn

from m3ser.errors import M3serError
from m3ser.serving.app import create_app
from m3ser.serving.logs import JsonLines
from m3ser.serving.settings import ServiceSettings

__all__ = ["serve"]

_LARGEST_HEAD = 16_384  # bytes of a request's head
_MOST_CONNECTIONS = 1_000
_IDLE_SECONDS = 15


def serve(settings: ServiceSettings) -> None:
    """Serve until SIGINT or SIGTERM; what was accepted is answered before it ends.

    Raises:
        M3serError: the model cannot be loaded, or the address not be listened on.
    """
    _log_as_json()
    listener = _listen(settings)
    app = create_app(settings)
    config = uvicorn.Config(
        app,
        http="h11",
        ws="auto",
        log_config=None,
        access_log=False,
        server_header=False,
        date_header=True,
        proxy_headers=False,
        h11_max_incomplete_event_size=_LARGEST_HEAD,
        limit_concurrency=_MOST_CONNECTIONS,
        timeout_keep_alive=_IDLE_SECONDS,
        timeout_graceful_shutdown=max(1, round(settings.stop_seconds)),
    )
    uvicorn.Server(config).run(sockets=[listener])


def _listen(settings: ServiceSettings) -> socket.socket:
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((settings.host, settings.port))
    except OSError as error:
        listener.close()
        raise M3serError(
            f"Cannot listen on {settings.host} port {settings.port} ({error.strerror}); --port chooses another one."
        ) from error
    return listener


def _log_as_json() -> None:
    handler = JsonLines(logging.INFO)
    for name in ("m3ser", "uvicorn"):
        logger = logging.getLogger(name)
        logger.handlers = [handler]
        logger.propagate = False
        logger.setLevel(logging.INFO if name == "m3ser" else logging.WARNING)
