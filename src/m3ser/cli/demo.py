"""``m3ser demo``: the model at work on the real clips that come with the package."""

from __future__ import annotations

import csv
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from m3ser.cli.predict import note_missing_transcriber
from m3ser.cli.progress import LateProgress
from m3ser.cli.terminal import bar, json_line, printable, stdout_console, style_of
from m3ser.errors import DataError
from m3ser.schema import Prediction

if TYPE_CHECKING:
    from m3ser.inference import Recogniser

__all__ = ["demo"]

CLIPS = Path(__file__).resolve().parents[1] / "bundled" / "clips"
CLIPS_CREDIT = "CREMA-D (Cao et al. 2014), Open Database License 1.0"
BAR_WIDTH = 20


@dataclass(frozen=True)
class Clip:
    """One clip of the package: its file, and the emotion that the actor was asked for."""

    path: Path
    emotion: str


@dataclass(frozen=True)
class Answer:
    """What the model said of a clip, and how many seconds it took, transcription included."""

    clip: Clip
    prediction: Prediction
    seconds: float

    @property
    def right(self) -> bool:
        """Whether the label is the emotion that the actor was asked for."""
        return self.prediction.label == self.clip.emotion

    def to_dict(self) -> dict[str, Any]:
        """The prediction's own keys, and ``truth``, ``right`` and ``seconds``."""
        return {
            **self.prediction.to_dict(),
            "truth": self.clip.emotion,
            "right": self.right,
            "seconds": round(self.seconds, 3),
        }


def demo(
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object a line.")] = False,
    no_text: Annotated[bool, typer.Option("--no-text", help="Use the voice alone; transcribe nothing.")] = False,
) -> None:
    """Try the model on the package's own clips.

    They are real, acted speech by speakers that the model was not trained on. The words are transcribed where the asr extra is installed; where it is not, and with --no-text, the voice alone is
    used. With --json, each line is a prediction with three more keys: truth (what the actor was asked for), right, and
    seconds (the time it took).
    """
    from m3ser import inference

    clips = _clips()
    text: Any = None if no_text else inference.TRANSCRIBE
    begun = time.perf_counter()
    answers = []
    with LateProgress("recognising", len(clips)) as progress:
        recogniser = inference.load()
        loading = time.perf_counter() - begun
        with progress.paused():
            if not no_text:
                note_missing_transcriber(recogniser)
            if not as_json:
                _print_head(clips)
        for clip in clips:
            begun = time.perf_counter()
            prediction = replace(recogniser.predict(clip.path, text=text), file=clip.path.name)
            answer = Answer(clip, prediction, time.perf_counter() - begun)
            answers.append(answer)
            with progress.paused():
                if as_json:
                    json_line(answer.to_dict())
                else:
                    _print_answer(answer)
            progress.advance()
    if not as_json:
        _print_summary(answers, recogniser, loading=loading)


def _clips() -> list[Clip]:
    manifest = CLIPS / "manifest.csv"
    if not manifest.is_file():
        raise DataError(f"The demo needs the clips that come with m3ser, and {manifest} is not there; reinstall m3ser.")
    with manifest.open(encoding="utf-8", newline="") as file:
        return [Clip(CLIPS / row["audio"], row["emotion"]) for row in csv.DictReader(file)]


def _print_head(clips: list[Clip]) -> None:
    from rich.text import Text

    width = max(len(clip.path.name) for clip in clips)
    stdout_console().print(Text(f"{'clip':{width}}  {'truth':8} {'model':8}", style="dim"))


def _print_answer(answer: Answer) -> None:
    """Two lines: file, truth, prediction with its bar, verdict, time; under them the words and the other scores."""
    from rich.text import Text

    console = stdout_console()
    prediction = answer.prediction
    best = prediction.scores[prediction.label]
    drawn = bar(best, BAR_WIDTH, ascii_only=console.options.ascii_only)
    colour = style_of(prediction.label)
    console.print(
        Text.assemble(
            f"{answer.clip.path.name}  {answer.clip.emotion:8} ",
            (f"{prediction.label:8} ", f"bold {colour}"),
            (f"{drawn:{BAR_WIDTH}} ", colour),
            f"{best:4.0%}  ",
            ("right", "green") if answer.right else ("wrong", "bold red"),
            f" {answer.seconds:5.2f} s",
        )
    )
    words = "voice alone" if prediction.text is None else f'"{printable(prediction.text)}"'
    others = sorted((item for item in prediction.scores.items() if item[0] != prediction.label), key=lambda i: -i[1])
    console.print(Text.assemble("  ", words, ("  " + ", ".join(f"{label} {share:.0%}" for label, share in others), "dim")))


def _print_summary(answers: list[Answer], recogniser: Recogniser, *, loading: float) -> None:
    from rich.text import Text

    console = stdout_console()
    right = sum(answer.right for answer in answers)
    speech = sum(answer.prediction.duration or 0.0 for answer in answers)
    seconds = sum(answer.seconds for answer in answers)
    console.line()
    console.print(
        Text.assemble(
            (f"{right} of {len(answers)} right.", "bold"),
            " This is a demo, not an evaluation: the model card gives the scores on unseen speakers.",
        )
    )
    console.print(
        f"{speech:.1f} s of speech in {seconds:.1f} s: {speech / seconds:.0f} s of audio a second, "
        f"after {loading:.1f} s of loading."
    )
