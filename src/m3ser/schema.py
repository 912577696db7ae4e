"""The nouns of m3ser: Utterance, EmotionScheme, Prediction, Segment.

All are frozen. Times are in seconds, frequencies in Hz, probabilities in [0, 1]. Nothing here imports anything heavier
than the standard library, so that every room can.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from types import MappingProxyType
from typing import Any, Literal

from m3ser.errors import UsageError

__all__ = [
    "BASIC7",
    "EMOTIONS",
    "IEMOCAP4",
    "SCHEMES",
    "Copyable",
    "EmotionScheme",
    "Prediction",
    "Scored",
    "Segment",
    "TextSource",
    "Utterance",
    "get_scheme",
]

EMOTIONS = (
    "angry",
    "happy",
    "sad",
    "neutral",
    "fearful",
    "disgusted",
    "surprised",
    "calm",
    "excited",
    "frustrated",
    "bored",
    "other",
)
"""The one spelling of every emotion. Corpora map their own labels to these."""

TextSource = Literal["given", "transcribed", "none"]
"""Where a prediction's text came from; ``none``: the voice alone was used."""


class Copyable:
    """Base of frozen dataclasses with read-only mappings, which pickle refuses: they travel as dictionaries."""

    def __reduce__(self) -> tuple[Any, ...]:
        values = {one.name: getattr(self, one.name) for one in fields(self)}  # type: ignore[arg-type]
        plain = {name: dict(value) if isinstance(value, MappingProxyType) else value for name, value in values.items()}
        return _made, (type(self), plain)


def _made(kind: type[Any], values: dict[str, Any]) -> Any:
    return kind(**values)


@dataclass(frozen=True)
class EmotionScheme(Copyable):
    """An ordered set of classes, and which of :data:`EMOTIONS` each one takes in.

    Attributes:
        name: how recipes and bundles call it.
        classes: class names in the order of the logits.
        merges: emotions that count as another class (``{"excited": "happy"}``). What is neither a class nor merged is
            left out of the task.
    """

    name: str
    classes: tuple[str, ...]
    merges: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        object.__setattr__(self, "merges", MappingProxyType(dict(self.merges)))
        unknown = [e for e in (*self.classes, *self.merges) if e not in EMOTIONS]
        if unknown:
            raise UsageError(f"Emotion scheme '{self.name}' names {unknown}; known emotions are {', '.join(EMOTIONS)}.")
        strays = [target for target in self.merges.values() if target not in self.classes]
        if strays:
            raise UsageError(f"Emotion scheme '{self.name}' merges into {strays}, which are not among its classes.")

    def class_of(self, emotion: str) -> str | None:
        """The class that `emotion` counts as, or None where the scheme leaves it out."""
        emotion = self.merges.get(emotion, emotion)
        return emotion if emotion in self.classes else None

    def index_of(self, emotion: str) -> int | None:
        """The position of that class among the logits, or None where the scheme leaves it out."""
        label = self.class_of(emotion)
        return None if label is None else self.classes.index(label)


IEMOCAP4 = EmotionScheme("iemocap4", ("angry", "happy", "sad", "neutral"), {"excited": "happy"})
"""The paper's four classes."""

BASIC7 = EmotionScheme(
    "basic7",
    ("angry", "happy", "sad", "neutral", "fearful", "disgusted", "surprised"),
    {"excited": "happy", "calm": "neutral"},
)
"""Ekman's six basic emotions and neutral."""

SCHEMES: Mapping[str, EmotionScheme] = MappingProxyType({scheme.name: scheme for scheme in (IEMOCAP4, BASIC7)})
"""Every scheme that recipes and commands can name."""


def get_scheme(name: str) -> EmotionScheme:
    """The emotion scheme called `name`.

    Raises:
        UsageError: there is none; lists the known names.
    """
    try:
        return SCHEMES[name]
    except KeyError:
        raise UsageError(f"There is no emotion scheme '{name}'; known are {', '.join(SCHEMES)}.") from None


@dataclass(frozen=True)
class Utterance(Copyable):
    """One stretch of speech by one speaker, as a corpus or manifest describes it.

    Attributes:
        audio: the recording; None only in text corpora.
        emotion: one of :data:`EMOTIONS`.
        text: what was said; None where it is not known.
        speaker, session, script: identities that splits keep apart; None where the corpus has no such thing.
        start, end: the part of `audio` that is meant, in seconds; None: from its beginning, to its end.
        language: BCP 47 code ("en").
        split: "train", "validation" or "test" where one is assigned.
        valence, arousal, dominance: the corpus's own ratings, on its own scale.
        extra: further columns, kept as they were.
    """

    audio: Path | None
    emotion: str
    text: str | None = None
    speaker: str | None = None
    session: str | None = None
    script: str | None = None
    start: float | None = None
    end: float | None = None
    language: str | None = None
    split: str | None = None
    valence: float | None = None
    arousal: float | None = None
    dominance: float | None = None
    extra: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        object.__setattr__(self, "extra", MappingProxyType(dict(self.extra)))
        if self.audio is None and self.text is None:
            raise UsageError("An utterance needs audio, text or both; this one has neither.")


_AROUSED = frozenset({"angry", "happy", "fearful", "surprised", "excited", "frustrated"})
_POSITIVE = frozenset({"happy", "neutral", "surprised", "calm", "excited"})


class Scored:
    """Base of what has class probabilities: two dimensions of emotion follow from them.

    The basic classes are divided after Schuller et al. (2010), who do so to compare corpora with each other (IEEE
    Transactions on Affective Computing 1(2), 119-131): neutral counts as positive and of low arousal. Calm, excited and
    frustrated are put where they seem to belong by m3ser.
    """

    scores: Mapping[str, float]

    @property
    def valence(self) -> float:
        """The probability, in [0, 1], of positive valence: of happy, excited, surprised, calm, neutral."""
        return sum(score for label, score in self.scores.items() if label in _POSITIVE)

    @property
    def arousal(self) -> float:
        """The probability, in [0, 1], of high arousal: of angry, frustrated, fearful, happy, excited, surprised."""
        return sum(score for label, score in self.scores.items() if label in _AROUSED)

    @property
    def _dimensions(self) -> dict[str, float]:
        """Both, for JSON, where there are classes enough for them to mean more than one class's name."""
        if not set(BASIC7.classes) <= set(self.scores):
            return {}
        return _rounded({"valence": self.valence, "arousal": self.arousal})


@dataclass(frozen=True)
class Segment(Scored):
    """Part of a recording with its emotion.

    Attributes:
        start, end: seconds from the beginning of the recording.
        label: the most probable class.
        scores: class -> calibrated probability; they sum to 1.
        text: the words, or None where the voice alone was used.
        channel: the channel of the recording, counted from 1, where its channels were kept apart; else None.
        final: False: the utterance goes on, and this is what it looks like so far.
        note: why `text` was not used, a sentence; None: it was, or there is none.
    """

    start: float
    end: float
    label: str
    scores: Mapping[str, float]
    text: str | None = None
    channel: int | None = None
    final: bool = True
    note: str | None = None

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready values; `channel` and `note` only where they are not None, `final` only where it is False.

        Valence and arousal are among them where the scores are of all classes of :data:`BASIC7`.
        """
        return {
            "start": round(self.start, 3),
            "end": round(self.end, 3),
            "text": self.text,
            "label": self.label,
            "scores": _rounded(self.scores),
            **self._dimensions,
            **({} if self.channel is None else {"channel": self.channel}),
            **({} if self.final else {"final": False}),
            **({} if self.note is None else {"note": self.note}),
        }


@dataclass(frozen=True)
class Prediction(Scored):
    """What the model says of one utterance.

    Attributes:
        label: the most probable class.
        scores: class -> calibrated probability, in the order of the model's classes; they sum to 1.
        duration: length of the recording in seconds; None where there was no audio.
        text: the words, or None where there are none.
        text_source: where the words that were used came from; "none" where the voice alone was used, be it for want of
            words or because the model does not read their language: `note` then says so.
        model: name and version of the bundle ("starter@5").
        file: the recording as the caller named it; None for arrays and text alone.
        segments: the parts of a longer recording; empty for a single utterance.
        removed: what transcript cleaning took out of the text ("[laughter]"), in order.
        language: BCP 47 code of the words, where it was given or they are in one that the model does not read; None:
            it is not known, or one that the model reads and nobody named.
        note: why words were not used though they are there, or were not looked for, a sentence; of a timeline also what
            there was too little of to adapt to; None: nothing of that.
    """

    label: str
    scores: Mapping[str, float]
    duration: float | None
    text: str | None
    text_source: TextSource
    model: str
    file: str | None = None
    segments: tuple[Segment, ...] = ()
    removed: tuple[str, ...] = ()
    language: str | None = None
    note: str | None = None

    def to_dict(self) -> dict[str, Any]:
        """The prediction as JSON-ready values, in the one layout that every door of m3ser uses.

        `language` and `note` are among them only where they are not None, valence and arousal where the scores are of
        all classes of :data:`BASIC7`.
        """
        return {
            "file": self.file,
            "duration": None if self.duration is None else round(self.duration, 3),
            "label": self.label,
            "scores": _rounded(self.scores),
            **self._dimensions,
            "text": self.text,
            "text_source": self.text_source,
            "model": self.model,
            "segments": [segment.to_dict() for segment in self.segments],
            **({} if self.language is None else {"language": self.language}),
            **({} if self.note is None else {"note": self.note}),
        }

    def to_json(self) -> str:
        """The prediction as one line of JSON (UTF-8 text, not escaped)."""
        return json.dumps(self.to_dict(), ensure_ascii=False)


def _rounded(scores: Mapping[str, float]) -> dict[str, float]:
    # Six digits: enough to compare, few enough to read.
    return {label: round(float(score), 6) for label, score in scores.items()}
