"""What a browser heard live, from the service's WebSocket, as files to take away."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from m3ser.errors import UsageError
from m3ser.page import Html
from m3ser.schema import EMOTIONS, Segment
from m3ser.serving.page.downloads import download_links, heard_files

__all__ = ["heard_links"]

_MOST = 2_000  # utterances; hours of speech
_LONGEST_TEXT = 10_000


def heard_links(said: object) -> Html:
    """Links to what was heard.

    Args:
        said: the final ``segment`` messages of one stream, in their order, as the browser hands them back.

    Raises:
        UsageError: it is something else.
    """
    if not isinstance(said, list) or len(said) > _MOST:
        raise UsageError(f"Expected a list of at most {_MOST:,} utterances.")
    if not said:
        return Html("")
    segments = [_segment(one) for one in said]
    return download_links(heard_files(segments, labels=tuple(segments[0].scores)), name="live")


def _segment(said: object) -> Segment:
    strange = UsageError("That is no utterance as /v1/stream sends them.")
    if not isinstance(said, Mapping):
        raise strange
    start: Any = said.get("start")
    end: Any = said.get("end")
    label: Any = said.get("label")
    scores: Any = said.get("scores")
    texts: list[Any] = [said.get("text"), said.get("note")]
    if not (_is_number(start) and _is_number(end) and isinstance(scores, dict) and label in [*scores]):
        raise strange
    if not all(name in EMOTIONS and _is_number(share) for name, share in scores.items()):
        raise strange
    if not all(text is None or (isinstance(text, str) and len(text) <= _LONGEST_TEXT) for text in texts):
        raise strange
    return Segment(start=start, end=end, label=label, scores=scores, text=texts[0], note=texts[1])


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and math.isfinite(value) and value >= 0
