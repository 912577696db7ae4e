"""Words with their times, as other programs write them: SRT, WebVTT, TextGrid, CTM, whisper's JSON."""

from __future__ import annotations

from m3ser.text.timed.reading import WORD_FORMATS, read_words
from m3ser.text.timed.spoken import Spoken, words_of

__all__ = ["WORD_FORMATS", "Spoken", "read_words", "words_of"]
