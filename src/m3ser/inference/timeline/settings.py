"""What is asked of a timeline, and where a recording is cut into utterances: the rules, and the numbers in them."""

from __future__ import annotations

import math
from dataclasses import dataclass, field, fields
from typing import Literal

from m3ser.errors import UsageError
from m3ser.inference.requests import TRANSCRIBE, TextRequest
from m3ser.inference.timeline.smoothing import smoothed
from m3ser.profile import Profile
from m3ser.text.language_codes import language_code
from m3ser.text.timed import Spoken

__all__ = ["Channels", "CutSettings", "TimelineSettings"]

Channels = Literal["mix", "split"]
"""``mix``: the average of a recording's channels; ``split``: each channel on its own."""

_RANGES = {
    "threshold": (0.05, 0.95),
    "pause_seconds": (0.1, 10.0),
    "min_seconds": (0.0, 30.0),
    "join_seconds": (0.0, 10.0),
    "max_seconds": (3.0, 120.0),
    "padding_seconds": (0.0, 1.0),
    "noise_seconds": (0.0, 1.0),
}


@dataclass(frozen=True)
class CutSettings:
    """How speech is cut into utterances.

    The speech probability of every 32 ms frame is Silero's. In this order:

    1. Speech begins with a frame of `threshold` or more. It goes on until the probability has stayed lower by 0.15 and
       more for `pause_seconds`; what is shorter than that is no pause, but part of the utterance.
    2. What is shorter than `noise_seconds` is a click or a cough and left out.
    3. Speech that grows longer than `max_seconds` is split inside its middle third, in the middle of the quarter of a
       second whose mean probability is the lowest (the last one of several): so no piece is shorter than a third.
    4. An utterance shorter than `min_seconds` is joined with the one before it, or else with the one behind it, where
       the pause between them is shorter than `join_seconds` and both together last at most `max_seconds`.
    5. `padding_seconds` are kept before and behind every utterance, where the recording has them; but not where speech
       was split.

    All of it looks ahead by no more than it must: an utterance is known at the latest `join_seconds` after its end, or
    when the next one cannot be joined with it any more.

    Attributes:
        threshold: speech probability, 0.05 to 0.95.
        pause_seconds: 0.1 to 10, and at least twice the padding.
        min_seconds: 0 to 30, and at most a third of `max_seconds`.
        join_seconds: 0 to 10.
        max_seconds: 3 to 120.
        padding_seconds: 0 to 1.
        noise_seconds: 0 to 1.

    Raises:
        UsageError: a number outside of its range.
    """

    threshold: float = 0.35
    pause_seconds: float = 0.5
    min_seconds: float = 1.0
    join_seconds: float = 1.0
    max_seconds: float = 15.0
    padding_seconds: float = 0.2
    noise_seconds: float = 0.1

    def __post_init__(self) -> None:
        for one in fields(self):
            value, (lowest, highest) = getattr(self, one.name), _RANGES[one.name]
            if not (isinstance(value, (int, float)) and math.isfinite(value) and lowest <= value <= highest):
                unit = "" if one.name == "threshold" else " s"
                raise UsageError(f"{one.name} is {value}; expected {lowest:g} to {highest:g}{unit}.")
        if self.pause_seconds < 2 * self.padding_seconds:
            raise UsageError(
                f"pause_seconds is {self.pause_seconds:g}; expected at least twice padding_seconds "
                f"({self.padding_seconds:g} s), so that utterances do not overlap."
            )
        if 3 * self.min_seconds > self.max_seconds:
            raise UsageError(
                f"max_seconds is {self.max_seconds:g}; expected at least three times min_seconds "
                f"({self.min_seconds:g} s), so that long speech can be split."
            )


@dataclass(frozen=True)
class TimelineSettings:
    """What is asked of a timeline; the arguments of :meth:`m3ser.inference.Recogniser.timeline`.

    Raises:
        UsageError: what makes no sense.
    """

    text: TextRequest = TRANSCRIBE
    words: tuple[Spoken, ...] | None = None
    start: float | None = None
    end: float | None = None
    channels: Channels = "mix"
    cuts: CutSettings = field(default_factory=CutSettings)
    smooth: int = 0
    language: str | None = None
    profile: Profile | None = None
    adapt: bool = False
    neutral: float | None = None

    def __post_init__(self) -> None:
        if self.language is not None:
            object.__setattr__(self, "language", language_code(self.language))
        if isinstance(self.text, str):
            raise UsageError("A timeline's text needs times: give it as words with times, or have it transcribed.")
        if self.channels not in ("mix", "split"):
            raise UsageError(f"channels is '{self.channels}'; expected 'mix' or 'split'.")
        if self.adapt and self.profile is not None:
            raise UsageError("adapt makes a profile of the recording, and profile brings one; give one of them.")
        if self.neutral is not None and not self.adapt:
            raise UsageError("neutral says how much of what adapt learns from is neutral; give adapt along with it.")
        smoothed((), self.smooth)
