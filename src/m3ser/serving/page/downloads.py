"""Answers to take away: the bytes that the command line writes, inside of the links themselves.

So nothing is kept on the server for somebody to fetch later, and a link works for as long as the page is open.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Iterable, Mapping, Sequence
from html import escape
from pathlib import PurePath

from m3ser.inference import Timeline
from m3ser.inference.timeline.formats import FORMATS, About
from m3ser.page import Html
from m3ser.schema import Prediction, Segment

__all__ = ["download_links", "heard_files", "prediction_files", "timeline_files"]

_TYPES = {"json": "application/json", "jsonl": "application/x-ndjson", "csv": "text/csv", "srt": "application/x-subrip"}
_CAPTIONS = ("csv", "srt")


def prediction_files(prediction: Prediction) -> dict[str, str]:
    """The files of one answer: JSON as ``m3ser predict --json``, CSV and SRT as a timeline of one utterance.

    An answer to words alone has no place in time, and so no SRT.

    Returns:
        Contents by ending ("json").
    """
    whole = Segment(
        start=0.0,
        end=prediction.duration or 0.0,
        label=prediction.label,
        scores=prediction.scores,
        text=prediction.text,
        note=prediction.note,
    )
    files = _tables([whole], prediction.file, tuple(prediction.scores), prediction.model, whole.end)
    if prediction.duration is None:
        del files["srt"]
    return {"json": prediction.to_json() + "\n", **files}


def timeline_files(timeline: Timeline) -> dict[str, str]:
    """The files of a timeline that has been iterated, as ``m3ser timeline`` writes them; contents by ending."""
    whole = json.dumps(timeline.to_dict(), ensure_ascii=False) + "\n"
    duration = timeline.duration or 0.0
    return {"json": whole, **_tables(timeline.segments, timeline.file, timeline.labels, timeline.model, duration)}


def heard_files(segments: Sequence[Segment], *, labels: tuple[str, ...]) -> dict[str, str]:
    """The files of what was heard live: JSON Lines as ``m3ser listen --json``, CSV and SRT; contents by ending."""
    lines = (json.dumps({**one.to_dict(), "final": one.final}, ensure_ascii=False) + "\n" for one in segments)
    end = segments[-1].end if segments else 0.0
    return {"jsonl": "".join(lines), **_tables(segments, None, labels, "", end)}


def _tables(
    segments: Iterable[Segment], file: str | None, labels: tuple[str, ...], model: str, duration: float
) -> dict[str, str]:
    about = About(file=file, labels=labels, model=model, duration=lambda: duration)
    segments = [*segments]
    files = {}
    for ending in _CAPTIONS:
        writer = FORMATS[ending]
        assert writer is not None  # JSON alone has none
        files[ending] = "".join(writer(segments, about))
    return files


def download_links(files: Mapping[str, str], *, name: str | None) -> Html:
    """A link for every file.

    Args:
        files: contents by ending.
        name: of the recording; the files are called after it.
    """
    stem = PurePath(name or "").stem or "answer"
    links = "".join(
        f'<li><a download="{escape(stem)}.{ending}" href="data:{_TYPES[ending]};charset=utf-8;base64,'
        f'{base64.b64encode(content.encode("utf-8", "backslashreplace")).decode("ascii")}">'
        f'<span class="m3-hidden">Download as </span>{ending.upper()}</a></li>'
        for ending, content in files.items()
    )
    return Html(
        '<div class="m3-downloads"><span aria-hidden="true">Download</span>'
        f'<ul aria-label="Downloads">{links}</ul></div>'
    )
