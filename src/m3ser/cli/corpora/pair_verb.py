"""``m3ser corpora pair``: real voices with real sentences that they never said."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from m3ser.cli.terminal import json_line, printable, stdout_console
from m3ser.errors import DataError, UsageError
from m3ser.schema import get_scheme

if TYPE_CHECKING:
    from m3ser.schema import Utterance

__all__ = ["pair"]


def pair(
    voices: Annotated[
        Path,
        typer.Argument(metavar="VOICES", show_default=False, help="Manifest of recordings, with the column split."),
    ],
    sentences: Annotated[
        Path, typer.Argument(metavar="SENTENCES", show_default=False, help="Manifest of texts, with the column split.")
    ],
    out: Annotated[Path, typer.Option("--out", metavar="FILE", help="The manifest to write: .csv, .jsonl or .ndjson.")],
    scheme: Annotated[
        str, typer.Option("--scheme", metavar="NAME", help="The emotion scheme to pair by.")
    ] = "iemocap4",
    agree: Annotated[
        float, typer.Option("--agree", metavar="SHARE", help="Pairs whose words agree with the voice.")
    ] = 0.5,
    neutral: Annotated[float, typer.Option("--neutral", metavar="SHARE", help="Pairs with neutral words.")] = 0.25,
    conflict: Annotated[
        float, typer.Option("--conflict", metavar="SHARE", help="Pairs whose words are of another emotion.")
    ] = 0.25,
    per_clip: Annotated[
        int, typer.Option("--per-clip", metavar="N", min=1, help="Sentences that each recording is paired with.")
    ] = 1,
    seed: Annotated[int, typer.Option("--seed", metavar="N", help="Another seed, another pairing.")] = 0,
    split_speakers: Annotated[
        bool,
        typer.Option("--split-speakers", help="Divide the speakers 60/20/20 first, where VOICES has no column split."),
    ] = False,
    force: Annotated[bool, typer.Option("--force", help="Replace FILE where it is there already.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the counts as one JSON object.")] = False,
) -> None:
    """Make a paired (semi-synthetic) corpus.

    Each recording is joined with sentences of the same emotion, of none, or of another, in the given shares; no speaker
    and no sentence is in two parts. It serves to train and to measure how voice and words are weighed against each
    other; its numbers are never those of a real corpus, and its first line says so.
    """
    from m3ser.corpora import pair as pair_up
    from m3ser.corpora import read_manifest, split_by_speaker, write_manifest

    if out.exists() and not force:
        raise UsageError(f"'{out}' is there already; --force replaces it.")
    kept = get_scheme(scheme)
    heard = read_manifest(voices, check_audio=False).utterances
    read = read_manifest(sentences, check_audio=False).utterances
    if split_speakers:
        heard = split_by_speaker(heard, seed=seed)
    elif any(utterance.split is None for utterance in heard):
        raise DataError(
            f"'{voices}' has rows without split; m3ser corpora split {voices} --protocol speaker --fold 1 makes it, or "
            "--split-speakers does so here."
        )
    shares = {"agree": agree, "neutral": neutral, "conflict": conflict}
    paired = pair_up(heard, read, scheme=kept, shares=shares, per_clip=per_clip, seed=seed)
    write_manifest(out, paired.utterances, comment=paired.comment)
    counts = Counter((u.split or "", kept.class_of(u.emotion) or "", u.extra["relation"]) for u in paired.utterances)
    if as_json:
        rows = [
            {"split": part, "class": label, "relation": relation, "pairs": number}
            for (part, label, relation), number in counts.items()
        ]
        json_line({"out": str(out), "comment": paired.comment, "pairs": rows, "dropped": dict(paired.dropped)})
    else:
        _print(paired.utterances, counts, comment=paired.comment, out=out)


def _print(
    utterances: tuple[Utterance, ...], counts: Counter[tuple[str, str, str]], *, comment: str, out: Path
) -> None:
    from rich.table import Table

    console = stdout_console()
    console.print(printable(comment), style="bold yellow")
    relations = list(dict.fromkeys(relation for *_, relation in counts))
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    table.add_column("part")
    table.add_column("voice")
    for relation in relations:
        table.add_column(relation, justify="right")
    for part, label in dict.fromkeys((part, label) for part, label, _ in counts):
        table.add_row(part, label, *(f"{counts[part, label, relation]:,}" for relation in relations))
    console.print(table)
    console.print(f"{len(utterances):,} pairs written to '{printable(str(out))}'", style="dim")
