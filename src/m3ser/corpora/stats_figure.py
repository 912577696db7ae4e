"""The statistics of a manifest as one PNG; drawn by matplotlib (the `train` extra)."""

from __future__ import annotations

import io
import textwrap
import warnings
from collections.abc import Sequence
from typing import TYPE_CHECKING

from m3ser.corpora.stats import Statistics
from m3ser.corpora.stats_page import PAIRED
from m3ser.corpora.stats_view import Chart, charts, lead, notes, shortened
from m3ser.errors import needing

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["require_drawing", "statistics_png"]

_BLUE, _QUIET, _NOTICE = "#0072b2", "#57606a", "#8a4b00"  # told apart by everyone, and in grey
_WIDTH = 10.0  # inches
_ROW = 0.27
_LABEL = 36  # characters


def require_drawing() -> None:
    """Makes sure that PNGs can be drawn here, before anything else is done.

    Raises:
        MissingExtraError: matplotlib is not installed.
    """
    with needing("train", "Drawing statistics as PNG"):
        import matplotlib as mpl  # noqa: F401


def statistics_png(statistics: Statistics, *, title: str, comment: str = "", findings: Sequence[str] = ()) -> bytes:
    """What :func:`~m3ser.corpora.statistics_page` shows, without its tables, as the bytes of a PNG.

    Arguments as there.

    Raises:
        MissingExtraError: matplotlib is not installed.
    """
    require_drawing()
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    drawn = charts(statistics)
    words = [
        *((line, _NOTICE if comment.startswith(PAIRED) else _QUIET) for line in _wrapped(shortened(comment))),
        *((line, "black") for line in _wrapped([", ".join(f"{name} {value}" for name, value in lead(statistics))])),
        *((line, _QUIET) for line in _wrapped(notes(statistics, findings))),
    ]
    heights = [0.5 + 0.2 * len(words), *(0.9 + _ROW * len(chart.labels) for chart in drawn)]
    figure = Figure(figsize=(_WIDTH, sum(heights)))
    FigureCanvasAgg(figure)
    top = sum(heights)
    _write(figure, title, words, top)
    top -= heights[0]
    for chart, height in zip(drawn, heights[1:], strict=True):
        _draw(figure, chart, top, height, sum(heights))
        top -= height
    file = io.BytesIO()
    with warnings.catch_warnings():
        # Names in scripts that matplotlib's own font lacks are drawn as boxes; the page and the tables have them.
        warnings.filterwarnings("ignore", message="Glyph .* missing from font", category=UserWarning)
        figure.savefig(file, format="png", dpi=120, metadata={"Software": None})
    return file.getvalue()


def _write(figure: Figure, title: str, words: Sequence[tuple[str, str]], total: float) -> None:
    figure.text(0.03, 1 - 0.1 / total, _plain(title), va="top", fontsize=15, fontweight="bold")
    for line, (text, colour) in enumerate(words):
        figure.text(0.03, 1 - (0.45 + 0.2 * line) / total, text, va="top", fontsize=9, color=colour)


def _draw(figure: Figure, chart: Chart, top: float, height: float, total: float) -> None:
    rows = len(chart.labels)
    axes = figure.add_axes((0.3, (top - height + 0.35) / total, 0.55, _ROW * rows / total))
    axes.set_title(chart.title, loc="left", fontsize=11, fontweight="bold", x=-0.49)
    places = range(rows)
    if chart.boxes:
        for place, (low, lower, middle, upper, high) in enumerate(chart.boxes):
            axes.plot((low, high), (place, place), color=_BLUE, linewidth=1.5)
            axes.barh(place, upper - lower, left=lower, height=0.55, color=_BLUE)
            # A box without width (everybody says the same sentences) is its notch alone.
            notch = "white" if upper > lower else _BLUE
            axes.plot((middle, middle), (place - 0.28, place + 0.28), color=notch, linewidth=2)
        axes.set_xlim(left=0)
        axes.set_xlabel(chart.unit, fontsize=8, loc="right", labelpad=1)
    else:
        axes.barh(places, chart.values, height=0.6, color=_BLUE)
        axes.set_xlim(0, max([*chart.values, 1.0]))
    axes.set_ylim(rows - 0.5, -0.5)
    axes.set_yticks(places, [_plain(textwrap.shorten(label, _LABEL, placeholder="…") or "…") for label in chart.labels])
    for place, text in zip(places, chart.shown, strict=True):
        axes.text(1.01, place, text, transform=axes.get_yaxis_transform(), va="center", fontsize=8, color=_QUIET)
    _quieten(axes)
    if chart.note:
        axes.text(1.0, -0.02, chart.note, transform=axes.transAxes, fontsize=7, color=_QUIET, ha="right", va="top")
        axes.set_xticks([])


def _quieten(axes: Axes) -> None:
    axes.tick_params(axis="both", length=0, labelsize=8)
    axes.tick_params(axis="x", colors=_QUIET, pad=2)
    axes.grid(axis="x", color="#d8dee4", linewidth=0.5)
    axes.set_axisbelow(True)
    for spine in axes.spines.values():
        spine.set_visible(False)


def _wrapped(texts: Sequence[str]) -> list[str]:
    lines = [line for text in texts for line in text.splitlines()]
    return [_plain(piece) for line in lines for piece in textwrap.wrap(line, 125)]


def _plain(text: str) -> str:
    """`text` without what matplotlib takes for mathematics, or cannot draw at all."""
    return "".join(letter if letter.isprintable() else "\N{REPLACEMENT CHARACTER}" for letter in text).replace(
        "$", r"\$"
    )
