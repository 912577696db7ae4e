"""``m3ser compare``: whether runs differ, judged on the same utterances."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from m3ser.cli.progress import LateProgress
from m3ser.cli.terminal import json_line, printable, stdout_console
from m3ser.errors import DataError, UsageError

if TYPE_CHECKING:
    from rich.table import Table

    from m3ser.evaluation import Comparison, Difference, PredictionTable

__all__ = ["compare"]

FILE = "predictions.csv"
_SCORES = {
    "unweighted_accuracy": "UA (balanced accuracy)",
    "weighted_accuracy": "WA (accuracy)",
    "macro_f1": "macro F1",
}


def compare(
    runs: Annotated[
        list[Path],
        typer.Argument(
            metavar="RUN",
            help=f"Two or more folders of train, crossval or evaluate --out, each with a {FILE}, or such files; the "
            "first is the baseline.",
            show_default=False,
        ),
    ],
    condition: Annotated[
        str | None,
        typer.Option(
            "--condition",
            metavar="NAME",
            help="What the models were given: both, audio or text; of an evaluation also both-transcribed or "
            "text-transcribed. Left out: both, or the only one that a run has.",
            show_default=False,
        ),
    ] = None,
    resamples: Annotated[
        int, typer.Option("--resamples", metavar="N", min=1, help="How often the bootstrap draws.")
    ] = 10_000,
    seed: Annotated[int, typer.Option("--seed", metavar="N", min=0, help="Of the bootstrap.")] = 0,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object a line for each comparison.")] = False,
) -> None:
    """Tell whether runs differ, on the same utterances.

    Every run is compared with the first. The 95% intervals and p-values are those of a paired bootstrap that draws
    speakers, and seeds where there are several; beside them stands McNemar's exact test on the utterances that only one
    of the two gets right. With more than two runs the p-values are corrected for their number (Holm). Runs that were
    not tested on the same utterances are refused. Needs the train extra.
    """
    if len(runs) < 2:
        raise UsageError(f"A comparison needs at least two runs; found one, '{runs[0]}'.")
    names = _names(runs)
    with LateProgress("comparing", len(runs) + 1) as progress:
        tables = {}
        for name, run in zip(names, runs, strict=True):
            tables[name] = _asked(_read(run), condition, run)
            progress.advance()
        from m3ser.evaluation import compare_with

        baseline = tables[names[0]]
        others = {name: tables[name] for name in names[1:]}
        found = compare_with(baseline, others, name=names[0], resamples=resamples, seed=seed)
    conditions = {name: table.conditions[0] for name, table in tables.items()}
    for one in found:
        if as_json:
            json_line({**one.to_dict(), "conditions": [conditions[one.first], conditions[one.second]]})
        else:
            _print(one, conditions)


def _names(runs: Sequence[Path]) -> list[str]:
    """What each run is called: its folder's name, or its whole path where others are called the same."""
    short = [(run.resolve().parent if run.name == FILE else run.resolve()).name for run in runs]
    names = [str(run) if short.count(name) > 1 or not name else name for run, name in zip(runs, short, strict=True)]
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise UsageError(f"'{twice[0]}' is given more than once; a comparison needs different runs.")
    return names


def _read(run: Path) -> PredictionTable:
    from m3ser.evaluation import read_predictions

    if run.is_dir() and not (run / FILE).is_file():
        raise DataError(f"Folder '{run}' has no {FILE}; expected the folder of a run.")
    return read_predictions(run / FILE if run.is_dir() else run)


def _asked(table: PredictionTable, condition: str | None, run: Path) -> PredictionTable:
    """The rows of one condition: the one asked for, or the run's own."""
    has = list(dict.fromkeys(table.conditions))
    if condition is None:
        if "both" not in has and len(has) > 1:
            raise UsageError(f"'{run}' has predictions under {', '.join(has)}; choose one with --condition.")
        condition = "both" if "both" in has else has[0]
    if condition not in has:
        raise UsageError(f"'{run}' has no predictions under '{condition}'; it has {', '.join(has)}.")
    return table.where(condition=condition)


def _print(found: Comparison, conditions: dict[str, str]) -> None:
    from rich.text import Text

    console = stdout_console()
    first, second = (f"{printable(name)} ({conditions[name]})" for name in (found.first, found.second))
    console.print(Text(f"{second} against {first}", style="bold"))
    console.print(_table(found))
    alone = "alone is right" if max(map(len, found.seeds)) == 1 else "is right with a larger share of its seeds"
    console.print(
        f"The baseline {alone} on {found.first_only:,} utterances, this run on {found.second_only:,}; "
        f"McNemar's exact test: p {_p(found.mcnemar_p_adjusted, equals='= ')}."
    )
    console.print(Text(printable(found.sentence()), style="bold"))
    if found.note:
        console.print(f"({found.note})")
    console.line()


def _table(found: Comparison) -> Table:
    from rich.table import Table

    corrected = found.runs > 1
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    table.add_column("")
    for title in ("baseline", "this run", "difference", "95% interval", "p, corrected" if corrected else "p"):
        table.add_column(title, justify="right", no_wrap=True)
    for score, title in _SCORES.items():
        table.add_row(title, *_cells(found.differences[score]))
    return table


def _cells(one: Difference) -> tuple[str, ...]:
    return (
        f"{100 * one.first:.2f}%",
        f"{100 * one.second:.2f}%",
        f"{100 * one.value:+.2f}",
        f"{100 * one.interval.low:+.2f} to {100 * one.interval.high:+.2f}",
        _p(one.p_adjusted),
    )


def _p(value: float, *, equals: str = "") -> str:
    return "< 0.001" if value < 0.001 else f"{equals}{value:.3f}"
