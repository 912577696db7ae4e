"""The page as a part of an application."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

from fastapi import FastAPI
from starlette.middleware import Middleware

from m3ser.errors import needing
from m3ser.serving.page.gate import Gate
from m3ser.serving.page.service import PageService
from m3ser.serving.page.texts import LOGIN
from m3ser.serving.page.uploads import Uploads

__all__ = ["mount_page"]

_SWEEP_SECONDS = 30.0


def mount_page(app: FastAPI, service: PageService, *, admits: Callable[[str], bool] | None = None) -> None:
    """Serve the page at ``/`` of an application; routes that are there already go on, later ones are not reached.

    Args:
        app: not started yet.
        service: what answers.
        admits: whether a key opens the page, which then asks for one; None: everybody may use it.

    Raises:
        MissingExtraError: Gradio is not installed.
    """
    with needing("serve", "The web page"):
        import gradio
    from m3ser.serving.page.layout import build

    uploads = Uploads(service.max_bytes)

    @asynccontextmanager
    async def sweeping(_: Any) -> AsyncIterator[None]:
        task = asyncio.create_task(_sweep(uploads))
        try:
            yield
        finally:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task
            uploads.close()

    here = Path(__file__).parent

    def mount() -> None:
        with uploads.of_gradio():
            gradio.mount_gradio_app(
                app,
                build(service, uploads, asks_key=admits is not None),
                "/",
                footer_links=[],
                run_history=False,
                auth=None if admits is None else (lambda _, key: admits(key)),
                auth_message=None if admits is None else LOGIN,
                # Everything below is off, whatever the environment says.
                show_error=False,
                ssr_mode=False,
                enable_monitoring=False,
                pwa=False,
                mcp_server=False,
                max_file_size=service.max_bytes,
                theme=_theme(gradio),
                head=f"<style>{(here / 'page.css').read_text(encoding='utf-8')}</style>",
                js=(here / "page.js").read_text(encoding="utf-8"),
                app_kwargs={
                    "middleware": [Middleware(Gate, uploads=uploads, body_seconds=service.body_seconds)],
                    "lifespan": sweeping,
                    "docs_url": None,
                    "redoc_url": None,
                    "openapi_url": None,
                },
            )

    _where_a_loop_runs(mount)


def _where_a_loop_runs(work: Callable[[], None]) -> None:
    """Do `work` inside an event loop: Gradio makes several where none runs, and closes none of them."""

    async def inside() -> None:
        work()

    try:
        asyncio.get_running_loop()
    except RuntimeError:
        asyncio.run(inside())
    else:
        work()


def _theme(gradio: Any) -> Any:
    """Gradio's default in the reader's own fonts: page.css names them, for Gradio takes every name for a file's."""
    fonts = gradio.themes.Font
    return gradio.themes.Default(
        primary_hue="blue", neutral_hue="slate", font=[fonts("sans-serif")], font_mono=[fonts("monospace")]
    )


async def _sweep(uploads: Uploads) -> None:
    while True:
        await asyncio.sleep(_SWEEP_SECONDS)
        await asyncio.to_thread(uploads.sweep)
