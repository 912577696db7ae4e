"""A service with the bundled model behind it, in this process or behind a socket of its own."""

from __future__ import annotations

import asyncio
import re
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("fastapi", reason="needs the serve extra")
httpx = pytest.importorskip("httpx", reason="asks with httpx (the client extra)")

from m3ser import inference  # noqa: E402
from m3ser.inference import Recogniser  # noqa: E402
from m3ser.serving import ServiceSettings  # noqa: E402
from m3ser.serving.app import create_app  # noqa: E402
from m3ser.serving.server import Server  # noqa: E402

SETTINGS = ServiceSettings(
    port=0, workers=1, lanes=1, transcriber=None, page=False, max_duration=20.0, max_bytes=2_000_000, max_files=4
)


def is_problem(response: httpx.Response, status: int, cause: str) -> str:
    """The sentence of a problem that is as it should be."""
    body = response.json()
    assert response.headers["content-type"] == "application/problem+json"
    assert (response.status_code, body["status"], body["type"]) == (status, status, f"urn:m3ser:problem:{cause}")
    assert body["request_id"] == response.headers["x-request-id"]
    assert not re.search(r"(^|[\s'])/\w", body["detail"])  # no path
    assert "Traceback" not in response.text
    detail: str = body["detail"]
    return detail


@pytest.fixture(scope="session")
def settings() -> ServiceSettings:
    """Small limits, so that tests can reach them."""
    return SETTINGS


@pytest.fixture(scope="session")
def recogniser(repository: Path) -> Recogniser:
    """The bundled model, which transcribes nothing here."""
    if not (repository / "src" / "m3ser" / "bundled" / "starter" / "bundle.json").is_file():
        pytest.skip("needs the bundled model, which this checkout does not have yet")
    return inference.load("starter", transcriber=None, threads=1)


class Gated:
    """A recogniser whose model works only while its gate is open."""

    def __init__(self, recogniser: Recogniser) -> None:
        self._recogniser = recogniser
        self.gate = threading.Event()
        self.gate.set()
        self.batches: list[int] = []

    def __getattr__(self, name: str) -> Any:
        return getattr(self._recogniser, name)

    def predict_chunks(self, chunks: Any) -> Iterator[Any]:
        for outcomes in self._recogniser.predict_chunks(chunks):
            self.gate.wait()
            self.batches.append(len(outcomes))
            yield outcomes


@pytest.fixture
def gated(recogniser: Recogniser) -> Iterator[Gated]:
    """The bundled model behind a gate, which is open at the end."""
    found = Gated(recogniser)
    yield found
    found.gate.set()


@pytest.fixture(scope="session")
def app(recogniser: Recogniser) -> Iterator[Any]:
    """A started service as an ASGI application."""
    made = create_app(SETTINGS, recogniser)
    made.state.service.start()
    yield made
    made.state.service.stop()


@pytest.fixture
def ask(app: Any) -> Callable[..., httpx.Response]:
    """Asks that service: ask("POST", "/v1/emotions", files=...) is the response."""

    def send(method: str, path: str, *, of: Any = app, **options: Any) -> httpx.Response:
        async def sent() -> httpx.Response:
            async with httpx.AsyncClient(transport=httpx.ASGITransport(app=of), base_url="http://test") as client:
                return await client.request(method, path, **options)

        return asyncio.run(sent())

    return send


@contextmanager
def _running(recogniser: Any, **changes: Any) -> Iterator[Server]:
    server = Server(replace(SETTINGS, **changes), recogniser)
    begun = threading.Event()
    server._announce = lambda _: begun.set()
    url = server.url
    thread = threading.Thread(target=server.serve_until_stopped)
    thread.start()
    try:
        assert begun.wait(60)
        server.address = url  # type: ignore[attr-defined]
        yield server
    finally:
        server.should_exit = True
        thread.join(60)
        assert not thread.is_alive()


@pytest.fixture(scope="session")
def running() -> Callable[..., Any]:
    """A service behind a socket: `with running(recogniser, queue_size=1) as server`; server.address is its URL."""
    return _running


@pytest.fixture(scope="session")
def live(recogniser: Recogniser) -> Iterator[Server]:
    """One with the usual limits, but that bodies and heads are not waited for long."""
    with _running(recogniser, body_seconds=0.5) as server:
        yield server
