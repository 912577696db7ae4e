"""Emotion Markup Language 1.0 (W3C Recommendation, 22 May 2014), with its vocabulary inside of the document."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from pathlib import PurePath
from urllib.parse import quote
from xml.sax.saxutils import escape, quoteattr

from m3ser.inference.timeline.formats.about import About
from m3ser.schema import Segment

__all__ = ["NAMESPACE", "emotionml"]

NAMESPACE = "http://www.w3.org/2009/10/emotionml"

_VOCABULARY = "m3ser-categories"
_NOT_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def emotionml(segments: Iterable[Segment], about: About) -> Iterator[str]:
    """One ``emotion`` an utterance, with every class as a ``category`` whose ``confidence`` is its probability.

    The classes are declared in a ``vocabulary`` of the type ``category`` in the document itself, which ``category-set``
    points to; ``expressed-through`` says what was judged. Times are milliseconds from the beginning of the recording,
    which ``time-ref-uri`` names: ``offset-to-start`` and ``duration``. (``start`` and ``end`` would be times since
    1970, which a recording does not tell.) A ``reference`` names the stretch as a media fragment, too
    ("call.wav#t=1.200,3.400"). The words are the emotion's text, and a channel is told in ``info``.
    """
    model = quoteattr(_clean(about.model))
    yield (
        '<?xml version="1.0" encoding="UTF-8"?>\n'
        f'<emotionml version="1.0" xmlns="{NAMESPACE}" xmlns:m3ser="urn:m3ser" category-set="#{_VOCABULARY}">\n'
        f"  <info><m3ser:model name={model}/></info>\n"
        f'  <vocabulary type="category" id="{_VOCABULARY}">\n'
    )
    yield "".join(f"    <item name={quoteattr(label)}/>\n" for label in about.labels)
    yield "  </vocabulary>\n"
    for number, segment in enumerate(segments, 1):
        yield _emotion(number, segment, about)
    yield "</emotionml>\n"


def _emotion(number: int, segment: Segment, about: About) -> str:
    words = "" if segment.text is None else f"\n    {escape(_clean(' '.join(segment.text.split())))}"
    info = "" if segment.channel is None else f'\n    <info><m3ser:channel number="{segment.channel}"/></info>'
    categories = "".join(
        f'\n    <category name={quoteattr(label)} confidence="{segment.scores[label]:.6f}"/>' for label in about.labels
    )
    start, end = round(1000 * segment.start), round(1000 * segment.end)
    anchor = reference = ""
    if about.file is not None:
        anchor = f'\n      time-ref-uri={quoteattr(_uri(about.file))} time-ref-anchor-point="start"'
        fragment = f"{_uri(about.file)}#t={start / 1000:.3f},{end / 1000:.3f}"
        reference = f'\n    <reference uri={quoteattr(fragment)} role="expressedBy"/>'
    heard = "voice" if segment.text is None or segment.note is not None else "voice text"
    return (
        f'  <emotion id="e{number}" expressed-through="{heard}"{anchor}\n'
        f'      offset-to-start="{start}" duration="{end - start}">{words}{info}{categories}{reference}\n'
        "  </emotion>\n"
    )


def _uri(file: str) -> str:
    """A reference to the file: absolute where its name is, else relative, as for a document beside the recording."""
    path = PurePath(file)
    return path.as_uri() if path.is_absolute() else quote(path.as_posix(), errors="replace")


def _clean(text: str) -> str:
    return _NOT_XML.sub("\N{REPLACEMENT CHARACTER}", text)
