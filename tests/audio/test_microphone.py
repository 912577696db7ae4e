"""Chunks of sound as they are spoken. No test needs a device: PortAudio is played by the tests."""

from __future__ import annotations

import sys
import threading
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import soundfile

from m3ser.audio import microphone
from m3ser.audio.microphone import Gap
from m3ser.errors import AudioDeviceError, AudioReadError, MissingExtraError


@pytest.fixture
def portaudio(monkeypatch: pytest.MonkeyPatch) -> Any:
    """sounddevice with one microphone, which the test speaks into by `say`."""

    class InputStream:
        def __init__(self, *, device: Any, callback: Any, **options: Any) -> None:
            if device == "none":
                raise ValueError("No input device matching 'none'")
            fake.options = {"device": device, **options}
            fake.say = lambda samples: callback(np.asarray(samples, np.float32)[:, None], len(samples), None, None)

        def __enter__(self) -> None:
            fake.open = True

        def __exit__(self, *_: object) -> None:
            fake.open = False

    fake = SimpleNamespace(InputStream=InputStream, PortAudioError=type("PortAudioError", (Exception,), {}), open=None)
    monkeypatch.setitem(sys.modules, "sounddevice", fake)
    return fake


def test_what_is_said_comes_in_order_and_the_device_is_closed(portaudio: Any) -> None:
    heard = microphone.listen("usb")
    threading.Timer(0.05, lambda: [portaudio.say([i / 10] * 1600) for i in range(3)]).start()
    chunks = [next(heard) for _ in range(3)]
    assert [float(chunk[0]) for chunk in chunks if not isinstance(chunk, Gap)] == pytest.approx([0, 0.1, 0.2])
    assert portaudio.options["device"] == "usb"
    assert (portaudio.options["samplerate"], portaudio.options["blocksize"]) == (16_000, 1600)
    assert portaudio.open
    heard.close()
    assert not portaudio.open


def test_who_is_too_slow_is_told_what_was_lost_where_it_was_lost(
    portaudio: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(microphone, "_MOST_WAITING", 4)
    heard = microphone.listen()
    threading.Timer(0.05, lambda: portaudio.say([0.0] * 1600)).start()
    next(heard)
    for i in range(1, 8):  # four find room, three do not
        portaudio.say([i / 10] * 1600)
    for _ in range(2):
        next(heard)
    portaudio.say([0.8] * 1600)  # room for the gap and for this
    rest = [next(heard) for _ in range(4)]
    assert [one if isinstance(one, Gap) else round(float(one[0]), 1) for one in rest] == [0.3, 0.4, Gap(0.3), 0.8]
    heard.close()


def test_a_device_that_falls_silent_is_said(portaudio: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(microphone, "_SILENT_FOR", 0.05)
    with pytest.raises(AudioDeviceError, match=r"no sound for 0.05 s; was it unplugged"):
        next(microphone.listen())
    assert not portaudio.open


@pytest.mark.usefixtures("portaudio")
def test_an_unknown_device_is_one_sentence() -> None:
    with pytest.raises(
        AudioDeviceError, match=r"No microphone 'none' can be opened \(No input device matching 'none'\)"
    ):
        next(microphone.listen("none"))


def test_without_the_package_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "sounddevice", None)
    with pytest.raises(MissingExtraError, match=r"needs the 'live' extra"):
        next(microphone.listen())


def test_without_portaudio_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "sounddevice.py").write_text("raise OSError('PortAudio library not found')")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "sounddevice", raising=False)
    with pytest.raises(AudioDeviceError, match=r"PortAudio is not installed.*libportaudio2"):
        next(microphone.listen())


def test_a_recording_is_played_whole_at_its_own_pace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    waveform = np.random.default_rng(0).uniform(-0.5, 0.5, 4_000).astype(np.float32)
    soundfile.write(tmp_path / "a.wav", waveform, 16_000, "FLOAT")
    clock = SimpleNamespace(now=100.0)
    waits = []

    def sleep(seconds: float) -> None:
        waits.append(seconds)
        clock.now += seconds

    monkeypatch.setattr(microphone.time, "sleep", sleep)
    chunks = []
    for chunk in microphone.play(tmp_path / "a.wav", clock=lambda: clock.now):
        chunks.append(chunk)
        clock.now += 0.03  # the listener's work
    assert [len(chunk) for chunk in chunks] == [1600, 1600, 800]
    np.testing.assert_array_equal(np.concatenate(chunks), waveform)
    assert waits == pytest.approx([0.1, 0.07, 0.02])
    np.testing.assert_array_equal(np.concatenate(list(microphone.play(tmp_path / "a.wav", clock=None))), waveform)


def test_a_recording_that_is_not_there_is_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(AudioReadError, match=r"missing\.wav"):
        next(microphone.play(tmp_path / "missing.wav", clock=None))
