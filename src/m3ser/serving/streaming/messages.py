"""The messages of a stream: what a client may say, and what it is told.

A client sends JSON objects as text and sound as binary; it is told JSON objects. See ``docs/streaming.md``.
"""

from __future__ import annotations

import http
import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, NoReturn, TypeAlias

from m3ser.errors import UsageError
from m3ser.schema import Segment
from m3ser.serving.problems import Problem, ProblemError
from m3ser.text.language_codes import language_code

__all__ = [
    "DONE",
    "ENCODINGS",
    "FINISH",
    "Finish",
    "Gap",
    "Start",
    "close_code",
    "close_reason",
    "parse",
    "parse_start",
    "problem_message",
    "segment_message",
]

ENCODINGS = ("pcm_s16le", "opus")
"""``pcm_s16le``: 16-bit little-endian samples, channels interleaved; ``opus``: an Ogg or WebM file in pieces."""

DONE = 1000
"""The close code of a stream that was finished."""

_RATES = (4_000, 192_000)
_MOST_CHANNELS = 2
_LONGEST_OFFSET = 1e9  # seconds, about 30 years: beyond, times lose their milliseconds
_REASON_BYTES = 123  # RFC 6455: a close frame's payload has 125, its code takes two


@dataclass(frozen=True)
class Start:
    """The first message: what will come, and what is wanted.

    Attributes:
        sample_rate: of ``pcm_s16le``, in Hz; None with ``opus``, which states its own.
        encoding: one of :data:`ENCODINGS`.
        channels: of ``pcm_s16le``: 1, or 2 that are averaged; None with ``opus``.
        transcribe: have each final segment's words transcribed, where the service can; else the voice alone is judged.
        language: of the words, as a BCP 47 code; None: not known.
        profile: the name of the one that the voice is to be judged by; None: none is named.
        provisional_seconds: the least time between two provisional segments; None: none are wanted.
        offset: seconds that are added to all times: where a client goes on after its connection was lost.
        api_key: for browsers, which cannot set headers.
    """

    sample_rate: int | None = 16_000
    encoding: str = "pcm_s16le"
    channels: int | None = 1
    transcribe: bool = True
    language: str | None = None
    profile: str | None = None
    provisional_seconds: float | None = 0.5
    offset: float = 0.0
    api_key: str | None = field(default=None, repr=False)


@dataclass(frozen=True)
class Gap:
    """So many seconds of sound were lost here."""

    seconds: float


@dataclass(frozen=True)
class Finish:
    """There is no more to come."""


FINISH = Finish()

Said: TypeAlias = "Gap | Finish"


def parse_start(text: str) -> Start:
    """The first message of a stream.

    Raises:
        ProblemError: 400, it is not a ``start`` as it should be.
    """
    said = _object(text)
    if said.get("type") != "start":
        _refuse(f"The first message has type {_shown(said.get('type'))}; expected 'start'.")
    _check_keys(said, "start", set(Start.__dataclass_fields__))
    encoding = said.get("encoding", "pcm_s16le")
    if encoding not in ENCODINGS:
        _refuse(f"encoding is {_shown(encoding)}; expected 'pcm_s16le' or 'opus'.")
    rate: int | None
    channels: int | None
    if encoding == "opus":
        rate = channels = None
        for name in ("sample_rate", "channels"):
            if name in said:
                _refuse(f"{name} is given for opus, which states its own; leave it out.")
    else:
        rate = _whole(said, "sample_rate", 16_000, *_RATES, unit=" Hz")
        channels = _whole(said, "channels", 1, 1, _MOST_CHANNELS)
    transcribe = said.get("transcribe", True)
    if not isinstance(transcribe, bool):
        _refuse(f"transcribe is {_shown(transcribe)}; expected true or false.")
    provisional = said.get("provisional_seconds", 0.5)
    if provisional is not None:
        provisional = _seconds(provisional, "provisional_seconds", 0.1, 60.0, " s, or null")
    profile = said.get("profile")
    if not (profile is None or isinstance(profile, str)):
        _refuse(f"profile is {_shown(profile)}; expected the name of one, or null.")
    key = said.get("api_key")
    if not (key is None or isinstance(key, str)):
        _refuse("api_key is not a string.")
    return Start(
        sample_rate=rate,
        encoding=encoding,
        channels=channels,
        transcribe=transcribe,
        language=_language(said.get("language"), transcribe=transcribe),
        profile=profile,
        provisional_seconds=provisional,
        offset=_seconds(said.get("offset", 0.0), "offset", 0.0, _LONGEST_OFFSET, " s"),
        api_key=key,
    )


def parse(text: str) -> Said:
    """A text message behind the first one.

    Raises:
        ProblemError: 400, it is neither a ``gap`` nor ``finish``.
    """
    said = _object(text)
    kind = said.get("type")
    if kind == "finish":
        _check_keys(said, "finish", set())
        return FINISH
    if kind != "gap":
        _refuse(f"A message has type {_shown(kind)}; expected 'gap', 'finish', or a binary one with sound.")
    _check_keys(said, "gap", {"seconds"})
    return Gap(_seconds(said.get("seconds"), "The gap's seconds", 0.0, _LONGEST_OFFSET, " s"))


def segment_message(segment: Segment, offset: float) -> dict[str, Any]:
    """A segment as a client is told: a timeline's JSON, and always whether it is final.

    Args:
        segment: its times count from the beginning of the stream.
        offset: seconds that are added to them.
    """
    moved = replace(segment, start=segment.start + offset, end=segment.end + offset)
    return {"type": "segment", **moved.to_dict(), "final": segment.final}


def problem_message(problem: Problem, name: str) -> dict[str, Any]:
    """A problem as the client of stream `name` is told: in a key of its own what REST answers, word for word."""
    return {"type": "problem", "problem": problem.to_dict(request_id=name)}


def close_code(problem: Problem) -> int:
    """The WebSocket close code that goes with a problem: 1011 and 1013 are the RFC's, 4000 + status our own."""
    if problem.status == http.HTTPStatus.SERVICE_UNAVAILABLE:
        return 1012 if problem.cause == "stopping" else 1013
    return 1011 if problem.status >= http.HTTPStatus.INTERNAL_SERVER_ERROR else 4000 + problem.status


def close_reason(problem: Problem) -> str:
    """As much of its sentence as a close frame has room for."""
    return problem.detail.encode()[:_REASON_BYTES].decode(errors="ignore")


def _object(text: str) -> dict[str, Any]:
    def no_number(name: str) -> NoReturn:
        raise ValueError(name)  # NaN and infinities, which Python reads and JSON does not have

    try:
        said = json.loads(text, parse_constant=no_number)
    except (ValueError, RecursionError):
        _refuse("A text message is not JSON; expected an object with a type.")
    if not isinstance(said, dict):
        _refuse("A text message is not a JSON object; expected one with a type.")
    return said


def _check_keys(said: Mapping[str, Any], kind: str, known: set[str]) -> None:
    strays = sorted(said.keys() - known - {"type"})
    if strays:
        listed = ", ".join(sorted({"type", *known}))
        _refuse(f"A {kind} message has the key {_shown(strays[0])}; known are {listed}.")


def _whole(said: Mapping[str, Any], name: str, default: int, least: int, most: int, unit: str = "") -> int:
    value = said.get(name, default)
    if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= most:
        _refuse(f"{name} is {_shown(value)}; expected a whole number from {least} to {most}{unit}.")
    return value


def _seconds(value: Any, name: str, least: float, most: float, unit: str) -> float:
    number = isinstance(value, (int, float)) and not isinstance(value, bool)
    if not (number and least <= value <= most and math.isfinite(value)):
        _refuse(f"{name} is {_shown(value)}; expected {least:g} to {most:g}{unit}.")
    return float(value)


def _language(value: Any, *, transcribe: bool) -> str | None:
    if value is None:
        return None
    if not transcribe:
        _refuse("language is that of the words, and none are transcribed; leave it out, or set transcribe to true.")
    try:
        return language_code(value)
    except UsageError as error:
        _refuse(str(error))


def _shown(value: Any) -> str:
    """A client's value, short enough to be said back."""
    text = repr(value) if isinstance(value, str) else json.dumps(value)
    return text if len(text) <= 40 else f"{text[:37]}..."


def _refuse(sentence: str) -> NoReturn:
    raise ProblemError(400, "bad-message", sentence)
