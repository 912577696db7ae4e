"""``m3ser timeline``: emotions over time in a recording of any length."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import nullcontext
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from m3ser.cli.model_options import LanguageOfWords, ModelName, Neutral, NoText, ProfileFile, Threads, TranscriberName
from m3ser.cli.predict import STDIN, checked_language, note_missing_transcriber
from m3ser.cli.progress import LateProgress
from m3ser.cli.terminal import bar, complain, printable, stdout_console, style_of
from m3ser.errors import AudioError, UsageError
from m3ser.files import appearing_whole, write_whole
from m3ser.schema import Segment

if TYPE_CHECKING:
    from m3ser.inference import CutSettings, Recogniser, Timeline

__all__ = ["print_segment", "timeline"]

ENDINGS = {
    ".json": "json",
    ".csv": "csv",
    ".srt": "srt",
    ".vtt": "vtt",
    ".textgrid": "textgrid",
    ".txt": "audacity",
    ".emotionml": "emotionml",
    ".xml": "emotionml",
}
"""The format that the ending of --out stands for."""

RULES = {
    "pause_seconds": "--pause",
    "min_seconds": "--shortest",
    "join_seconds": "--join",
    "max_seconds": "--longest",
    "padding_seconds": "--padding",
}
"""The option for each number in the rules of cutting."""

PICTURES = (".png", ".html")
BAR_WIDTH = 10


class ChannelChoice(str, Enum):
    """What is done with a recording's channels."""

    MIX = "mix"
    SPLIT = "split"


def _flag(name: str, what: str) -> Any:
    return typer.Option(f"--{name}", help=what)


def timeline(
    file: Annotated[
        str, typer.Argument(metavar="FILE", show_default=False, help="A recording; - reads it from standard input.")
    ],
    as_json: Annotated[bool, _flag("json", "One JSON object, as predict prints it, with its segments.")] = False,
    as_csv: Annotated[bool, _flag("csv", "A table with a column for each emotion.")] = False,
    as_srt: Annotated[bool, _flag("srt", "Captions: SubRip.")] = False,
    as_vtt: Annotated[bool, _flag("vtt", "Captions: WebVTT.")] = False,
    as_textgrid: Annotated[bool, _flag("textgrid", "Praat: tiers of words and of emotions.")] = False,
    as_audacity: Annotated[bool, _flag("audacity", "Labels for Audacity.")] = False,
    as_emotionml: Annotated[bool, _flag("emotionml", "W3C EmotionML 1.0.")] = False,
    out: Annotated[
        Path | None,
        typer.Option("--out", metavar="FILE", help="Write there instead; its ending tells the format, too."),
    ] = None,
    plot: Annotated[
        Path | None,
        typer.Option("--plot", metavar="FILE", help="Draw emotions over time as well: a .png, or a page (.html)."),
    ] = None,
    words: Annotated[
        Path | None,
        typer.Option(
            "--words", metavar="FILE", help="What is said and when: SRT, VTT, TextGrid, CTM or whisper's JSON."
        ),
    ] = None,
    no_text: NoText = False,
    channels: Annotated[
        ChannelChoice,
        typer.Option("--channels", metavar="mix|split", help="split keeps them apart (caller, agent)."),
    ] = ChannelChoice.MIX,
    smooth: Annotated[
        int,
        typer.Option("--smooth", metavar="N", min=0, max=20, help="Average with N neighbouring utterances each side."),
    ] = 0,
    pause: Annotated[
        float | None,
        typer.Option("--pause", metavar="SECONDS", help="A pause that ends an utterance. Default: 0.5."),
    ] = None,
    shortest: Annotated[
        float | None,
        typer.Option("--shortest", metavar="SECONDS", help="Shorter utterances join a near neighbour. Default: 1."),
    ] = None,
    join: Annotated[
        float | None,
        typer.Option("--join", metavar="SECONDS", help="So near is near: across a shorter pause. Default: 1."),
    ] = None,
    longest: Annotated[
        float | None,
        typer.Option("--longest", metavar="SECONDS", help="Longer utterances are split. Default: 15."),
    ] = None,
    padding: Annotated[
        float | None,
        typer.Option("--padding", metavar="SECONDS", help="Kept before and behind each utterance. Default: 0.2."),
    ] = None,
    start: Annotated[
        float | None, typer.Option("--start", metavar="SECONDS", min=0.0, help="Where to begin in the recording.")
    ] = None,
    end: Annotated[
        float | None, typer.Option("--end", metavar="SECONDS", min=0.0, help="Where to stop in the recording.")
    ] = None,
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on with an interrupted run that wrote to the same --out.")
    ] = False,
    model: ModelName = "starter",
    profile: ProfileFile = None,
    adapt: Annotated[
        bool,
        typer.Option(
            "--adapt",
            help="Learn first, from the recording itself, how each channel usually sounds (docs/profiles.md).",
        ),
    ] = False,
    neutral: Neutral = None,
    transcriber: TranscriberName = None,
    language: LanguageOfWords = None,
    threads: Threads = None,
) -> None:
    """Emotions over time in a recording of any length.

    Speech is found (the asr extra), cut at its pauses into utterances, and each is recognised from its voice and its
    words: those of --words, or else transcribed as m3ser predict does. Results come while it runs.

    With --out, answers are kept in FILE.journal until FILE is there; after an interruption, the same command with
    --resume goes on. A recording that breaks off is one sentence on stderr and exit code 1; what comes before is
    written. Where nobody speaks, the result is empty.
    """
    flags = {
        "json": as_json,
        "csv": as_csv,
        "srt": as_srt,
        "vtt": as_vtt,
        "textgrid": as_textgrid,
        "audacity": as_audacity,
        "emotionml": as_emotionml,
    }
    form = _format([name for name, given in flags.items() if given], out)
    _check(file, words=words, no_text=no_text, transcriber=transcriber, out=out, plot=plot, resume=resume)
    _check_adapting(file, adapt=adapt, profile=profile, neutral=neutral)
    language = checked_language(language, no_text=no_text)
    from m3ser import inference
    from m3ser.inference.timeline import drawing

    if plot is not None and plot.suffix.lower() == ".png":
        drawing.require_drawing()
    journal = None if out is None or file == STDIN else out.with_name(f"{out.name}.journal")
    _check_journal(journal, resume=resume)
    cuts = _cuts(dict(zip(RULES, (pause, shortest, join, longest, padding), strict=True)))
    with LateProgress("recognising", 0, unit="s of sound", time_left=True) as progress:
        recogniser = inference.load(model, transcriber=transcriber or "auto", threads=threads, profile=profile)
        if words is None and not no_text:
            with progress.paused():
                note_missing_transcriber(recogniser)
        result = recogniser.timeline(
            sys.stdin.buffer if file == STDIN else file,
            text=None if no_text else inference.TRANSCRIBE,
            words=words,
            start=start,
            end=end,
            channels=channels.value,
            cuts=cuts,
            smooth=smooth,
            journal=journal,
            language=language,
            adapt=adapt,
            neutral=neutral,
        )
        result.file = file
        result.watch = lambda one: progress.update(
            int(one.heard if one.adapting else one.finished),
            int(one.duration or one.heard),
            what="listening" if one.adapting else "recognising",
        )
        try:
            fault = _write(result, form, out, progress)
        except KeyboardInterrupt:
            if journal is not None and journal.exists():
                complain(f"what was recognised is kept in {journal}; the same command with --resume goes on.")
            raise
    if plot is not None:
        _draw(result, plot, fault)
    if journal is not None:
        journal.unlink(missing_ok=True)
    _notes(result, recogniser)
    if fault is not None:
        raise fault


def _format(chosen: list[str], out: Path | None) -> str | None:
    """The format that is asked for; None: lines for people."""
    if len(chosen) > 1:
        raise UsageError(f"--{' and --'.join(chosen)} are two formats; give one of them.")
    if chosen:
        return chosen[0]
    if out is None:
        return None
    try:
        return ENDINGS[out.suffix.lower()]
    except KeyError:
        raise UsageError(
            f"--out '{out}' does not tell the format; give --json, --csv, ... or an ending: {', '.join(ENDINGS)}."
        ) from None


def _cuts(given: dict[str, float | None]) -> CutSettings:
    """The rules of cutting; a number outside of its range is called by the option that gave it."""
    from m3ser.inference import CutSettings

    try:
        return CutSettings(**{name: value for name, value in given.items() if value is not None})
    except UsageError as error:
        message = str(error)
        for name, option in RULES.items():
            message = message.replace(name, option)
        raise UsageError(message) from None


def _check(
    file: str,
    *,
    words: Path | None,
    no_text: bool,
    transcriber: str | None,
    out: Path | None,
    plot: Path | None,
    resume: bool,
) -> None:
    """Raises UsageError for what contradicts itself."""
    if words is not None and no_text:
        raise UsageError("--words gives the words and --no-text says to use none; give one of them.")
    if transcriber is not None and (words is not None or no_text):
        other = "--words" if words is not None else "--no-text"
        raise UsageError(f"--transcriber has nothing to do with {other}; give one of them.")
    if plot is not None and plot.suffix.lower() not in PICTURES:
        raise UsageError(f"--plot '{plot}' ends in '{plot.suffix}'; expected {' or '.join(PICTURES)}.")
    if resume and out is None:
        raise UsageError("--resume goes on with a run that wrote to --out; give --out.")
    if resume and file == STDIN:
        raise UsageError("--resume needs a recording that is a file, not standard input.")


def _check_adapting(file: str, *, adapt: bool, profile: Path | None, neutral: float | None) -> None:
    """Raises UsageError for what contradicts itself."""
    if adapt and profile is not None:
        raise UsageError("--adapt makes a profile of the recording, and --profile brings one; give one of them.")
    if adapt and file == STDIN:
        raise UsageError("--adapt reads the recording twice, which standard input cannot be; give a file.")
    if neutral is not None and not adapt:
        raise UsageError("--neutral is about what --adapt learns from; give --adapt along with it.")


def _check_journal(journal: Path | None, *, resume: bool) -> None:
    if journal is not None and journal.exists() and not resume:
        raise UsageError(
            f"'{journal}' is what an interrupted run has recognised; --resume goes on with it, deleting it begins anew."
        )


def _write(result: Timeline, form: str | None, out: Path | None, progress: LateProgress) -> AudioError | None:
    """Iterates the timeline and writes it; gives what ended it early, once everything before that is written."""
    from m3ser.inference.timeline import formats

    if form is None:
        return _lines(result, progress)
    pieces = formats.write(result, form)
    with nullcontext() if out is None else appearing_whole(out, "Timeline") as draft:
        try:
            if draft is None:
                _echo(pieces, progress)
            else:
                # Names of files may hold what is no UTF-8.
                with draft.open("w", encoding="utf-8", errors="backslashreplace", newline="") as stream:
                    stream.writelines(pieces)
        except AudioError as error:
            if not result.has_begun:
                raise
            return error
    return None


def _echo(pieces: Iterator[str], progress: LateProgress) -> None:
    for piece in pieces:
        with progress.paused():
            typer.echo(piece, nl=False)
            sys.stdout.flush()


def _lines(result: Timeline, progress: LateProgress) -> AudioError | None:
    """One line an utterance, for people."""
    try:
        for segment in result:
            with progress.paused():
                print_segment(segment, max(map(len, result.labels)))
    except AudioError as error:
        if not result.has_begun:
            raise
        return error
    return None


def print_segment(segment: Segment, name_width: int) -> None:
    """One utterance as a line for people, `name_width` characters wide at its label."""
    from rich.text import Text

    from m3ser.inference.timeline.drawing.layout import clock

    console = stdout_console()
    best = segment.scores[segment.label]
    drawn = bar(best, BAR_WIDTH, ascii_only=console.options.ascii_only)
    line = Text.assemble(
        (f"{clock(segment.start, tenths=True):>9} {clock(segment.end, tenths=True):>9}  ", "dim"),
        "" if segment.channel is None else f"{segment.channel}  ",
        (f"{segment.label:{name_width}}  {drawn:{BAR_WIDTH}}", style_of(segment.label)),
        f" {best:4.0%}",
        "" if segment.text is None else f'  "{printable(segment.text)}"{" (not used)" if segment.note else ""}',
    )
    console.print(line, soft_wrap=True)


def _draw(result: Timeline, plot: Path, fault: AudioError | None) -> None:
    from m3ser.inference.timeline import drawing

    title = printable("standard input" if result.file in (None, STDIN) else Path(str(result.file)).name)
    if plot.suffix.lower() == ".png":
        write_whole(plot, drawing.timeline_png(result, title=title), "Picture")
    else:
        notes = [] if fault is None else [str(fault)]
        write_whole(plot, drawing.timeline_page(result, title=title, notes=notes), "Page")


def _notes(result: Timeline, recogniser: Recogniser) -> None:
    """What a person should know of the result, on stderr."""
    if not result.segments and not result.skipped:
        complain(f"note: no speech was found in {result.file} ({result.heard:.1f} s), so the timeline is empty.")
    if result.note is not None:
        complain(f"note: {result.note[0].lower()}{result.note[1:]}")
    if result.words_left_out:
        complain(f"note: {result.words_left_out} words lie where no speech was found, and are left out.")
    if result.skipped:
        complain(f"note: {result.skipped} utterances could not be recognised by {recogniser.name}, and are left out.")
