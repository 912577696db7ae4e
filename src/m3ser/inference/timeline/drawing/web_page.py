"""A timeline as a page of its own: the picture as SVG, the words where it is pointed at, and a table below."""

from __future__ import annotations

from collections.abc import Sequence

from m3ser import page
from m3ser.inference.timeline.drawing.layout import NARROW, Channel, Strip, clock, facts_of, look_of, strips, ticks_of
from m3ser.inference.timeline.timeline import Timeline
from m3ser.page import Html, escaped
from m3ser.schema import Segment

__all__ = ["timeline_page", "timeline_picture", "utterance_table"]

_WAVE, _LANE, _AXIS, _BETWEEN = 56, 22, 18, 12  # pixels
_TICKS = 8

_STYLE = """<style>
.strip { display: grid; grid-template-columns: 5.5rem minmax(0, 1fr); column-gap: 0.5rem; margin: 0 0 1.25rem;
  break-inside: avoid; }
.strip svg { margin: 0; overflow: hidden; }
.strip .wave { fill: var(--quiet); opacity: 0.65; }
.strip .lane { stroke: var(--line); }
.strip .rest { fill: var(--quiet); fill-opacity: 0.5; print-color-adjust: exact; }
.strip .hit { fill: transparent; }
.strip .u:hover .hit { fill: rgba(var(--shade), 0.18); }
.strip .best { print-color-adjust: exact; }
.strip .wide { stroke: var(--ink); stroke-width: 0.75; }
.strip .name { font-weight: 600; }
.strip text { font-size: 13px; }
</style>"""


def timeline_page(timeline: Timeline, *, title: str, notes: Sequence[str] = ()) -> str:
    """Emotions over time under the waveform, as one HTML file that loads nothing and runs no script.

    Args:
        timeline: one that has been iterated.
        title: heading of the page.
        notes: what nobody may overlook, such as that the recording broke off.
    """
    pieces = [
        *(page.notice(note) for note in notes),
        *([] if timeline.note is None else [page.notice(timeline.note)]),
        page.facts(facts_of(timeline)),
        timeline_picture(timeline),
        page.section("Utterances", utterance_table(timeline)),
        page.paragraph(f"Model {timeline.model}. Words: {timeline.text_source}."),
    ]
    return page.page(title, pieces)


def timeline_picture(timeline: Timeline) -> Html:
    """The picture and a sentence on how to read it, for a page that defines the colours of :mod:`m3ser.page_style`.

    Args:
        timeline: one that has been iterated.
    """
    labels = timeline.labels
    explained = (
        "Every utterance has a bar in each emotion's lane, as high as that emotion is probable; the bar of the most "
        "probable one is filled. Point at an utterance for its words. Above: the waveform."
    )
    drawn = "\n".join(_strip(strip, labels) for strip in strips(timeline))
    return Html(f"{_STYLE}{_patterns(labels)}\n{page.paragraph(explained)}\n{drawn}")


def utterance_table(timeline: Timeline) -> Html:
    """What the picture shows, in words: a row for every utterance of a timeline that has been iterated."""
    split = any(segment.channel is not None for segment in timeline.segments)
    worded = any(segment.text for segment in timeline.segments)
    columns = ["from", "to", *["channel"] * split, "emotion", "probability", *["words"] * worded]
    rows = [
        [
            clock(segment.start, tenths=True),
            clock(segment.end, tenths=True),
            *[segment.channel] * split,
            segment.label,
            f"{segment.scores[segment.label]:.0%}",
            *[_words(segment.text)] * worded,
        ]
        for segment in timeline.segments
    ]
    if not rows:
        return page.paragraph("No speech was found.")
    return page.table(columns, rows, caption="Every utterance, with the most probable emotion")


def _words(text: str | None) -> Html | None:
    # The direction of writing is that of the words, whatever the page's own.
    return Html(f'<span class="prose" dir="auto">{escaped(text)}</span>') if text else None


def _strip(strip: Strip, labels: Sequence[str]) -> Html:
    names, marks = [], []  # of which later ones lie upon earlier ones: the grid comes first
    times = ticks_of(strip, _TICKS)
    height = len(strip.channels) * (_WAVE + len(labels) * _LANE + _BETWEEN) - _BETWEEN
    for tick in times:
        place = f"{_share(strip, tick):.3f}%"
        marks.append(f'<line class="grid" x1="{place}" x2="{place}" y1="0" y2="{height}"/>')
    top = 0
    for channel in strip.channels:
        if channel.name:
            names.append(
                f'<text class="name" x="100%" y="{top + _WAVE // 2 + 4}" text-anchor="end">{channel.name}</text>'
            )
        lanes = top + _WAVE
        for lane, label in enumerate(labels):
            base = lanes + (lane + 1) * _LANE
            names.append(f'<text x="100%" y="{base - 6}" text-anchor="end">{escaped(label)}</text>')
            marks.append(f'<line class="lane" x1="0" x2="100%" y1="{base}" y2="{base}"/>')
        marks.append(_wave(strip, channel, top))
        marks += [_utterance(strip, segment, labels, top) for segment in channel.segments]
        top = lanes + len(labels) * _LANE + _BETWEEN
    for tick in times:
        share = _share(strip, tick)
        anchor = "start" if share < 2 else "end" if share > 98 else "middle"
        marks.append(
            f'<text class="tick" x="{share:.3f}%" y="{height + 14}" text-anchor="{anchor}">{clock(tick)}</text>'
        )
    told = f"Emotions from {clock(strip.start)} to {clock(strip.end)}; the table below has them in words."
    svg = f'<svg xmlns="http://www.w3.org/2000/svg" width="100%" height="{height + _AXIS}"'
    return Html(
        f'<div class="strip">{svg} aria-hidden="true">{"".join(names)}</svg>'
        f'{svg} role="img" aria-label="{told}">{"".join(marks)}</svg></div>'
    )


def _wave(strip: Strip, channel: Channel, top: int) -> str:
    if not len(channel.times):
        return ""
    xs = [10 * _share(strip, time) for time in channel.times]
    upper = [f"{x:.1f},{50 - 48 * y:.1f}" for x, y in zip(xs, channel.high, strict=True)]
    lower = [f"{x:.1f},{50 - 48 * y:.1f}" for x, y in zip(xs, channel.low, strict=True)]
    # A drawing inside of the drawing, for only a view box can be stretched with the width.
    return (
        f'<svg x="0" y="{top}" width="100%" height="{_WAVE}" viewBox="0 0 1000 100" preserveAspectRatio="none">'
        f'<path class="wave" d="M{" ".join(upper)} {" ".join(reversed(lower))}Z"/></svg>'
    )


def _utterance(strip: Strip, segment: Segment, labels: Sequence[str], top: int) -> str:
    start, end = _share(strip, max(segment.start, strip.start)), _share(strip, min(segment.end, strip.end))
    width = max(end - start, 0.05)
    others = ", ".join(f"{label} {segment.scores[label]:.0%}" for label in labels if label != segment.label)
    words = f"\n{segment.text}" if segment.text else ""
    times = f"{clock(segment.start, tenths=True)} to {clock(segment.end, tenths=True)}"
    told = f"{times}: {segment.label} {segment.scores[segment.label]:.0%} ({others}){words}"
    place = f'x="{start:.3f}%" width="{width:.3f}%"'
    best = "best wide" if width >= 100 * NARROW else "best"
    bars = []
    for lane, label in enumerate(labels):
        height = max(0.5, (_LANE - 3) * segment.scores[label])
        box = f'{place} y="{top + _WAVE + (lane + 1) * _LANE - height:.1f}" height="{height:.1f}"'
        if label == segment.label:
            bars.append(f'<rect class="{best}" {box} fill="url(#m3ser-{lane})"/>')
        else:
            bars.append(f'<rect class="rest" {box}/>')
    hit = f'<rect class="hit" {place} y="{top}" height="{_WAVE + len(labels) * _LANE}"/>'
    return f'<g class="u"><title>{escaped(told)}</title>{hit}{"".join(bars)}</g>'


_LINES = {
    "/": '<path d="M-2,2 l4,-4 M0,8 l8,-8 M6,10 l4,-4"/>',
    "\\": '<path d="M-2,6 l4,4 M0,0 l8,8 M6,-2 l4,4"/>',
    ".": '<circle cx="2" cy="2" r="0.9"/><circle cx="6" cy="6" r="0.9"/>',
    "x": '<path d="M0,0 l8,8 M0,8 l8,-8"/>',
    "-": '<path d="M0,2 h8 M0,6 h8"/>',
    "+": '<path d="M4,0 v8 M0,4 h8"/>',
    "|": '<path d="M2,0 v8 M6,0 v8"/>',
    "o": '<circle cx="4" cy="4" r="2" fill="none"/>',
    "*": '<path d="M4,1 v6 M1,4 h6 M2,2 l4,4 M2,6 l4,-4"/>',
}


def _patterns(labels: Sequence[str]) -> str:
    """The fillings, by lane, hatched as in print."""
    drawn = []
    for lane, label in enumerate(labels):
        look = look_of(label)
        lines = "".join(_LINES[mark] for mark in sorted(set(look.hatch)))
        drawn.append(
            f'<pattern id="m3ser-{lane}" width="8" height="8" patternUnits="userSpaceOnUse">'
            f'<rect width="8" height="8" fill="{look.colour}"/>'
            f'<g stroke="#1b1f24" stroke-width="0.8" fill="#1b1f24">{lines}</g></pattern>'
        )
    return f'<svg width="0" height="0" style="position:absolute" aria-hidden="true"><defs>{"".join(drawn)}</defs></svg>'


def _share(strip: Strip, seconds: float) -> float:
    """Where a time is in the strip, in per cent of its width."""
    return 100 * (seconds - strip.start) / (strip.end - strip.start)
