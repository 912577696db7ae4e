"""One line an utterance: CSV (RFC 4180), and Audacity's labels."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Iterator
from typing import Any

from m3ser.inference.timeline.formats.about import About
from m3ser.schema import Segment

__all__ = ["audacity", "comma_separated"]


def comma_separated(segments: Iterable[Segment], about: About) -> Iterator[str]:
    """CSV: file, channel, start and end in seconds, label, a column of scores for each class, text.

    `channel` and `text` are empty where there is none. Lines end as RFC 4180 has it.
    """
    yield _line(["file", "channel", "start", "end", "label", *about.labels, "text"])
    for segment in segments:
        scores = [f"{segment.scores[label]:.6f}" for label in about.labels]
        channel = "" if segment.channel is None else segment.channel
        times = [f"{segment.start:.3f}", f"{segment.end:.3f}"]
        yield _line([about.file or "", channel, *times, segment.label, *scores, segment.text or ""])


def audacity(segments: Iterable[Segment], about: About) -> Iterator[str]:  # noqa: ARG001 - the formats are called alike
    """Audacity's label track (File, Import, Labels): start, end, and label with the words, between tabs."""
    for segment in segments:
        channel = "" if segment.channel is None else f"channel {segment.channel} "
        words = "" if segment.text is None else ": " + " ".join(segment.text.split())
        label = f"{channel}{segment.label} {segment.scores[segment.label]:.0%}{words}"
        yield f"{segment.start:.6f}\t{segment.end:.6f}\t{label}\n"


def _line(values: list[Any]) -> str:
    line = io.StringIO()
    csv.writer(line).writerow(values)
    return line.getvalue()
