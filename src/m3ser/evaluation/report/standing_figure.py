"""The drawing of a page of standings: UA of every system, a panel for each thing that they were judged on."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from typing import Any

from m3ser.errors import needing
from m3ser.evaluation.report.results import Judged, Results
from m3ser.evaluation.report.tables import given

__all__ = ["draw_standings"]

_LOOKS = {"both": ("#0072b2", "o"), "audio": ("#e69f00", "s"), "text": ("#009e73", "^")}
_INK, _LINE = "#1b1f24", "#d8dee4"


def draw_standings(groups: Mapping[str, Results], order: Sequence[str]) -> bytes:
    """A PNG of UA with 95% intervals, system by system.

    Colours differ in lightness and marks in their shape, so that it can be read in grey.

    Args:
        groups: what was judged on -> the runs there, whose folders are called after their systems.
        order: the systems, from top to bottom.

    Raises:
        MissingExtraError: matplotlib is not installed.
    """
    with needing("train", "Drawing the standings"):
        import matplotlib as mpl
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure
    settings: Any = {"font.family": "sans-serif", "font.size": 9, "text.color": _INK, "axes.labelcolor": _INK}
    with mpl.rc_context(settings):
        size = (1.6 + 2.6 * len(groups), 1.2 + 0.26 * len(order))
        figure = Figure(figsize=size, layout="constrained", facecolor="white")
        FigureCanvasAgg(figure)
        panels = figure.subplots(1, len(groups), sharex=True, sharey=True, squeeze=False)[0]
        labels: dict[str, Any] = {}
        for axes, (group, results) in zip(panels, groups.items(), strict=True):
            axes.set_title(group, fontsize=10)
            axes.set_xlabel("UA (balanced accuracy), %")
            axes.set_yticks(range(len(order)), order)
            axes.set_ylim(len(order) - 0.4, -0.6)
            axes.grid(axis="x", color=_LINE, linewidth=0.6)
            axes.grid(axis="y", color=_LINE, linewidth=0.3)
            axes.set_axisbelow(True)
            axes.tick_params(axis="both", length=0)
            for spine in axes.spines.values():
                spine.set_visible(False)
            chance = 100 / len(results.runs[0].own.labels)
            axes.axvline(chance, color=_INK, linewidth=0.8, linestyle=":", label="chance")
            for one in sorted(results.runs, key=lambda one: order.index(one.run.folder.name)):
                _point(axes, one, order.index(one.run.folder.name))
            for handle, label in zip(*axes.get_legend_handles_labels(), strict=True):
                labels.setdefault(label, handle)
        columns = 2 * len(groups)  # a single panel has no room for all of them side by side
        figure.legend(
            list(labels.values()), list(labels), frameon=False, fontsize=8.5, loc="outside upper center", ncols=columns
        )
        file = io.BytesIO()
        # Without what changes from one day, or one version, to the next.
        figure.savefig(file, format="png", dpi=150, metadata={"Software": None})
        return file.getvalue()


def _point(axes: Any, one: Judged, place: int) -> None:
    colour, mark = _LOOKS.get(one.condition, ("#57606a", "D"))
    value = 100 * one.own.unweighted_accuracy
    interval = one.own.intervals.get("unweighted_accuracy")
    if interval is not None:
        axes.plot((100 * interval.low, 100 * interval.high), (place, place), color=colour, linewidth=1.6)
    axes.plot(
        value,
        place,
        marker=mark,
        color=colour,
        markeredgecolor=_INK,
        markeredgewidth=0.6,
        linestyle="none",
        markersize=6,
        label=f"given {given(one.condition)}",
    )
