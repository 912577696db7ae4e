"""The client for asyncio: :mod:`m3ser.client.synchronous` with ``await``."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterable, AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager, suppress
from typing import Any, Literal

from numpy.typing import NDArray

from m3ser.client.answers import ServedModel, json_of, models_of
from m3ser.client.calls import Call, Channels, Patience, batch_calls, checked_url, headers, predict_call, unreachable
from m3ser.client.protocol import FINISH, Protocol, stream_url
from m3ser.client.recordings import Audio
from m3ser.errors import M3serError, needing
from m3ser.schema import Prediction, Segment

__all__ = ["AsyncClient", "AsyncStream"]


class AsyncClient:
    """Talks to one service; see :class:`~m3ser.client.Client`, whose arguments and methods it has.

    Raises:
        UsageError: `url` is no address.
        MissingExtraError: the ``client`` extra is not installed.
    """

    def __init__(
        self,
        url: str = "http://127.0.0.1:8080",
        *,
        api_key: str | None = None,
        timeout: float = 120.0,
        patience: float = 60.0,
        transport: Any = None,
    ) -> None:
        with needing("client", "m3ser.client"):
            import httpx
        self.url = checked_url(url)
        self._headers = headers(api_key)
        self._timeout = timeout
        self._patience = patience
        self._failed = httpx.HTTPError
        self._http = httpx.AsyncClient(base_url=self.url, headers=self._headers, timeout=timeout, transport=transport)

    async def __aenter__(self) -> AsyncClient:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def close(self) -> None:
        """Let go of the connections."""
        await self._http.aclose()

    async def predict(
        self,
        audio: Audio | None = None,
        *,
        text: str | None = None,
        transcribe: bool | None = None,
        language: str | None = None,
        sample_rate: float | None = None,
        profile: str | None = None,
    ) -> Prediction:
        """As :meth:`m3ser.client.Client.predict`."""
        call = predict_call(
            audio, text=text, transcribe=transcribe, language=language, sample_rate=sample_rate, profile=profile
        )
        return call.answer(*await self._ask(call))

    async def timeline(
        self,
        audio: Audio,
        *,
        transcribe: bool | None = None,
        language: str | None = None,
        sample_rate: float | None = None,
        profile: str | None = None,
        adapt: bool = False,
        neutral: float | None = None,
        channels: Channels = "mix",
    ) -> Prediction:
        """As :meth:`m3ser.client.Client.timeline`."""
        call = predict_call(
            audio,
            text=None,
            transcribe=transcribe,
            language=language,
            sample_rate=sample_rate,
            profile=profile,
            timeline=True,
            adapt=adapt,
            neutral=neutral,
            channels=channels,
        )
        return call.answer(*await self._ask(call))

    async def predict_batch(
        self,
        items: Sequence[Audio],
        *,
        texts: Sequence[str] | None = None,
        transcribe: bool | None = None,
        language: str | None = None,
        sample_rate: float | None = None,
        profile: str | None = None,
        on_error: Literal["raise", "return"] = "raise",
    ) -> list[Any]:
        """As :meth:`m3ser.client.Client.predict_batch`."""
        found: list[Prediction | M3serError] = []
        for batch in batch_calls(
            items,
            texts=texts,
            transcribe=transcribe,
            language=language,
            sample_rate=sample_rate,
            profile=profile,
            on_error=on_error,
        ):
            answers = batch.answers(*(await self._ask(batch.call) if batch.call is not None else (200, b"")))
            for answer in answers:
                if on_error == "raise" and isinstance(answer, M3serError):
                    raise answer
            found += answers
        return found

    async def models(self) -> tuple[ServedModel, ...]:
        """As :meth:`m3ser.client.Client.models`."""
        return models_of(json_of(*await self._ask(Call("GET", "/v1/models"))))

    @asynccontextmanager
    async def stream(
        self,
        *,
        sample_rate: int = 16_000,
        channels: int = 1,
        encoding: Literal["pcm_s16le", "opus"] = "pcm_s16le",
        transcribe: bool = True,
        language: str | None = None,
        profile: str | None = None,
        provisional_seconds: float | None = 0.5,
        offset: float = 0.0,
    ) -> AsyncIterator[AsyncStream]:
        """As :meth:`m3ser.client.Client.stream`, with ``async with``."""
        with needing("client", "m3ser.client"):
            from websockets.asyncio.client import connect
            from websockets.exceptions import WebSocketException
        protocol = Protocol(
            sample_rate=sample_rate,
            channels=channels,
            encoding=encoding,
            transcribe=transcribe,
            language=language,
            profile=profile,
            provisional_seconds=provisional_seconds,
            offset=offset,
        )
        try:
            # A service that has to catch up does not read for a while, and so answers no ping.
            connection = await connect(
                stream_url(self.url),
                additional_headers=self._headers,
                compression=None,
                ping_timeout=None,
                open_timeout=self._timeout,
            )
        except (OSError, TimeoutError, asyncio.TimeoutError, WebSocketException) as error:
            raise unreachable(self.url, error) from error
        async with connection:
            stream = AsyncStream(connection, protocol, self._timeout)
            await stream._begin()
            yield stream

    async def _ask(self, call: Call) -> tuple[int, bytes]:
        patience = Patience(self._patience)
        while True:
            try:
                response = await self._http.request(call.method, call.path, **call.options)
            except self._failed as error:
                raise unreachable(self.url, error) from error
            wait = patience.wait(response.status_code, response.headers.get("retry-after"))
            if wait is None:
                return response.status_code, response.content
            await asyncio.sleep(wait)


class AsyncStream:
    """Live speech on its way to a service; made by :meth:`AsyncClient.stream`. See :class:`~m3ser.client.Stream`."""

    def __init__(self, connection: Any, protocol: Protocol, timeout: float) -> None:
        self._connection = connection
        self._protocol = protocol
        self._timeout = timeout

    @property
    def seconds(self) -> float:
        """How much was sent, gaps included."""
        return self._protocol.sent

    @property
    def totals(self) -> dict[str, Any] | None:
        """What the service said at the end: seconds and segments; None: it is not done."""
        return self._protocol.totals

    async def send(self, chunk: bytes | NDArray[Any]) -> None:
        """As :meth:`m3ser.client.Stream.send`."""
        for message in self._protocol.sound(chunk):
            await self._say(message)

    async def skip(self, seconds: float) -> None:
        """Say that so many seconds were lost here."""
        await self._say(self._protocol.gap(seconds))

    async def finish(self) -> None:
        """Say that there is no more to come; what remains is still answered."""
        await self._say(FINISH)

    async def listen(
        self, chunks: Iterable[bytes | NDArray[Any]] | AsyncIterable[bytes | NDArray[Any]]
    ) -> AsyncIterator[Segment]:
        """Send chunks, finish, and yield the segments meanwhile.

        Raises:
            M3serError: what the service says, or what `chunks` raised (any exception).
        """
        failed: list[BaseException] = []

        async def send_all() -> None:
            try:
                if isinstance(chunks, AsyncIterable):
                    async for chunk in chunks:
                        await self.send(chunk)
                else:
                    for chunk in chunks:
                        await self.send(chunk)
                await self.finish()
            except BaseException as error:
                failed.append(error)
                await self._connection.close()
                raise

        sending = asyncio.ensure_future(send_all())
        try:
            async for segment in self:
                yield segment
        except M3serError:
            if failed:
                raise failed[0] from None
            raise
        finally:
            sending.cancel()
            await asyncio.gather(sending, return_exceptions=True)

    async def __aiter__(self) -> AsyncIterator[Segment]:
        while self.totals is None:
            segment = await self._next(None)
            if segment is not None:
                yield segment

    async def _begin(self) -> None:
        await self._say(self._protocol.start)
        await self._next(self._timeout)

    async def _say(self, message: str | bytes) -> None:
        from websockets.exceptions import ConnectionClosed

        # One that is closed has a reason, which whoever iterates is told.
        with suppress(ConnectionClosed):
            await self._connection.send(message)

    async def _next(self, timeout: float | None) -> Segment | None:
        from websockets.exceptions import ConnectionClosed

        try:
            message = await asyncio.wait_for(self._connection.recv(), timeout)
        except (ConnectionClosed, asyncio.TimeoutError) as error:
            raise self._protocol.lost() from error
        return self._protocol.heard(message)
