"""What may be asked, and that nonsense is refused before anything is read."""

from __future__ import annotations

import dataclasses
import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from m3ser.errors import TextError, UsageError
from m3ser.inference import TRANSCRIBE, Request
from m3ser.inference.requests import as_request


def test_a_recording_alone_asks_for_its_transcript() -> None:
    request = as_request("clip.wav")
    assert (request.audio, request.text, request.start, request.end) == ("clip.wav", TRANSCRIBE, None, None)
    assert repr(request.text) == "TRANSCRIBE"


def test_a_request_is_taken_as_it_is() -> None:
    request = Request("clip.wav", text="hello")
    assert as_request(request) is request
    with pytest.raises(dataclasses.FrozenInstanceError):
        request.text = None  # type: ignore[misc]


@pytest.mark.parametrize(
    ("audio", "file"),
    [
        ("a/clip.wav", "a/clip.wav"),
        (Path("a") / "clip.wav", str(Path("a") / "clip.wav")),
        (b"RIFF", None),
        (io.BytesIO(b"RIFF"), None),
        (np.zeros(16000, np.float32), None),
    ],
)
def test_recordings_are_called_as_the_caller_named_them(audio: Any, file: str | None) -> None:
    assert Request(audio).file == file


def test_text_alone() -> None:
    assert Request(None, text="hello").file is None


@pytest.mark.parametrize("text", [TRANSCRIBE, None])
def test_neither_audio_nor_text(text: Any) -> None:
    with pytest.raises(UsageError, match="give audio, a text, or both"):
        Request(None, text=text)


@pytest.mark.parametrize("text", [b"hello", 3, ["hello"], np.str_])
def test_text_of_another_type(text: Any) -> None:
    with pytest.raises(TextError, match="must be a string"):
        Request("clip.wav", text=text)
