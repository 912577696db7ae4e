"""``m3ser bench``: how fast m3ser is on this machine, beside its peers and beside the machine's limit."""

from __future__ import annotations

import shlex
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from m3ser.cli.progress import LateProgress
from m3ser.cli.terminal import complain, json_line, stdout_console
from m3ser.errors import UsageError

if TYPE_CHECKING:
    from m3ser.bench import Machine, Measured

__all__ = ["bench"]

DEFAULT_RUNS = 5
DEFAULT_FILES = 1_000
DEFAULT_MINUTES = 30.0
_PAGE_WIDTH = 180  # columns
_SHARES = (8, 7, 8, 5, 2, 4)  # of the page's columns


def bench(
    only: Annotated[
        list[str] | None,
        typer.Option("--only", metavar="NAME", help="Measure this alone; may be given several times, and begin names."),
    ] = None,
    runs: Annotated[
        int, typer.Option("--runs", metavar="N", min=1, help="Counted runs of each side; figures to quote need 5.")
    ] = DEFAULT_RUNS,
    files: Annotated[
        int,
        typer.Option(
            "--files", metavar="N", min=200, help="Recordings of the longest annotation; the aims mean 10000."
        ),
    ] = DEFAULT_FILES,
    minutes: Annotated[
        float,
        typer.Option("--minutes", metavar="N", min=6, help="Of the longest timeline; the aims mean 180."),
    ] = DEFAULT_MINUTES,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print one JSON object a line: the machine, then each row when it is known.")
    ] = False,
    out: Annotated[
        Path | None, typer.Option("--out", metavar="FILE", help="Write the page as Markdown to this file, too.")
    ] = None,
) -> None:
    """Measure speed and memory on this machine.

    Prints one page: what is measured, m3ser's figure, its peer's, their ratio, the machine's limit (the arithmetic
    needed, at the speed of matrix products) and m3ser's share of it. All of a row is measured in turn. Peers that are
    not installed say what to install. Leave the machine idle meanwhile; all of it takes about half an hour. Each row is
    there as soon as it is known, in the page of --out as well.

    Names: log-mel-16k-3s, log-mel-16k-60s, log-mel-48k-3s, log-mel-48k-60s (the front end), starter-clips,
    starter-batch, starter-transcribed (the bundled model on one core), runtime-fp32-1, runtime-fp32-32, runtime-int8-1,
    runtime-int8-32 (exported graphs of the published size), runtime-one-core-fp32-1, runtime-one-core-fp32-32,
    runtime-one-core-int8-1, runtime-one-core-int8-32 (the same on one core), cold-start, memory-hour (m3ser predict as
    a process), annotate-files, annotate-memory, annotate-workers, annotate-loop, annotate-transcribed, timeline-voice,
    timeline-transcribed, timeline-live-final, timeline-live-provisional, timeline-memory. A beginning names all of its
    kind: log-mel, log-mel-16k, starter, runtime, runtime-one-core, annotate, timeline, timeline-live.

    Exit code 1 where m3ser's own side of a row failed.
    """
    from m3ser.bench import Sizes, choose, markdown, measure_row, this_machine
    from m3ser.files import write_whole

    rows = choose(only or (), Sizes(files, minutes))
    if out is not None and out.is_dir():
        raise UsageError(f"--out '{out}' is a folder; expected the name of a file.")
    machine = this_machine()
    if as_json:
        json_line({**machine.to_dict(), "runs": runs})
    page = None if as_json else _Page(machine, runs)
    measured: list[Measured] = []
    try:
        # As many as a row has at most: one more than the counted runs, of ours, the peer and matrix products.
        turns = 3 * (runs + 1)
        with LateProgress("measuring", len(rows) * turns) as progress:
            for number, row in enumerate(rows, 1):
                measured.append(measure_row(row, runs=runs, after_each=progress.advance))
                progress.update(number * turns, len(rows) * turns)
                with progress.paused():
                    if page is None:
                        json_line(measured[-1].to_dict())
                    else:
                        page.add(measured[-1])
                if out is not None:
                    command = _command(only or (), runs, files, minutes, out)
                    write_whole(out, markdown(machine, runs, measured, command), "The page")
    finally:
        # Interrupted, or out of luck: the rows that are there are explained all the same.
        if page is not None:
            page.finish(measured)
    failed = [one for one in measured if one.ours.figure is None and not one.ours.missing]
    for one in failed:
        complain(f"{one.row.name} {one.ours.problem}")
    if failed:
        raise typer.Exit(1)


def _command(only: Sequence[str], runs: int, files: int, minutes: float, out: Path) -> str:
    chosen = [word for name in only for word in ("--only", name)]
    sizes = ["--files", str(files)] * (files != DEFAULT_FILES)
    sizes += ["--minutes", f"{minutes:g}"] * (minutes != DEFAULT_MINUTES)
    return shlex.join(["m3ser", "bench", *chosen, "--runs", str(runs), *sizes, "--out", str(out)])


class _Page:
    """The page on stdout, row by row, so that whatever ends the run leaves what was known.

    Args:
        machine: that it is measured on.
        runs: of each side.
    """

    def __init__(self, machine: Machine, runs: int) -> None:
        self._head: tuple[Machine, int] | None = (machine, runs)
        self._console = stdout_console()
        # Six columns need more than text does. What is not a terminal has no edge to keep within.
        terminal = self._console.is_terminal
        self._console.width = shutil.get_terminal_size().columns if terminal else _PAGE_WIDTH

    def add(self, measured: Measured) -> None:
        """Print one more row; before the first one, what it was measured on, and the columns' names."""
        from rich.table import Table

        from m3ser.bench.page import COLUMNS, cells, described

        if self._head is not None:
            for line in described(*self._head):
                self._console.print(line)
            self._console.line()
        # A table for each row. Shares of the width, and not what is in it, make the columns the same in all.
        table = Table(box=None, pad_edge=False, padding=(0, 2, 1, 0), expand=True, show_header=self._head is not None)
        for column, share in zip(COLUMNS, _SHARES, strict=True):
            table.add_column(column, overflow="fold", vertical="top", ratio=share)
        table.add_row(*cells(measured))
        self._console.print(table)
        self._head = None

    def finish(self, measured: Sequence[Measured]) -> None:
        """Print what has to be known to read the rows."""
        from m3ser.bench.page import notes

        for note in notes(measured):
            self._console.print(note)
