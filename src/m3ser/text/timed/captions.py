"""SubRip (SRT) and WebVTT (W3C): cues, each with its time."""

from __future__ import annotations

import re
from collections.abc import Iterator
from html import unescape

from m3ser.errors import TextError
from m3ser.text.timed.spoken import Spoken

__all__ = ["parse_srt", "parse_vtt"]

_TIME = r"(?:(\d{1,6}):)?(\d{1,2}):(\d{1,2})[.,](\d{1,3})"
_ARROW = re.compile(rf"\s*{_TIME}\s*-->\s*{_TIME}(?:\s.*)?$")
_INSIDE = re.compile(rf"<{_TIME}>")
_TAG = re.compile(r"<[^<>]*>|\{\\[^{}]*\}")  # <i>, <v Name>; {\an8}


def parse_srt(content: str, recording: str = "") -> list[Spoken]:  # noqa: ARG001 - one of several parsers
    """The cues of an SRT file, without formatting.

    Raises:
        TextError: a line that belongs to no cue, or a time that is none.
    """
    return [cue for number, lines in _blocks(content) for cue in _cue(number, lines)]


def parse_vtt(content: str, recording: str = "") -> list[Spoken]:  # noqa: ARG001
    """The cues of a WebVTT file, without formatting; where a cue has times inside, its parts.

    Raises:
        TextError: no WebVTT, a line that belongs to no cue, or a time that is none.
    """
    if not re.match(r"WEBVTT(?:[ \t\r\n]|$)", content):
        raise TextError("line 1 is not 'WEBVTT', which a WebVTT file begins with.")
    cues: list[Spoken] = []
    for number, lines in list(_blocks(content))[1:]:
        if not re.match(r"(NOTE|STYLE|REGION)(\s|$)", lines[0]):
            cues += _cue(number, lines)
    return cues


def _blocks(content: str) -> Iterator[tuple[int, list[str]]]:
    """Lines between empty ones, with the number of the first."""
    block: list[str] = []
    number = 1
    # Not splitlines: form feeds and the like are no ends of lines here.
    for at, line in enumerate([*re.split(r"\r\n|\r|\n", content), ""], 1):
        if line.strip():
            block.append(line)
        else:
            if block:
                yield number, block
            block, number = [], at + 1


def _cue(number: int, lines: list[str]) -> Iterator[Spoken]:
    head = next((i for i, line in enumerate(lines[:2]) if "-->" in line), None)
    if head is None:
        raise TextError(f"line {number} ('{lines[0][:40]}') belongs to no cue; expected a number or 'start --> end'.")
    match = _ARROW.match(lines[head])
    if match is None:
        raise TextError(f"line {number + head} ('{lines[head][:60]}') is no 'HH:MM:SS,mmm --> HH:MM:SS,mmm'.")
    start, end = _seconds(match.groups()[:4]), _seconds(match.groups()[4:])
    if end < start:
        raise TextError(f"line {number + head} ends before it starts ('{lines[head].strip()[:60]}').")
    text = " ".join(lines[head + 1 :])
    parts = _INSIDE.split(text)  # text, four groups of a time, text, ...
    times = [start, *(_seconds(parts[i : i + 4]) for i in range(1, len(parts), 5)), end]
    if times != sorted(times):
        raise TextError(f"the cue in line {number + head} has times inside that are out of order or beyond its own.")
    for place, piece in enumerate(parts[::5]):
        plain = " ".join(unescape(_TAG.sub("", piece)).split())
        if plain:
            yield Spoken(times[place], times[place + 1], plain)


def _seconds(groups: tuple[str | None, ...] | list[str]) -> float:
    hours, minutes, seconds, fraction = groups
    return int(hours or 0) * 3600 + int(minutes or 0) * 60 + int(seconds or 0) + float(f"0.{fraction}")
