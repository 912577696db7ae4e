"""A headless Chromium of the system's, and a service with its page for it; everything on loopback."""

from __future__ import annotations

import shutil
import threading
import wave
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

playwright = pytest.importorskip("playwright.sync_api", reason="drives a browser with playwright (the dev extra)")
pytest.importorskip("gradio", reason="needs the serve extra")

from m3ser import inference  # noqa: E402
from m3ser.serving import ServiceSettings  # noqa: E402
from m3ser.serving.server import Server  # noqa: E402

CLIPS = Path(__file__).resolve().parents[2] / "src" / "m3ser" / "bundled" / "clips"
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
PATIENCE = 120_000  # ms; for machines that do other things as well


@pytest.fixture(scope="session")
def clips() -> Path:
    return CLIPS


@pytest.fixture(scope="session")
def long_recording(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Four clips with pauses between them: more than 15 s."""
    path = tmp_path_factory.mktemp("sound") / "four.wav"
    names = ("1001_DFA_ANG_XX", "1036_ITH_NEU_XX", "1037_IOM_HAP_XX", "1066_IWW_SAD_XX")
    with wave.open(str(path), "wb") as out:
        out.setparams((1, 2, 16_000, 0, "NONE", ""))
        for name in names:
            with wave.open(str(CLIPS / f"{name}.wav")) as clip:
                out.writeframes(clip.readframes(clip.getnframes()) + bytes(2 * 16_000 * 2))
    return path


@pytest.fixture(scope="session")
def address() -> Iterator[str]:
    """A service with its page, which uses the voice alone where no words are typed."""
    settings = ServiceSettings(port=0, workers=1, lanes=1, transcriber=None, max_bytes=2_000_000, max_duration=60.0)
    recogniser = inference.load("starter", transcriber=None, threads=1)
    begun = threading.Event()
    server = Server(settings, recogniser, announce=lambda _: begun.set())
    thread = threading.Thread(target=server.serve_until_stopped)
    thread.start()
    assert begun.wait(120)
    yield server.url
    server.should_exit = True
    thread.join(60)
    assert not thread.is_alive()


@pytest.fixture(scope="session")
def launch() -> Iterator[Callable[..., Any]]:
    """Starts a browser; with a recording, that is what its microphone hears."""
    if CHROMIUM is None:
        pytest.skip("needs a Chromium (Debian: apt-get install chromium)")
    with playwright.sync_playwright() as driver:
        browsers: dict[Path | None, Any] = {}

        def start(heard: Path | None = None) -> Any:
            if heard not in browsers:
                arguments = ["--no-sandbox"]
                if heard is not None:
                    arguments += [
                        "--use-fake-device-for-media-stream",
                        "--use-fake-ui-for-media-stream",
                        f"--use-file-for-fake-audio-capture={heard}%noloop",
                    ]
                browsers[heard] = driver.chromium.launch(executable_path=CHROMIUM, args=arguments)
            return browsers[heard]

        yield start
        for browser in browsers.values():
            browser.close()


@pytest.fixture
def visit(launch: Callable[..., Any], address: str) -> Iterator[Callable[..., Any]]:
    """Opens the page; at the end, every request has to have gone to this machine, and no script to have failed."""
    contexts, elsewhere, failures = [], [], []

    def opened(heard: Path | None = None, **options: Any) -> Any:
        context = launch(heard).new_context(**options)
        context.set_default_timeout(PATIENCE)
        contexts.append(context)
        page = context.new_page()
        own = (address, address.replace("http", "ws", 1), f"blob:{address}", "data:")
        page.on("request", lambda request: request.url.startswith(own) or elsewhere.append(request.url))
        page.on("websocket", lambda socket: socket.url.startswith(own) or elsewhere.append(socket.url))
        page.on("pageerror", lambda error: failures.append(str(error)))
        page.goto(address)
        page.get_by_role("button", name="Recognise the emotion").wait_for()
        return page

    yield opened
    for context in contexts:
        context.close()
    assert elsewhere == []
    assert failures == []
