"""The page: a table of what was measured, as text and as Markdown."""

from __future__ import annotations

from collections.abc import Sequence

from m3ser.bench.machine import Machine
from m3ser.bench.measure import Figure
from m3ser.bench.rows import Measured, Outcome

__all__ = ["COLUMNS", "cells", "described", "markdown", "notes"]

COLUMNS = ("what", "ours", "peer", "ratio", "limit", "share of the limit")


def cells(measured: Measured) -> tuple[str, ...]:
    """One row of the table, as text in the order of :data:`COLUMNS`."""
    row = measured.row
    return (
        f"{row.name}: {row.what}",
        "; ".join(filter(None, [_outcome(measured.ours, row.unit) + _aim_figure(measured), _real_time(measured)])),
        "none" if measured.peer is None else f"{measured.peer.title}: {_outcome(measured.peer, row.unit)}",
        _ratio(measured),
        "" if measured.limit is None else quantity(measured.limit, "seconds"),
        "" if measured.share_of_limit is None else f"{100 * measured.share_of_limit:.0f}%",
    )


def quantity(value: float, unit: str) -> str:
    """Seconds, bytes or what else a row is measured in, with three significant digits.

    >>> quantity(0.0141, "seconds"), quantity(533.4e6, "bytes"), quantity(48.23, "files/s")
    ('14.1 ms', '533 MB', '48.2 files/s')
    """
    size, name = _scale(value, unit)
    return f"{_digits(value / size)} {name}"


def spread(figure: Figure, unit: str) -> str:
    """Median, and the lowest and highest of the runs: "14.1 (12.7 to 14.3) ms"."""
    size, name = _scale(figure.median, unit)
    median, lowest, highest = (_digits(value / size) for value in (figure.median, figure.lowest, figure.highest))
    return f"{median} ({lowest} to {highest}) {name}"


def _scale(value: float, unit: str) -> tuple[float, str]:
    steps = _STEPS.get(unit, ((1.0, unit),))
    # What would be rounded up to 1000 of a unit is 1 of the next.
    return next((step for step in steps if value >= 0.9995 * step[0]), steps[-1])


def _digits(value: float) -> str:
    return f"{value:.{0 if value >= 99.95 else 1 if value >= 9.995 else 2}f}"


_STEPS = {
    "seconds": ((1.0, "s"), (1e-3, "ms"), (1e-6, "µs")),
    "bytes": ((1e9, "GB"), (1e6, "MB"), (1e3, "kB"), (1.0, "B")),
}


_PRODUCTS = {
    "float32": ("NumPy's matrix products in float32", "GFLOP/s"),
    "int8": ("ONNX Runtime's matrix products in int8", "Gop/s"),
}


def described(machine: Machine, runs: int) -> list[str]:
    """Lines on what everything was measured on."""
    memory = "" if machine.memory is None else f", {machine.memory / 2**30:.0f} GiB of memory"
    cores = f"{machine.cores} core" + "s" * (machine.cores != 1)
    installed = ", ".join(f"{name} {version}" for name, version in machine.packages.items() if version)
    return [
        f"{machine.processor}, {cores}{memory}; {machine.system}; Python {machine.python}.",
        f"{installed}.",
        f"Medians of {runs} runs of each side in turn, fastest and slowest in brackets.",
    ]


def notes(measured: Sequence[Measured]) -> list[str]:
    """What has to be known to read the table."""
    found = []
    for arithmetic, (which, unit) in _PRODUCTS.items():
        limited = [
            (one.row, one.throughput)
            for one in measured
            if one.throughput is not None and one.row.arithmetic == arithmetic
        ]
        if limited:
            rates = ", ".join(
                f"{figure.median / 1e9:.0f} {unit} on {'all cores' if cores is None else _cores(cores)}"
                for cores, figure in {row.cores: figure for row, figure in limited}.items()
            )
            names = "" if arithmetic == "float32" else f" of {', '.join(row.name for row, _ in limited)}"
            found.append(
                f"The limit{names} is what the arithmetic of ours would take at the speed of {which}, measured in turn "
                f"with both: {rates}."
            )
    for what, reason_of in (("limit", _no_limit), ("peer", _no_peer)):
        for reason in dict.fromkeys(map(reason_of, measured)):
            names = ", ".join(one.row.name for one in measured if reason_of(one) == reason)
            if reason:
                found.append(f"No {what} for {names}: {reason}.")
    return found


def _no_limit(measured: Measured) -> str:
    return measured.row.no_limit


def _no_peer(measured: Measured) -> str:
    return measured.row.no_peer


def markdown(machine: Machine, runs: int, measured: Sequence[Measured], command: str) -> str:
    """The whole page.

    Args:
        machine: that it was measured on.
        runs: of each side.
        measured: the rows.
        command: what wrote it, as one would type it.
    """
    lines = ["# Performance", "", f"Written by `{command}`.", "", *described(machine, runs), ""]
    lines += [_line(COLUMNS), "|---|" + "---:|" * (len(COLUMNS) - 1)]
    lines += [_line(cells(one)) for one in measured]
    lines += ["", *(f"- {note}" for note in notes(measured))]
    return "\n".join(lines).rstrip() + "\n"


def _line(texts: Sequence[str]) -> str:
    return "| " + " | ".join(text.replace("|", "\\|") for text in texts) + " |"


def _cores(count: int) -> str:
    return "one core" if count == 1 else f"{count} cores"


def _outcome(outcome: Outcome, unit: str) -> str:
    return outcome.problem if outcome.figure is None else spread(outcome.figure, unit)


def _aim_figure(measured: Measured) -> str:
    row = measured.row
    if row.aim_figure is None or measured.ours.figure is None:
        return ""
    return f" (aim: at most {quantity(row.aim_figure, row.unit)})"


def _real_time(measured: Measured) -> str:
    if measured.real_time is None or measured.row.aim_real_time is None:
        return ""
    return f"{measured.real_time:.3g} times real time (aim: {measured.row.aim_real_time:g})"


def _ratio(measured: Measured) -> str:
    ratio, row = measured.ratio, measured.row
    if ratio is None:
        return ""
    if row.ratio == "share":
        bound = "at least" if row.at_least else "at most"
        return f"{_digits(ratio)} of the peer's" + ("" if row.aim is None else f" (aim: {bound} {row.aim:g})")
    return f"{_digits(ratio)} times faster" + ("" if row.aim is None else f" (aim: {row.aim:g})")
