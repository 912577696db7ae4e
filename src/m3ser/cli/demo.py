"""``m3ser demo``: the model at work on the real clips that come with the package."""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from m3ser.cli.model_options import NoText
from m3ser.cli.predict import note_missing_transcriber
from m3ser.cli.progress import LateProgress
from m3ser.cli.terminal import bar, json_line, printable, stdout_console, style_of
from m3ser.schema import Prediction

if TYPE_CHECKING:
    from m3ser.inference import Recogniser
    from m3ser.inference.requests import TextRequest

__all__ = ["demo"]

CLIPS = Path(__file__).resolve().parents[1] / "bundled" / "clips" / "manifest.csv"
CLIPS_CREDIT = "CREMA-D, ODbL 1.0"
BAR_WIDTH = 20


@dataclass(frozen=True)
class Answer:
    """What the model said of one clip.

    Attributes:
        truth: the emotion that the actor was asked for.
        prediction: its `file` is the clip's name without its folder.
        seconds: how long it took, transcription included.
    """

    truth: str
    prediction: Prediction
    seconds: float

    @property
    def right(self) -> bool:
        """Whether the label is the emotion that the actor was asked for."""
        return self.prediction.label == self.truth

    def to_dict(self) -> dict[str, Any]:
        """The prediction's own keys, and ``truth``, ``right`` and ``seconds``."""
        return {
            **self.prediction.to_dict(),
            "truth": self.truth,
            "right": self.right,
            "seconds": round(self.seconds, 3),
        }


def demo(
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object a line.")] = False,
    no_text: NoText = False,
) -> None:
    """Try the model on the package's own clips.

    They are real, acted speech by speakers that the model was not trained on. The words are transcribed where the asr
    extra is installed; where it is not, and with --no-text, the voice alone is used. With --json, each line is a
    prediction with three more keys: truth (what the actor was asked for), right, and seconds (the time it took).
    """
    from m3ser import inference
    from m3ser.corpora import read_manifest

    clips = [(clip.audio, clip.emotion) for clip in read_manifest(CLIPS).utterances if clip.audio is not None]
    text: TextRequest = None if no_text else inference.TRANSCRIBE
    begun = time.perf_counter()
    answers = []
    with LateProgress("recognising", len(clips)) as progress:
        recogniser = inference.load()
        with progress.paused():
            if not no_text:
                note_missing_transcriber(recogniser)
            if not as_json:
                _print_head([path.name for path, _ in clips])
        for path, truth in clips:
            clip_begun = time.perf_counter()
            prediction = replace(recogniser.predict(path, text=text), file=path.name)
            answer = Answer(truth, prediction, time.perf_counter() - clip_begun)
            answers.append(answer)
            with progress.paused():
                if as_json:
                    json_line(answer.to_dict())
                else:
                    _print_answer(answer)
            progress.advance()
    if not as_json:
        _print_summary(answers, recogniser, seconds=time.perf_counter() - begun)


def _print_head(names: list[str]) -> None:
    from rich.text import Text

    console = stdout_console()
    console.print(f"{len(names)} clips of acted speech, by speakers that the model was not trained on.")
    console.line()
    console.print(Text(f"{'clip':{max(map(len, names))}}  {'truth':8} model", style="dim"))


def _print_answer(answer: Answer) -> None:
    """Two lines: file, truth, prediction with its bar, verdict, time; under them the words and the other scores."""
    from rich.text import Text

    console = stdout_console()
    prediction = answer.prediction
    best = prediction.scores[prediction.label]
    colour = style_of(prediction.label)
    console.print(
        Text.assemble(
            f"{prediction.file}  {answer.truth:8} ",
            (f"{prediction.label:8} ", f"bold {colour}"),
            (f"{bar(best, BAR_WIDTH, ascii_only=console.options.ascii_only):{BAR_WIDTH}} ", colour),
            f"{best:4.0%}  ",
            ("right", "green") if answer.right else ("wrong", "bold red"),
            f" {answer.seconds:5.2f} s",
        )
    )
    words = "voice alone" if prediction.text is None else f'"{printable(prediction.text)}"'
    others = sorted(
        (item for item in prediction.scores.items() if item[0] != prediction.label), key=lambda item: -item[1]
    )
    listed = ", ".join(f"{label} {share:.0%}" for label, share in others)
    console.print(Text.assemble("  ", words, (f"  {listed}", "dim")))


def _print_summary(answers: list[Answer], recogniser: Recogniser, *, seconds: float) -> None:
    """How many were right, how fast, by what, and what to try next."""
    from rich.text import Text

    console = stdout_console()
    right = sum(answer.right for answer in answers)
    speech = sum(answer.prediction.duration or 0.0 for answer in answers)
    manifest = recogniser.bundle.manifest
    console.line()
    console.print(
        Text.assemble(
            (f"{right} of {len(answers)} right.", "bold"),
            " A demo, not an evaluation: the model card has the real scores.",
        )
    )
    console.print(f"{speech:.1f} s of speech in {seconds:.1f} s, loading included: {speech / seconds:.1f} s a second.")
    console.print(f"Model {recogniser.name} ({manifest.architecture}), {manifest.licence}. Clips: {CLIPS_CREDIT}.")
    console.print(Text.assemble("Next: ", ("m3ser predict your.wav", "bold")))
