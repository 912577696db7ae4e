"""Options of the verbs that ask a model, in the same words everywhere."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

__all__ = ["LanguageOfWords", "ModelName", "NoText", "ProfileFile", "Threads", "TranscriberName"]

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
Threads = Annotated[
    int | None,
    typer.Option("--threads", metavar="N", min=1, help="Processor threads. Default: one per physical core."),
]
