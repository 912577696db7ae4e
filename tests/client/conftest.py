"""A service on this machine for the client to talk to."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from numpy.typing import NDArray

from m3ser import inference
from m3ser.profile import Profile

KEY = "a-key-for-the-tests"


@pytest.fixture(scope="session")
def api_key() -> str:
    return KEY


@pytest.fixture(scope="session")
def recogniser() -> inference.Recogniser:
    """The starter model, by the voice alone."""
    return inference.load(transcriber=None, threads=1)


@pytest.fixture(scope="session")
def anna(recogniser: inference.Recogniser, demo_clip: Path) -> Profile:
    """A profile that the service knows by that name."""
    return recogniser.learn([demo_clip], name="anna")


@contextmanager
def serving(
    recogniser: inference.Recogniser, keys: tuple[str, ...], profiles: tuple[Profile, ...] = ()
) -> Iterator[Any]:
    """A service on a free port, in a thread of its own."""
    pytest.importorskip("fastapi", reason="needs the 'serve' extra")
    from m3ser.serving.server import Server
    from m3ser.serving.settings import ServiceSettings

    started = threading.Event()
    settings = ServiceSettings(port=0, transcriber=None, workers=1, api_keys=keys, profiles=profiles)
    server = Server(settings, recogniser, announce=lambda url: started.set())
    thread = threading.Thread(target=server.serve_until_stopped)
    thread.start()
    assert started.wait(60)
    try:
        yield server
    finally:
        server.should_exit = True
        thread.join(60)
        assert not thread.is_alive()


@pytest.fixture(scope="session")
def server(recogniser: inference.Recogniser, anna: Profile) -> Iterator[Any]:
    """A service that asks for :func:`api_key`, with a profile."""
    with serving(recogniser, (KEY,), (anna,)) as server:
        yield server


@pytest.fixture
def open_server(recogniser: inference.Recogniser) -> Iterator[Any]:
    """A service that asks for no key."""
    with serving(recogniser, ()) as server:
        yield server


@pytest.fixture(scope="session")
def recording(demo_clips: Path, demo_rows: list[dict[str, str]]) -> NDArray[np.int16]:
    """Three clips with pauses of 1.5 s around them, 16 kHz."""
    pause = np.zeros(24_000, np.int16)
    clips = [soundfile.read(demo_clips / row["audio"], dtype="int16")[0] for row in demo_rows[:3]]
    return np.concatenate([part for clip in clips for part in (pause, clip)] + [pause])
