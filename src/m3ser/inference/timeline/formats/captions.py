"""Captions: SubRip (SRT) and WebVTT (W3C Candidate Recommendation, 4 April 2019)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from m3ser.inference.timeline.formats.about import About
from m3ser.schema import Segment

__all__ = ["srt", "vtt"]


def srt(segments: Iterable[Segment], about: About) -> Iterator[str]:  # noqa: ARG001 - the formats are called alike
    """SRT: the emotion and its probability in brackets, then the words; one cue at a time."""
    for number, segment in enumerate(segments, 1):
        yield f"{number}\n{_time(segment.start, ',')} --> {_time(_end(segment), ',')}\n{_caption(segment)}\n\n"


def vtt(segments: Iterable[Segment], about: About) -> Iterator[str]:  # noqa: ARG001
    """WebVTT: as :func:`srt`; a channel is the cue's voice."""
    yield "WEBVTT\n\n"
    for segment in segments:
        voice = "" if segment.channel is None else f"<v channel {segment.channel}>"
        # A line of "-->" would begin another cue, and these three characters have a meaning of their own.
        words = _words(segment).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
        yield f"{_time(segment.start, '.')} --> {_time(_end(segment), '.')}\n{voice}{_emotion(segment)}{words}\n\n"


def _caption(segment: Segment) -> str:
    channel = "" if segment.channel is None else f"channel {segment.channel}: "
    # "-->" inside of a text would look like a time to careless readers.
    return f"{channel}{_emotion(segment)}{_words(segment).replace('-->', '->')}"


def _emotion(segment: Segment) -> str:
    return f"[{segment.label} {segment.scores[segment.label]:.0%}]"


def _words(segment: Segment) -> str:
    return "" if segment.text is None else " " + " ".join(segment.text.split())


def _end(segment: Segment) -> float:
    return max(segment.end, segment.start + 0.001)  # cues of no length are not allowed


def _time(seconds: float, point: str) -> str:
    whole, thousandths = divmod(round(1000 * seconds), 1000)
    return f"{whole // 3600:02d}:{whole // 60 % 60:02d}:{whole % 60:02d}{point}{thousandths:03d}"
