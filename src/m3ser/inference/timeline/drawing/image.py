"""A timeline as one PNG to print; drawn by matplotlib (the `train` extra)."""

from __future__ import annotations

import io
import warnings
from typing import TYPE_CHECKING

from m3ser.errors import needing
from m3ser.inference.timeline.drawing.layout import NARROW, Strip, clock, facts_of, look_of, strips, ticks_of
from m3ser.inference.timeline.timeline import Timeline
from m3ser.page import NOT_TEXT

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["require_drawing", "timeline_png"]

_WIDTH = 11.0  # inches: a sheet of A4 or letter paper, laid across
_WAVE, _LANE, _GAP = 0.62, 0.24, 0.42
_LEFT, _RIGHT, _TOP, _BOTTOM = 0.95, 0.25, 0.75, 0.45
_QUIET, _WAVE_COLOUR = "#57606a", "#8b959f"
_REST, _REST_EDGE = "#c3cad1", "#7d8791"
_TICKS = 13


def require_drawing() -> None:
    """Makes sure that PNGs can be drawn here, before anything else is done.

    Raises:
        MissingExtraError: matplotlib is not installed.
    """
    with needing("train", "Drawing a timeline as PNG"):
        import matplotlib as mpl  # noqa: F401


def timeline_png(timeline: Timeline, *, title: str) -> bytes:
    """Emotions over time under the waveform, as the bytes of a PNG for a sheet of paper.

    Args:
        timeline: one that has been iterated.
        title: above it.

    Raises:
        MissingExtraError: matplotlib is not installed.
    """
    require_drawing()
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    drawn = strips(timeline)
    labels = timeline.labels
    one = sum(_WAVE + _LANE * len(labels) for _ in drawn[0].channels) + 0.15 * (len(drawn[0].channels) - 1)
    height = _TOP + len(drawn) * (one + _GAP) - _GAP + _BOTTOM
    figure = Figure(figsize=(_WIDTH, height))
    FigureCanvasAgg(figure)
    name = _plain(title)
    figure.text(_LEFT / _WIDTH, 1 - 0.3 / height, name, fontsize=13, weight="bold", va="center", family=_families(name))
    said = "   ".join(f"{name} {value}" for name, value in facts_of(timeline))
    figure.text(_LEFT / _WIDTH, 1 - 0.55 / height, said, fontsize=8.5, color=_QUIET, va="center")
    figure.text(
        1 - _RIGHT / _WIDTH,
        0.12 / height,
        f"bars: probability of each emotion, a full lane is 100%; coloured: the most probable one.   "
        f"{_plain(timeline.model)}",
        fontsize=7,
        color=_QUIET,
        ha="right",
        va="center",
    )
    top = height - _TOP
    for strip in drawn:
        for place in range(len(strip.channels)):
            last = place == len(strip.channels) - 1
            box = (_LEFT / _WIDTH, (top - _WAVE) / height, (_WIDTH - _LEFT - _RIGHT) / _WIDTH, _WAVE / height)
            _draw_wave(figure.add_axes(box), strip, place)
            top -= _WAVE
            lanes = _LANE * len(labels)
            box = (box[0], (top - lanes) / height, box[2], lanes / height)
            _draw_lanes(figure.add_axes(box), strip, place, labels, times=last)
            top -= lanes + (0 if last else 0.15)
        top -= _GAP
    content = io.BytesIO()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # of glyphs that no font here has, in names of files
        figure.savefig(content, format="png", dpi=150, metadata={"Software": None})
    return content.getvalue()


def _draw_wave(axes: Axes, strip: Strip, place: int) -> None:
    channel = strip.channels[place]
    if len(channel.times):
        axes.fill_between(channel.times, channel.low, channel.high, color=_WAVE_COLOUR, linewidth=0.4, step="mid")
    axes.set_xlim(strip.start, strip.end)
    axes.set_ylim(-1.05, 1.05)
    axes.axis("off")
    if channel.name:
        axes.text(
            -0.008, 0.5, channel.name, transform=axes.transAxes, fontsize=8, ha="right", va="center", weight="bold"
        )


def _draw_lanes(axes: Axes, strip: Strip, place: int, labels: tuple[str, ...], *, times: bool) -> None:
    from matplotlib.patches import Rectangle

    for lane, label in enumerate(labels):
        base = len(labels) - 1 - lane
        look = look_of(label)
        axes.axhline(base, color="#d8dee4", linewidth=0.6, zorder=0)
        for segment in strip.channels[place].segments:
            chosen = segment.label == label
            wide = segment.end - segment.start >= NARROW * (strip.end - strip.start)
            axes.add_patch(
                Rectangle(
                    (segment.start, base),
                    segment.end - segment.start,
                    0.92 * segment.scores[label],
                    facecolor=look.colour if chosen else _REST,
                    edgecolor="#1b1f24" if chosen else _REST_EDGE,
                    hatch=look.hatch if chosen else None,
                    linewidth=0.4 if wide else 0.0,
                    zorder=2,
                )
            )
    axes.set_xlim(strip.start, strip.end)
    axes.set_ylim(0, len(labels))
    axes.set_yticks([len(labels) - 1 - lane + 0.42 for lane in range(len(labels))], labels, fontsize=8)
    axes.tick_params(axis="y", length=0)
    ticks = ticks_of(strip, _TICKS)
    axes.set_xticks(ticks, [clock(tick) for tick in ticks] if times else [""] * len(ticks), fontsize=7.5, color=_QUIET)
    axes.tick_params(axis="x", length=3 if times else 0, color=_QUIET)
    axes.grid(axis="x", color="#eef1f4", linewidth=0.6, zorder=-1)
    axes.set_axisbelow(True)
    for side in ("top", "right", "left"):
        axes.spines[side].set_visible(False)
    axes.spines["bottom"].set_color("#9aa4ae")


def _plain(text: str) -> str:
    """`text` on one line, without a meaning for matplotlib's formulas, and short enough for the sheet."""
    line = " ".join(NOT_TEXT.sub("\N{REPLACEMENT CHARACTER}", text).split())
    short = line if len(line) <= 100 else f"\N{HORIZONTAL ELLIPSIS}{line[-99:]}"
    return short.replace("$", r"\$")


def _families(text: str) -> list[str]:
    """Matplotlib's own font, and of those installed the ones that have what it lacks: names of files are in any script.

    What no font has is drawn as a box.
    """
    from matplotlib import font_manager, rcParams
    from matplotlib.ft2font import FT2Font

    families: list[str] = [*rcParams["font.family"]]
    own = FT2Font(font_manager.findfont(font_manager.FontProperties(family=families)))
    missing = {char for char in text if not own.get_char_index(ord(char))}
    for font in font_manager.fontManager.ttflist:
        if not missing:
            break
        try:
            opened = FT2Font(font.fname)
        except (OSError, RuntimeError):  # listed, but gone or damaged since
            continue
        found = {char for char in missing if opened.get_char_index(ord(char))}
        if found and "Last Resort" not in font.name:
            families.append(font.name)
            missing -= found
    return families
