"""The client that waits."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Any, Literal

from numpy.typing import NDArray

from m3ser.client.answers import ServedModel, json_of, models_of
from m3ser.client.calls import Call, Channels, Patience, batch_calls, checked_url, headers, predict_call, unreachable
from m3ser.client.protocol import FINISH, Protocol, stream_url
from m3ser.client.recordings import Audio
from m3ser.errors import M3serError, needing
from m3ser.schema import Prediction, Segment

__all__ = ["Client", "Stream"]


class Client:
    """Talks to one service. Several threads may use it at once; close it, or use it in ``with``.

    Args:
        url: of the service.
        api_key: opens it, where it asks for one.
        timeout: seconds until an answer has to be there.
        patience: seconds that a busy service (503) is asked again, when it says that one should; 0: it is not.
        transport: of httpx, for tests.

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
        self._http = httpx.Client(base_url=self.url, headers=self._headers, timeout=timeout, transport=transport)

    def __enter__(self) -> Client:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Let go of the connections."""
        self._http.close()

    def predict(
        self,
        audio: Audio | None = None,
        *,
        text: str | None = None,
        transcribe: bool | None = None,
        language: str | None = None,
        sample_rate: float | None = None,
        profile: str | None = None,
    ) -> Prediction:
        """Recognise the emotion of one utterance, as :meth:`m3ser.inference.Recogniser.predict` does.

        Args:
            audio: a path, the bytes of a file, or an array (samples,) or (samples, channels); None: the text alone.
            text: what is said; None: it is not known.
            transcribe: without a text: True or None: have it transcribed where the service can; False: the voice alone.
            language: of the words, as a BCP 47 code.
            sample_rate: of an array, in Hz.
            profile: how who speaks usually sounds: the name of one of the service's (:meth:`models`); None: as the
                service was told.

        Raises:
            UsageError, AudioError, TextError: as there.
            ServiceError: the service cannot be reached, is busy for longer than our patience, or failed.
        """
        call = predict_call(
            audio, text=text, transcribe=transcribe, language=language, sample_rate=sample_rate, profile=profile
        )
        return call.answer(*self._ask(call))

    def timeline(
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
        """Emotions over time: the whole recording as one prediction, its utterances in ``segments``.

        Where nobody speaks there are none, and the label is "". Args and raises as :meth:`predict`; `adapt` (without
        `profile`): how it usually sounds is learnt from the recording first; `neutral`, with `adapt`: how many of its
        utterances are neutral, about (0 to 1); `channels`: "split" keeps the two channels of a call apart, each with
        utterances (and with `adapt` a profile) of its own.
        """
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
        return call.answer(*self._ask(call))

    def predict_batch(
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
        """Recognise many utterances, eight in a request.

        Args:
            items: recordings, as in :meth:`predict`.
            texts: what is said in each; None: it is not known.
            transcribe: as in :meth:`predict`.
            language: of all of them.
            sample_rate: of those that are arrays.
            profile: of all of them, as in :meth:`predict`.
            on_error: "raise": the first failure is raised; "return": each takes its recording's place.

        Returns:
            One :class:`~m3ser.schema.Prediction` (or error) for each, in order.

        Raises:
            M3serError: as :meth:`predict`; with "return" only what concerns all of them.
        """
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
            answers = batch.answers(*(self._ask(batch.call) if batch.call is not None else (200, b"")))
            for answer in answers:
                if on_error == "raise" and isinstance(answer, M3serError):
                    raise answer
            found += answers
        return found

    def models(self) -> tuple[ServedModel, ...]:
        """What the service answers with; raises ServiceError as :meth:`predict`."""
        return models_of(json_of(*self._ask(Call("GET", "/v1/models"))))

    @contextmanager
    def stream(
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
    ) -> Iterator[Stream]:
        """Live speech: a context in which sound is sent and segments come.

        .. code-block:: python

            with client.stream(sample_rate=48_000) as stream:
                for segment in stream.listen(microphone):
                    print(segment.final, segment.start, segment.label)

        Args:
            sample_rate: of the chunks, in Hz.
            channels: of the chunks: 1 or 2.
            encoding: "opus": chunks are pieces of an Ogg or WebM file, which states its own rate and channels.
            transcribe: have the words of final segments transcribed, where the service can.
            language: of the words.
            profile: as in :meth:`predict`.
            provisional_seconds: the least time between two provisional segments; None: none are made.
            offset: seconds that are added to all times, to go on after a connection was lost.

        Raises:
            ServiceError: the service cannot be reached, or has no place for another stream.
            UsageError: it does not take what was asked for.
        """
        with needing("client", "m3ser.client"):
            from websockets.exceptions import WebSocketException
            from websockets.sync.client import connect
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
            connection = connect(
                stream_url(self.url),
                additional_headers=self._headers,
                compression=None,
                ping_timeout=None,
                open_timeout=self._timeout,
            )
        except (OSError, TimeoutError, WebSocketException) as error:
            raise unreachable(self.url, error) from error
        with connection:
            stream = Stream(connection, protocol, self._timeout)
            stream._begin()
            yield stream

    def _ask(self, call: Call) -> tuple[int, bytes]:
        patience = Patience(self._patience)
        while True:
            try:
                response = self._http.request(call.method, call.path, **call.options)
            except self._failed as error:
                raise unreachable(self.url, error) from error
            wait = patience.wait(response.status_code, response.headers.get("retry-after"))
            if wait is None:
                return response.status_code, response.content
            time.sleep(wait)


class Stream:
    """Live speech on its way to a service; made by :meth:`Client.stream`.

    Iterating yields segments as they come, until the stream is done. One thread may send while another one iterates;
    :meth:`listen` does both.
    """

    def __init__(self, connection: Any, protocol: Protocol, timeout: float) -> None:
        self._connection = connection
        self._protocol = protocol
        self._timeout = timeout

    @property
    def seconds(self) -> float:
        """How much was sent, gaps included: with its own offset, the offset of a stream that goes on here."""
        return self._protocol.sent

    @property
    def totals(self) -> dict[str, Any] | None:
        """What the service said at the end: seconds and segments; None: it is not done."""
        return self._protocol.totals

    def send(self, chunk: bytes | NDArray[Any]) -> None:
        """Send the next chunk; waits as long as the service has to catch up.

        Args:
            chunk: bytes (16-bit samples, channels interleaved, or a piece of an Opus file), or an array (samples,) or
                (samples, channels) of int16 or floats in [-1, 1].

        Raises:
            UsageError: it is no sound.
        """
        for message in self._protocol.sound(chunk):
            self._say(message)

    def skip(self, seconds: float) -> None:
        """Say that so many seconds were lost here."""
        self._say(self._protocol.gap(seconds))

    def finish(self) -> None:
        """Say that there is no more to come; what remains is still answered."""
        self._say(FINISH)

    def listen(self, chunks: Iterable[bytes | NDArray[Any]]) -> Iterator[Segment]:
        """Send chunks from a thread of their own, finish, and yield the segments meanwhile.

        Raises:
            M3serError: what the service says, or what `chunks` raised (any exception).
        """
        failed: list[BaseException] = []
        over = threading.Event()

        def send_all() -> None:
            try:
                for chunk in chunks:
                    if over.is_set():
                        return
                    self.send(chunk)
                self.finish()
            except BaseException as error:  # noqa: BLE001 - it is raised where the segments are waited for
                failed.append(error)
                with suppress(Exception):
                    self._connection.close()

        sender = threading.Thread(target=send_all, name="m3ser-client-stream", daemon=True)
        sender.start()
        try:
            yield from self
        except M3serError:
            if failed:
                raise failed[0] from None
            raise
        finally:
            over.set()

    def __iter__(self) -> Iterator[Segment]:
        while self.totals is None:
            segment = self._next(None)
            if segment is not None:
                yield segment

    def _begin(self) -> None:
        self._say(self._protocol.start)
        self._next(self._timeout)

    def _say(self, message: str | bytes) -> None:
        from websockets.exceptions import ConnectionClosed

        # One that is closed has a reason, which whoever iterates is told.
        with suppress(ConnectionClosed):
            self._connection.send(message)

    def _next(self, timeout: float | None) -> Segment | None:
        from websockets.exceptions import ConnectionClosed

        try:
            message = self._connection.recv(timeout)
        except (ConnectionClosed, TimeoutError) as error:
            raise self._protocol.lost() from error
        return self._protocol.heard(message)
