"""The rows by name, and how each is measured: both sides, and the machine's limit, in turn."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from contextlib import ExitStack

from m3ser.bench import annotate, command, front_end, runtime, starter, timeline
from m3ser.bench.arithmetic import PRODUCTS
from m3ser.bench.measure import REST, take_turns
from m3ser.bench.rows import Measured, Outcome, Row, Side, Sizes
from m3ser.bench.worker import SideError, Worker
from m3ser.cores import available_cores
from m3ser.errors import UsageError

__all__ = ["GROUPS", "choose", "measure_row"]


def groups(sizes: Sizes) -> tuple[tuple[Row, ...], ...]:
    """Every row, in the order of the page.

    A group is a file with `ROWS`, or `rows` where they depend on the sizes, and the functions that set their sides up.
    """
    return (
        front_end.ROWS,
        starter.ROWS,
        runtime.ROWS,
        command.ROWS,
        annotate.rows(sizes),
        timeline.rows(sizes),
    )


GROUPS = groups(Sizes())
"""Every row at the sizes that it has unless told otherwise."""


def choose(names: Iterable[str] = (), sizes: Sizes | None = None) -> list[Row]:
    """The rows called `names`, or whose names begin with one of them ("log-mel"), in the page's order; all without any.

    Args:
        names: of rows or of kinds of them.
        sizes: of the longest rows; None: as in :data:`GROUPS`.

    Raises:
        UsageError: no row is called that; lists the names.
    """
    rows = [row for group in (GROUPS if sizes is None else groups(sizes)) for row in group]
    names = list(names)
    chosen = [row for row in rows if not names or any(_means(name, row) for name in names)]
    for name in names:
        if not any(_means(name, row) for row in rows):
            raise UsageError(f"There is no benchmark '{name}'; there are {', '.join(row.name for row in rows)}.")
    return chosen


def _means(name: str, row: Row) -> bool:
    return row.name == name or row.name.startswith(f"{name}-")


def measure_row(
    row: Row, *, runs: int, rest: float = REST, after_each: Callable[[], object] = lambda: None
) -> Measured:
    """Set both sides up, run them in turn, and tell what was found.

    A side that cannot be set up, or fails, is a result like any other; the other one is measured all the same.

    Args:
        row: what to compare.
        runs: counted runs of each side.
        rest: seconds of quiet before each run.
        after_each: called after each run of a side.
    """
    cores = min(row.cores or available_cores(), available_cores())
    with ExitStack() as stack:
        ours = _open(stack, row.ours, cores)
        peer = None if row.peer is None else _open(stack, row.peer, cores)
        flops = ours.flops if isinstance(ours, Worker) and not row.no_limit else None
        products = PRODUCTS[row.arithmetic]
        limit = None if flops is None else _open(stack, products, cores)
        wanted = [(row.ours, ours), (row.peer, peer), (products, limit)]
        outcomes = _run([(side, one) for side, one in wanted if side and one], row, runs, rest, after_each)
        throughput = outcomes.get(products.title)
        return Measured(
            row,
            outcomes[row.ours.title],
            None if row.peer is None else outcomes[row.peer.title],
            audio_seconds=ours.audio_seconds if isinstance(ours, Worker) else None,
            flops=flops,
            throughput=None if throughput is None else throughput.figure,
        )


def _open(stack: ExitStack, side: Side, cores: int) -> Worker | SideError:
    try:
        return stack.enter_context(Worker(side, cores))
    except SideError as error:
        return error


def _run(
    sides: list[tuple[Side, Worker | SideError]], row: Row, runs: int, rest: float, after_each: Callable[[], object]
) -> dict[str, Outcome]:
    """What became of each side, by its title."""
    outcomes: dict[str, Outcome] = {}
    going: dict[str, Worker] = {}
    for side, one in sides:
        if isinstance(one, Worker):
            going[side.title] = one
        else:
            outcomes[side.title] = Outcome(side.title, problem=str(one), missing=one.missing)

    def turn(title: str) -> Callable[[], float]:
        def run() -> float:
            # A side that failed once stays out of the turns that are left.
            if title in outcomes:
                return 0.0
            try:
                return going[title].run()
            except SideError as error:
                outcomes[title] = Outcome(title, problem=str(error), missing=error.missing)
                return 0.0

        return run

    turns = [turn(title) for title in going]
    figures = take_turns(turns, runs=runs, warm_up=row.warm_up, rest=rest, after_each=after_each)
    for title, figure in zip(going, figures, strict=True):
        outcomes.setdefault(title, Outcome(title, figure))
    return outcomes
