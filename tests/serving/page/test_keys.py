"""A service with keys asks for one before it shows its page."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Any

import pytest

pytest.importorskip("gradio", reason="needs the serve extra")
httpx = pytest.importorskip("httpx", reason="asks with httpx (the client extra)")

from m3ser.inference import Recogniser  # noqa: E402
from m3ser.serving import ServiceSettings  # noqa: E402
from m3ser.serving.app import create_app  # noqa: E402

KEY = "correct-horse-battery-staple"


def test_a_key_opens_the_page_and_nothing_else_does(settings: ServiceSettings, recogniser: Recogniser) -> None:
    app = create_app(replace(settings, page=True, api_keys=(KEY,)), recogniser)

    async def visit() -> dict[str, Any]:
        transport = httpx.ASGITransport(app=app)
        found: dict[str, Any] = {}
        async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
            found["stranger"] = (await client.get("/config")).status_code
            found["door"] = (await client.get("/")).text
            found["join"] = (await client.post("/gradio_api/queue/join", json={"data": []})).status_code
            found["upload"] = (await client.post("/gradio_api/upload", files={"files": b"sound"})).status_code
            wrong = {"username": "me", "password": "wrong-wrong-wrong-wrong"}
            found["wrong"] = (await client.post("/login", data=wrong)).status_code
            found["still a stranger"] = (await client.get("/config")).status_code
            found["right"] = (await client.post("/login", data={**wrong, "password": KEY})).status_code
            found["config"] = await client.get("/config")
        return found

    found = asyncio.run(visit())
    assert found["stranger"] == found["still a stranger"] == found["join"] == found["upload"] == 401
    assert "API key of this service as the password" in found["door"]
    assert "What is said" not in found["door"]
    assert found["wrong"] == 400
    assert (found["right"], found["config"].status_code) == (200, 200)
    assert "What is said" in found["config"].text
    assert KEY not in found["config"].text
