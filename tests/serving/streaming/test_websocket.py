"""Streams over real connections: what the service hears is what a timeline finds."""

from __future__ import annotations

import json
import socket
import struct
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from numpy.typing import NDArray

from m3ser import inference
from m3ser.profile import Profile
from m3ser.serving.server import Server
from m3ser.serving.settings import ServiceSettings
from m3ser.serving.streaming.limits import StreamLimits

pytest.importorskip("websockets", reason="needs websockets, the 'client' extra")

from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect

KEY = "a-key-for-the-tests"


@contextmanager
def serving(recogniser: Any, **options: Any) -> Iterator[Server]:
    """A service on a free port of this machine, in a thread of its own."""
    started = threading.Event()
    settings = ServiceSettings(port=0, transcriber=None, workers=1, **options)
    server = Server(settings, recogniser, announce=lambda url: started.set())
    thread = threading.Thread(target=server.serve_until_stopped)
    thread.start()
    try:
        assert started.wait(60)
        yield server
    finally:
        server.should_exit = True
        thread.join(60)
        assert not thread.is_alive()


@pytest.fixture(scope="module")
def recogniser() -> inference.Recogniser:
    pytest.importorskip("faster_whisper", reason="hears with Silero (the asr extra)")
    return inference.load(transcriber=None, threads=1)


@pytest.fixture(scope="module")
def anna(recogniser: inference.Recogniser, demo_clip: Path) -> Profile:
    return recogniser.learn([demo_clip], name="anna")


@pytest.fixture(scope="module")
def server(recogniser: inference.Recogniser, anna: Profile) -> Iterator[Server]:
    with serving(recogniser, api_keys=(KEY,), profiles=(anna,)) as server:
        yield server


@contextmanager
def connected(server: Server, **options: Any) -> Iterator[Any]:
    url = server.url.replace("http", "ws") + "/v1/stream"
    with connect(url, proxy=None, compression=None, **options) as connection:
        yield connection


def start(connection: Any, **said: Any) -> dict[str, Any]:
    connection.send(json.dumps({"type": "start", "api_key": KEY, **said}))
    ready: dict[str, Any] = json.loads(connection.recv(timeout=30))
    return ready


def rest(connection: Any) -> list[dict[str, Any]]:
    """Everything that is said until the connection is closed, however that is."""
    found = []
    with suppress(ConnectionClosed):
        while True:
            found.append(json.loads(connection.recv(timeout=60)))
    return found


@pytest.fixture(scope="module")
def recording(demo_clips: Path, demo_rows: list[dict[str, str]]) -> NDArray[np.int16]:
    """Five clips with pauses of 1.5 s around them, 16 kHz."""
    pause = np.zeros(24_000, np.int16)
    clips = [soundfile.read(demo_clips / row["audio"], dtype="int16")[0] for row in demo_rows[:5]]
    return np.concatenate([part for clip in clips for part in (pause, clip)] + [pause])


@pytest.mark.parametrize("size", [999, 50_000])
def test_finals_are_a_timelines(
    server: Server, recogniser: inference.Recogniser, recording: NDArray[np.int16], size: int
) -> None:
    expected = [s.to_dict() for s in recogniser.timeline(recording, sample_rate=16_000, text=None)]
    assert len(expected) >= 5
    with connected(server) as connection:
        assert start(connection, provisional_seconds=None)["type"] == "ready"
        for place in range(0, len(recording), size):
            connection.send(recording[place : place + size].tobytes())
        connection.send('{"type": "finish"}')
        *segments, done = rest(connection)
    assert done == {"type": "done", "seconds": round(len(recording) / 16_000, 3), "segments": len(expected)}
    for found, wanted in zip(segments, expected, strict=True):
        scores = found.pop("scores")
        np.testing.assert_allclose(
            [scores[x] for x in wanted["scores"]], list(wanted.pop("scores").values()), atol=1e-5
        )
        assert found == {"type": "segment", "final": True, **wanted}


def test_finals_by_a_profile_are_a_timelines(
    server: Server, recogniser: inference.Recogniser, anna: Profile, recording: NDArray[np.int16]
) -> None:
    heard = recording[:150_000]
    expected = list(recogniser.timeline(heard, sample_rate=16_000, text=None, profile=anna))
    with connected(server) as connection:
        assert start(connection, profile="anna", provisional_seconds=None)["model"] == f"{recogniser.name}+anna"
        connection.send(heard.tobytes())
        connection.send('{"type": "finish"}')
        *segments, _ = rest(connection)
    assert [one["scores"] for one in segments] == [pytest.approx(one.scores, abs=1e-5) for one in expected]
    usual = next(iter(recogniser.timeline(heard, sample_rate=16_000, text=None)))
    assert segments[0]["scores"] != pytest.approx(usual.scores, abs=1e-3)


def test_a_profile_that_is_not_known(server: Server) -> None:
    with connected(server) as connection:
        problem = start(connection, profile="../anna")["problem"]
        assert (problem["status"], problem["type"]) == (400, "urn:m3ser:problem:bad-message")
        assert problem["detail"] == "The profile '../anna' is not known; known are anna."
        assert rest(connection) == []
        assert connection.close_code == 4400
    with connected(server) as connection:  # names are for those who may ask
        assert "anna" not in start(connection, api_key="another", profile="bert")["problem"]["detail"]


def test_finals_of_opus_are_those_of_the_same_file(
    server: Server, recogniser: inference.Recogniser, recording: NDArray[np.int16], to_opus: Callable[..., bytes]
) -> None:
    data = to_opus((recording[:200_000] / 32_768).astype(np.float32), "webm")
    expected = [s.to_dict() for s in recogniser.timeline(data, text=None)]
    assert len(expected) >= 2
    with connected(server) as connection:
        start(connection, encoding="opus", provisional_seconds=None)
        for place in range(0, len(data), 1500):
            connection.send(data[place : place + 1500])
        connection.send('{"type": "finish"}')
        *segments, _ = rest(connection)
    assert [(s["start"], s["end"], s["label"]) for s in segments] == [
        (s["start"], s["end"], s["label"]) for s in expected
    ]


def test_a_key_is_taken_from_the_headers_or_the_first_message(server: Server) -> None:
    with connected(server, additional_headers={"X-API-Key": KEY}) as connection:
        assert start(connection, api_key=None)["type"] == "ready"
    with connected(server) as connection:
        refused = start(connection, api_key="another")
        assert refused["problem"]["detail"].startswith("The API key is not one of this service's; expected")
        assert rest(connection) == []
        assert (connection.close_code, connection.close_reason) == (4401, refused["problem"]["detail"][:123])
    with connected(server) as connection:
        assert start(connection, api_key=None)["problem"]["status"] == 401


def test_a_message_beyond_the_limit_is_never_held(server: Server) -> None:
    with connected(server) as connection:
        start(connection)
        connection.send(bytes(StreamLimits().message_bytes + 2))
        assert rest(connection) == []
        assert connection.close_code == 1009


def test_a_connection_that_breaks_off_frees_its_place(server: Server) -> None:
    streams = server._streams
    with connected(server) as connection:
        start(connection)
        connection.send(bytes(3200))
        # Without a word: as when a cable is pulled.
        connection.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        connection.socket.close()
    for _ in range(600):
        if streams._places == streams.limits.streams:
            break
        threading.Event().wait(0.05)
    assert streams._places == streams.limits.streams


def test_what_streams_do_is_counted(server: Server) -> None:
    page = server.service.metrics.page().decode()
    assert 'm3ser_streams_ended_total{how="done"}' in page
    assert "m3ser_stream_lag_seconds_bucket" in page


def test_a_stop_answers_what_was_heard(recogniser: inference.Recogniser, recording: NDArray[np.int16]) -> None:
    with serving(recogniser) as server, connected(server) as connection:
        start(connection, api_key=None, provisional_seconds=None)
        connection.send(recording[: 24_000 + 32_000].tobytes())
        while not server.service.metrics.registry.get_sample_value("m3ser_stream_audio_seconds_total"):
            threading.Event().wait(0.02)
        server.should_exit = True
        *segments, problem = rest(connection)
    assert [s["final"] for s in segments] == [True]
    assert problem["problem"]["type"] == "urn:m3ser:problem:stopping"
    assert connection.close_code == 1012
