"""What needs a socket: disconnects, slow senders, chunks, a stop that answers what was accepted."""

from __future__ import annotations

import http.client
import json
import socket
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest

from m3ser.errors import M3serError
from m3ser.inference import Recogniser
from m3ser.serving import server as module
from m3ser.serving.server import Server


def connect(server: Any) -> socket.socket:
    address = urlsplit(server.address)
    return socket.create_connection((address.hostname, address.port), timeout=30)


def head(*lines: str, path: str = "/v1/emotions") -> bytes:
    return "\r\n".join((f"POST {path} HTTP/1.1", "host: x", "content-type: audio/wav", *lines, "", "")).encode()


def answer(connection: socket.socket) -> tuple[int, dict[str, Any], http.client.HTTPResponse]:
    response = http.client.HTTPResponse(connection)
    response.begin()
    return response.status, json.loads(response.read()), response


def until(condition: Any) -> None:
    end = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.01)


def test_ten_gigabytes_are_refused_by_their_head(live: Server) -> None:
    with connect(live) as connection:
        connection.sendall(head("content-length: 10000000000"))
        status, problem, response = answer(connection)
        assert (status, problem["type"]) == (413, "urn:m3ser:problem:body-too-large")
        assert response.headers["connection"] == "close"
        assert connection.recv(1) == b""


def test_chunks_are_counted(live: Server) -> None:
    with connect(live) as connection:
        connection.sendall(head("transfer-encoding: chunked"))
        sent = 0
        with suppress(OSError):  # the connection is closed in the middle of them
            while sent < 1_000:
                connection.sendall(b"%x\r\n" % 100_000 + bytes(100_000) + b"\r\n")
                sent += 1
    assert sent < 1_000
    assert httpx.get(live.address + "/livez").status_code == 200


def test_chunks_are_put_together(live: Server, demo_clip: Path, recogniser: Recogniser) -> None:
    content = demo_clip.read_bytes()
    with connect(live) as connection:
        connection.sendall(head("transfer-encoding: chunked", path="/v1/emotions?transcribe=false"))
        for begin in range(0, len(content), 7_001):
            piece = content[begin : begin + 7_001]
            connection.sendall(b"%x\r\n" % len(piece) + piece + b"\r\n")
        connection.sendall(b"0\r\n\r\n")
        status, found, _ = answer(connection)
    assert status == 200
    assert found["scores"] == pytest.approx(recogniser.predict(demo_clip, text=None).to_dict()["scores"], abs=1e-5)


def test_a_slow_sender_is_cut_off(live: Server) -> None:
    with connect(live) as connection:
        connection.sendall(head("content-length: 1000000") + b"RIFF")
        status, problem, response = answer(connection)
        assert (status, problem["type"]) == (408, "urn:m3ser:problem:body-too-slow")
        assert response.headers["connection"] == "close"


def test_a_slow_head_is_cut_off(live: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_HEAD_SECONDS", 0.2)
    with connect(live) as connection:
        connection.sendall(b"GET /livez HTTP/1.1\r\nhost: x\r\n")
        assert connection.recv(1) == b""


def test_a_refused_small_body_leaves_the_connection_usable(live: Server) -> None:
    address = urlsplit(live.address)
    connection = http.client.HTTPConnection(str(address.hostname), address.port, timeout=30)
    for _ in range(2):
        connection.request("POST", "/v1/emotions", body=bytes(500_000), headers={"content-type": "text/plain"})
        response = connection.getresponse()
        assert response.status == 415
        response.read()
        assert not response.will_close
    connection.close()


def test_whoever_hangs_up_is_dropped_from_the_queue(gated: Any, running: Any) -> None:
    with running(gated, queue_size=4) as server:
        service = server.service
        gated.gate.clear()
        body = json.dumps({"text": "hello"}).encode()
        lines = ("POST /v1/emotions HTTP/1.1", "host: x", "content-type: application/json", "content-length: 17")
        request = "\r\n".join((*lines, "", "")).encode() + body
        assert len(body) == 17
        stays, hangs_up = connect(server), connect(server)
        stays.sendall(request)
        until(lambda: service._taken_on == 1 and not service._engine._waiting)
        hangs_up.sendall(request)
        until(lambda: service._taken_on == 2)
        hangs_up.close()
        until(lambda: service._taken_on == 1)
        done = len(gated.batches)
        gated.gate.set()
        assert answer(stays)[0] == 200
        stays.close()
        until(lambda: not service._taken_on)
        assert gated.batches[done:] == [1]


def test_a_stop_answers_what_was_accepted(gated: Any, running: Any) -> None:
    with running(gated) as server, ThreadPoolExecutor(1) as pool:
        gated.gate.clear()
        accepted = pool.submit(httpx.post, server.address + "/v1/emotions", json={"text": "hello"}, timeout=30)
        until(lambda: server.service._taken_on == 1)
        server.should_exit = True
        until(lambda: not server.servers[0].is_serving())
        with pytest.raises(httpx.TransportError):
            httpx.get(server.address + "/livez", timeout=5)
        gated.gate.set()
        assert accepted.result(30).status_code == 200


def test_a_stop_takes_no_longer_than_it_may(gated: Any, running: Any) -> None:
    with running(gated, stop_seconds=1.0) as server, ThreadPoolExecutor(1) as pool:
        gated.gate.clear()
        accepted = pool.submit(httpx.post, server.address + "/v1/emotions", json={"text": "hello"}, timeout=30)
        until(lambda: server.service._taken_on == 1)
        server.should_exit = True
        threading.Timer(3.0, gated.gate.set).start()  # the model cannot be interrupted, the client can
        response = accepted.result(30)
        assert (response.status_code, response.json()["type"]) == (503, "urn:m3ser:problem:stopping")


def test_nothing_is_crossed_between_clients(live: Server, recogniser: Recogniser, demo_clips: Path) -> None:
    clips = sorted(demo_clips.glob("*.wav"))
    want = {clip.name: recogniser.predict(clip, text=None).to_dict()["scores"] for clip in clips}

    def ask(clip: Path) -> tuple[str, dict[str, Any]]:
        with httpx.Client(timeout=60) as client:
            data = {"transcribe": "false"}
            content = {"file": (clip.name, clip.read_bytes())}
            return clip.name, client.post(live.address + "/v1/emotions", files=content, data=data).json()

    with ThreadPoolExecutor(8) as pool:
        for name, found in pool.map(ask, clips * 2):
            assert found["file"] == name
            assert found["scores"] == pytest.approx(want[name], abs=1e-5)


def test_a_busy_port_is_one_sentence(live: Server, recogniser: Recogniser, settings: Any) -> None:
    port = urlsplit(live.address).port
    with pytest.raises(M3serError, match=rf"^Cannot listen on 127.0.0.1 port {port} \(.+\); --port chooses"):
        Server(replace(settings, port=port), recogniser)
