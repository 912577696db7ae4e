"""``m3ser listen``: emotions while somebody speaks."""

from __future__ import annotations

from collections.abc import Generator, Iterable, Iterator
from contextlib import closing
from typing import TYPE_CHECKING, Annotated, Any

import typer

from m3ser.cli.model_options import LanguageOfWords, ModelName, NoText, ProfileFile, Threads, TranscriberName
from m3ser.cli.predict import checked_language, note_missing_transcriber
from m3ser.cli.progress import LateProgress
from m3ser.cli.terminal import complain, json_line
from m3ser.cli.timeline import print_segment
from m3ser.errors import UsageError
from m3ser.schema import Segment

if TYPE_CHECKING:
    from m3ser.inference import Stream

__all__ = ["listen"]


def listen(
    file: Annotated[
        str | None,
        typer.Option("--file", metavar="FILE", help="Hear this recording, at its own pace, instead of the microphone."),
    ] = None,
    at_once: Annotated[
        bool, typer.Option("--at-once", help="With --file: as fast as it goes, not at its own pace.")
    ] = False,
    device: Annotated[
        str | None,
        typer.Option(
            "--device",
            metavar="NAME",
            help="Another microphone than the system's own: its number, or a part of its name "
            "(python -m sounddevice lists them).",
        ),
    ] = None,
    no_text: NoText = False,
    as_json: Annotated[
        bool, typer.Option("--json", help="One JSON object a line; those of utterances that go on say final: false.")
    ] = False,
    model: ModelName = "starter",
    profile: ProfileFile = None,
    transcriber: TranscriberName = None,
    language: LanguageOfWords = None,
    threads: Threads = None,
) -> None:
    """Emotions while somebody speaks, from the microphone.

    Each utterance is a line once its end is certain, recognised from its voice and its words (the asr extra, which also
    finds where somebody speaks). While it goes on, the last line of the terminal says what the voice sounds like so
    far. Ctrl-C ends it. The microphone needs the live extra. Nothing is recorded, and nothing leaves the machine.
    """
    if file is None and at_once:
        raise UsageError("--at-once is for a recording; give --file.")
    if file is not None and device is not None:
        raise UsageError("--file and --device are two things to listen to; give one of them.")
    if transcriber is not None and no_text:
        raise UsageError("--transcriber has nothing to do with --no-text; give one of them.")
    language = checked_language(language, no_text=no_text)
    from m3ser import inference
    from m3ser.audio import microphone

    with LateProgress("loading", 1) as progress:
        recogniser = inference.load(model, transcriber=transcriber or "auto", threads=threads, profile=profile)
        if not no_text:
            with progress.paused():
                note_missing_transcriber(recogniser)
        stream = recogniser.stream(text=None if no_text else inference.TRANSCRIBE, language=language)
        _warm_up(recogniser, reads=not no_text)
    chunks: Any
    if file is not None:
        chunks = microphone.play(file, clock=None) if at_once else microphone.play(file)
    else:
        chunks = _announced(microphone.listen(int(device) if device is not None and device.isdecimal() else device))
    with closing(chunks), _Screen(as_json=as_json, width=max(map(len, recogniser.labels))) as screen:
        for segment in heard(stream, chunks):
            screen.show(segment)


def _announced(chunks: Generator[Any, None, None]) -> Generator[Any, None, None]:
    """The chunks of a microphone; once there is a first one it is said that somebody listens."""
    with closing(chunks):
        for number, chunk in enumerate(chunks):
            if number == 0:
                complain("listening; Ctrl-C ends it.")
            yield chunk


def heard(stream: Stream, chunks: Iterable[Any]) -> Iterator[Segment]:
    """The segments of a stream, until its chunks end or the user has had enough."""
    from m3ser.audio.microphone import Gap

    try:
        for chunk in chunks:
            if isinstance(chunk, Gap):
                complain(f"note: {chunk.seconds:.1f} s of sound were lost: recognition was too slow for them.")
                yield from stream.skip(chunk.seconds)
            else:
                yield from stream.push(chunk)
    except KeyboardInterrupt:
        pass  # the way to end it: what was being said is still answered
    yield from stream.finish()


def _warm_up(recogniser: Any, *, reads: bool) -> None:
    """Load what is loaded at the first use now, while nobody speaks yet."""
    import numpy as np

    from m3ser.audio import SAMPLE_RATE

    hum = (0.01 * np.sin(np.arange(SAMPLE_RATE) / 8)).astype(np.float32)
    recogniser.predict(hum, text="hello" if reads else None, sample_rate=SAMPLE_RATE)
    if reads and recogniser.transcriber is not None:
        recogniser.transcriber.transcribe(hum)


class _Screen:
    """Final segments as lines on standard output; the provisional one on the last line of a terminal."""

    def __init__(self, *, as_json: bool, width: int) -> None:
        from rich.console import Console
        from rich.live import Live

        self._as_json = as_json
        self._width = width
        console = Console(stderr=True)
        self._live = Live(console=console, transient=True, auto_refresh=False, redirect_stdout=False)
        self._shows = console.is_terminal and not as_json

    def __enter__(self) -> _Screen:
        if self._shows:
            self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._shows:
            self._live.stop()

    def show(self, segment: Segment) -> None:
        """A segment, at once."""
        if self._as_json:
            json_line({**segment.to_dict(), "final": segment.final})
            return
        if not segment.final:
            if self._shows:
                best = segment.scores[segment.label]
                self._live.update(f"... {segment.label} {best:.0%}, so far", refresh=True)
            return
        if self._shows:
            self._live.update("", refresh=True)
        print_segment(segment, self._width)
