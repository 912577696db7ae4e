"""One stream from its beginning to every way in which it can end, without a server around it."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Callable, Coroutine
from typing import Any

import pytest
from prometheus_client import CollectorRegistry
from starlette.websockets import WebSocketDisconnect

from m3ser.errors import UsageError
from m3ser.serving.problems import ProblemError
from m3ser.serving.profiles import Profiles
from m3ser.serving.streaming.conversation import Conversation
from m3ser.serving.streaming.limits import StreamLimits
from m3ser.serving.streaming.metrics import StreamMetrics
from m3ser.serving.streaming.streams import Streams


class Socket:
    """A client, seen from the service."""

    def __init__(self) -> None:
        self.inbox: asyncio.Queue[dict[str, Any]] = asyncio.Queue(1)
        self.told: list[dict[str, Any]] = []
        self.closed: tuple[int, str | None] | None = None
        self.told_something = asyncio.Condition()
        self.listens = True
        self.broken = False

    async def accept(self) -> None:
        pass

    async def receive(self) -> dict[str, Any]:
        return await self.inbox.get()

    async def send_text(self, data: str) -> None:
        if self.broken:
            raise WebSocketDisconnect(1006)
        if not self.listens:
            await asyncio.Event().wait()
        async with self.told_something:
            self.told.append(json.loads(data))
            self.told_something.notify_all()

    async def close(self, code: int = 1000, reason: str | None = None) -> None:
        self.closed = (code, reason)

    async def say(self, **message: Any) -> None:
        await self.inbox.put({"type": "websocket.receive", "text": json.dumps(message)})

    async def sound(self, data: bytes) -> None:
        await self.inbox.put({"type": "websocket.receive", "bytes": data})

    async def leave(self) -> None:
        await self.inbox.put({"type": "websocket.disconnect", "code": 1006})

    async def hears(self, kind: str) -> None:
        async with self.told_something:
            await self.told_something.wait_for(lambda: any(m["type"] == kind for m in self.told))

    @property
    def problem(self) -> dict[str, Any]:
        (found,) = [message["problem"] for message in self.told if message["type"] == "problem"]
        assert self.told[-1]["type"] == "problem", "it is the last thing said"
        assert self.closed is not None
        assert self.closed[1] == found["detail"][:123]
        return found

    @property
    def finals(self) -> list[tuple[float, float]]:
        """To a tenth of a second: cuts are made at frames of 32 ms."""
        return [(round(m["start"], 1), round(m["end"], 1)) for m in self.told if m["type"] == "segment" and m["final"]]


class House:
    """Streams, and what happens in them."""

    def __init__(self, recogniser: Any, limits: StreamLimits) -> None:
        self.registry = CollectorRegistry()
        self.streams = Streams(recogniser, limits, StreamMetrics(self.registry), profiles=Profiles())
        self.admit: Callable[[str | None], None] = lambda key: None
        self.how: list[str] = []

    async def holds(self, socket: Socket) -> None:
        conversation = Conversation(socket, self.streams, lambda key: self.admit(key), name="n1")
        await conversation.run()
        self.how.append(conversation.how)

    def counted(self, name: str, **labels: str) -> float:
        return self.registry.get_sample_value(name, labels) or 0.0


Client = Callable[[Socket], Coroutine[Any, Any, None]]


@pytest.fixture
def hold(echo: Any) -> Callable[..., tuple[Socket, House]]:
    """Holds one conversation with a client, to its end; afterwards nothing is left of it."""

    def run(client: Client, *, prepare: Callable[[House], None] = lambda house: None, **limits: Any) -> Any:
        async def main() -> tuple[Socket, House]:
            before = asyncio.all_tasks()
            house = House(echo, StreamLimits(**limits))
            prepare(house)
            socket = Socket()
            talking = asyncio.ensure_future(client(socket))
            await house.holds(socket)
            talking.cancel()
            await asyncio.gather(talking, return_exceptions=True)
            assert house.counted("m3ser_streams_open") == 0
            await asyncio.sleep(0)  # what was cancelled ends
            assert asyncio.all_tasks() == before, "no task is left behind"
            await house.streams.stop(1.0)
            return socket, house

        return asyncio.run(asyncio.wait_for(main(), 30))

    return run


async def say_all(socket: Socket, sound: bytes, size: int = 3200, **start: Any) -> None:
    await socket.say(type="start", **start)
    for place in range(0, len(sound), size):
        await socket.sound(sound[place : place + size])
    await socket.say(type="finish")


@pytest.mark.parametrize("size", [1000, 3200, 10**6])
def test_from_start_to_done(hold: Any, spoken: Any, size: int) -> None:
    sound = spoken(1, 2, 3, 2, 1.5)
    socket, house = hold(lambda s: say_all(s, sound, size, provisional_seconds=None))
    assert socket.told[0] == {
        "type": "ready",
        "id": "n1",
        "model": "echo@1",
        "labels": ["sad", "angry"],
        "encoding": "pcm_s16le",
        "sample_rate": 16_000,
        "transcribe": False,
        "max_seconds": 14_400.0,
        "idle_seconds": 30.0,
        "message_bytes": 1 << 20,
    }
    assert socket.finals == [(0.8, 3.2), (5.8, 8.2)]
    assert socket.told[-1] == {"type": "done", "seconds": 9.5, "segments": 2}
    assert socket.closed == (1000, "")
    assert house.how == ["done"]
    assert house.counted("m3ser_streams_ended_total", how="done") == 1
    assert house.counted("m3ser_stream_audio_seconds_total") == pytest.approx(9.5, abs=0.001)
    assert house.counted("m3ser_stream_segments_total", kind="final") == 2
    assert house.counted("m3ser_stream_lag_seconds_count") == 2


def test_provisional_segments_come_before_the_final_one(hold: Any, spoken: Any) -> None:
    socket, _ = hold(lambda s: say_all(s, spoken(1, 4, 2)))
    kinds = [message["final"] for message in socket.told if message["type"] == "segment"]
    assert kinds[-1:] == [True]
    assert kinds.count(False) >= 2


def test_times_go_on_from_an_offset_and_gaps_last(hold: Any, spoken: Any) -> None:
    async def client(socket: Socket) -> None:
        await socket.say(type="start", offset=100.0, provisional_seconds=None)
        await socket.sound(spoken(1, 2))
        await socket.say(type="gap", seconds=60)
        await socket.sound(spoken(1, 2, 1))
        await socket.say(type="finish")

    socket, _ = hold(client)
    assert socket.finals == [(100.8, 103.2), (163.8, 166.2)]
    assert socket.told[-1]["seconds"] == 67.0


@pytest.mark.parametrize(
    ("message", "sentence"),
    [
        ({"bytes": b"123"}, "A message of sound has 3 bytes; expected a multiple of 2 (16-bit samples, 1 channel)."),
        ({"text": "{"}, "A text message is not JSON; expected an object with a type."),
        ({"text": '{"type": "gap", "seconds": -1}'}, "The gap's seconds is -1; expected 0 to 1e+09 s."),
        ({"bytes": bytes(2**20 + 2)}, "A message has 1048578 bytes; expected at most 1048576."),
        ({"text": " " * 5000}, "A message has 5000 bytes; expected at most 4096."),
    ],
)
def test_a_bad_message_ends_a_stream_behind_what_was_heard(
    hold: Any, spoken: Any, message: dict[str, Any], sentence: str
) -> None:
    async def client(socket: Socket) -> None:
        await socket.say(type="start")
        await socket.sound(spoken(1, 2))
        await socket.inbox.put({"type": "websocket.receive", **message})

    socket, house = hold(client)
    assert socket.finals == [(0.8, 3.0)]
    assert socket.problem["detail"] == sentence
    assert socket.closed is not None
    assert socket.closed[0] in (4400, 4413)
    assert house.how == [socket.problem["type"].rpartition(":")[2]]


def test_sound_before_the_start(hold: Any) -> None:
    socket, _ = hold(lambda s: s.sound(b"12"))
    assert (socket.problem["status"], socket.problem["detail"]) == (
        400,
        "Sound came first; expected a start message before it.",
    )
    assert socket.problem["request_id"] == "n1"


def test_who_says_nothing_is_not_waited_for(hold: Any, spoken: Any) -> None:
    async def silent(socket: Socket) -> None:
        pass

    async def silent_later(socket: Socket) -> None:
        await socket.say(type="start")
        await socket.sound(spoken(1, 2))

    socket, _ = hold(silent, start_seconds=0.05)
    assert socket.problem["detail"] == "Nothing came for 0.05 s; expected a start message first."
    socket, _ = hold(silent_later, idle_seconds=0.05)
    assert socket.problem["detail"] == "Nothing came for 0.05 s; expected sound, a gap or finish."
    assert socket.closed == (4408, socket.problem["detail"])
    assert socket.finals == [(0.8, 3.0)]


def test_a_stream_has_a_longest_length(hold: Any, spoken: Any) -> None:
    socket, _ = hold(lambda s: say_all(s, spoken(1, 2, 3, 20), 32_000), max_seconds=10)
    assert socket.problem["detail"].startswith("The stream is longer than 10 s")
    assert socket.closed is not None
    assert socket.closed[0] == 4413
    assert socket.finals[0] == (0.8, 3.2)

    async def dawdle(socket: Socket) -> None:
        await socket.say(type="start")
        while True:
            await socket.sound(b"")
            await asyncio.sleep(0.01)

    socket, _ = hold(dawdle, max_seconds=0.3)
    assert socket.problem["detail"] == "The stream was open for 0.3 s, as long as it may."


@pytest.mark.parametrize("place", ["before", "started", "speaking", "answering"])
def test_a_client_that_leaves_leaves_nothing_behind(hold: Any, spoken: Any, echo: Any, place: str) -> None:
    async def client(socket: Socket) -> None:
        if place != "before":
            await socket.say(type="start")
            await socket.hears("ready")
        if place in ("speaking", "answering"):
            await socket.sound(spoken(1, 2))
        if place == "answering":
            await socket.say(type="gap", seconds=5)
        await socket.leave()

    socket, house = hold(client)
    assert house.how == ["gone"]
    assert socket.closed is None


def test_a_client_that_does_not_listen_is_given_up(hold: Any, spoken: Any) -> None:
    async def client(socket: Socket) -> None:
        await socket.say(type="start")
        await socket.hears("ready")
        socket.listens = False
        await socket.sound(spoken(1, 2, 3))

    _, house = hold(client, send_seconds=0.05)
    assert house.how == ["gone"]


def test_an_answer_that_finds_the_connection_broken(hold: Any, spoken: Any, caplog: Any) -> None:
    async def client(socket: Socket) -> None:
        await socket.say(type="start")
        await socket.hears("ready")
        socket.broken = True
        await socket.sound(spoken(1, 2, 3))

    _, house = hold(client)
    assert house.how == ["gone"]
    assert "failed" not in caplog.text


def test_messages_without_sound_are_bounded_as_well(hold: Any, spoken: Any, echo: Any) -> None:
    working, go_on = threading.Event(), threading.Event()
    said = 0

    def before() -> None:
        working.set()
        go_on.wait(20)

    echo.before = before

    async def client(socket: Socket) -> None:
        nonlocal said
        await socket.say(type="start", provisional_seconds=None)
        await socket.sound(spoken(1, 2, 2))
        while not working.is_set():
            await asyncio.sleep(0.01)
        while said < 2000:
            try:
                await asyncio.wait_for(socket.say(type="gap", seconds=0), 1.0)
            except asyncio.TimeoutError:
                break
            said += 1
        go_on.set()
        await socket.say(type="finish")

    _, house = hold(client)
    assert 1000 <= said < 1010
    assert house.how == ["done"]


def test_a_client_that_is_too_fast_waits(hold: Any, spoken: Any, echo: Any) -> None:
    """While an answer is being made, no more is taken in than the backlog holds."""
    said = 0
    working, go_on = threading.Event(), threading.Event()

    def before() -> None:
        working.set()
        go_on.wait(20)

    echo.before = before

    async def client(socket: Socket) -> None:
        nonlocal said
        await socket.say(type="start", provisional_seconds=None)
        await socket.sound(spoken(1, 2, 2))
        while not working.is_set():
            await asyncio.sleep(0.01)
        for _ in range(100):
            try:
                await asyncio.wait_for(socket.sound(spoken(0.5)), 0.3)
            except asyncio.TimeoutError:
                break
            said += 1
        go_on.set()
        await socket.say(type="finish")

    _, house = hold(client, ahead_seconds=2.0)
    assert 4 <= said <= 7  # the backlog's four, one that waits for room, one in the socket
    assert house.how == ["done"]


def test_a_service_that_is_too_slow_says_so(hold: Any, spoken: Any, echo: Any) -> None:
    go_on = threading.Event()
    echo.before = lambda: go_on.wait(20)

    async def client(socket: Socket) -> None:
        await socket.say(type="start", provisional_seconds=None)
        await socket.sound(spoken(1, 2, 2))
        await socket.sound(spoken(0.5))
        await asyncio.sleep(0.4)
        go_on.set()

    socket, _ = hold(client, ahead_seconds=0.1, lag_seconds=0.2)
    assert socket.problem["detail"].startswith("The service is too busy for this stream")
    assert socket.closed is not None
    assert socket.closed[0] == 1013


def test_there_are_so_many_places(hold: Any, echo: Any) -> None:
    async def main() -> None:
        house = House(echo, StreamLimits(streams=1))
        first, second, third = Socket(), Socket(), Socket()
        holding = asyncio.ensure_future(house.holds(first))
        await first.say(type="start")
        await first.hears("ready")
        await second.say(type="start")
        await house.holds(second)
        assert second.problem["detail"] == "All 1 streams of this service are taken; try again later."
        assert second.closed is not None
        assert second.closed[0] == 1013
        await first.leave()
        await holding
        await asyncio.gather(house.holds(third), say_all(third, b""))
        assert third.told[-1] == {"type": "done", "seconds": 0.0, "segments": 0}

    asyncio.run(asyncio.wait_for(main(), 30))


def test_a_key_is_asked_for_before_anything_else(hold: Any) -> None:
    def prepare(house: House) -> None:
        def admit(key: str | None) -> None:
            if key != "right":
                raise ProblemError(401, "unauthorized", "The API key is not one of this service's.")

        house.admit = admit

    wrong, _ = hold(lambda s: s.say(type="start", api_key="wrong"), prepare=prepare)
    assert wrong.closed == (4401, "The API key is not one of this service's.")
    right, _ = hold(lambda s: say_all(s, b"", api_key="right"), prepare=prepare)
    assert right.told[-1]["type"] == "done"


def test_a_service_that_stops_answers_what_it_heard(hold: Any, spoken: Any, echo: Any) -> None:
    async def main() -> None:
        house = House(echo, StreamLimits())
        socket, late = Socket(), Socket()
        holding = asyncio.ensure_future(house.holds(socket))
        await socket.say(type="start", provisional_seconds=None)
        await socket.sound(spoken(1, 2))
        await socket.hears("ready")
        await socket.sound(b"")
        await house.streams.stop(10.0)
        await holding
        assert socket.finals == [(0.8, 3.0)]
        assert socket.problem["detail"].startswith("The service is stopping; begin another stream")
        assert socket.closed is not None
        assert socket.closed[0] == 1012
        await late.say(type="start")
        await house.holds(late)
        assert late.problem["type"].endswith("stopping")

    asyncio.run(asyncio.wait_for(main(), 30))


def test_a_bug_is_not_shown_to_the_client(hold: Any, spoken: Any, echo: Any, caplog: Any) -> None:
    def fail() -> None:
        raise ZeroDivisionError("secret")

    echo.before = fail
    socket, house = hold(lambda s: say_all(s, spoken(1, 2, 2)))
    assert socket.problem["status"] == 500
    assert "secret" not in json.dumps(socket.told)
    assert socket.closed is not None
    assert socket.closed[0] == 1011
    assert "secret" in caplog.text
    assert house.how == ["internal"]


class TestOpus:
    @pytest.fixture(autouse=True)
    def av(self) -> None:
        pytest.importorskip("av", reason="needs PyAV, the 'media' extra")

    def test_a_file_in_pieces(self, hold: Any, webm: bytes) -> None:
        socket, _ = hold(lambda s: say_all(s, webm, 700, encoding="opus"))
        assert socket.told[0]["sample_rate"] == 48_000
        assert socket.told[-1]["seconds"] == pytest.approx(4.545, abs=0.01)

    def test_damage_ends_the_stream(self, hold: Any) -> None:
        socket, house = hold(lambda s: say_all(s, b"OggS" + bytes(3000), encoding="opus"))
        assert socket.problem["detail"] == "The Opus stream is damaged; expected an Ogg or WebM file."
        assert socket.closed == (4422, socket.problem["detail"])
        assert house.how == ["audio-unreadable"]

    def test_a_gap_is_not_for_a_file(self, hold: Any, webm: bytes) -> None:
        async def client(socket: Socket) -> None:
            await socket.say(type="start", encoding="opus")
            await socket.say(type="gap", seconds=1)

        socket, _ = hold(client)
        assert socket.problem["detail"].startswith("A gap came within an Opus file")

    def test_leaving_ends_the_decoder(self, hold: Any, webm: bytes) -> None:
        async def client(socket: Socket) -> None:
            await socket.say(type="start", encoding="opus")
            await socket.sound(webm[:5000])
            await socket.leave()

        _, house = hold(client)
        assert house.how == ["gone"]


@pytest.mark.parametrize(
    ("limits", "sentence"),
    [
        ({"streams": 0}, "streams is 0; expected more than 0."),
        ({"idle_seconds": float("nan")}, "idle_seconds is nan; expected more than 0."),
        ({"lag_seconds": 5.0}, "lag_seconds is 5; expected more than ahead_seconds, 5."),
    ],
)
def test_limits_that_make_no_sense(limits: Any, sentence: str) -> None:
    with pytest.raises(UsageError) as caught:
        StreamLimits(**limits)
    assert str(caught.value) == sentence
