"""``m3ser models``: the bundles that ``--model`` can name."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from m3ser.cli.terminal import json_line, printable, stdout_console

if TYPE_CHECKING:
    from m3ser.inference import ListedBundle

__all__ = ["models"]


def models(
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object a line.")] = False,
) -> None:
    """List the models that come with m3ser.

    Each is called by its name in m3ser predict --model. That option also takes a bundle's folder and its id on the
    Hugging Face Hub (owner/name).
    """
    from m3ser import inference

    for bundle in inference.list_bundles():
        facts = _facts(bundle)
        if as_json:
            json_line(facts)
        else:
            _print_facts(facts)


def _facts(bundle: ListedBundle) -> dict[str, Any]:
    manifest = bundle.manifest
    return {
        "name": bundle.name,
        "version": manifest.version,
        "description": manifest.description,
        "architecture": manifest.architecture,
        "labels": list(manifest.labels),
        "language": manifest.text.language,
        "bytes": sum(record.bytes for record in manifest.files.values()),
        "licence": manifest.licence,
        "folder": str(bundle.folder),
    }


def _print_facts(facts: dict[str, Any]) -> None:
    from rich.table import Table
    from rich.text import Text

    console = stdout_console()
    console.print(Text.assemble((printable(facts["name"]), "bold"), f"  {facts['bytes'] / 1e6:.1f} MB"))
    rows = Table.grid(padding=(0, 2))
    rows.add_column(width=0)
    rows.add_column(style="dim", no_wrap=True)
    rows.add_column(overflow="fold")
    for key in ("description", "version", "architecture", "labels", "language", "licence", "folder"):
        value = facts[key]
        if value:
            rows.add_row("", key, Text(printable(", ".join(value) if isinstance(value, list) else value)))
    console.print(rows)
    console.line()
