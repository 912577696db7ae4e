"""JSON as the whisper family of programs writes it: segments with their times, and their words where they have them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from m3ser.errors import TextError
from m3ser.text.timed.spoken import Spoken

__all__ = ["parse_whisper_json"]


def parse_whisper_json(content: str, recording: str = "") -> list[Spoken]:  # noqa: ARG001 - one of several parsers
    """The words, or the segments where there are no words with times.

    Known are ``{"segments": [{"start", "end", "text", "words": [{"word", "start", "end"}]}]}`` in seconds
    (openai-whisper, faster-whisper, WhisperX; m3ser itself), a list of such segments, and whisper.cpp's
    ``{"transcription": [{"offsets": {"from", "to"}, "text"}]}`` in milliseconds.

    Raises:
        TextError: no JSON, or none of these layouts.
    """
    try:
        document = json.loads(content)
    except json.JSONDecodeError as error:
        raise TextError(f"line {error.lineno} is no JSON ({error.msg}).") from error
    except (RecursionError, ValueError) as error:  # ValueError: a number of thousands of digits
        raise TextError("it is JSON that is nested too deeply, or with numbers too long, to be read.") from error
    segments = document
    if isinstance(document, dict):
        segments = document.get("segments", document.get("transcription"))
    if not isinstance(segments, list):
        raise TextError("line 1 begins JSON without 'segments' (whisper) or 'transcription' (whisper.cpp).")
    return [spoken for number, segment in enumerate(segments, 1) for spoken in _of_segment(number, segment)]


def _of_segment(number: int, segment: Any) -> Iterator[Spoken]:
    words = segment.get("words") if isinstance(segment, dict) else None
    # WhisperX leaves out the times of words that it could not place, such as numbers.
    if words and all(isinstance(word, dict) and "start" in word and "end" in word for word in words):
        for word in words:
            yield _spoken(f"a word of segment {number}", word["start"], word["end"], word.get("word", word.get("text")))
        return
    what = f"segment {number}"
    if not isinstance(segment, dict):
        raise TextError(f"{what} is no object; expected start, end and text.")
    offsets = segment.get("offsets")
    start: Any
    end: Any
    if isinstance(offsets, dict):
        start, end = (_number(what, offsets.get(key)) / 1000 for key in ("from", "to"))
    else:
        start, end = segment.get("start"), segment.get("end")
    channel = segment.get("channel")
    yield _spoken(what, start, end, segment.get("text") or "", channel if isinstance(channel, int) else None)


def _spoken(what: str, start: Any, end: Any, text: Any, channel: int | None = None) -> Spoken:
    if not isinstance(text, str):
        raise TextError(f"{what} has no text.")
    try:
        return Spoken(_number(what, start), _number(what, end), " ".join(text.split()), channel)
    except TextError as error:
        raise TextError(f"{what}: {error}") from error


def _number(what: str, value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise TextError(f"{what} has the time {value!r}; expected a number.")
    try:
        return float(value)
    except OverflowError:
        raise TextError(f"{what} has a time of {len(str(value))} digits; expected seconds.") from None
