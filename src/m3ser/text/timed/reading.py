"""Which format a file of timed words has, and what it says."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from types import MappingProxyType

from m3ser.errors import TextError, UsageError
from m3ser.text.timed.captions import parse_srt, parse_vtt
from m3ser.text.timed.ctm import parse_ctm
from m3ser.text.timed.spoken import Spoken
from m3ser.text.timed.textgrid import parse_textgrid
from m3ser.text.timed.whisper_json import parse_whisper_json

__all__ = ["WORD_FORMATS", "read_words"]

_Parse = Callable[[str, str], list[Spoken]]

WORD_FORMATS = MappingProxyType[str, _Parse](
    {
        ".srt": parse_srt,
        ".vtt": parse_vtt,
        ".textgrid": parse_textgrid,
        ".ctm": parse_ctm,
        ".json": parse_whisper_json,
    }
)
"""The endings of files of timed words (in small letters), and what reads each: (content, recording's name)."""


def read_words(path: str | os.PathLike[str], *, recording: str = "") -> list[Spoken]:
    """The words of a file with their times, in the order of time.

    Its ending tells the format: .srt, .vtt (WebVTT; times inside of cues are used), .TextGrid (long or short; the tier
    of intervals whose name has "word" in it, or else the first one), .ctm (NIST), or .json (the layouts of
    openai-whisper, faster-whisper, WhisperX and whisper.cpp, and m3ser's own).

    Args:
        path: the file; UTF-8, or UTF-16 with a byte order mark.
        recording: name of the recording without its ending, which picks its lines in a CTM file of several.

    Returns:
        Phrases or single words, as the file has them.

    Raises:
        TextError: the file cannot be read, is malformed (says in which line), or holds no words.
        UsageError: its ending is none of these.
    """
    path = Path(path)
    try:
        parse = WORD_FORMATS[path.suffix.lower()]
    except KeyError:
        raise UsageError(f"Words '{path}' end in '{path.suffix}'; expected one of {', '.join(WORD_FORMATS)}.") from None
    try:
        spoken = parse(_content(path), recording)
    except TextError as error:
        raise TextError(f"Words '{path}': {error}") from error
    spoken = [one for one in spoken if one.text.strip()]
    if not spoken:
        raise TextError(f"Words '{path}' hold no words; expected at least one with its time.")
    return sorted(spoken, key=lambda one: (one.start, one.end))


def _content(path: Path) -> str:
    try:
        data = path.read_bytes()
    except OSError as error:
        raise TextError(f"the file cannot be read ({error.strerror or error}).") from error
    encoding = "utf-16" if data[:2] in (b"\xff\xfe", b"\xfe\xff") else "utf-8-sig"
    try:
        return data.decode(encoding)
    except UnicodeDecodeError as error:
        line = data[: error.start].count(b"\n") + 1
        raise TextError(f"line {line} is no {encoding[:6].upper().rstrip('-')} text; expected UTF-8.") from error
