"""Praat's TextGrid, in its long and its short text form.

Praat reads such a file as a row of free-standing numbers, "strings" and <flags> and skips all other words, which are
there for people; so does this. (Praat manual, "TextGrid file formats".)
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field

from m3ser.errors import TextError
from m3ser.text.timed.spoken import Spoken

__all__ = ["parse_textgrid"]

_TOKEN = re.compile(r'"((?:[^"]|"")*)"|(<\w+>)(?=\s|$)|(?<!\S)(![^\n]*)|(?<!\S)([-+]?[\d.]+(?:[eE][-+]?\d+)?)(?=\s|$)')


@dataclass(frozen=True)
class _Tier:
    kind: str
    name: str
    intervals: list[Spoken] = field(default_factory=list)


def parse_textgrid(content: str, recording: str = "") -> list[Spoken]:  # noqa: ARG001 - one of several parsers
    """The intervals with words of the tier whose name has "word" in it, or else of the first tier of intervals.

    Raises:
        TextError: no TextGrid, one that breaks off, or one without a tier of intervals.
    """
    tiers = [tier for tier in _tiers(_Reader(content)) if tier.kind == "IntervalTier"]
    if not tiers:
        raise TextError("it has no tier of intervals, so that no word has a time.")
    chosen = next((tier for tier in tiers if "word" in tier.name.lower()), tiers[0])
    return [one for one in chosen.intervals if one.text]


class _Reader:
    """The tokens that count, each with its line."""

    def __init__(self, content: str) -> None:
        self._content = content
        self._tokens = self._found()
        self.line = 1
        self._place = 0

    def _found(self) -> Iterator[str | float]:
        for match in _TOKEN.finditer(self._content):
            text, flag, comment, number = match.groups()
            if comment is not None:
                continue
            self.line += self._content.count("\n", self._place, match.start())
            self._place = match.start()
            if number is not None:
                try:
                    yield float(number)
                except ValueError:
                    raise TextError(f"line {self.line}: '{number}' is no number.") from None
            else:
                yield flag if flag is not None else text.replace('""', '"')

    def text(self, what: str) -> str:
        token = self._next(what)
        if not isinstance(token, str):
            raise TextError(f"line {self.line} has {token:g}; expected {what}.")
        return token

    def number(self, what: str) -> float:
        token = self._next(what)
        if isinstance(token, str):
            raise TextError(f"line {self.line} has '{token[:40]}'; expected {what}.")
        return token

    def count(self, what: str) -> int:
        number = self.number(what)
        if not (number >= 0 and number.is_integer()):
            raise TextError(f"line {self.line} has {number:g}; expected {what}.")
        return int(number)

    def _next(self, what: str) -> str | float:
        token = next(self._tokens, None)
        if token is None:
            last = self._content.count("\n") + 1
            raise TextError(f"it breaks off at line {last}; expected {what}.")
        return token


def _tiers(reader: _Reader) -> Iterator[_Tier]:
    if not reader.text("the file's type").startswith("ooTextFile") or reader.text("the class") != "TextGrid":
        raise TextError("line 1 does not begin a TextGrid; expected the text form, 'File type = \"ooTextFile\"'.")
    reader.number("its start")
    reader.number("its end")
    if reader.text("<exists>") != "<exists>":
        return
    for _ in range(reader.count("the number of tiers")):
        tier = _Tier(reader.text("a tier's class"), reader.text("a tier's name"))
        if tier.kind not in ("IntervalTier", "TextTier"):
            raise TextError(f"line {reader.line} has a tier of '{tier.kind[:40]}'; expected IntervalTier or TextTier.")
        reader.number("a tier's start")
        reader.number("a tier's end")
        for _ in range(reader.count("how many intervals there are")):
            start = reader.number("a time")
            end = reader.number("a time") if tier.kind == "IntervalTier" else start
            text = " ".join(reader.text("a label").split())
            try:
                tier.intervals.append(Spoken(max(start, 0.0), max(end, 0.0), text))
            except TextError as error:
                raise TextError(f"line {reader.line}: {error}") from error
        yield tier
