"""How the command line writes: results on stdout, all else on stderr, no character that the stream cannot take."""

from __future__ import annotations

import json
import sys
import unicodedata
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import typer

if TYPE_CHECKING:
    from rich.console import Console

__all__ = ["MAX_WIDTH", "bar", "complain", "json_line", "percent", "printable", "stdout_console", "style_of"]

MAX_WIDTH = 100
"""Columns. Bars across a whole wide screen are harder to compare, not easier."""

_EIGHTHS = ("", "▏", "▎", "▍", "▌", "▋", "▊", "▉")

_STYLES = {
    "angry": "red",
    "happy": "yellow",
    "sad": "blue",
    "fearful": "magenta",
    "disgusted": "green",
    "surprised": "cyan",
    "excited": "bright_yellow",
    "frustrated": "bright_red",
}


def printable(text: str) -> str:
    r"""`text` on one line, safe to show: whatever is not a character of print is spelled as an escape.

    File names and transcripts come from strangers: they may hold line breaks, terminal commands, and bytes that are no
    characters at all (Python's surrogates).

    >>> printable("a\x1b[31m.wav")
    'a\\x1b[31m.wav'
    """
    return "".join(
        char.encode("unicode_escape").decode("ascii") if unicodedata.category(char) in _NOT_PRINT else char
        for char in text
    )


_NOT_PRINT = frozenset({"Cc", "Cs", "Zl", "Zp"})


def complain(message: str) -> None:
    """Writes a sentence on stderr; the lines of a list of faults follow it indented."""
    lines = [printable(line) for line in message.splitlines()]
    typer.echo("m3ser: " + "\n  ".join(lines), err=True)


def json_line(record: Mapping[str, Any]) -> None:
    """Writes `record` on stdout as one line of JSON, at once.

    The line is UTF-8. On a stream of another encoding, and for file names that are not valid UTF-8, it is ASCII with
    JSON's own escapes, which every JSON reader takes back to the same string.
    """
    line = json.dumps(record, ensure_ascii=False)
    if not (_is_utf8(getattr(sys.stdout, "encoding", None)) and _encodes(line)):
        line = json.dumps(record)
    typer.echo(line)


def _is_utf8(encoding: str | None) -> bool:
    return encoding is not None and encoding.lower().replace("_", "-") in ("utf-8", "utf8")


def _encodes(line: str) -> bool:
    try:
        line.encode("utf-8")
    except UnicodeEncodeError:
        return False
    return True


def stdout_console() -> Console:
    """A console on stdout, at most :data:`MAX_WIDTH` columns wide, that takes text as it is (no markup in file names).

    rich leaves colours out where stdout is not a terminal or ``NO_COLOR`` is set.
    """
    from rich.console import Console

    console = Console(highlight=False, markup=False, emoji=False)
    console.width = min(console.width, MAX_WIDTH)
    return console


def bar(share: float, width: int, *, ascii_only: bool) -> str:
    """A bar for `share` (0 to 1) of `width` columns, to an eighth of a column where the stream has such characters."""
    if ascii_only:
        return "#" * round(share * width)
    full, eighths = divmod(round(share * width * 8), 8)
    return "█" * full + _EIGHTHS[eighths]


def percent(share: float) -> str:
    """`share` (0 to 1) in per cent, always six columns wide."""
    return f"{100 * share:5.1f}%"


def style_of(emotion: str) -> str:
    """The colour that stands for `emotion` on a terminal."""
    return _STYLES.get(emotion, "default")
