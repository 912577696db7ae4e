from __future__ import annotations

import sys
from itertools import pairwise

import numpy as np
import pytest
from numpy.typing import NDArray

from m3ser.errors import MissingExtraError, UsageError
from m3ser.text.asr import (
    MoonshineTranscriber,
    TimedText,
    Transcriber,
    Transcript,
    available_transcribers,
    default_transcriber,
    get_transcriber,
    speech_spans,
    voice_activity,
)

Clips = list[tuple[NDArray[np.float32], str]]


class Parrot:
    """The smallest thing that is a transcriber."""

    name = "parrot"

    def transcribe(self, waveform: NDArray[np.float32]) -> Transcript:
        said = TimedText(0.0, len(waveform) / 16_000, "hello")
        return Transcript("hello", (said,), (said,), "en", self.name)


def test_anything_of_that_shape_is_a_transcriber() -> None:
    assert isinstance(Parrot(), Transcriber)
    assert not isinstance(object(), Transcriber)


def test_names(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("moonshine_voice")
    pytest.importorskip("faster_whisper")
    assert available_transcribers() == ("moonshine", "faster-whisper")
    assert get_transcriber("moonshine").name == "moonshine"
    assert get_transcriber("faster-whisper").name == "faster-whisper:small"
    assert get_transcriber("faster-whisper:tiny.en").name == "faster-whisper:tiny.en"
    assert isinstance(default_transcriber(), MoonshineTranscriber)
    monkeypatch.setitem(sys.modules, "moonshine_voice", None)
    assert available_transcribers() == ("faster-whisper",)
    assert default_transcriber() is None


@pytest.mark.parametrize("name", ["whisper", "", "moonshine:base", "faster-whisper:", "MOONSHINE"])
def test_unknown_names(name: str) -> None:
    with pytest.raises(UsageError, match=f"no transcriber '{name}'; known are moonshine, faster-whisper and"):
        get_transcriber(name)


def test_nothing_is_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "moonshine_voice", None)
    monkeypatch.setitem(sys.modules, "faster_whisper", None)
    monkeypatch.setitem(sys.modules, "faster_whisper.vad", None)
    assert available_transcribers() == ()
    assert default_transcriber() is None
    for name in ("moonshine", "faster-whisper"):
        with pytest.raises(MissingExtraError, match=r'pip install "m3ser\[asr\]"'):
            get_transcriber(name)
    with pytest.raises(MissingExtraError, match="Finding speech"):
        speech_spans(np.zeros(16_000, dtype=np.float32))


@pytest.fixture(scope="module")
def conversation(clips: Clips) -> tuple[NDArray[np.float32], list[tuple[int, int]]]:
    """The demo clips one after the other with pauses, in a quiet room, and where each one lies."""
    pytest.importorskip("faster_whisper")
    parts: list[NDArray[np.float32]] = []
    places, at = [], 0
    for waveform, _ in clips:
        parts += [waveform, np.zeros(12_000, dtype=np.float32)]
        places.append((at, at + len(waveform)))
        at += len(waveform) + 12_000
    waveform = np.concatenate(parts)
    room = np.random.default_rng(0).normal(0, 1e-4, len(waveform)).astype(np.float32)
    return waveform + room, places


def test_speech_is_found_where_it_is(conversation: tuple[NDArray[np.float32], list[tuple[int, int]]]) -> None:
    waveform, places = conversation
    spans = speech_spans(waveform)
    assert len(spans) == len(places)
    for (start, end), (first, last) in zip(spans, places, strict=True):
        assert first - 3_200 <= start < end <= last + 3_200
        assert end - start > (last - first) / 4  # the last one is sad and all but whispered


def test_blocks_do_not_show(
    conversation: tuple[NDArray[np.float32], list[tuple[int, int]]], monkeypatch: pytest.MonkeyPatch
) -> None:
    waveform, _ = conversation
    whole = speech_spans(waveform)
    for seconds in (7.0, 11.3, 17.0):
        monkeypatch.setattr(voice_activity, "_BLOCK_SECONDS", seconds)
        spans = speech_spans(waveform, max_seconds=5.0)
        assert len(spans) == len(whole)
        # Silero starts afresh with each block, which moves a boundary by some of its frames.
        assert np.abs(np.array(spans) - np.array(whole)).max() <= 16 * 512


def test_long_speech_is_cut(clips: Clips) -> None:
    pytest.importorskip("faster_whisper")
    without_pauses = np.concatenate([waveform[4_000:-8_000] for waveform, _ in clips])
    spans = speech_spans(without_pauses, max_seconds=4.0)
    assert len(spans) > 3
    assert all(end - start <= 4.0 * 16_000 for start, end in spans)
    assert all(before[1] <= after[0] for before, after in pairwise(spans))
