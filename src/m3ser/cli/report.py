"""``m3ser report``: what trainings and evaluations came to, as a page to look at and as Markdown."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from m3ser.cli.progress import LateProgress
from m3ser.cli.terminal import complain, json_line, printable
from m3ser.errors import UsageError

if TYPE_CHECKING:
    from m3ser.evaluation.report import Report

__all__ = ["report"]


def report(
    runs: Annotated[
        list[Path],
        typer.Argument(
            metavar="RUN",
            help="Folders of train, crossval or evaluate --out, finished; where there are several, others are compared "
            "with the first.",
            show_default=False,
        ),
    ],
    out: Annotated[
        Path | None,
        typer.Option(
            "--out",
            metavar="PATH",
            help="A folder, for report.html and report.md in it, or one file (.html or .md). Left out: the run's own "
            "folder; where there are several runs, the folder that the first one is in.",
            show_default=False,
        ),
    ] = None,
    title: Annotated[
        str | None,
        typer.Option("--title", metavar="TEXT", help="Heading. Left out: the names of the runs.", show_default=False),
    ] = None,
    resamples: Annotated[
        int, typer.Option("--resamples", metavar="N", min=1, help="How often the bootstrap of each interval draws.")
    ] = 10_000,
    seed: Annotated[int, typer.Option("--seed", metavar="N", min=0, help="Of the bootstrap.")] = 0,
    as_json: Annotated[
        bool,
        typer.Option("--json", help="Also print all scores and comparisons, as one JSON object."),
    ] = False,
) -> None:
    """Write trainings and evaluations up as one page.

    UA and WA with intervals over speakers, beside what the recipe expects; whether runs differ, where they were tested
    on the same utterances; confusion matrices, learning curves, reliability and every speaker; what was chosen on what,
    the leakage audit, the data, and the command that makes it again. All of it is computed from the predictions that a
    run has kept. A report that is there is replaced. Needs the train extra.
    """
    _require_different(runs)
    from m3ser.evaluation.report import read_run, report_files, write_report

    place = out if out is not None else runs[0] if len(runs) == 1 else runs[0].resolve().parent
    report_files(place)  # before anything is read: is it a place that can be written to?
    with LateProgress("reporting", 3 * len(runs)) as progress:
        found = []
        for run in runs:
            found.append(read_run(run))
            progress.advance()
        written = write_report(found, place, title=title, resamples=resamples, seed=seed, progress=progress.advance)
    if as_json:
        json_line({"files": [str(file) for file in written.files], **written.results.to_dict()})
    else:
        _print(written)
    complain(f"written: {', '.join(str(file) for file in written.files)}.")


def _require_different(runs: list[Path]) -> None:
    places = [run.resolve() for run in runs]
    if twice := [run for run, place in zip(runs, places, strict=True) if places.count(place) > 1]:
        raise UsageError(f"'{twice[0]}' is given more than once; a report needs different runs.")


def _print(written: Report) -> None:
    for one in written.results.runs:
        for condition, scores in one.scores.items():
            typer.echo(
                f"{printable(one.name)} ({condition}): UA {scores.unweighted_accuracy:.2%} (balanced accuracy), "
                f"WA {scores.weighted_accuracy:.2%} (accuracy), {one.utterances[condition]:,} utterances; "
                f"protocol {', '.join(one.run.marks)}"
            )
    for comparison in written.results.comparisons:
        typer.echo(printable(comparison.sentence()))
    for name, why in written.results.not_compared.items():
        typer.echo(f"{printable(name)} is not compared: {printable(why)}")
