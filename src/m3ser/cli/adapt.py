"""``m3ser adapt``: learn how a speaker, or a source of recordings, usually sounds."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from m3ser.cli.model_options import ModelName, Neutral, Threads
from m3ser.cli.progress import LateProgress
from m3ser.cli.terminal import complain, json_line, printable
from m3ser.errors import M3serError, UsageError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from m3ser.inference import Request

__all__ = ["adapt"]

SHOWN = 10
"""Failures that are said on stderr one by one."""


def adapt(
    sources: Annotated[
        list[str],
        typer.Argument(
            metavar="SOURCES",
            show_default=False,
            help="Recordings of the speaker or source: files, folders, patterns or manifests, as in m3ser annotate.",
        ),
    ],
    out: Annotated[
        Path,
        typer.Option("--out", metavar="FILE", show_default=False, help="The profile, a small JSON file (anna.json)."),
    ],
    name: Annotated[
        str | None,
        typer.Option(
            "--name",
            metavar="NAME",
            show_default=False,
            help="What predictions call it (starter@5+NAME). Left out: the name of FILE without its ending.",
        ),
    ] = None,
    neutral: Neutral = None,
    limit: Annotated[
        int,
        typer.Option("--limit", metavar="N", min=1, help="Recordings that are heard, at most, evenly over all."),
    ] = 200,
    model: ModelName = "starter",
    threads: Threads = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace FILE if it is there.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print what came of it as one JSON object.")] = False,
) -> None:
    """Learn how a speaker or source usually sounds.

    Voices, microphones and lines differ by more than moods do. A profile, given to the other commands by --profile,
    takes that difference away: on speakers of corpora that the model never met, nothing else has helped as much
    (docs/profiles.md). It needs no labels: about thirty utterances of one person, or else of one source; ten help
    already. What most of them have in common is taken for usual: if they are not of all moods about evenly, say by
    --neutral how many of them are neutral.

    Recordings of more than 30 s are cut into utterances as by m3ser timeline (the asr extra). One that cannot be used
    is a sentence on stderr; the others are still used, and the exit code is 1.
    """
    if out.is_dir():
        raise UsageError(f"'{out}' is a folder; expected the name of a file.")
    if out.exists() and not overwrite:
        raise UsageError(f"'{out}' is already there; name another file, or give --overwrite.")
    if not out.parent.is_dir():
        raise UsageError(f"'{out}' cannot be written: there is no folder '{out.parent}'.")
    from m3ser import inference
    from m3ser.bundle import slug
    from m3ser.profile import FEW

    failures: list[str] = []
    with LateProgress("listing", 0) as progress:
        requests = _chosen(sources, limit, failures)
        recogniser = inference.load(model, transcriber=None, threads=threads)

        def failed(error: M3serError) -> None:
            failures.append(str(error))

        learnt = recogniser.learn(
            requests,
            name=slug(out.stem) if name is None else name,
            neutral=neutral,
            on_failure=failed,
            progress=lambda heard: progress.update(heard, len(requests), what="listening"),
        )
    learnt.write(out)
    for sentence in failures[:SHOWN]:
        complain(sentence)
    if len(failures) > SHOWN:
        complain(f"{len(failures) - SHOWN:,} more could not be used.")
    if learnt.utterances < FEW:
        complain(
            f"note: a profile of {learnt.utterances} utterances tells more about these than about who speaks; {FEW} or "
            "more help, about thirty are enough."
        )
    if as_json:
        found = {"out": str(out), "name": learnt.name, "model": learnt.model, "utterances": learnt.utterances}
        json_line({**found, "seconds": learnt.seconds, "neutral": learnt.neutral, "failed": len(failures)})
    else:
        said = "" if learnt.neutral is None else f", said to be {100 * learnt.neutral:.0f}% neutral"
        typer.echo(
            f"Profile {printable(str(out))}: {learnt.utterances:,} utterances, {learnt.seconds:.0f} s{said}. Use it by "
            f"--profile {printable(str(out))}."
        )
    if failures:
        raise typer.Exit(1)


def _chosen(sources: list[str], limit: int, failures: list[str]) -> list[Request]:
    """The recordings that are heard; what is no recording is added to `failures`."""
    from m3ser.inference import Request
    from m3ser.inference.annotation.sources import Item, find_items

    def spoken() -> Iterator[Item]:
        for item in find_items(sources):
            if item.problem is not None:
                failures.append(item.problem)
            elif item.audio is not None:
                yield item

    items = list(spoken())
    if len(items) > limit:
        items = [items[i * len(items) // limit] for i in range(limit)]
    return [Request(item.audio, text=None, start=item.start, end=item.end) for item in items]
