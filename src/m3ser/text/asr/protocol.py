"""What a speech recogniser has to be, and what it gives back."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from m3ser.errors import AudioContentError, UsageError

__all__ = ["SAMPLE_RATE", "LanguageTranscriber", "TimedText", "Transcriber", "Transcript", "transcribe_in"]

SAMPLE_RATE = 16_000
"""Samples per second of every waveform that a transcriber is given."""


@dataclass(frozen=True)
class TimedText:
    """A stretch of speech: a phrase or a word.

    Attributes:
        start, end: seconds from the beginning of the waveform.
        text: what was said, without space around it.
    """

    start: float
    end: float
    text: str


@dataclass(frozen=True)
class Transcript:
    """What was said in a waveform.

    Attributes:
        text: all of it; empty where nothing was understood or no speech was found.
        segments: the stretches of speech that have text, in order.
        words: each word with its time; empty where the recogniser gives none.
        language: BCP 47 code ("en"); None where there was nothing to tell it from.
        transcriber: the recogniser's name.
    """

    text: str
    segments: tuple[TimedText, ...]
    words: tuple[TimedText, ...]
    language: str | None
    transcriber: str


@runtime_checkable
class Transcriber(Protocol):
    """Speech to text. Anything with this name and this method will do; threads may share it."""

    @property
    def name(self) -> str:
        """How :func:`m3ser.text.asr.get_transcriber` calls it."""
        ...

    def transcribe(self, waveform: NDArray[np.float32]) -> Transcript:
        """Write down what is said.

        Args:
            waveform: (samples,) float32, mono, 16 kHz, full scale [-1, 1]; any length.

        Raises:
            TranscriptionError: the recogniser failed.
            MissingExtraError: it is not installed.
        """
        ...


@runtime_checkable
class LanguageTranscriber(Transcriber, Protocol):
    """A transcriber that can be told, and asked, about languages. One that cannot is taken to follow all of them."""

    @property
    def languages(self) -> tuple[str, ...] | None:
        """Codes of those that it understands ("en"); None: too many to list."""
        ...

    def transcribe(self, waveform: NDArray[np.float32], *, language: str | None = None) -> Transcript:
        """As in :class:`Transcriber`.

        Args:
            waveform: as there.
            language: code of what is spoken, one of `languages`; None: to be found out.
        """
        ...


def transcribe_in(transcriber: Transcriber, waveform: NDArray[np.float32], language: str | None) -> Transcript:
    """What is said, the transcriber being told the language where it is known and the transcriber can make use of it.

    Raises:
        TranscriptionError, MissingExtraError: as :meth:`Transcriber.transcribe`.
    """
    if language is not None and isinstance(transcriber, LanguageTranscriber):
        understood = transcriber.languages
        if understood is None or language in understood:
            return transcriber.transcribe(waveform, language=language)
    return transcriber.transcribe(waveform)


def checked(waveform: NDArray[Any]) -> NDArray[np.float32]:
    """`waveform` as contiguous float32.

    Raises:
        UsageError: it is not an array of shape (samples,).
        AudioContentError: it holds NaN or infinite samples.
    """
    if not isinstance(waveform, np.ndarray) or waveform.ndim != 1:
        found = f"shape {waveform.shape}" if isinstance(waveform, np.ndarray) else type(waveform).__name__
        raise UsageError(f"A transcriber takes a mono waveform, an array of shape (samples,); found {found}.")
    if not np.isfinite(waveform).all():
        raise AudioContentError("A waveform to transcribe has to be finite; found NaN or infinite samples.")
    return np.ascontiguousarray(waveform, dtype=np.float32)
