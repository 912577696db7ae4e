"""What a stranger reaches of Gradio: the page, and no file, URL or route beside it."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("fastapi", reason="needs the serve extra")
httpx = pytest.importorskip("httpx", reason="asks with httpx (the client extra)")

from starlette.responses import PlainTextResponse  # noqa: E402

from m3ser.serving.page.gate import Gate  # noqa: E402
from m3ser.serving.page.uploads import KEPT_SECONDS, Uploads  # noqa: E402


@pytest.fixture
def uploads() -> Iterator[Uploads]:
    made = Uploads(1_000)
    yield made
    made.close()
    assert not made.folder.exists()


async def behind(scope: Any, receive: Any, send: Any) -> None:
    """Reads the body and says it back."""
    body = b""
    while (message := await receive()).get("more_body"):
        body += message["body"]
    await PlainTextResponse(body + message["body"])(scope, receive, send)


def ask(uploads: Uploads, method: str, path: str, *, to: Any = behind, **options: Any) -> Any:
    async def sent() -> Any:
        transport = httpx.ASGITransport(app=Gate(to, uploads=uploads, body_seconds=0.5))
        async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
            return await client.request(method, path, **options)

    return asyncio.run(sent())


@pytest.mark.parametrize("path", ["/", "/assets/a.js", "/gradio_api/queue/data"])
def test_what_the_page_needs_is_there(uploads: Uploads, path: str) -> None:
    response = ask(uploads, "GET", path)
    assert response.status_code == 200
    assert "default-src 'self'" in response.headers["content-security-policy"]


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/v1/nothing", 404),
        ("GET", "/gradio_api/file=/etc/passwd", 404),
        ("GET", "/gradio_api/file=http://127.0.0.1/", 404),
        ("GET", "/gradio_api/proxy=http://127.0.0.1/", 404),
        ("POST", "/gradio_api/run/predict", 404),
        ("POST", "/gradio_api/vibe-edit", 404),
        ("DELETE", "/", 405),
    ],
)
def test_nothing_else_is(uploads: Uploads, method: str, path: str, status: int) -> None:
    response = ask(uploads, method, path)
    assert response.status_code == status
    assert response.headers["content-type"] == "application/problem+json"


def test_a_request_names_uploaded_files_alone(uploads: Uploads) -> None:
    mine = uploads.folder / "a.wav"
    mine.write_bytes(b"sound")
    link = uploads.folder / "link.wav"
    link.symlink_to("/etc/passwd")
    assert ask(uploads, "POST", "/gradio_api/queue/join", json={"data": [{"path": str(mine)}]}).status_code == 200
    for path in ("/etc/passwd", f"{uploads.folder}/../x", "http://127.0.0.1/", str(link), str(uploads.folder), 1, "a"):
        response = ask(uploads, "POST", "/gradio_api/queue/join", json={"data": [{"deep": [{"path": path}]}]})
        assert response.status_code == 403, path
    assert ask(uploads, "POST", "/gradio_api/queue/join", content=b"[" * 5_000).status_code == 400


def test_what_was_checked_is_what_is_read(uploads: Uploads) -> None:
    response = ask(uploads, "POST", "/gradio_api/queue/join", content=b'{"a": 1, "a": 2}')
    assert response.json() == {"a": 2}


def test_bodies_have_a_limit_with_and_without_a_stated_length(uploads: Uploads) -> None:
    async def pieces() -> Any:
        for _ in range(100):
            yield bytes(1_000)

    for body in (bytes(100_000), pieces()):
        assert ask(uploads, "POST", "/gradio_api/upload", content=body).status_code == 413
    assert ask(uploads, "POST", "/gradio_api/upload", content=bytes(500)).status_code == 200


def test_bodies_have_to_arrive_in_time(uploads: Uploads) -> None:
    async def pieces() -> Any:
        yield b"some"
        await asyncio.sleep(30)
        yield b"more"

    response = ask(uploads, "POST", "/gradio_api/upload", content=pieces())
    assert response.status_code == 408
    assert "0.5 s" in response.json()["detail"]


def test_an_answer_may_take_longer_than_its_question(uploads: Uploads) -> None:
    async def slow(scope: Any, receive: Any, send: Any) -> None:
        while (await receive()).get("more_body"):
            pass
        gone = asyncio.ensure_future(receive())
        await asyncio.sleep(0.7)
        assert not gone.done()
        gone.cancel()
        await PlainTextResponse("done")(scope, receive, send)

    response = ask(uploads, "POST", "/gradio_api/upload", to=slow, content=b"all")
    assert response.text == "done"


def test_a_full_folder_takes_no_more(uploads: Uploads) -> None:
    (uploads.folder / "large.wav").write_bytes(bytes(7_001))
    assert ask(uploads, "POST", "/gradio_api/upload", content=b"more").status_code == 503


def test_recordings_are_deleted_after_minutes(uploads: Uploads, tmp_path: Path) -> None:
    old, new = uploads.folder / "x" / "old.wav", uploads.folder / "y" / "new.wav"
    for file in (old, new):
        file.parent.mkdir()
        file.write_bytes(b"sound")
    then = old.stat().st_mtime - KEPT_SECONDS - 1
    os.utime(old, (then, then))
    uploads.sweep()
    assert uploads.read(str(old)) is None
    assert not old.parent.exists()
    assert uploads.read(str(new)) == b"sound"
    assert uploads.read(str(tmp_path / "elsewhere")) is None
