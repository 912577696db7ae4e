"""What a picture of a timeline shows and where, whatever draws it.

The recording is laid out in strips under each other, as on paper. In a strip every channel has its waveform and, below,
a lane for each emotion. An utterance stands in every lane with a bar as high as that emotion's probability; the bar of
the most probable one is filled. So the lane tells the emotion without any colour; colours (Okabe, Ito 2008, "Color
Universal Design") and hatching come on top.

The waveform is drawn by the square root of its amplitude: a person who speaks ten times more softly than the loudest
moment, as one side of a call often does, is still to be seen.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from m3ser.inference.timeline.timeline import Timeline
from m3ser.schema import Segment

__all__ = ["NARROW", "Channel", "Look", "Strip", "clock", "facts_of", "look_of", "strips", "ticks_of"]

NARROW = 0.005
"""Share of a strip's width below which a bar has no outline: nothing else would be seen of it."""

_SHORTEST = 60.0  # seconds of a strip, at least, where there are several
_MOST_LANES = 42  # on a page; a waveform and the space around it take as much room as three lanes
_COLUMNS = 900  # of a waveform in a strip: about what paper and screens can show

_STEPS = (1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14400)  # seconds


@dataclass(frozen=True)
class Look:
    """How an emotion is filled: a colour, and a hatching as matplotlib names it."""

    colour: str
    hatch: str


_LOOKS = {
    "angry": Look("#d55e00", "////"),
    "happy": Look("#e69f00", "...."),
    "sad": Look("#0072b2", "\\\\\\\\"),
    "neutral": Look("#8c8c8c", ""),
    "fearful": Look("#cc79a7", "xxxx"),
    "disgusted": Look("#009e73", "----"),
    "surprised": Look("#56b4e9", "++++"),
    "calm": Look("#b0c4b1", "||||"),
    "excited": Look("#f0e442", "oo"),
    "frustrated": Look("#a04000", "//.."),
    "bored": Look("#7d8ca3", "--.."),
    "other": Look("#555555", "**"),
}


def look_of(emotion: str) -> Look:
    """How `emotion` is filled."""
    return _LOOKS.get(emotion, _LOOKS["other"])


@dataclass(frozen=True, eq=False)
class Channel:
    """One channel's part of a strip.

    Attributes:
        name: "channel 1"; empty where channels were mixed.
        times: (columns,) the columns' middles, in seconds.
        low, high: (columns,) the extremes of the sound there, -1 to 1: the square roots of their shares of the
            recording's loudest sample, with their signs.
        segments: the utterances that are in the strip, wholly or in part.
    """

    name: str
    times: NDArray[np.float64]
    low: NDArray[np.float64]
    high: NDArray[np.float64]
    segments: Sequence[Segment]


@dataclass(frozen=True)
class Strip:
    """A stretch of the recording across the whole width; times in seconds.

    Attributes:
        start, end: what the width stands for.
        channels: from top to bottom.
    """

    start: float
    end: float
    channels: Sequence[Channel]


def strips(timeline: Timeline) -> list[Strip]:
    """The strips of a timeline that has been iterated: one for each minute, and longer ones where that is no page."""
    first = timeline.offset
    whole = max(timeline.heard, 0.001)
    most = max(1, _MOST_LANES // ((len(timeline.labels) + 3) * max(1, len(timeline.envelopes))))
    count = min(most, max(1, math.ceil(whole / _SHORTEST - 1e-9)))
    length = whole / count
    loudest = max((float(max(-low.min(), high.max())) for low, high in _read(timeline) if len(low)), default=0.0) or 1.0
    result = []
    for number in range(count):
        start = first + number * length
        channels = [
            _channel(timeline, place, start, start + length, loudest) for place in range(len(timeline.envelopes))
        ]
        result.append(Strip(start, start + length, channels))
    return result


def _read(timeline: Timeline) -> list[tuple[NDArray[np.float32], NDArray[np.float32]]]:
    return [envelope.read() for envelope in timeline.envelopes]


def _channel(timeline: Timeline, place: int, start: float, end: float, loudest: float) -> Channel:
    envelope = timeline.envelopes[place]
    low, high = envelope.read()
    width = envelope.seconds
    begin = int((start - timeline.offset) / width)
    stop = max(begin + 1, math.ceil((end - timeline.offset) / width))
    low, high = low[begin:stop], high[begin:stop]
    together = max(1, math.ceil(len(low) / _COLUMNS))
    edges = np.arange(0, len(low), together)
    split = len(timeline.envelopes) > 1 or any(segment.channel is not None for segment in timeline.segments)
    number = place + 1
    return Channel(
        name=f"channel {number}" if split else "",
        times=np.asarray(timeline.offset + (begin + edges + together / 2) * width, np.float64),
        low=_height(np.minimum.reduceat(low, edges) if len(low) else low, loudest),
        high=_height(np.maximum.reduceat(high, edges) if len(low) else high, loudest),
        segments=[
            segment
            for segment in timeline.segments
            if segment.channel in (None, number) and segment.end > start and segment.start < end
        ],
    )


def _height(samples: NDArray[np.float32], loudest: float) -> NDArray[np.float64]:
    return np.sign(samples) * np.sqrt(np.abs(samples.astype(np.float64)) / loudest)


def ticks_of(strip: Strip, most: int) -> list[float]:
    """The round times to write under a strip, in seconds: `most` steps or fewer from one end to the other."""
    step = _step(strip.end - strip.start, most)
    first, last = math.ceil(strip.start / step - 1e-6), math.floor(strip.end / step + 1e-6)
    return [step * number for number in range(first, last + 1)]


def _step(seconds: float, most: int) -> float:
    return next(
        (step for step in _STEPS if seconds / step <= most), _STEPS[-1] * math.ceil(seconds / _STEPS[-1] / most)
    )


def clock(seconds: float, *, tenths: bool = False) -> str:
    """A time to read: 1:05, 1:02:03, 1:05.2."""
    count = round(10 * seconds) if tenths else 10 * round(seconds)
    whole, tenth = divmod(count, 10)
    hours, minutes, rest = whole // 3600, whole // 60 % 60, whole % 60
    text = f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"
    return f"{text}.{tenth}" if tenths else text


def facts_of(timeline: Timeline) -> list[tuple[str, str]]:
    """The few numbers above the picture, each with its name."""
    speech = sum(segment.end - segment.start for segment in timeline.segments)
    pairs = [
        ("length", clock(timeline.heard)),
        ("speech", clock(speech)),
        ("utterances", f"{len(timeline.segments):,}"),
    ]
    if speech:
        for label in timeline.labels:
            time = sum(segment.end - segment.start for segment in timeline.segments if segment.label == label)
            pairs.append((label, f"{time / speech:.0%}"))
    return pairs
