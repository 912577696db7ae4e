"""The routes of the REST interface."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

from fastapi import APIRouter
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response

from m3ser.errors import M3serError, UsageError
from m3ser.serving.bodies import Asked, read_asked
from m3ser.serving.logs import facts_of
from m3ser.serving.metrics import CONTENT_TYPE
from m3ser.serving.openapi import BATCH, EMOTIONS
from m3ser.serving.problems import problem_of
from m3ser.serving.service import Recording, Service

__all__ = ["rest_router"]

T = TypeVar("T")


def rest_router(service: Service) -> APIRouter:
    """All REST routes of a service."""
    router = APIRouter()

    @router.get("/livez", include_in_schema=False)
    async def livez() -> dict[str, str]:
        return {"status": "alive"}

    @router.get("/readyz", include_in_schema=False)
    async def readyz() -> Response:
        status = "ready" if service.ready else "not ready"
        return JSONResponse({"status": status}, 200 if service.ready else 503)

    @router.get("/metrics", include_in_schema=False)
    async def metrics(request: Request) -> Response:
        service.keys.check(request.headers)
        return Response(service.metrics.page(), media_type=CONTENT_TYPE)

    @router.get("/v1/models")
    async def models(request: Request) -> dict[str, Any]:
        """The model that answers."""
        service.keys.check(request.headers)
        manifest = service.recogniser.bundle.manifest
        transcriber = service.recogniser.transcriber
        return {
            "models": [
                {
                    "name": manifest.full_name,
                    "description": manifest.description,
                    "architecture": manifest.architecture,
                    "labels": list(manifest.labels),
                    "modalities": list(manifest.modalities),
                    "licence": manifest.licence,
                    "transcriber": None if transcriber is None else transcriber.name,
                    "profiles": list(service.profiles.names),
                }
            ]
        }

    @router.post("/v1/emotions", openapi_extra=EMOTIONS)
    async def emotions(request: Request) -> Response:
        """The emotion of one utterance, or with `timeline` the emotions over time in a recording."""
        service.keys.check(request.headers)
        service.require_room()
        with service.buffer() as buffer:
            asked = await read_asked(request, service.settings, buffer, most_files=1)
            with service.admitted():
                found = await _unless_disconnected(request, _one(service, asked))
        facts_of(request.scope)["audio_seconds"] = found["duration"]
        return JSONResponse(found)

    @router.post("/v1/emotions:batch", openapi_extra=BATCH)
    async def batch(request: Request) -> Response:
        """The emotions of several utterances, in their order; one that fails takes no other with it."""
        service.keys.check(request.headers)
        service.require_room()
        with service.buffer() as buffer:
            asked = await read_asked(request, service.settings, buffer, most_files=service.settings.max_files)
            count = len(asked.recordings)
            if not count or asked.timeline:
                raise UsageError("A batch holds recordings and no timeline; expected one or more parts named file.")
            if asked.texts and len(asked.texts) != count:
                raise UsageError(f"There are {count} recordings and {len(asked.texts)} texts; expected one for each.")
            with service.admitted(count):
                results = await _unless_disconnected(request, _each(service, asked, facts_of(request.scope)["id"]))
        return JSONResponse({"results": results})

    return router


async def _one(service: Service, asked: Asked) -> dict[str, Any]:
    if len(asked.texts) > 1:
        raise UsageError(f"There are {len(asked.texts)} texts; expected one at most.")
    recording = asked.recordings[0] if asked.recordings else None
    profile = service.profiles.find(asked.profile)
    if asked.timeline:
        if recording is None:
            raise UsageError("A timeline is of a recording, and there is none; expected a part named file.")
        timeline = await service.timeline(
            recording,
            text=asked.text_of(0),
            language=asked.language,
            profile=profile,
            adapt=asked.adapt,
            neutral=asked.neutral,
            channels=asked.channels,
        )
        return timeline.to_dict()
    found = await service.predict(recording, text=asked.text_of(0), language=asked.language, profile=profile)
    return found.to_dict()


async def _each(service: Service, asked: Asked, request_id: str) -> list[dict[str, Any]]:
    profile = service.profiles.find(asked.profile)

    async def one(index: int, recording: Recording) -> dict[str, Any]:
        try:
            found = await service.predict(
                recording, text=asked.text_of(index), language=asked.language, profile=profile
            )
        except M3serError as error:
            problem = problem_of(error)
            service.metrics.failures.labels(problem.cause).inc()
            return problem.to_dict(request_id=request_id, file=recording.name)
        return found.to_dict()

    return list(await asyncio.gather(*(one(i, recording) for i, recording in enumerate(asked.recordings))))


async def _unless_disconnected(request: Request, work: Coroutine[Any, Any, T]) -> T:
    """Do some work for a client; nobody goes on with it once the client has gone.

    Raises:
        ClientDisconnect: it has.
    """
    answering = asyncio.ensure_future(work)
    watching = asyncio.ensure_future(_disconnected(request))
    try:
        await asyncio.wait({answering, watching}, return_when=asyncio.FIRST_COMPLETED)
        if not answering.done():
            raise ClientDisconnect
        return answering.result()
    finally:
        for task in (answering, watching):
            task.cancel()
        await asyncio.gather(answering, watching, return_exceptions=True)


async def _disconnected(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass
