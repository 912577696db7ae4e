"""Options of the verbs that ask a model, in the same words everywhere."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from m3ser.errors import UsageError

__all__ = [
    "AdaptBy",
    "LanguageOfWords",
    "ModelName",
    "NoText",
    "ProfileFile",
    "Threads",
    "TranscriberName",
    "check_profiles",
]

ModelName = Annotated[
    str,
    typer.Option(
        "--model",
        metavar="NAME",
        help="A bundle: its name, folder or Hugging Face Hub id; NAME:SCHEME for other classes (see m3ser models).",
    ),
]
TranscriberName = Annotated[
    str | None,
    typer.Option(
        "--transcriber",
        metavar="NAME",
        help="What turns speech into text: moonshine (the default) or faster-whisper:SIZE (downloaded once).",
    ),
]
LanguageOfWords = Annotated[
    str | None,
    typer.Option("--language", metavar="CODE", show_default=False, help="Of the words, as in m3ser predict."),
]
NoText = Annotated[bool, typer.Option("--no-text", help="Use the voice alone; transcribe nothing.")]
ProfileFile = Annotated[
    Path | None,
    typer.Option(
        "--profile",
        metavar="FILE",
        show_default=False,
        help="How the speaker or source of the recordings usually sounds (m3ser adapt). Left out: anybody.",
    ),
]
AdaptBy = Annotated[
    str | None,
    typer.Option(
        "--adapt-by",
        metavar="COLUMN",
        show_default=False,
        help="Learn first how everybody usually sounds, from their own recordings: for each value of this column of "
        "the manifest (speaker).",
    ),
]
Neutral = Annotated[
    float | None,
    typer.Option(
        "--neutral",
        metavar="SHARE",
        show_default=False,
        min=0.0,
        max=1.0,
        help="How many of the recordings that are learnt from are neutral, about: 1 for all, 0.7 as in common "
        "conversation. Left out: all emotions about evenly.",
    ),
]
Threads = Annotated[
    int | None,
    typer.Option("--threads", metavar="N", min=1, help="Processor threads. Default: one per physical core."),
]


def check_profiles(profile: Path | None, adapt_by: str | None, neutral: float | None) -> None:
    """Make sure that recordings are to be judged by one profile.

    Raises:
        UsageError: by two; or it is said how neutral what is learnt from, and nothing is.
    """
    if profile is not None and adapt_by is not None:
        raise UsageError("--adapt-by makes a profile for each, and --profile brings one for all; give one of them.")
    if neutral is not None and adapt_by is None:
        raise UsageError("--neutral is about what --adapt-by learns from; give --adapt-by along with it.")
