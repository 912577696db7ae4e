"""``m3ser corpora split``: from a manifest to folds by a protocol."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from m3ser.cli.progress import LateProgress
from m3ser.cli.terminal import json_line, printable, stdout_console
from m3ser.errors import UsageError
from m3ser.schema import get_scheme

if TYPE_CHECKING:
    from m3ser.corpora import Split

__all__ = ["split"]


def split(
    manifest: Annotated[
        Path, typer.Argument(metavar="MANIFEST", show_default=False, help="A manifest: .csv, .jsonl or .ndjson.")
    ],
    protocol: Annotated[
        str,
        typer.Option(
            "--protocol",
            metavar="NAME",
            help="paper (random 80/20, as published: optimistic), random, session, speaker, session+script or official "
            "(the corpus's own split).",
        ),
    ],
    out: Annotated[Path, typer.Option("--out", metavar="FILE", help="The manifest to write: .csv, .jsonl or .ndjson.")],
    seed: Annotated[int, typer.Option("--seed", metavar="N", help="Another seed, another draw.")] = 0,
    scheme: Annotated[
        str | None,
        typer.Option(
            "--scheme",
            metavar="NAME",
            help="Use only what is a class of this emotion scheme (iemocap4).",
        ),
    ] = None,
    folds: Annotated[
        int | None,
        typer.Option(
            "--folds",
            metavar="K",
            show_default=False,
            help="Random folds, or groups of speakers or sessions held out in turn. Default: 5 random folds; every "
            "speaker or session alone, or 5 groups where there are more than 12.",
        ),
    ] = None,
    fold: Annotated[
        int | None,
        typer.Option("--fold", metavar="N", show_default=False, help="Write only this fold, from 1, as column split."),
    ] = None,
    validation: Annotated[
        float,
        typer.Option(
            "--validation", metavar="SHARE", help="Of the speakers (or sessions) not tested, how many to select on."
        ),
    ] = 0.2,
    force: Annotated[bool, typer.Option("--force", help="Replace FILE where it is there already.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the folds as one JSON object.")] = False,
) -> None:
    """Divide a manifest's utterances into train, validation and test.

    One fold is written as column split, several as columns fold1, fold2, ...; an empty field leaves the utterance out
    of that fold. All protocols but paper and official select on other speakers than they train and test on. The same
    seed gives the same folds on every machine, whatever the order of the rows and wherever they lie. A protocol that
    the utterances do not allow is refused, with those that they do.
    """
    from m3ser.corpora import make_split, read_manifest, split_comment, with_fold_columns, write_manifest

    if out.suffix.lower() not in (".csv", ".jsonl", ".ndjson"):
        raise UsageError(f"Manifest '{out}' ends in '{out.suffix}'; expected .csv, .jsonl or .ndjson.")
    if out.exists() and not force:
        raise UsageError(f"'{out}' is there already; --force replaces it.")
    kept = None if scheme is None else get_scheme(scheme)
    # Recordings are not looked for: folds can be made where the audio is not.
    found = read_manifest(manifest, check_audio=False)
    with LateProgress("dividing", 0) as progress:
        made = make_split(
            found.utterances,
            protocol,
            seed=seed,
            scheme=kept,
            folds=folds,
            validation=validation,
            progress=progress.update,
        )
        rows = with_fold_columns(made, fold)
    write_manifest(out, rows, comment=split_comment(made, fold, earlier=found.comment))
    numbers = range(1, len(made.folds) + 1) if fold is None else (fold,)
    described = [_described(made, number) for number in numbers]
    if as_json:
        json_line(
            {
                "manifest": str(manifest),
                "out": str(out),
                "protocol": made.protocol,
                "seed": made.seed,
                "scheme": scheme,
                "utterances": len(rows),
                "folds": described,
                "left_out": dict(made.left_out),
                "notes": list(made.notes),
            }
        )
    else:
        _print(made, described, rows=len(rows), out=out)


def _described(made: Split, number: int) -> dict[str, Any]:
    parts = {
        part: {"utterances": held.utterances, "speakers": held.speakers, "classes": dict(held.classes)}
        for part, held in made.summary(number - 1).items()
    }
    own = made.folds[number - 1]
    return {"fold": number, "name": own.name, "parts": parts, "left_out": own.parts.count(None)}


def _print(made: Split, described: list[dict[str, Any]], *, rows: int, out: Path) -> None:
    from rich.table import Table
    from rich.text import Text

    console = stdout_console()
    table = Table(box=None, pad_edge=False, padding=(0, 1, 0, 0))
    table.add_column("fold", overflow="fold")
    table.add_column("part", no_wrap=True)
    classes = next(iter(described[0]["parts"].values()))["classes"]
    for heading in ("utterances", "speakers", *classes):
        table.add_column(heading, justify="right", no_wrap=True)
    for one in described:
        title = f"{one['fold']} {printable(one['name'])}"
        for part, held in one["parts"].items():
            counts = (held["utterances"], held["speakers"] or "-", *held["classes"].values())
            table.add_row(title, part, *(f"{count:,}" if isinstance(count, int) else count for count in counts))
            title = ""
    console.print(table)
    console.line()
    for note in made.notes:
        style = "bold yellow" if note.startswith("optimistic") else ""
        console.print(Text(f"note: {printable(note)}", style=style))
    for reason, count in made.left_out.items():
        console.print(f"left out: {printable(reason)} ({count:,})")
    console.print(f"{rows:,} utterances written to '{printable(str(out))}'", style="dim")
