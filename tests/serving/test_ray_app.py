"""The service on a Ray cluster of two workers, which the command begins and ends: on loopback, without a dashboard."""

from __future__ import annotations

import importlib.util
import json
import signal
import socket
import subprocess
import sys
import urllib.error
import urllib.request
from pathlib import Path

import pytest
from typer.testing import CliRunner

from m3ser import inference
from m3ser.cli.app import app
from m3ser.errors import M3serError, UsageError
from m3ser.inference import Recogniser
from m3ser.profile import Profile
from m3ser.serving.ray_app import Replicas, serve_on_ray
from m3ser.serving.settings import ServiceSettings


@pytest.mark.parametrize(("said", "least", "most"), [("2", 2, 2), ("1-4", 1, 4), ("3-3", 3, 3)])
def test_replicas_are_a_number_or_two(said: str, least: int, most: int) -> None:
    assert Replicas.parse(said) == Replicas(least, most)


@pytest.mark.parametrize("said", ["", "0", "4-1", "0-2", "-1", "1-", "two", "1-2-3"])
def test_what_is_no_number_of_replicas_is_said(said: str) -> None:
    with pytest.raises(UsageError, match=r"expected a number, or two as in 1-4, the smaller one first"):
        Replicas.parse(said)


def test_a_port_that_is_taken_is_said_before_ray_begins() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        settings = ServiceSettings(port=taken.getsockname()[1])
        with pytest.raises(M3serError, match=r"^Cannot listen on 127\.0\.0\.1 port \d+ \(Address already in use\)"):
            serve_on_ray(settings, Replicas(1, 1), address=None)


@pytest.mark.parametrize("field", ["profile", "profiles"])
def test_a_profile_of_another_model_is_said_before_ray_begins(field: str) -> None:
    other = Profile(name="anna", encoder="00" * 32, model="other@1", utterances=1, seconds=1.0, mean=(0.0,))
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    settings = ServiceSettings(port=port, **{field: other if field == "profile" else (other,)})
    with pytest.raises(UsageError, match=r"^Profile 'anna' was learnt with other@1, whose audio encoder is not that"):
        serve_on_ray(settings, Replicas(1, 1), address=None)


def test_options_of_ray_alone_are_refused() -> None:
    for options in (["--replicas", "2"], ["--ray-address", "auto"]):
        found = CliRunner().invoke(app, ["serve", *options])
        assert isinstance(found.exception, (UsageError, SystemExit))


def ask(address: str, content: bytes, *, query: str = "") -> tuple[int, dict[str, object]]:
    request = urllib.request.Request(
        f"{address}/v1/emotions?transcribe=false{query}", data=content, headers={"Content-Type": "audio/wav"}
    )
    try:
        with urllib.request.urlopen(request, timeout=60) as response:
            return response.status, json.load(response)
    except urllib.error.HTTPError as error:
        return error.code, json.load(error)


def heard_over_a_stream(address: str, clip: Path, recogniser: Recogniser) -> None:
    """A WebSocket goes to one of the replicas, whose finals are those of a stream in this process."""
    import soundfile

    from m3ser.client import Client

    samples, rate = soundfile.read(clip, dtype="int16")
    here = recogniser.stream(sample_rate=rate, text=None, provisional_seconds=None)
    expected = [*here.push(samples), *here.finish()]
    with Client(address) as client, client.stream(sample_rate=rate, transcribe=False) as stream:
        found = [one for one in stream.listen([samples[:20_000], samples[20_000:]]) if one.final]
    assert len(found) == len(expected) == 1
    assert found[0].label == expected[0].label == "angry"
    assert found[0].scores == pytest.approx(expected[0].scores, abs=1e-5)


@pytest.mark.slow
@pytest.mark.skipif(importlib.util.find_spec("ray") is None, reason="needs the ray extra")
def test_what_ray_does_not_manage_is_said_in_one_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    import ray
    from ray import serve
    from ray.exceptions import RayError

    def fail(**_: object) -> None:
        raise RayError("The actor died.\n  It never ran.")

    monkeypatch.setattr(serve, "start", fail)
    handlers = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            settings = ServiceSettings(port=free.getsockname()[1])
        with pytest.raises(M3serError) as said:
            serve_on_ray(settings, Replicas(1, 1), address=None)
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)
    assert str(said.value) == "The service did not start on Ray: The actor died. It never ran."
    assert not ray.is_initialized()


@pytest.mark.slow
@pytest.mark.skipif(importlib.util.find_spec("ray") is None, reason="needs the ray extra")
def test_replicas_answer_what_predict_does_and_stop_gracefully(demo_clips: Path, tmp_path: Path) -> None:
    recogniser = inference.load(transcriber=None, threads=1)
    clip = demo_clips / "1001_DFA_ANG_XX.wav"
    anna = recogniser.learn([clip], name="anna")
    anna.write(tmp_path / "anna.json")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = ["serve", "--engine", "ray", "--replicas", "2", "--no-transcriber", "--port", str(port)]
    command += ["--profiles", str(tmp_path)]
    process = subprocess.Popen([sys.executable, "-m", "m3ser", *command], stderr=subprocess.PIPE, text=True)
    try:
        assert process.stderr is not None
        address = f"http://127.0.0.1:{port}"
        said = []
        for line in process.stderr:
            said.append(line)
            if "listening on" in line:
                break
        assert f"m3ser: listening on {address}; Ctrl-C stops it.\n" in said, "".join(said)
        for path in sorted(demo_clips.glob("*.wav")):
            status, found = ask(address, path.read_bytes())
            expected = recogniser.predict(path, text=None).to_dict()
            assert status == 200
            assert found["scores"] == pytest.approx(expected["scores"], abs=1e-5)
            assert {**found, "scores": 0, "file": 0} == {**expected, "scores": 0, "file": 0}
        status, found = ask(address, clip.read_bytes(), query="&profile=anna")
        adapted = recogniser.predict(clip, text=None, profile=anna).to_dict()
        assert (status, found["model"]) == (200, adapted["model"])
        assert found["scores"] == pytest.approx(adapted["scores"], abs=1e-5)
        status, problem = ask(address, b"junk")
        assert (status, problem["type"]) == (422, "urn:m3ser:problem:audio-unreadable")
        if all(importlib.util.find_spec(name) for name in ("faster_whisper", "websockets", "httpx")):
            heard_over_a_stream(address, clip, recogniser)
        process.send_signal(signal.SIGTERM)
        assert process.wait(60) == 0
    finally:
        process.kill()
        process.communicate()
