"""``m3ser corpora list``: the corpora that can be read, and everything about one of them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from m3ser.cli.terminal import json_line, printable, stdout_console
from m3ser.schema import IEMOCAP4, SCHEMES

if TYPE_CHECKING:
    from rich.table import Table

    from m3ser.corpora import CorpusInfo

__all__ = ["list_corpora"]

_UNKNOWN = "-"
_WIDE = 90  # columns that the table takes with the licences in it


def list_corpora(
    name: Annotated[
        str | None, typer.Argument(metavar="NAME", show_default=False, help="A corpus, to tell everything about it.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object a line, with everything.")] = False,
) -> None:
    """List the corpora that m3ser can read.

    The counts are those of complete copies, by the classes of iemocap4 (angry; happy with excited; sad; neutral); split
    says whether there is an official one. Narrow terminals do not show the licences. With NAME: one corpus, with its
    licence and citation, how to get it, and what becomes of its labels in each emotion scheme.
    """
    from m3ser.corpora import READERS, get_reader

    infos = [reader.INFO for reader in READERS.values()] if name is None else [get_reader(name).INFO]
    if as_json:
        for info in infos:
            json_line(_facts(info))
    elif name is None:
        _print_all(infos)
    else:
        _print_one(infos[0])


def _facts(info: CorpusInfo) -> dict[str, Any]:
    return {
        "name": info.name,
        "title": info.title,
        "kind": info.kind,
        "languages": list(info.languages),
        "licence": info.licence,
        "citation": info.citation,
        "access": info.access,
        "layout": info.layout,
        "utterances": info.utterances,
        "speakers": info.speakers,
        "splits": list(info.splits),
        "label_sources": list(info.label_sources),
        "labels": dict(info.labels),
        "counts": dict(info.counts),
        "schemes": {
            name: {"labels": info.label_map(scheme), "counts": info.class_counts(scheme)}
            for name, scheme in SCHEMES.items()
        },
        "notes": list(info.notes),
    }


def _print_all(infos: list[CorpusInfo]) -> None:
    from rich.table import Table

    console = stdout_console()
    wide = console.width >= _WIDE
    table = Table(box=None, pad_edge=False, padding=(0, 1, 0, 0))
    for heading in ("corpus", "kind", "lang", *(["licence"] if wide else [])):
        table.add_column(heading, no_wrap=True)
    for heading in ("utterances", "speakers", *IEMOCAP4.classes, "split"):
        table.add_column(heading, justify="right", no_wrap=True)
    for info in infos:
        counts = info.class_counts(IEMOCAP4)
        table.add_row(
            info.name,
            info.kind,
            ",".join(info.languages),
            # "LicenseRef-" begins what SPDX has no name for.
            *(["own terms" if info.licence.startswith("LicenseRef-") else info.licence] if wide else []),
            f"{info.utterances:,}",
            _number(info.speakers),
            *(_number(counts.get(label)) for label in IEMOCAP4.classes),
            "yes" if info.splits else "no",
        )
    console.print(table)
    console.line()
    for hint in (
        "m3ser corpora list NAME: everything about one",
        "m3ser corpora import NAME FOLDER --out FILE: read a copy of it",
        "m3ser corpora import folder FOLDER --out FILE: read any folder sorted by emotion",
    ):
        console.print(hint, style="dim")


def _print_one(info: CorpusInfo) -> None:
    from rich.text import Text

    console = stdout_console()
    console.print(Text(printable(info.title), style="bold"))
    rows = _grid()
    for key, value in (
        ("name", info.name),
        ("kind", info.kind),
        ("languages", ", ".join(info.languages)),
        ("licence", info.licence),
        ("citation", info.citation),
        ("access", info.access or _UNKNOWN),
        ("layout", info.layout),
        ("utterances", f"{info.utterances:,}"),
        ("speakers", _number(info.speakers)),
        ("official split", ", ".join(info.splits) or "none"),
        ("labels from", " or ".join(info.label_sources)),
        *(("note", note) for note in info.notes),
    ):
        if value:
            rows.add_row(Text(key, style="dim"), Text(printable(value)))
    console.print(rows)
    console.line()
    console.print(_label_table(info))
    for name, scheme in SCHEMES.items():
        counts = info.class_counts(scheme)
        if counts:
            shown = ", ".join(f"{label} {count:,}" for label, count in counts.items())
            console.print(Text.assemble("\n", (f"{name}: ", "bold"), shown))


def _label_table(info: CorpusInfo) -> Table:
    """The corpus's own labels, how many utterances have each, and what they are in m3ser and in each scheme."""
    from rich.table import Table

    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    table.add_column("label", overflow="fold")
    table.add_column("utterances", justify="right", no_wrap=True)
    for heading in ("emotion", *SCHEMES):
        table.add_column(heading, no_wrap=True)
    maps = [info.label_map(scheme) for scheme in SCHEMES.values()]
    for label, emotion in info.labels.items():
        classes = (labels[label] or "left out" for labels in maps)
        table.add_row(printable(label), _number(info.counts.get(label)), emotion or "left out", *classes)
    return table


def _grid() -> Table:
    from rich.table import Table

    rows = Table.grid(padding=(0, 2))
    rows.add_column(no_wrap=True)
    rows.add_column(overflow="fold")
    return rows


def _number(value: int | None) -> str:
    return _UNKNOWN if value is None else f"{value:,}"
