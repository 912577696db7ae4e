"""The service as an ASGI application."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response

from m3ser import __version__, inference
from m3ser.errors import M3serError
from m3ser.inference import Recogniser
from m3ser.serving.logs import GONE, RequestLog, facts_of
from m3ser.serving.problems import MEDIA_TYPE, Problem, problem_of
from m3ser.serving.rest import rest_router
from m3ser.serving.service import Service
from m3ser.serving.settings import ServiceSettings
from m3ser.serving.streaming.metrics import StreamMetrics
from m3ser.serving.streaming.streams import Streams
from m3ser.serving.transcribers import transcriber_for
from m3ser.serving.websocket import stream_router

__all__ = ["create_app", "load_recogniser"]


def load_recogniser(settings: ServiceSettings) -> Recogniser:
    """The recogniser that a service's settings ask for, on one processor thread for each of its lanes.

    Raises:
        M3serError: as :func:`m3ser.inference.load`.
    """
    return inference.load(
        settings.model,
        transcriber=transcriber_for(settings.transcriber, settings.lanes),
        threads=1,
        max_seconds=settings.max_duration,
        profile=settings.profile,
    )


def create_app(settings: ServiceSettings, recogniser: Recogniser | None = None) -> FastAPI:
    """The application: REST, and what stands on the same service.

    Args:
        settings: its limits.
        recogniser: the model; None: the one that the settings name.

    Returns:
        The application; its ``state.service`` is the :class:`~m3ser.serving.service.Service`, which lives from the
        application's start to its end, and its ``state.streams`` what all WebSockets share.

    Raises:
        M3serError: as :func:`m3ser.inference.load`; UsageError: the model does not take one of the profiles.
    """
    service = Service(settings, recogniser or load_recogniser(settings))
    streams = Streams(
        service.recogniser, settings.streams, StreamMetrics(service.metrics.registry), profiles=service.profiles
    )

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        await asyncio.to_thread(service.start)
        try:
            yield
        finally:
            await streams.stop(settings.stop_seconds)
            await asyncio.to_thread(service.stop)

    app = FastAPI(
        title="m3ser",
        version=__version__,
        summary="Emotion in speech, from audio and text.",
        docs_url=None,  # these pages would fetch scripts from elsewhere
        redoc_url=None,
        lifespan=lifespan,
    )
    app.state.service = service
    app.state.streams = streams
    app.include_router(rest_router(service))
    app.include_router(stream_router(streams, service.keys))
    app.add_middleware(RequestLog, metrics=service.metrics)
    _answer_problems(app, service)
    if settings.page:  # the last one: it answers at every address that nobody else has
        from m3ser.serving.page import ServedPage, mount_page

        mount_page(app, ServedPage(service), admits=service.keys.admits if service.keys else None)
    return app


def _answer_problems(app: FastAPI, service: Service) -> None:
    """Every failure is answered as problem+json."""

    def answer(request: Request, problem: Problem) -> Response:
        facts = facts_of(request.scope)
        facts["cause"] = problem.cause
        service.metrics.failures.labels(problem.cause).inc()
        content = problem.to_dict(request_id=facts.get("id"))
        return JSONResponse(content, problem.status, headers=dict(problem.headers), media_type=MEDIA_TYPE)

    @app.exception_handler(M3serError)
    async def deliberate(request: Request, error: M3serError) -> Response:
        problem = problem_of(error)
        if problem.status == 500:
            raise error
        return answer(request, problem)

    @app.exception_handler(HTTPException)
    async def refused(request: Request, error: HTTPException) -> Response:
        causes = {404: "not-found", 405: "method-not-allowed"}
        details = {404: "There is nothing at this address.", 405: "This address does not take that method."}
        status = error.status_code
        problem = Problem(status, causes.get(status, "bad-request"), details.get(status, str(error.detail)))
        response = answer(request, problem)
        response.headers.update(error.headers or {})
        return response

    @app.exception_handler(RequestValidationError)
    async def invalid(request: Request, _: RequestValidationError) -> Response:
        return answer(request, Problem(400, "bad-request", "The request is not what this address expects."))

    @app.exception_handler(ClientDisconnect)
    async def gone(request: Request, _: ClientDisconnect) -> Response:
        facts_of(request.scope)["cause"] = "disconnected"
        service.metrics.failures.labels("disconnected").inc()
        return Response(status_code=GONE)
