"""``m3ser models``: the bundles that ``--model`` can name, and the systems that can be built and trained."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated, Any

import typer

from m3ser.cli.terminal import json_line, printable, stdout_console

if TYPE_CHECKING:
    from rich.table import Table

__all__ = ["models"]


def models(
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object a line.")] = False,
) -> None:
    """List the models that come with m3ser.

    First the bundles, trained and ready: predict --model takes their names, and also a bundle's folder or its id on the
    Hugging Face Hub (owner/name); a further set of classes that a bundle has is named after a colon. Then the systems,
    which the train extra can build: the published ones, and those of your own, in Python files that the environment
    variable M3SER_MODELS names (docs/add-a-model.md). With --json, each line has a kind, bundle or system.
    """
    bundles, systems = list(_bundles()), list(_systems())
    if as_json:
        for facts in (*bundles, *systems):
            json_line(facts)
    else:
        _print_bundles(bundles)
        _print_systems(systems)


def _bundles() -> Iterator[dict[str, Any]]:
    from m3ser.inference import list_bundles

    for bundle in list_bundles():
        manifest = bundle.manifest
        yield {
            "kind": "bundle",
            "name": bundle.name,
            "version": manifest.version,
            "description": manifest.description,
            "architecture": manifest.architecture,
            "labels": list(manifest.labels),
            "heads": {f"{bundle.name}:{head.scheme}": list(head.labels) for head in manifest.heads},
            "language": None if manifest.text is None else manifest.text.language,
            "bytes": sum(record.bytes for record in manifest.files.values()),
            "licence": manifest.licence,
            "folder": str(bundle.folder),
        }


def _systems() -> Iterator[dict[str, Any]]:
    from m3ser.models import systems

    for system in systems().values():
        yield {
            "kind": "system",
            "name": system.name,
            "tier": system.tier,
            "description": system.description,
            "source": system.source,
        }


def _print_bundles(bundles: list[dict[str, Any]]) -> None:
    from rich.text import Text

    console = stdout_console()
    console.print(Text("Bundles, trained and ready (m3ser predict --model NAME)", style="bold"))
    if not bundles:
        console.print("  none")
    for facts in bundles:
        rows = _indented_table()
        rows.add_row("", Text(printable(facts["name"]), style="bold"), f"version {facts['version']}")
        for key in ("description", "architecture", "labels", "language", "licence", "folder"):
            value = facts[key]
            if value:
                shown = ", ".join(value) if isinstance(value, list) else value
                rows.add_row("", Text(key, style="dim"), Text(printable(shown)))
        for name, labels in facts["heads"].items():
            rows.add_row("", Text(name, style="bold"), Text(printable(", ".join(labels))))
        rows.add_row("", Text("size", style="dim"), f"{facts['bytes'] / 1e6:.1f} MB")
        console.print(rows)
    console.line()


def _print_systems(systems: list[dict[str, Any]]) -> None:
    from rich.text import Text

    console = stdout_console()
    console.print(Text('Systems, to build and train (pip install "m3ser[train]")', style="bold"))
    rows = _indented_table()
    for facts in systems:
        rows.add_row("", Text(facts["name"], style="bold"), f"{facts['description']} ({facts['tier']})")
    console.print(rows)


def _indented_table() -> Table:
    from rich.table import Table

    rows = Table.grid(padding=(0, 2))
    rows.add_column(width=0)
    rows.add_column(no_wrap=True)
    rows.add_column(overflow="fold")
    return rows
