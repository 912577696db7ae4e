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
_PAGE_WIDTH = 180  # columns


def bench(
    only: Annotated[
        list[str] | None,
        typer.Option("--only", metavar="NAME", help="Measure this alone; may be given several times, and begin names."),
    ] = None,
    runs: Annotated[
        int, typer.Option("--runs", metavar="N", min=1, help="Counted runs of each side; figures to quote need 5.")
    ] = DEFAULT_RUNS,
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
    not installed say what to install. Leave the machine idle meanwhile; all of it takes about a quarter of an hour.

    Names: log-mel-16k-3s, log-mel-16k-60s, log-mel-48k-3s, log-mel-48k-60s (the front end), starter-clips,
    starter-batch, starter-transcribed (the bundled model on one core), runtime-fp32-1, runtime-fp32-32, runtime-int8-1,
    runtime-int8-32 (exported graphs of the published size on one core), cold-start, memory-hour (m3ser predict as a
    process). A beginning names all of its kind: log-mel, log-mel-16k, starter, runtime.

    Exit code 1 where m3ser's own side of a row failed.
    """
    from m3ser.bench import choose, markdown, measure_row, this_machine
    from m3ser.files import write_whole

    rows = choose(only or ())
    if out is not None and out.is_dir():
        raise UsageError(f"--out '{out}' is a folder; expected the name of a file.")
    machine = this_machine()
    if as_json:
        json_line({**machine.to_dict(), "runs": runs})
    measured: list[Measured] = []
    try:
        # As many as a row has at most: one more than the counted runs, of ours, the peer and matrix products.
        turns = 3 * (runs + 1)
        with LateProgress("measuring", len(rows) * turns) as progress:
            for number, row in enumerate(rows, 1):
                measured.append(measure_row(row, runs=runs, after_each=progress.advance))
                progress.update(number * turns, len(rows) * turns)
                if as_json:
                    with progress.paused():
                        json_line(measured[-1].to_dict())
    finally:
        # Interrupted, or out of luck: what was measured until then is shown all the same.
        if measured and not as_json:
            _show(machine, runs, measured)
    if out is not None:
        write_whole(out, markdown(machine, runs, measured, _command(only or (), runs, out)), "The page")
    failed = [one for one in measured if one.ours.figure is None and not one.ours.missing]
    for one in failed:
        complain(f"{one.row.name} {one.ours.problem}")
    if failed:
        raise typer.Exit(1)


def _command(only: Sequence[str], runs: int, out: Path) -> str:
    chosen = [word for name in only for word in ("--only", name)]
    return shlex.join(["m3ser", "bench", *chosen, "--runs", str(runs), "--out", str(out)])


def _show(machine: Machine, runs: int, measured: Sequence[Measured]) -> None:
    from rich.table import Table

    from m3ser.bench.page import COLUMNS, cells, described, notes

    console = stdout_console()
    # Six columns need more than text does. What is not a terminal has no edge to keep within.
    console.width = shutil.get_terminal_size().columns if console.is_terminal else _PAGE_WIDTH
    for line in described(machine, runs):
        console.print(line)
    console.line()
    table = Table(box=None, pad_edge=False, padding=(0, 2, 1, 0))
    for column in COLUMNS:
        table.add_column(column, overflow="fold", vertical="top")
    for one in measured:
        table.add_row(*cells(one))
    console.print(table)
    for note in notes(measured):
        console.print(note)
