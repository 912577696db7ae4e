"""The statistics of a manifest as one self-contained HTML page."""

from __future__ import annotations

from collections.abc import Sequence

from m3ser.corpora.stats import Statistics
from m3ser.corpora.stats_view import Chart, Rows, charts, lead, notes
from m3ser.page import (
    Html,
    bars,
    details,
    facts,
    heading,
    notice,
    page,
    paragraph,
    section,
    side_by_side,
    spreads,
    table,
)

__all__ = ["PAIRED", "statistics_page"]

PAIRED = "paired (semi-synthetic)"
"""How the comment of a paired manifest begins; nobody is to take such a corpus for a real one."""


def statistics_page(statistics: Statistics, *, title: str, comment: str = "", findings: Sequence[str] = ()) -> str:
    """The page.

    Args:
        statistics: what is shown.
        title: its heading, such as the manifest's name.
        comment: what the manifest says of itself; that of a paired one stands out.
        findings: why lengths are not known, as :func:`~m3ser.corpora.measure_durations` says.
    """
    pieces: list[str] = []
    if comment:
        pieces.append(notice(comment) if comment.startswith(PAIRED) else paragraph(comment))
    pieces.append(facts(lead(statistics)))
    pieces += [paragraph(sentence) for sentence in notes(statistics, findings)]
    drawn = charts(statistics)
    first, rest = drawn[0], drawn[1:]
    spread = [chart for chart in rest if chart.boxes]
    pieces.append(section(first.title, _drawing(first), _table(first.rows)))
    if spread:
        captioned = [Html(f"{heading(chart.title, level=3)}{_drawing(chart)}{_behind(chart)}") for chart in spread]
        how = "Line: from 5% to 95% of the utterances. Box: the middle half. Notch: the median."
        pieces.append(section("Length and words", paragraph(how), side_by_side(*captioned)))
    for chart in rest:
        if not chart.boxes:
            remark = [paragraph(chart.note)] if chart.note else []
            pieces.append(section(chart.title, *remark, _drawing(chart), _behind(chart)))
    return page(title, pieces)


def _drawing(chart: Chart) -> Html:
    if chart.boxes:
        return spreads(chart.labels, chart.boxes, alt=chart.alt, shown=chart.shown, unit=chart.unit)
    return bars(chart.labels, chart.values, alt=chart.alt, shown=chart.shown)


def _behind(chart: Chart) -> Html:
    return details(f"{chart.title}: the numbers", _table(chart.rows))


def _table(rows: Rows) -> Html:
    # The column of shares is text, and belongs to the right all the same.
    numeric = range(1, len(rows.columns))
    return table(rows.columns, rows.cells, caption=rows.caption, numeric=numeric, shading=rows.shading)
