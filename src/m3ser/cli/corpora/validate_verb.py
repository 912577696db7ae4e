"""``m3ser corpora validate``: everything that is wrong with a manifest, with its lines."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from m3ser.cli.progress import LateProgress
from m3ser.cli.terminal import complain, json_line, printable

if TYPE_CHECKING:
    from m3ser.corpora import Fault

__all__ = ["validate"]

_SHOWN = 100
"""Faults of one kind that are printed, where not all are asked for."""


def validate(
    manifest: Annotated[
        Path, typer.Argument(metavar="MANIFEST", show_default=False, help="A manifest: .csv, .jsonl or .ndjson.")
    ],
    audio: Annotated[
        bool, typer.Option("--audio/--no-audio", help="Make sure that every recording is there, or do not look.")
    ] = True,
    show_all: Annotated[
        bool, typer.Option("--all", help=f"Print every fault, not the first {_SHOWN} of each kind.")
    ] = False,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print one JSON object a fault, then one with the sum.")
    ] = False,
) -> None:
    """Find all faults of a manifest.

    Each fault is printed as it is found, with its line: what a column cannot hold, recordings that are not there, rows
    that cannot be read, and the same stretch of a recording twice. Exit code 1 where there is any. A manifest of any
    length is read row by row; about 70 bytes of memory a row are used, to tell what was there before.
    """
    from m3ser.corpora import FaultSample, manifest_faults

    sample = FaultSample(None if show_all else _SHOWN)
    with LateProgress("validating, MB", 0) as progress:
        for fault in manifest_faults(manifest, check_audio=audio, progress=progress.update):
            if sample.takes(fault):
                with progress.paused():
                    _show(fault, as_json=as_json)
    faults = sample.counts.total()
    if as_json:
        json_line({"manifest": str(manifest), "faults": faults, "kinds": dict(sample.counts)})
    else:
        for line in sample.rest():
            typer.echo(f"{printable(line)}; --all prints them")
    if faults:
        complain(f"'{manifest}' has {faults:,} fault{'s' * (faults != 1)}.")
        raise typer.Exit(1)
    if not as_json:
        typer.echo(f"'{printable(str(manifest))}' is right.")


def _show(fault: Fault, *, as_json: bool) -> None:
    if as_json:
        json_line({"line": fault.line, "problem": fault.problem, "kind": fault.kind})
    else:
        typer.echo(printable(str(fault)))
