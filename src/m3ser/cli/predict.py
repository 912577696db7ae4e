"""``m3ser predict``: emotions of recordings, of a sentence, or of both."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import replace
from typing import TYPE_CHECKING, Annotated, BinaryIO

import typer

from m3ser.cli.model_options import ModelName, NoText, ProfileFile, Threads, TranscriberName
from m3ser.cli.progress import LateProgress
from m3ser.cli.terminal import bar, complain, json_line, percent, printable, stdout_console, style_of
from m3ser.errors import M3serError, UsageError
from m3ser.schema import Prediction

if TYPE_CHECKING:
    from rich.text import Text

    from m3ser.inference import Recogniser
    from m3ser.inference.requests import TextRequest

__all__ = ["checked_language", "note_missing_transcriber", "predict", "print_prediction"]

STDIN = "-"
MIN_BAR = 8
"""Columns that a bar keeps on the narrowest terminal."""


def predict(
    files: Annotated[
        list[str] | None,
        typer.Argument(metavar="FILES", show_default=False, help="Recordings; - reads one from standard input."),
    ] = None,
    text: Annotated[
        str | None,
        typer.Option("--text", metavar="TEXT", help="What is said in the one recording, or on its own without any."),
    ] = None,
    no_text: NoText = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object a line.")] = False,
    model: ModelName = "starter",
    profile: ProfileFile = None,
    transcriber: TranscriberName = None,
    language: Annotated[
        str | None,
        typer.Option(
            "--language",
            metavar="CODE",
            show_default=False,
            help="Of the words: en, de, pt-BR, ... Left out: recognised in given words. Those that the model does not "
            "read are left out.",
        ),
    ] = None,
    threads: Threads = None,
    providers: Annotated[
        list[str] | None,
        typer.Option(
            "--provider",
            metavar="NAME",
            show_default=False,
            help="What runs the model, by ONNX Runtime's name (CUDAExecutionProvider); may be repeated, the preferred "
            "one first. Left out: the processor.",
        ),
    ] = None,
    start: Annotated[
        float | None,
        typer.Option("--start", metavar="SECONDS", min=0.0, help="Where to begin in each recording."),
    ] = None,
    end: Annotated[
        float | None,
        typer.Option("--end", metavar="SECONDS", min=0.0, help="Where to stop in each recording."),
    ] = None,
    max_seconds: Annotated[
        float,
        typer.Option("--max-seconds", metavar="SECONDS", min=0.001, help="The longest recording that is taken."),
    ] = 600.0,
) -> None:
    """Recognise the emotion of recordings.

    It is taken from the voice and the words. The words are those of --text, or else transcribed where the asr extra is
    installed; where it is not, and with --no-text, the voice alone is used. With --text and no FILES, the text alone is
    used.

    Words in a language that the model was not trained to read (the starter reads English) are left out, the voice
    alone is used, and a line says so; with --json that is the key note. A given text's language is recognised where it
    is clear. That of speech is not: give --language where it is not English, for Moonshine makes English words of
    whatever it hears, and nothing shows it.

    A recording that cannot be used is one sentence on stderr (with --json also an object with the keys file and error
    on stdout, in its place among the results); the others are still answered, and the exit code is 1.
    """
    files = files or []
    _check(files, text=text, no_text=no_text, transcriber=transcriber, start=start, end=end)
    language = checked_language(language, no_text=no_text)

    from m3ser import inference

    failed = 0
    with LateProgress("recognising", len(files) or 1) as progress:
        recogniser = inference.load(
            model,
            transcriber=transcriber or "auto",
            threads=threads,
            max_seconds=max_seconds,
            providers=providers or ("CPUExecutionProvider",),
            profile=profile,
        )
        if text is None and not no_text:
            with progress.paused():
                note_missing_transcriber(recogniser)
        words: TextRequest = text if text is not None else None if no_text else inference.TRANSCRIBE
        for name, result in _results(recogniser, files, text=words, start=start, end=end, language=language):
            with progress.paused():
                failed += isinstance(result, M3serError)
                _report(name, result, as_json=as_json)
            progress.advance()
    if failed:
        raise typer.Exit(1)


def _check(
    files: list[str],
    *,
    text: str | None,
    no_text: bool,
    transcriber: str | None,
    start: float | None,
    end: float | None,
) -> None:
    """Raises UsageError for what contradicts itself."""
    if text is not None and no_text:
        raise UsageError("--text gives the words and --no-text says to use none; give one of them.")
    if text is not None and not text.strip():
        raise UsageError("--text is empty; --no-text says that the voice alone is to be used.")
    if text is not None and len(files) > 1:
        raise UsageError(f"--text is what is said in one recording, but {len(files)} were named.")
    if transcriber is not None and (text is not None or no_text):
        other = "--text" if text is not None else "--no-text"
        raise UsageError(f"--transcriber has nothing to do with {other}; give one of them.")
    if not files and text is None:
        raise UsageError("Nothing to recognise: name recordings, or give --text; m3ser predict --help says more.")
    if not files and (start is not None or end is not None):
        raise UsageError("--start and --end are places in a recording, and none was named.")
    if start is not None and end is not None and end <= start:
        raise UsageError(f"--end {end:g} is not after --start {start:g}.")
    if files.count(STDIN) > 1:
        raise UsageError("Standard input (-) can be read only once.")


def checked_language(language: str | None, *, no_text: bool) -> str | None:
    """The language of a BCP 47 code.

    Raises:
        UsageError: it is no code, or there are no words for it to be of.
    """
    if language is None:
        return None
    if no_text:
        raise UsageError("--language is that of the words and --no-text says to use none; give one of them.")
    from m3ser.text.language_codes import language_code

    return language_code(language)


def _results(
    recogniser: Recogniser,
    files: list[str],
    *,
    text: TextRequest,
    start: float | None,
    end: float | None,
    language: str | None,
) -> Iterator[tuple[str | None, Prediction | M3serError]]:
    """Each file's name with its prediction or its failure, in the order given, as they are ready."""
    from m3ser.inference import Request

    names: list[str | None] = [*files] or [None]
    if files:
        sources = [_standard_input() if name == STDIN else name for name in files]
        requests = [Request(source, text=text, start=start, end=end, language=language) for source in sources]
    else:
        requests = [Request(None, text=text, language=language)]
    yield from zip(names, recogniser.predict_each(requests, on_error="return"), strict=True)


def _standard_input() -> BinaryIO | bytes:
    # None where the shell closed it ("m3ser predict - <&-"): nothing to read, as from an empty file.
    return b"" if sys.stdin is None else sys.stdin.buffer


def note_missing_transcriber(recogniser: Recogniser) -> None:
    """Says on stderr that the voice alone is used, where nothing that transcribes is installed."""
    if recogniser.transcriber is None and "text" in recogniser.bundle.manifest.modalities:
        complain(
            "note: nothing here turns speech into text, so the voice alone is used; "
            'pip install "m3ser[asr]" adds a transcriber, --no-text leaves out this note.'
        )


def _report(name: str | None, result: Prediction | M3serError, *, as_json: bool) -> None:
    if isinstance(result, M3serError):
        complain(str(result))
        if as_json:
            json_line({"file": name, "error": str(result)})
        return
    result = replace(result, file=name)  # standard input has no name of its own
    if as_json:
        json_line(result.to_dict())
    else:
        print_prediction(result)


def print_prediction(prediction: Prediction) -> None:
    """Prints a small table: what was recognised, the words and where they came from, and a bar per emotion."""
    from rich.padding import Padding
    from rich.text import Text

    console = stdout_console()
    title = Text(printable(prediction.file) if prediction.file is not None else "text alone", style="bold")
    if prediction.duration is not None:
        title.append(f"  {prediction.duration:.2f} s", style="default not bold")
    title.append("  ")
    title.append(prediction.label, style=f"bold {style_of(prediction.label)}")
    console.print(title, overflow="fold")
    console.print(Padding(_words(prediction), (0, 0, 0, 2), expand=False))

    name_width = max(len(label) for label in prediction.scores)
    bar_width = max(MIN_BAR, console.width - name_width - len(percent(1)) - 6)  # 6: the indent and two gaps
    for label, share in prediction.scores.items():
        drawn = bar(share, bar_width, ascii_only=console.options.ascii_only)
        style = "bold" if label == prediction.label else ""
        row = Text.assemble(
            (f"  {label:{name_width}}  ", style),
            (f"{drawn:{bar_width}}", style_of(label)),
            (f"  {percent(share)}", style),
        )
        console.print(row, soft_wrap=True)
    console.line()


def _words(prediction: Prediction) -> Text:
    """One line on the text: itself, where it came from, and what was taken out of it."""
    from rich.text import Text

    if prediction.text is None:
        return Text(printable(prediction.note or "no text: the voice alone"), style="dim")
    if prediction.note is not None:
        return Text.assemble((f'"{printable(prediction.text)}" (not used)', "dim"), f"\n{printable(prediction.note)}")
    line = Text(f'"{printable(prediction.text)}"').append(f" ({prediction.text_source})", style="dim")
    if prediction.removed:
        line.append(f", left out: {printable(' '.join(prediction.removed))}", style="dim")
    return line
