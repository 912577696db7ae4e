"""From what a visitor gave to what the page shows."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from m3ser.audio import SAMPLE_RATE
from m3ser.errors import UsageError
from m3ser.inference import TRANSCRIBE
from m3ser.inference.requests import TextRequest
from m3ser.inference.timeline.drawing.layout import clock
from m3ser.serving.page.answer import Answer, answer_to, busy, over_time
from m3ser.serving.page.service import PageService
from m3ser.serving.service import Recording

__all__ = ["LONG_SECONDS", "Question", "Shape", "answers"]

Shape = Literal["auto", "whole", "time"]
"""``whole``: one emotion; ``time``: emotions over time; ``auto``: over time where the recording is long."""

LONG_SECONDS = 15.0
"""A longer recording is hardly one utterance: it is what a timeline's utterances are split at, too."""

_LONGEST_TEXT = 5_000  # characters: minutes of speech, and far more than the model reads
_EVERY = 2.0  # seconds of sound between two reports of progress


@dataclass(frozen=True)
class Question:
    """What a visitor asks.

    Attributes:
        recording: None: the words alone.
        text: the words as they were typed; empty: none were.
        voice_alone: whether words do not count.
        shape: what kind of answer is wanted.
    """

    recording: Recording | None
    text: str = ""
    voice_alone: bool = False
    shape: Shape = "auto"

    @property
    def words(self) -> TextRequest:
        """The words as a recogniser is asked for them."""
        if self.voice_alone:
            return None
        return self.text if self.text.strip() else TRANSCRIBE


def answers(service: PageService, question: Question) -> Iterator[Answer]:
    """How far it has come, as often as that is worth saying, and at last the answer.

    Raises:
        UsageError: nothing was given, or what contradicts itself.
        M3serError: the recording or the words cannot be used.
    """
    if len(question.text) > _LONGEST_TEXT:
        raise UsageError(f"The words have {len(question.text):,} characters; at most {_LONGEST_TEXT:,} are taken.")
    words = question.words
    if question.recording is None:
        if not isinstance(words, str):
            raise UsageError("Record something or choose a file first, or type some words.")
        yield answer_to(service.predict(None, text=words))
        return
    if question.shape == "time" and isinstance(words, str):
        raise UsageError(
            "Emotions over time need to know when words are said: leave the words empty, or ask for one emotion."
        )
    yield busy("Listening\N{HORIZONTAL ELLIPSIS}")
    if question.shape == "whole" or isinstance(words, str):
        yield answer_to(service.predict(question.recording, text=words))
        return
    waveform = service.decode(question.recording)
    if question.shape == "auto" and len(waveform) <= LONG_SECONDS * SAMPLE_RATE:
        yield answer_to(service.predict(question.recording, text=words))
        return
    timeline = service.timeline(waveform, text=words)
    timeline.file = question.recording.name
    told = 0.0
    for segment in timeline:
        if segment.end - told >= _EVERY:
            told = segment.end
            yield busy(f"Listening: {clock(told)} of {clock(len(waveform) / SAMPLE_RATE)}\N{HORIZONTAL ELLIPSIS}")
    yield over_time(timeline)
