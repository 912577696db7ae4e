"""``m3ser corpora validate``: everything that is wrong with a manifest, with its lines."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from m3ser.cli.terminal import complain, json_line, printable

__all__ = ["validate"]

_SHOWN = 1000
"""Faults that are printed, where not all are asked for."""


def validate(
    manifest: Annotated[
        Path, typer.Argument(metavar="MANIFEST", show_default=False, help="A manifest: .csv, .jsonl or .ndjson.")
    ],
    audio: Annotated[
        bool, typer.Option("--audio/--no-audio", help="Make sure that every recording is there, or do not look.")
    ] = True,
    show_all: Annotated[bool, typer.Option("--all", help=f"Print every fault, not the first {_SHOWN:,}.")] = False,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print one JSON object a fault, then one with the sum.")
    ] = False,
) -> None:
    """Find all faults of a manifest.

    Each fault is printed as it is found, with its line; the memory does not grow with the manifest. Exit code 1 where
    there is any.
    """
    from m3ser.corpora import manifest_faults

    faults = 0
    for fault in manifest_faults(manifest, check_audio=audio):
        faults += 1
        if show_all or faults <= _SHOWN:
            if as_json:
                json_line({"line": fault.line, "problem": fault.problem})
            else:
                typer.echo(printable(str(fault)))
    if as_json:
        json_line({"manifest": str(manifest), "faults": faults})
    elif faults > _SHOWN and not show_all:
        typer.echo(f"and {faults - _SHOWN:,} more (--all prints them)")
    if faults:
        complain(f"'{manifest}' has {faults:,} fault{'s' * (faults != 1)}.")
        raise typer.Exit(1)
    if not as_json:
        typer.echo(f"'{printable(str(manifest))}' is right.")
