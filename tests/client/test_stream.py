"""Live speech through the client, against a real service; and the JavaScript example."""

from __future__ import annotations

import asyncio
import json
import re
import shutil
import subprocess
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

from m3ser.client import AsyncClient, Client
from m3ser.client.protocol import Protocol
from m3ser.errors import ServiceError, UsageError
from m3ser.profile import Profile
from m3ser.schema import Segment

pytest.importorskip("websockets", reason="needs the 'client' extra")
pytest.importorskip("faster_whisper", reason="the service hears with Silero (the asr extra)")


@pytest.fixture(scope="module")
def client(server: Any, api_key: str) -> Iterator[Client]:
    with Client(server.url, api_key=api_key) as client:
        yield client


@pytest.fixture(scope="module")
def expected(recogniser: Any, recording: Any) -> list[tuple[float, float, str]]:
    found = brief(recogniser.timeline(recording, sample_rate=16_000, text=None))
    assert len(found) >= 3
    return found


def brief(segments: Any) -> list[tuple[float, float, str]]:
    return [(round(s.start, 3), round(s.end, 3), s.label) for s in segments if s.final]


def in_chunks(samples: Any, size: int = 4000) -> list[Any]:
    return [samples[place : place + size] for place in range(0, len(samples), size)]


def test_segments_come_while_chunks_go(client: Client, recording: Any, expected: Any) -> None:
    with client.stream(transcribe=False, provisional_seconds=None) as stream:
        assert brief(stream.listen(in_chunks(recording))) == expected
        assert stream.totals == {
            "type": "done",
            "seconds": round(len(recording) / 16_000, 3),
            "segments": len(expected),
        }
        assert stream.seconds == pytest.approx(len(recording) / 16_000)


def test_floats_both_channels_gaps_and_an_offset(client: Client, recording: Any, expected: Any) -> None:
    both = np.stack([recording, recording], axis=1) / 32_768
    with client.stream(transcribe=False, provisional_seconds=None, channels=2, offset=100.0) as stream:
        stream.skip(1.6)
        stream.send(both)
        stream.finish()
        found = brief(stream)
    assert [label for *_, label in found] == [label for *_, label in expected]
    for one, other in zip(found, expected, strict=True):
        assert one[:2] == (pytest.approx(other[0] + 101.6, abs=0.07), pytest.approx(other[1] + 101.6, abs=0.07))


def test_provisional_segments_are_asked_for(client: Client, recording: Any) -> None:
    with client.stream(transcribe=False) as stream:
        assert {segment.final for segment in stream.listen(in_chunks(recording, 1600))} == {True, False}


def test_by_a_profile(client: Client, recogniser: Any, anna: Profile, recording: Any) -> None:
    expected = recogniser.timeline(recording, sample_rate=16_000, text=None, profile=anna)
    with client.stream(transcribe=False, provisional_seconds=None, profile="anna") as stream:
        found = [segment.scores for segment in stream.listen(in_chunks(recording))]
    assert found == [pytest.approx(segment.scores, abs=1e-5) for segment in expected]
    with pytest.raises(UsageError, match="The profile 'bert' is not known"), client.stream(profile="bert"):
        pass


def test_what_the_service_refuses_is_raised(client: Client, server: Any) -> None:
    with pytest.raises(UsageError, match="is no code of a language"), client.stream(language="klingonisch"):
        pass
    with Client(server.url) as stranger, pytest.raises(ServiceError, match="asks for an API key"), stranger.stream():
        pass
    with client.stream() as stream, pytest.raises(UsageError, match="A message of sound has 3 bytes"):
        list(stream.listen([b"123"]))


def test_what_the_chunks_raise_is_raised(client: Client) -> None:
    def broken() -> Iterator[bytes]:
        yield bytes(3200)
        raise ZeroDivisionError("no microphone")

    with client.stream() as stream, pytest.raises(ZeroDivisionError, match="no microphone"):
        list(stream.listen(broken()))
    with client.stream() as stream, pytest.raises(UsageError, match="not a waveform"):
        list(stream.listen([np.zeros((2, 2, 2))]))


def test_a_lost_connection_says_where_to_go_on(client: Client) -> None:
    with client.stream() as stream:
        stream.send(bytes(32_000))
        stream._connection.socket.shutdown(2)
        with pytest.raises(ServiceError, match=r"was lost after 1\.0 s; begin another stream with an offset"):
            list(stream)
        stream.send(bytes(32_000))  # nobody hears it, and nothing breaks
        assert stream.seconds == 2.0


def test_with_await(server: Any, api_key: str, recording: Any, expected: Any) -> None:
    async def microphone() -> AsyncIterator[Any]:
        for chunk in in_chunks(recording):
            yield chunk

    async def broken() -> AsyncIterator[Any]:
        yield bytes(3200)
        raise ZeroDivisionError("no microphone")

    async def listen() -> None:
        async with AsyncClient(server.url, api_key=api_key) as client:
            async with client.stream(transcribe=False, provisional_seconds=None) as stream:
                found: list[Segment] = [segment async for segment in stream.listen(microphone())]
                assert brief(found) == expected
                assert stream.totals is not None
            async with client.stream(transcribe=False, provisional_seconds=None) as stream:
                await stream.skip(1.0)
                await stream.send(recording)
                await stream.finish()
                assert len([segment async for segment in stream]) == len(expected)
                assert stream.seconds == pytest.approx(1.0 + len(recording) / 16_000)
            async with client.stream() as stream:
                with pytest.raises(UsageError, match="A message of sound has 3 bytes"):
                    _ = [segment async for segment in stream.listen([b"123"])]
            async with client.stream() as stream:
                with pytest.raises(ZeroDivisionError, match="no microphone"):
                    _ = [segment async for segment in stream.listen(broken())]
            with pytest.raises(UsageError, match="is no code of a language"):
                async with client.stream(language="klingonisch"):
                    pass
            with pytest.raises(UsageError, match="The profile 'bert' is not known"):
                async with client.stream(profile="bert"):
                    pass
        async with AsyncClient("http://127.0.0.1:9") as nobody:
            with pytest.raises(ServiceError, match="does not answer"):
                async with nobody.stream():
                    pass

    asyncio.run(asyncio.wait_for(listen(), 60))


def test_opus_takes_bytes_alone() -> None:
    protocol = Protocol(sample_rate=16_000, channels=1, encoding="opus", provisional_seconds=None, language=None)
    assert json.loads(protocol.start) == {"type": "start", "encoding": "opus", "provisional_seconds": None}
    assert b"".join(protocol.sound(bytes(100_001))) == bytes(100_001)
    with pytest.raises(UsageError, match="takes bytes"):
        list(protocol.sound(np.zeros(10)))


@pytest.mark.parametrize("message", ["hello", "[]", "{}", '{"type": "segment"}'])
def test_a_service_that_speaks_otherwise(message: str) -> None:
    protocol = Protocol(sample_rate=16_000, channels=1, encoding="pcm_s16le")
    with pytest.raises(ServiceError, match="is none of a stream's"):
        protocol.heard(message)


def node() -> list[str]:
    """The command that runs the example; skips where there is none."""
    found = shutil.which("node")
    if found is None:
        pytest.skip("needs Node 20.10 or later to run the JavaScript example, and there is no node here")
    version = subprocess.run([found, "--version"], capture_output=True, text=True, check=True).stdout
    major, minor = map(int, re.findall(r"\d+", version)[:2])
    if (major, minor) < (20, 10):
        pytest.skip(f"needs Node 20.10 or later to run the JavaScript example; this is {version.strip()}")
    return [found] if major >= 22 else [found, "--experimental-websocket"]


@pytest.mark.slow
def test_the_example_in_javascript(
    recogniser: Any, recording: Any, expected: Any, repository: Path, tmp_path: Path, open_server: Any
) -> None:
    path = tmp_path / "call.wav"
    soundfile.write(path, recording, 16_000)
    example = repository / "examples" / "stream.mjs"
    url = open_server.url.replace("http", "ws") + "/v1/stream"
    found = subprocess.run([*node(), str(example), str(path), url], capture_output=True, text=True, timeout=60)
    assert found.returncode == 0, found.stderr
    lines = [line.split() for line in found.stdout.splitlines() if line.startswith("true ")]
    assert [(float(start), float(end), label) for _, start, end, label in lines] == expected
    assert f"segments: {len(expected)}" in found.stdout
    assert len(example.read_text(encoding="utf-8").splitlines()) <= 35
    nobody = subprocess.run([*node(), str(example), str(path), "ws://127.0.0.1:9"], capture_output=True, text=True)
    assert nobody.returncode == 1
    assert "cannot be reached" in nobody.stderr
