"""The scores of an evaluation, for people."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

import typer

from m3ser.cli.terminal import printable

if TYPE_CHECKING:
    from m3ser.evaluation import Evaluation, WordErrors

__all__ = ["print_scores"]

TITLES = {
    "audio": "the voice alone",
    "text": "the given words alone",
    "both": "voice and given words",
    "text-transcribed": "the transcribed words alone",
    "both-transcribed": "voice and transcribed words",
}


def print_scores(found: Mapping[str, Evaluation], errors: WordErrors | None, notes: Sequence[str]) -> None:
    """Prints a table for each condition, its confusions, the word error rate, and what is to be known beside them."""
    for number, (condition, scores) in enumerate(found.items()):
        between = "\n" if number else ""
        typer.echo(f"{between}{TITLES[condition]} ({condition})\n\n{scores.to_markdown()}\n")
        typer.echo("\n".join(_confusion(scores)))
    if errors is not None:
        typer.echo(
            f"\nWord error rate of the transcripts: {errors.rate:.2%} ({errors.words:,} words of "
            f"{errors.utterances:,} utterances; {errors.substitutions:,} other words, {errors.deletions:,} missing, "
            f"{errors.insertions:,} too many)."
        )
    for note in notes:
        typer.echo(f"\nNote: {printable(note)}")


def _confusion(scores: Evaluation) -> Iterator[str]:
    yield f"| truly \\ taken for | {' | '.join(scores.labels)} |"
    yield f"|---|{'---:|' * len(scores.labels)}"
    for label, row in zip(scores.labels, scores.confusion, strict=True):
        yield f"| {label} | {' | '.join(f'{count:,}' for count in row)} |"
