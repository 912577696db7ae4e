"""The drawings of a report, as SVG; drawn by matplotlib (the ``train`` extra).

Colours are told apart by everyone and differ in lightness, so that they survive a grey printer (Okabe, Ito 2008); where
there are several lines they differ in their dashes and marks as well. A drawing follows the reader's dark mode by a
style sheet of its own. The same results give the same file.
"""

from __future__ import annotations

import io
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from m3ser.errors import needing
from m3ser.evaluation.report.curves import Curve, curves_of
from m3ser.evaluation.report.results import Judged
from m3ser.evaluation.report.tables import given, share

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["Drawing", "draw_comparison", "draw_confusion", "draw_learning", "draw_reliability", "draw_speakers"]

_INK, _QUIET, _LINE, _GROUND = "#1b1f24", "#57606a", "#d8dee4", "#ffffff"
_DARK = {_INK: "#e6e9ec", _QUIET: "#9aa4ae", _LINE: "#353c44", _GROUND: "#14171b"}
"""What they become in dark mode: the colours of :mod:`m3ser.page_style`."""

_BLUE, _ORANGE, _GREEN = "#0072b2", "#e69f00", "#009e73"
_LOOKS = {
    "both": (_BLUE, "-", "o"),
    "audio": (_ORANGE, "--", "s"),
    "text": (_GREEN, ":", "^"),
    "both-transcribed": (_BLUE, "-", "D"),
    "text-transcribed": (_GREEN, ":", "v"),
}
_MOST_NAMED = 40
"""Speakers that a drawing names one by one."""

_FONTS = ["system-ui", "Segoe UI", "Roboto", "Noto Sans", "DejaVu Sans", "sans-serif"]


@dataclass(frozen=True)
class Drawing:
    """A drawing.

    Attributes:
        svg: the file.
        alt: what it shows, for those who do not see it.
        caption: how it is to be read.
    """

    svg: bytes
    alt: str
    caption: str


def draw_confusion(one: Judged, condition: str) -> Drawing:
    """The confusion matrix: shares of each true class, with counts.

    Raises:
        MissingExtraError: matplotlib is not installed. So for all of this module.
    """
    scores = one.scores[condition]
    counts = np.array(scores.confusion)
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    size = len(scores.labels)
    with _figure(1.6 + 0.78 * size, 1.0 + 0.62 * size) as (figure, finished):
        axes = figure.add_subplot()
        axes.pcolormesh(shares, cmap="Blues", vmin=0, vmax=1, edgecolors="#ffffff", linewidth=1.5)
        for row, column in np.ndindex(counts.shape):
            # Neither black nor white of the page: these stay as they are in dark mode.
            colour = "#fefefe" if shares[row, column] > 0.55 else "#111111"
            axes.text(
                column + 0.5,
                row + 0.5,
                f"{100 * shares[row, column]:.0f}%\n{counts[row, column]:,}",
                ha="center",
                va="center",
                color=colour,
                fontsize=9,
            )
        places = np.arange(size) + 0.5
        axes.set_xticks(places, [_plain(label) for label in scores.labels])
        axes.set_yticks(places, [_plain(label) for label in scores.labels])
        axes.set_ylim(size, 0)
        axes.set_xlabel("taken for")
        axes.set_ylabel("truth")
        _quieten(axes)
        svg = finished()
    diagonal = ", ".join(f"{label} {share(recall)}" for label, recall in zip(scores.labels, scores.recall, strict=True))
    return Drawing(
        svg,
        alt=f"Confusion matrix of {one.name}, given {given(condition)}; recognised of each class: {diagonal}.",
        caption=f"Given {given(condition)}: UA {share(scores.unweighted_accuracy)}, WA "
        f"{share(scores.weighted_accuracy)}. A row is a true class: the share of it that is taken for each class, and "
        "the number of predictions.",
    )


def draw_learning(one: Judged) -> tuple[Drawing, ...]:
    """Loss, and UA, of every epoch over all folds and seeds; without what a run has no record of."""
    run = one.run
    part = run.trainings[0].selected_on
    count = len(run.trainings)
    bands = f" Lines are the means of {count} trainings, bands a standard deviation to either side." * (count > 1)
    losses = curves_of(run.trainings, {"training part": "loss", f"{part} part": f"eval_{one.condition}_loss"})
    scores = curves_of(run.trainings, {name: f"eval_{name}_ua" for name in run.conditions})
    drawings = []
    if losses:
        with _curves("loss") as (axes, finished):
            for (name, curve), look in zip(losses.items(), ((_ORANGE, "--", "s"), (_BLUE, "-", "o")), strict=False):
                _line(axes, curve, look, name)
            axes.legend(frameon=False, fontsize=8.5, labelcolor=_INK)
            svg = finished()
        told = "; ".join(f"{name} {_end(curve, '.3f')}" for name, curve in losses.items())
        drawings.append(
            Drawing(svg, f"Loss of {one.name} over the epochs: {told}.", f"The loss of every epoch.{bands}")
        )
    if scores:
        with _curves(f"UA on the {part} part, %") as (axes, finished):
            for name, curve in scores.items():
                _line(axes, curve, _LOOKS.get(name, (_QUIET, "-", "")), given(name), scale=100)
            _mark_kept(axes, one)
            axes.legend(frameon=False, fontsize=8.5, labelcolor=_INK)
            svg = finished()
        told = "; ".join(f"given {given(name)} {_end(curve, '.2%')}" for name, curve in scores.items())
        how = f"UA of every epoch on the {part} part; the best epoch of each training was kept (diamonds).{bands}"
        drawings.append(Drawing(svg, f"UA of {one.name} on the {part} part over the epochs: {told}.", how))
    return tuple(drawings)


def draw_reliability(one: Judged, condition: str) -> Drawing:
    """How often predictions of a certainty are right, and how many there are of each."""
    curve, scores = one.reliability[condition], one.scores[condition]
    some = curve.counts > 0
    width = float(curve.edges[1] - curve.edges[0])
    with _figure(4.6, 4.2) as (figure, finished):
        upper, lower = figure.subplots(2, 1, sharex=True, height_ratios=(3, 1))
        upper.plot((0, 1), (0, 1), color=_QUIET, linewidth=1, linestyle="--", label="as sure as right")
        upper.plot(
            curve.confidence[some], curve.accuracy[some], color=_BLUE, marker="o", markersize=5, label="the model"
        )
        upper.set_ylim(0, 1)
        upper.set_ylabel("share that is right")
        upper.legend(frameon=False, fontsize=8.5, loc="upper left", labelcolor=_INK)
        lower.bar(curve.edges[:-1], curve.counts, width=0.9 * width, align="edge", color=_BLUE)
        lower.set_xlim(0, 1)
        lower.set_xlabel("probability of the predicted class")
        lower.set_ylabel("predictions")
        for axes in (upper, lower):
            _quieten(axes, grid="both")
        svg = finished()
    confidence = float((curve.counts[some] * curve.confidence[some]).sum() / curve.counts.sum())
    error = share(scores.expected_calibration_error)
    return Drawing(
        svg,
        alt=f"Reliability diagram of {one.name}: on average {share(confidence)} sure, and "
        f"{share(scores.weighted_accuracy)} right; expected calibration error {error}.",
        caption=f"Given {given(condition)}: {share(confidence)} sure on average, "
        f"{share(scores.weighted_accuracy)} right; expected calibration error (ECE, {len(curve.counts)} bins) {error}, "
        f"Brier score {scores.brier_score:.3f}.",
    )


def draw_speakers(one: Judged) -> Drawing:
    """Every speaker's UA and WA, the hardest first; they have to be known."""
    speakers = one.speakers
    named = len(speakers) <= _MOST_NAMED
    places = np.arange(len(speakers))
    with _figure(5.6, 0.9 + (0.24 * len(speakers) if named else 4.0)) as (figure, finished):
        axes = figure.add_subplot()
        whole = 100 * one.own.unweighted_accuracy
        axes.axvline(whole, color=_QUIET, linewidth=1, linestyle="--", label="UA of all", zorder=1)
        for name, label, colour, face, mark in (
            ("weighted_accuracy", "WA (accuracy)", _ORANGE, "none", "s"),
            ("unweighted_accuracy", "UA (balanced accuracy)", _BLUE, _BLUE, "o"),
        ):
            values = [100 * getattr(speaker, name) for speaker in speakers]
            size = 30 if named else 8
            axes.scatter(values, places, marker=mark, s=size, edgecolor=colour, facecolor=face, label=label, zorder=3)
        axes.set_ylim(len(speakers) - 0.4, -0.6)
        axes.set_xlim(0, 102)
        axes.set_xlabel("%")
        if named:
            axes.set_yticks(places, [_plain(f"{s.name} (n = {s.utterances:,})") for s in speakers])
        else:
            axes.set_yticks([])
            axes.set_ylabel(f"{len(speakers):,} speakers, the hardest first")
        figure.legend(
            *axes.get_legend_handles_labels(),
            frameon=False,
            fontsize=8.5,
            loc="outside upper right",
            ncols=3,
            labelcolor=_INK,
        )
        _quieten(axes, grid="both" if named else "x")
        svg = finished()
    low, high = speakers[0], speakers[-1]
    spread = f"from {share(low.unweighted_accuracy)} ({low.name}) to {share(high.unweighted_accuracy)} ({high.name})"
    return Drawing(
        svg,
        alt=f"UA of {one.name} for each of {len(speakers)} speakers: {spread}.",
        caption=f"UA of {len(speakers):,} speakers: {spread}. A speaker's UA is over the classes that he or she has.",
    )


def draw_comparison(runs: Sequence[Judged]) -> Drawing:
    """UA of all runs with their intervals, and of each condition that they were asked under."""
    with _figure(5.6, 1.2 + 0.5 * len(runs)) as (figure, finished):
        axes = figure.add_subplot()
        used: set[str] = set()
        for place, one in enumerate(runs):
            conditions = one.run.conditions
            for number, condition in enumerate(conditions):
                scores = one.scores[condition]
                colour, _, mark = _LOOKS.get(condition, (_QUIET, "-", "D"))
                height = place + 0.22 * (number - (len(conditions) - 1) / 2)
                interval = scores.intervals.get("unweighted_accuracy")
                if interval is not None:
                    axes.plot((100 * interval.low, 100 * interval.high), (height, height), color=colour, linewidth=2)
                axes.plot(
                    100 * scores.unweighted_accuracy,
                    height,
                    marker=mark,
                    color=colour,
                    linestyle="none",
                    markersize=7,
                    label=None if condition in used else given(condition),
                )
                used.add(condition)
        axes.set_yticks(range(len(runs)), [_plain(one.name) for one in runs])
        axes.set_ylim(len(runs) - 0.5, -0.5)
        axes.set_xlabel("UA (balanced accuracy), %")
        figure.legend(
            *axes.get_legend_handles_labels(),
            frameon=False,
            fontsize=8.5,
            loc="outside upper right",
            ncols=3,
            labelcolor=_INK,
        )
        _quieten(axes, grid="x")
        svg = finished()
    told = "; ".join(f"{one.name} {share(one.own.unweighted_accuracy)}" for one in runs)
    return Drawing(
        svg,
        alt=f"UA of {len(runs)} runs with 95% intervals: {told}.",
        caption="UA of each run with its 95% interval over speakers."
        + " Whether intervals overlap does not tell whether runs differ; their difference does." * (len(runs) > 1),
    )


@contextmanager
def _curves(quantity: str) -> Iterator[tuple[Axes, Callable[[], bytes]]]:
    """Axes for a quantity over the epochs, and what makes them an SVG."""
    with _figure(4.6, 3.4) as (figure, finished):
        from matplotlib.ticker import MaxNLocator

        axes = figure.add_subplot()
        axes.set_xlabel("epoch")
        axes.set_ylabel(quantity)
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        _quieten(axes, grid="both")
        yield axes, finished


@contextmanager
def _figure(width: float, height: float) -> Iterator[tuple[Figure, Callable[[], bytes]]]:
    """A figure of `width` times `height` inches, and what makes it an SVG."""
    with needing("train", "Drawing a report"):
        import matplotlib as mpl
        from matplotlib.backends.backend_svg import FigureCanvasSVG
        from matplotlib.figure import Figure as EmptyFigure
    settings: Any = {
        "svg.fonttype": "none",  # words stay words: a fifth of the size, and in the reader's own font
        "svg.hashsalt": "m3ser",
        "font.family": "sans-serif",
        "font.sans-serif": _FONTS,
        "font.size": 10,
        "text.color": _INK,
        "axes.labelcolor": _INK,
        "axes.facecolor": "none",
        "figure.facecolor": _GROUND,
    }
    with mpl.rc_context(), warnings.catch_warnings():
        # Names in scripts that matplotlib's own font lacks are measured as boxes; the reader's font draws them.
        warnings.filterwarnings("ignore", message="Glyph .* missing from font", category=UserWarning)
        mpl.rcParams.update(settings)
        figure = EmptyFigure(figsize=(width, height), layout="constrained")
        FigureCanvasSVG(figure)

        def finished() -> bytes:
            file = io.BytesIO()
            figure.savefig(file, format="svg", metadata=dict.fromkeys(("Date", "Creator", "Format", "Type")))
            return _following_dark_mode(file.getvalue())

        yield figure, finished


def _following_dark_mode(svg: bytes) -> bytes:
    """`svg` with a style sheet that swaps the colours of its ground, ink and lines where the reader's page is dark."""
    rules = "".join(
        f'[style*="{way}: {light}"]{{{way}:{dark} !important}}'
        for light, dark in _DARK.items()
        for way in ("fill", "stroke")
    )
    style = f"<style>@media (prefers-color-scheme: dark){{{rules}}}</style>"
    # What stands before the drawing names a document type that nobody needs to look up.
    head, mark, rest = svg[svg.index(b"<svg") :].partition(b"<defs>")
    return head + style.encode() + mark + rest


def _line(axes: Axes, curve: Curve, look: tuple[str, str, str], label: str, *, scale: float = 1.0) -> None:
    colour, dashes, mark = look
    mean, deviation = scale * curve.mean, scale * curve.deviation
    marks: Any = {"marker": mark, "markersize": 4} if len(mean) <= 20 else {}
    axes.plot(curve.epochs, mean, color=colour, linestyle=dashes, label=_plain(label), **marks)
    if curve.trainings > 1:
        axes.fill_between(curve.epochs, mean - deviation, mean + deviation, color=colour, alpha=0.15, linewidth=0)


def _mark_kept(axes: Axes, one: Judged) -> None:
    """The epoch of each training that was kept, at its UA."""
    kept = [
        (epoch, 100 * dict(training.curve(f"eval_{one.condition}_ua"))[epoch])
        for training in one.run.trainings
        if (epoch := training.chosen(one.condition)) is not None
    ]
    if kept:
        several = len(kept) > 1
        axes.scatter(
            [epoch for epoch, _ in kept],
            [value for _, value in kept],
            marker="D",
            s=18 if several else 50,
            facecolor="none",
            edgecolor=_INK,
            linewidth=0.9,
            zorder=5,
            label="epochs kept" if several else "epoch kept",
        )


def _end(curve: Curve, form: str) -> str:
    return f"{curve.mean[-1]:{form}} at epoch {curve.epochs[-1]:g}"


def _quieten(axes: Axes, *, grid: Literal["both", "x"] | None = None) -> None:
    axes.tick_params(axis="both", length=0, colors=_QUIET, labelcolor=_INK)
    for spine in axes.spines.values():
        spine.set_visible(False)
    if grid is not None:
        axes.grid(axis=grid, color=_LINE, linewidth=0.6)
        axes.set_axisbelow(True)


def _plain(text: str) -> str:
    """`text` without what matplotlib takes for mathematics, or SVG cannot hold."""
    return "".join(letter if letter.isprintable() else "\N{REPLACEMENT CHARACTER}" for letter in text).replace(
        "$", r"\$"
    )
