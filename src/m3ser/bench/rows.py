"""What a row of the page is: what is compared with what, and what was found."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from m3ser.bench.measure import Figure

__all__ = ["Measured", "Outcome", "Ready", "Row", "Side", "Sizes"]


@dataclass(frozen=True)
class Sizes:
    """How much the longest rows go through. What is aimed at there is meant of 10,000 files and three hours.

    Attributes:
        files: that are annotated.
        minutes: of a long recording.
    """

    files: int = 1_000
    minutes: float = 30.0


@dataclass(frozen=True)
class Ready:
    """A side that is set up; its function is what a :class:`Side` names.

    Attributes:
        run: one run. It returns None, and its seconds are the figure; or the figure itself.
        audio_seconds: how much sound one run goes through; None: that says nothing here.
        flops: floating-point operations that one run cannot do without, an addition and a multiplication counted as
            two; None: not known.
    """

    run: Callable[[], float | None]
    audio_seconds: float | None = None
    flops: float | None = None


@dataclass(frozen=True)
class Side:
    """One of the two that are compared. It runs in a process of its own, so that no thread pool is in the other's way.

    Attributes:
        title: what it is, as the page calls it.
        setup: the function that sets it up, "package.module:function"; called with `options`, it gives :class:`Ready`.
        options: its keyword arguments; JSON values.
        install: what brings the packages that it needs, as a command.
    """

    title: str
    setup: str
    options: Mapping[str, Any] = field(default_factory=dict)
    install: str = ""


@dataclass(frozen=True)
class Row:
    """One comparison.

    Attributes:
        name: what --only calls it.
        what: is measured.
        ours: m3ser.
        peer: what it is measured against; None: nothing, and `no_peer` says why.
        cores: that each side may use; None: all that this process may.
        unit: of the figures: "seconds" or "bytes"; "files/s", of which more is better; "cores", of which so many would
            be busy all the time.
        ratio: "faster": how many times ours is faster (or smaller) than the peer; "share": how much ours is of the
            peer's.
        aim: what the ratio has to be, at least or at most (see `at_least`); None: nothing is aimed at.
        aim_real_time: how many seconds of sound a second ours has to go through; None: nothing is aimed at.
        aim_figure: what ours may be at most; None: nothing is aimed at.
        arithmetic: what ours multiplies; its limit is how fast matrix products of that are.
        no_limit: why the limit is left blank, where it is.
        no_peer: why there is no peer, where there is none.
        warm_up: whether the first run of each is left uncounted.
    """

    name: str
    what: str
    ours: Side
    peer: Side | None
    cores: int | None = None
    unit: Literal["seconds", "bytes", "files/s", "cores"] = "seconds"
    ratio: Literal["faster", "share"] = "faster"
    aim: float | None = None
    aim_real_time: float | None = None
    aim_figure: float | None = None
    arithmetic: Literal["float32", "int8"] = "float32"
    no_limit: str = ""
    no_peer: str = ""
    warm_up: bool = True

    @property
    def at_least(self) -> bool:
        """Whether the ratio is better the larger it is."""
        return self.ratio == "faster" or self.unit == "files/s"


@dataclass(frozen=True)
class Outcome:
    """What became of one side.

    Attributes:
        title: the side's.
        figure: its runs; None where it could not be run.
        problem: why not, as a sentence.
        missing: whether that is because packages are not installed.
    """

    title: str
    figure: Figure | None = None
    problem: str = ""
    missing: bool = False

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready values."""
        if self.figure is None:
            return {"title": self.title, "problem": self.problem}
        figure = self.figure
        return {
            "title": self.title,
            "median": figure.median,
            "lowest": figure.lowest,
            "highest": figure.highest,
            "runs": list(figure.values),
        }


@dataclass(frozen=True)
class Measured:
    """A row with what was found.

    Attributes:
        row: what was compared.
        ours: m3ser's side.
        peer: the other; None where the row has none.
        audio_seconds: how much sound one run goes through.
        flops: that one run of ours cannot do without.
        throughput: of matrix products on the row's cores, in operations a second, measured in turn with both sides;
            None where there is no limit.
    """

    row: Row
    ours: Outcome
    peer: Outcome | None = None
    audio_seconds: float | None = None
    flops: float | None = None
    throughput: Figure | None = None

    @property
    def ratio(self) -> float | None:
        """Of the medians, as the row wants it; None where one side is missing."""
        if self.ours.figure is None or self.peer is None or self.peer.figure is None:
            return None
        ours, peer = self.ours.figure.median, self.peer.figure.median
        return peer / ours if self.row.ratio == "faster" and self.row.unit != "files/s" else ours / peer

    @property
    def reached(self) -> bool | None:
        """Whether the ratio is what was aimed at; None where nothing was, or nothing is known."""
        if self.ratio is None or self.row.aim is None:
            return None
        return self.ratio >= self.row.aim if self.row.at_least else self.ratio <= self.row.aim

    @property
    def real_time(self) -> float | None:
        """Seconds of sound that ours goes through in a second."""
        if self.ours.figure is None or self.audio_seconds is None:
            return None
        return self.audio_seconds / self.ours.figure.median

    @property
    def limit(self) -> float | None:
        """Seconds that the arithmetic alone would take at the speed of matrix products."""
        return None if self.flops is None or self.throughput is None else self.flops / self.throughput.median

    @property
    def share_of_limit(self) -> float | None:
        """How near to that limit ours is: 1 is as fast as matrix products are."""
        return None if self.limit is None or self.ours.figure is None else self.limit / self.ours.figure.median

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready values."""
        row = self.row
        return {
            "kind": "row",
            "name": row.name,
            "what": row.what,
            "unit": row.unit,
            "cores": row.cores,
            "ours": self.ours.to_dict(),
            "peer": None if self.peer is None else self.peer.to_dict(),
            "ratio": self.ratio,
            "ratio_is": row.ratio,
            "aim": row.aim,
            "real_time": self.real_time,
            "aim_real_time": row.aim_real_time,
            "aim_figure": row.aim_figure,
            "flops": self.flops,
            "arithmetic": row.arithmetic,
            "flops_per_second": None if self.throughput is None else self.throughput.median,
            "limit": self.limit,
            "share_of_limit": self.share_of_limit,
        }
