from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from m3ser.profile import Profile

pytest.importorskip("fastapi", reason="needs the serve extra")

KEYS = "0123456789abcdef\n"


@pytest.fixture
def started(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """The settings of the services that were started, none of which was."""
    found: list[Any] = []
    monkeypatch.setattr("m3ser.serving.server.serve", lambda settings, *, announce: found.append(settings))
    return found


def test_options_become_settings(m3ser: Callable[..., Any], started: list[Any], tmp_path: Path) -> None:
    keys = tmp_path / "keys"
    keys.write_text(KEYS)
    options = "--port 0 --workers 3 --max-duration 5 --max-bytes 1000 --queue-size 7 --no-transcriber --no-page"
    options += " --max-streams 5 --max-stream-duration 60"
    result = m3ser("serve", "--host", "0.0.0.0", "--api-key-file", str(keys), *options.split())
    assert result.exit_code == 0
    assert "warning" not in result.stderr
    (settings,) = started
    assert (settings.host, settings.port, settings.workers, settings.queue_size) == ("0.0.0.0", 0, 3, 7)
    assert (settings.max_duration, settings.max_bytes, settings.page) == (5.0, 1000, False)
    assert (settings.transcriber, settings.api_keys) == (None, (KEYS.strip(),))
    assert (settings.streams.streams, settings.streams.max_seconds) == (5, 60.0)


def test_without_options_it_is_as_from_python(m3ser: Callable[..., Any], started: list[Any]) -> None:
    from m3ser.serving import ServiceSettings

    assert m3ser("serve").exit_code == 0
    assert started == [ServiceSettings()]


def test_an_open_service_beyond_this_machine_is_warned_of(m3ser: Callable[..., Any], started: list[Any]) -> None:
    assert "everybody who reaches 0.0.0.0" in m3ser("serve", "--host", "0.0.0.0").stderr
    assert "warning" not in m3ser("serve").stderr


@pytest.fixture
def anna() -> Profile:
    """Of a model that nobody has."""
    return Profile(name="anna", encoder="00" * 32, model="other@1", utterances=12, seconds=30.0, mean=(0.0,))


def test_profiles_are_read_from_a_folder(
    m3ser: Callable[..., Any], started: list[Any], anna: Profile, tmp_path: Path
) -> None:
    anna.write(tmp_path / "anna.json")
    assert m3ser("serve", "--profiles", str(tmp_path)).exit_code == 0
    assert [settings.profiles for settings in started] == [(anna,)]


def test_profiles_that_are_none_are_one_sentence(
    m3ser: Callable[..., Any], started: list[Any], anna: Profile, tmp_path: Path
) -> None:
    result = m3ser("serve", "--profiles", str(tmp_path))
    assert result.exit_code == 1
    assert result.stderr.endswith(" holds no profile; expected files NAME.json, as m3ser adapt writes them.\n")
    anna.write(tmp_path / "a.json")
    anna.write(tmp_path / "b.json")
    result = m3ser("serve", "--profiles", str(tmp_path))
    assert result.exit_code == 1
    assert "are both called 'anna'" in result.stderr
    (tmp_path / "b.json").write_text("no JSON")
    result = m3ser("serve", "--profiles", str(tmp_path))
    assert result.exit_code == 1
    assert "b.json' is not a profile" in result.stderr
    assert started == []


def test_a_profile_of_another_model_is_said_at_the_start(
    m3ser: Callable[..., Any], starter: Path, anna: Profile, tmp_path: Path
) -> None:
    anna.write(tmp_path / "anna.json")
    result = m3ser("serve", "--port", "0", "--no-transcriber", "--no-page", "--profiles", str(tmp_path))
    assert result.exit_code == 2
    assert "Profile 'anna' was learnt with other@1, whose audio encoder is not that of starter@" in result.stderr


def test_a_missing_extra_is_one_sentence() -> None:
    # In a process of its own: what other tests have imported would be there without the extra.
    lacking = "import sys; sys.modules['fastapi'] = None; sys.argv = ['m3ser', 'serve']; import m3ser.__main__"
    result = subprocess.run([sys.executable, "-c", lacking], capture_output=True, text=True, check=False)
    assert result.returncode == 1
    assert result.stderr == "m3ser: m3ser serve needs the 'serve' extra: pip install \"m3ser[serve]\".\n"


def test_a_busy_port_is_one_sentence(m3ser: Callable[..., Any]) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        result = m3ser("serve", "--port", str(other.getsockname()[1]))
    assert result.exit_code == 1
    assert "Cannot listen on 127.0.0.1 port" in result.stderr


def test_two_transcribers_make_no_sense(m3ser: Callable[..., Any]) -> None:
    assert m3ser("serve", "--transcriber", "moonshine", "--no-transcriber").exit_code == 2


@pytest.mark.slow
def test_it_starts_answers_and_stops(starter: Path, repository: Path) -> None:
    import httpx

    command = [sys.executable, "-m", "m3ser", "serve", "--port", "0", "--no-transcriber", "--no-page", "--workers", "1"]
    env = {**os.environ, "NO_COLOR": ""}
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env=env) as service:
        assert service.stderr is not None
        try:
            lines = iter(service.stderr.readline, "")
            address = next(found[0] for line in lines if (found := re.search(r"http://[\d.:]+", line)))
            assert httpx.post(address + "/v1/emotions", json={"text": "I am so happy."}).json()["label"] == "happy"
            service.send_signal(signal.SIGTERM)
            assert service.wait(60) == 0
        finally:
            service.kill()
        rest = list(lines)
    assert len(rest) == 1
    assert "happy" not in rest[0]
