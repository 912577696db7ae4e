"""Praat's TextGrid, in the long text form (Praat manual, "TextGrid file formats")."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from m3ser.inference.timeline.formats.about import About
from m3ser.schema import Segment

__all__ = ["textgrid"]

_Interval = tuple[float, float, str]


def textgrid(segments: Iterable[Segment], about: About) -> Iterator[str]:
    """Two tiers of intervals, ``words`` and ``emotion``; where channels were kept apart, two for each channel.

    The intervals of a tier follow each other without a gap from 0 to the recording's end, as Praat wants them; those
    without speech are empty.
    """
    by_channel: dict[int | None, list[Segment]] = {}
    for segment in segments:
        by_channel.setdefault(segment.channel, []).append(segment)
    channels = sorted(by_channel, key=lambda channel: channel or 0) or [None]
    whole = max([about.duration(), *(segment.end for found in by_channel.values() for segment in found)])
    tiers = []
    for channel in channels:
        suffix = "" if channel is None else f" {channel}"
        found = by_channel.get(channel, [])
        words = [(one.start, one.end, " ".join((one.text or "").split())) for one in found]
        tiers += [(f"words{suffix}", words), (f"emotion{suffix}", [(one.start, one.end, one.label) for one in found])]
    yield 'File type = "ooTextFile"\nObject class = "TextGrid"\n\n'
    yield f"xmin = 0\nxmax = {whole:.6f}\ntiers? <exists>\nsize = {len(tiers)}\nitem []:\n"
    for number, (name, found_intervals) in enumerate(tiers, 1):
        yield from _tier(number, name, _filled(found_intervals, whole), whole)


def _tier(number: int, name: str, intervals: list[_Interval], whole: float) -> Iterator[str]:
    yield f'    item [{number}]:\n        class = "IntervalTier"\n        name = {_quoted(name)}\n'
    yield f"        xmin = 0\n        xmax = {whole:.6f}\n        intervals: size = {len(intervals)}\n"
    for place, (start, end, text) in enumerate(intervals, 1):
        yield (
            f"        intervals [{place}]:\n            xmin = {start:.6f}\n            xmax = {end:.6f}\n"
            f"            text = {_quoted(text)}\n"
        )


def _filled(intervals: list[_Interval], whole: float) -> list[_Interval]:
    """The intervals with empty ones between them, to the microsecond that is written."""
    filled: list[_Interval] = []
    place = 0.0
    for start, end, text in intervals:
        start, end = round(max(start, place), 6), round(end, 6)
        if start > place:
            filled.append((place, start, ""))
        filled.append((start, end, text))
        place = end
    if round(whole, 6) > place or not filled:
        filled.append((place, whole, ""))
    return filled


def _quoted(text: str) -> str:
    doubled = text.replace('"', '""')
    return f'"{doubled}"'
