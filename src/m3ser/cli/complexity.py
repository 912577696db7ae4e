"""``m3ser complexity``: parameters and operations of the published systems, beside what the paper prints."""

from __future__ import annotations

import io
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Annotated

import typer

from m3ser.cli.terminal import MAX_WIDTH, json_line, stdout_console
from m3ser.errors import needing

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

    from m3ser.models.complexity import Complexity, Part

__all__ = ["complexity", "complexity_text"]

_PARTS = ("text encoder", "audio encoder", "fusion")


def complexity(
    systems: Annotated[
        list[str] | None,
        typer.Argument(metavar="SYSTEM", help="Published systems by name, as m3ser models lists them; none: all."),
    ] = None,
    tokens: Annotated[
        int, typer.Option("--tokens", metavar="N", help="Tokens of the utterance, [CLS] and [SEP] included.")
    ] = 20,
    seconds: Annotated[float, typer.Option("--seconds", metavar="S", help="Seconds of the utterance.")] = 3.0,
    text_dim: Annotated[
        int,
        typer.Option(
            "--text-dim", metavar="N", help="Features per text state; at another width than BERT's it is not counted."
        ),
    ] = 768,
    audio_dim: Annotated[
        int,
        typer.Option(
            "--audio-dim",
            metavar="N",
            help="Features per audio state; at another width than VGGish's it is not counted.",
        ),
    ] = 128,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object a line for each system.")] = False,
) -> None:
    """Count parameters and FLOPs, as the paper's Table 2 does.

    With BERT-base and VGGish in front, for one utterance; beside the paper's printed numbers, with the difference
    explained. Nothing is downloaded. Needs the train extra.
    """
    from m3ser.models import names

    with needing("train", "Counting a model's operations"):
        from m3ser.models.complexity import explain, measure

    measured = [
        measure(name, tokens=tokens, seconds=seconds, text_dim=text_dim, audio_dim=audio_dim)
        for name in dict.fromkeys(systems or names())
    ]
    if as_json:
        for one in measured:
            json_line({**one.to_dict(), "notes": list(explain([one]))})
        return
    _show(stdout_console(), measured, explain(measured))


def complexity_text(measured: Sequence[Complexity], notes: Sequence[str]) -> str:
    """What the command prints, as text."""
    from rich.console import Console

    console = Console(file=io.StringIO(), width=MAX_WIDTH, highlight=False, markup=False, emoji=False)
    with console.capture() as captured:
        _show(console, measured, notes)
    return "\n".join(line.rstrip() for line in captured.get().strip().splitlines())


def _show(console: Console, measured: Sequence[Complexity], notes: Sequence[str]) -> None:
    for table in (_parameters(measured), _trained(measured), _operations(measured)):
        console.print(table)
        console.line()
    for note in notes:
        console.print(note)


def _parameters(measured: Sequence[Complexity]) -> Table:
    table = _table("Parameters", *_PARTS, "total", "printed")
    for one in measured:
        printed = "" if one.printed is None else f"{one.printed.parameters:g} M"
        table.add_row(one.system, *_of_parts(one, lambda part: f"{part.parameters:,}"), f"{one.parameters:,}", printed)
    return table


def _trained(measured: Sequence[Complexity]) -> Table:
    table = _table("Of which trained", "VGGish frozen", "VGGish trained")
    for one in measured:
        table.add_row(one.system, f"{one.trainable(audio=False):,}", f"{one.trainable(audio=True):,}")
    return table


def _operations(measured: Sequence[Complexity]) -> Table:
    table = _table("GFLOPs", *_PARTS, "total", "printed")
    for one in measured:
        printed = "" if one.printed is None else f"{one.printed.gflops:g}"
        cells = _of_parts(one, lambda part: f"{part.flops / 1e9:.5f}")
        table.add_row(one.system, *cells, f"{one.flops / 1e9:.5f}", printed)
    return table


def _table(what: str, *columns: str) -> Table:
    from rich.table import Table

    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    table.add_column(what, overflow="fold")
    for title in columns:
        table.add_column(title, justify="right", vertical="bottom", overflow="fold")
    return table


def _of_parts(one: Complexity, shown: Callable[[Part], str]) -> list[str]:
    found = (one.part(name) for name in _PARTS)
    return ["" if part is None else shown(part) for part in found]
