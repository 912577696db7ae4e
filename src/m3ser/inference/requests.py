"""What a recogniser can be asked."""

from __future__ import annotations

import enum
from dataclasses import dataclass
from typing import Final, Literal, TypeAlias

from m3ser.audio import AudioSource, source_name
from m3ser.errors import TextError, UsageError
from m3ser.profile import Profile
from m3ser.text.language_codes import language_code

__all__ = ["TRANSCRIBE", "Request", "TextRequest", "Transcribe", "as_request"]


class Transcribe(enum.Enum):
    """The type of :data:`TRANSCRIBE`."""

    TRANSCRIBE = "transcribe"

    def __repr__(self) -> str:
        return "TRANSCRIBE"


TRANSCRIBE: Final = Transcribe.TRANSCRIBE
"""In place of a text: transcribe the recording where a transcriber is installed, use the voice alone where not."""

TextRequest: TypeAlias = "str | Literal[Transcribe.TRANSCRIBE] | None"


@dataclass(frozen=True, eq=False)
class Request:
    """One utterance to recognise.

    Attributes:
        audio: a path, encoded bytes, a binary file, or an array (samples,) or (samples, channels); None: text alone.
        text: what is said; :data:`TRANSCRIBE`; or None to use the voice alone.
        sample_rate: in Hz; needed for arrays, and only for them.
        start, end: the part of the recording that is meant, in seconds; None: from its beginning, to its end.
        language: of the words, as a BCP 47 code ("de"; "de-AT" and "deu" become that); None: a given text's is
            recognised (:mod:`m3ser.text.language`), a recording's is what its transcriber takes it for.
        profile: how who speaks usually sounds (:mod:`m3ser.profile`); None: as the recogniser was told.

    Raises:
        UsageError: neither audio nor text, or a language that has no such code.
        TextError: a text that is not a string.
    """

    audio: AudioSource | None
    text: TextRequest = TRANSCRIBE
    sample_rate: float | None = None
    start: float | None = None
    end: float | None = None
    language: str | None = None
    profile: Profile | None = None

    def __post_init__(self) -> None:
        if not (self.text is None or self.text is TRANSCRIBE or isinstance(self.text, str)):
            raise TextError(f"The text must be a string, TRANSCRIBE or None; it is of type {type(self.text).__name__}.")
        if self.audio is None and not isinstance(self.text, str):
            raise UsageError("Nothing to recognise: give audio, a text, or both.")
        if self.language is not None:
            object.__setattr__(self, "language", language_code(self.language))

    @property
    def file(self) -> str | None:
        """The recording as the caller named it; None where it has no name."""
        return None if self.audio is None else source_name(self.audio)


def as_request(item: Request | AudioSource) -> Request:
    """`item` itself, or the request to recognise the recording that it is, transcribing its words."""
    return item if isinstance(item, Request) else Request(item)
