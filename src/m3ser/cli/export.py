"""``m3ser export``: from a finished training to a bundle that needs no torch, with a report of what that changed."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, get_args

import typer

from m3ser.cli.terminal import complain, json_line
from m3ser.errors import UsageError, needing

__all__ = ["export"]


def export(
    checkpoint: Annotated[
        Path,
        typer.Argument(
            metavar="CHECKPOINT", show_default=False, help="The folder of a training, or of a cross-validation's fold."
        ),
    ],
    out: Annotated[Path, typer.Argument(metavar="OUT", show_default=False, help="Where the bundle shall be.")],
    precision: Annotated[
        str,
        typer.Option(
            "--precision",
            metavar="NAME",
            help="fp32; fp16 or int8-weights: weights stored as that, the arithmetic in float32; int8: products of "
            "whole numbers, which is fastest.",
        ),
    ] = "fp32",
    calibrate: Annotated[
        Path | None,
        typer.Option(
            "--calibrate",
            metavar="MANIFEST",
            show_default=False,
            help="For int8: utterances to measure the ranges of the activations on. Left out: those it was trained on.",
        ),
    ] = None,
    evaluate: Annotated[
        Path | None,
        typer.Option(
            "--evaluate",
            metavar="MANIFEST",
            show_default=False,
            help="Labelled utterances to compare on. Left out: the training's validation part, or else noise.",
        ),
    ] = None,
    tolerance: Annotated[
        float | None,
        typer.Option(
            "--tolerance",
            metavar="POINTS",
            min=0.0,
            show_default=False,
            help="Of UA that int8 may cost on the calibration data; layers stay in float32 until it costs no more. "
            "Where a model has learnt to do with one modality, four times that of its labels may turn, in per cent. "
            "Default: 0.5.",
        ),
    ] = None,
    full_range: Annotated[
        bool,
        typer.Option(
            "--full-range",
            help="For int8: weights of eight bits, not seven. Exact only on processors with VNNI, and on ARM.",
        ),
    ] = False,
    name: Annotated[
        str | None,
        typer.Option("--name", metavar="NAME", show_default=False, help="Of the model. Left out: the recipe's."),
    ] = None,
    version: Annotated[
        str | None,
        typer.Option("--version", metavar="NAME", show_default=False, help="Edition of the model. Default: 1."),
    ] = None,
    description: Annotated[
        str | None, typer.Option("--description", metavar="TEXT", show_default=False, help="What it is for, in a line.")
    ] = None,
    licence: Annotated[
        str | None,
        typer.Option("--licence", metavar="SPDX", show_default=False, help="Of the weights, as an SPDX expression."),
    ] = None,
    language: Annotated[
        str | None,
        typer.Option("--language", metavar="CODE", show_default=False, help="Of the words that it reads. Default: en."),
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace a bundle that is at OUT already.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the report as one JSON object.")] = False,
) -> None:
    """Make a bundle of a finished training.

    It is for m3ser predict --model OUT and m3ser.load(OUT), which need no torch. The graphs are compared with the model
    as PyTorch runs it: the largest difference of a logit, the share of utterances that get the same label, and the
    change of UA. The report is printed, and kept in the bundle (parity.json, and in its card). In int8 the ranges are
    fixed beforehand, so that a batch changes no answer. A training that cannot be exported says which part of it, and
    why. Needs the train extra.
    """
    from m3ser.bundle import Precision

    chosen = next((one for one in get_args(Precision) if one == precision), None)
    if chosen is None:
        raise UsageError(f"--precision is '{precision}'; expected one of {', '.join(get_args(Precision))}.")
    of_int8 = {"--calibrate": calibrate is not None, "--tolerance": tolerance is not None, "--full-range": full_range}
    if precision != "int8" and any(of_int8.values()):
        raise UsageError(f"{next(name for name, given in of_int8.items() if given)} is for --precision int8 alone.")
    with needing("train", "Exporting"):
        from m3ser.training.exporting.checkpoint_export import About, export_checkpoint
        from m3ser.training.exporting.fallback import TOLERANCE
        from m3ser.training.progress import quiet_libraries

    with quiet_libraries():
        exported = export_checkpoint(
            checkpoint,
            out,
            precision=chosen,
            calibrate=calibrate,
            evaluate=evaluate,
            about=About(name, version, description, licence, language),
            full_range=full_range,
            tolerance=TOLERANCE if tolerance is None else tolerance,
            overwrite=force,
        )
    size = sum(record.bytes for record in exported.bundle.manifest.files.values())
    if as_json:
        json_line({"bundle": str(exported.bundle.folder), "bytes": size, "parity": exported.parity.to_dict()})
        return
    for line in exported.parity.lines():
        typer.echo(line)
    complain(
        f"the bundle is in {exported.bundle.folder} ({size / 1e6:.1f} MB); try m3ser predict --model "
        f"{exported.bundle.folder} RECORDING"
    )
