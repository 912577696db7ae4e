"""A timeline as text, in each format's own rules; read it back with the programs that the formats belong to."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator
from itertools import chain, islice
from types import MappingProxyType

from m3ser.errors import AudioError, UsageError
from m3ser.inference.timeline.formats.about import About
from m3ser.inference.timeline.formats.captions import srt, vtt
from m3ser.inference.timeline.formats.emotionml import emotionml
from m3ser.inference.timeline.formats.tables import audacity, comma_separated
from m3ser.inference.timeline.formats.textgrid import textgrid
from m3ser.inference.timeline.timeline import Timeline
from m3ser.schema import Segment

__all__ = ["FORMATS", "About", "write"]

FORMATS = MappingProxyType[str, Callable[[Iterable[Segment], About], Iterator[str]] | None](
    {
        "json": None,
        "csv": comma_separated,
        "srt": srt,
        "vtt": vtt,
        "textgrid": textgrid,
        "audacity": audacity,
        "emotionml": emotionml,
    }
)
"""Every format by its name."""


def write(timeline: Timeline, form: str) -> Iterator[str]:
    """The timeline in a format, piece by piece; it is iterated for that.

    CSV, SRT, WebVTT, Audacity and EmotionML come utterance by utterance as these are recognised; JSON (one object, the
    layout of :meth:`Timeline.to_dict`) and TextGrid at the end. Where the recording breaks off, what comes before is
    written whole and the error raised behind it.

    Args:
        timeline: not iterated yet.
        form: one of :data:`FORMATS`.

    Raises:
        UsageError: there is no such format.
        M3serError: as iterating the timeline.
    """
    if form not in FORMATS:
        raise UsageError(f"There is no format '{form}'; known are {', '.join(FORMATS)}.")
    return _pieces(timeline, form)


def _pieces(timeline: Timeline, form: str) -> Iterator[str]:
    writer = FORMATS[form]
    segments = _Patient(timeline)
    if writer is None:
        for _ in segments:
            pass
        yield json.dumps(timeline.to_dict(), ensure_ascii=False) + "\n"
    else:
        # Which profile a timeline makes of its recording is known with its first utterance.
        utterances = iter(segments)
        first = list(islice(utterances, 1))
        about = About(
            file=timeline.file,
            labels=timeline.labels,
            model=timeline.model,
            duration=lambda: timeline.offset + (timeline.duration or 0.0),
        )
        yield from writer(chain(first, utterances), about)
    if segments.fault is not None:
        raise segments.fault


class _Patient:
    """The segments of a timeline; what ends them early is kept until the format has been brought to its end."""

    def __init__(self, timeline: Timeline) -> None:
        self._timeline = timeline
        self.fault: AudioError | None = None

    def __iter__(self) -> Iterator[Segment]:
        try:
            yield from self._timeline
        except AudioError as error:
            if not self._timeline.has_begun:
                raise
            self.fault = error
