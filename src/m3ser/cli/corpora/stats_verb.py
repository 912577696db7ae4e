"""``m3ser corpora stats``: what a manifest holds, as a table, as JSON, or as a page to look at."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from m3ser.cli.progress import LateProgress
from m3ser.cli.terminal import complain, json_line, printable, stdout_console
from m3ser.errors import DataError, UsageError
from m3ser.schema import get_scheme

if TYPE_CHECKING:
    from rich.console import Console

    from m3ser.corpora import Group, Manifest, Statistics

__all__ = ["stats"]

_PAGES = (".html", ".htm")
_MOST_ROWS = 12
"""Groups of one column that a terminal shows; the page and --json have them all."""


def stats(
    manifest: Annotated[
        Path, typer.Argument(metavar="MANIFEST", show_default=False, help="A manifest: .csv, .jsonl or .ndjson.")
    ],
    plot: Annotated[
        Path | None,
        typer.Option(
            "--plot",
            metavar="FILE",
            help="Also draw it: .html (one page that needs nothing else) or .png (needs the train extra). Replaced "
            "where it is there.",
        ),
    ] = None,
    scheme: Annotated[
        str | None,
        typer.Option("--scheme", metavar="NAME", help="Count by the classes of this emotion scheme (iemocap4)."),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print everything as one JSON object.")] = False,
) -> None:
    """Count what a manifest holds.

    Utterances by emotion, speaker, gender, language, corpus and part of a split; how long they are, and in how many
    words. A length that the manifest does not state is read from the recording's header. What is not known is said,
    never guessed. The page and --json have everything, with a row for every speaker.
    """
    from m3ser.corpora import measure_durations, read_manifest, summarise

    kept = None if scheme is None else get_scheme(scheme)
    if plot is not None:
        _check_plot(plot)
    # Recordings are not looked for: a manifest that states its lengths can be counted where the audio is not.
    found = read_manifest(manifest, check_audio=False)
    if not found.utterances:
        raise DataError(f"Manifest '{manifest}' lists no utterance; expected one at least.")
    with LateProgress("measuring", 0) as progress:
        durations = measure_durations(found.utterances, progress=progress.update)
    statistics = summarise(found.utterances, durations.seconds, scheme=kept)
    if as_json:
        json_line(
            {
                "manifest": str(manifest),
                "comment": found.comment,
                **statistics.to_dict(),
                "findings": list(durations.findings),
            }
        )
    else:
        _print(statistics, found, durations.findings)
    if plot is not None:
        _draw(plot, statistics, found, durations.findings)
        complain(f"drawn: '{plot}'.")


def _check_plot(plot: Path) -> None:
    """Raises for what cannot be drawn, before anything is measured."""
    suffix = plot.suffix.lower()
    if suffix == ".png":
        from m3ser.corpora.stats_figure import require_drawing

        require_drawing()
    elif suffix not in _PAGES:
        raise UsageError(f"Plot '{plot}' ends in '{plot.suffix}'; expected .html or .png.")


def _draw(plot: Path, statistics: Statistics, manifest: Manifest, findings: Sequence[str]) -> None:
    from m3ser.corpora import statistics_page, statistics_png
    from m3ser.files import write_whole

    draw = statistics_page if plot.suffix.lower() in _PAGES else statistics_png
    write_whole(plot, draw(statistics, title=manifest.path.name, comment=manifest.comment, findings=findings))


def _print(statistics: Statistics, manifest: Manifest, findings: Sequence[str]) -> None:
    from rich.text import Text

    from m3ser.corpora.stats_page import PAIRED
    from m3ser.corpora.stats_view import MOST_FOLDS, lead, notes, shortened, telling

    console = stdout_console()
    for line in shortened(manifest.comment):
        console.print(Text(printable(line), style="bold yellow" if manifest.comment.startswith(PAIRED) else "dim"))
    console.print(Text(", ".join(f"{name} {printable(value)}" for name, value in lead(statistics)), style="bold"))
    console.line()
    _print_emotions(console, statistics)
    more = [column for column in statistics.part_columns if column != "split"][MOST_FOLDS:]
    for column, groups in telling(statistics).items():
        if column in more:
            continue
        if column == "speaker":
            _print_speakers(console, groups)
        elif column != "emotion":
            _print_groups(console, statistics, column, groups)
    if more:
        console.print(f"\nand {len(more):,} more folds (--json and the page have them all)", style="dim")
    # Findings are about this machine's recordings: on stderr, as those of other verbs.
    for note in notes(statistics, ()):
        console.print(Text(note, style="dim"))
    for finding in findings:
        complain(finding)


def _print_emotions(console: Console, statistics: Statistics) -> None:
    from rich.table import Table

    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    table.add_column("emotion")
    for heading in ("utterances", "share", "speakers", "hours", "median s", "5% to 95% s", "words"):
        table.add_column(heading, justify="right", no_wrap=True)
    rows = [(group.value, group, "") for group in statistics.groups["emotion"]]
    for name, group, style in [*rows, ("all", statistics.whole, "bold")]:
        spread = group.seconds
        table.add_row(
            name,
            f"{group.utterances:,}",
            f"{100 * group.utterances / max(statistics.whole.utterances, 1):.1f}%",
            f"{group.speakers:,}" if group.speakers else "-",
            *(
                ("-", "-", "-")
                if spread is None
                else (f"{spread.total / 3600:.2f}", f"{spread.median:.2f}", f"{spread.low:.2f} to {spread.high:.2f}")
            ),
            "-" if group.words is None else f"{group.words.median:g}",
            style=style,
        )
    console.print(table)


def _print_speakers(console: Console, groups: Sequence[Group]) -> None:
    from statistics import median

    known = [group.utterances for group in groups if group.value is not None]
    each = f"{median(known):g} utterances each (median), {min(known):,} to {max(known):,}"
    console.print(f"\nspeakers: {len(known):,}, {each}")


def _print_groups(console: Console, statistics: Statistics, column: str, groups: Sequence[Group]) -> None:
    from rich.table import Table

    from m3ser.corpora.stats_view import name_of

    names = [printable(name_of(group, column)) for group in groups]
    headings = ["utterances", "speakers", *statistics.whole.emotions]
    if max(len(column), *map(len, names)) + sum(len(heading) + 1 for heading in headings) > console.width:
        headings = headings[:2]  # the page and --json have every emotion
    table = Table(box=None, pad_edge=False, padding=(0, 1, 0, 0))
    table.add_column(column, overflow="fold")
    for heading in headings:
        table.add_column(heading, justify="right", no_wrap=True)
    for name, group in list(zip(names, groups, strict=True))[:_MOST_ROWS]:
        counts = (group.utterances, group.speakers, *group.emotions.values())[: len(headings)]
        table.add_row(name, *(f"{count:,}" for count in counts))
    console.line()
    console.print(table)
    if len(groups) > _MOST_ROWS:
        console.print(f"and {len(groups) - _MOST_ROWS:,} more (--json and the page have them all)", style="dim")
