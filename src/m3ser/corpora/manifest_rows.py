"""One row of a manifest: what may be wrong with it, and the utterance that it describes."""

from __future__ import annotations

import json
import math
import os
import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from m3ser.schema import EMOTIONS, Utterance

__all__ = ["COLUMNS", "SPLITS", "Fault", "FaultSample", "known_of", "problems_of", "utterance_of"]

SPLITS = ("train", "validation", "test")
"""The parts that an utterance can be assigned to."""

COLUMNS = (
    *("audio", "emotion", "text", "speaker", "session", "script"),
    *("start", "end", "language", "split", "valence", "arousal", "dominance"),
)
"""The columns that have a meaning, in the order in which they are written."""

_NUMBERS = ("start", "end", "valence", "arousal", "dominance")
_WORDS = tuple(name for name in COLUMNS if name not in _NUMBERS)
_HAVE_MEANING = frozenset(COLUMNS)
# BCP 47 in the shapes that matter here: "en", "pt-BR", "zh-Hant".
_LANGUAGE = re.compile(r"[A-Za-z]{2,3}(-[A-Za-z0-9]{2,8})*")
# What the decoder leaves of bytes that are not UTF-8.
_NOT_UTF8 = re.compile("[\udc80-\udcff]")


@dataclass(frozen=True)
class Fault:
    """One thing that is wrong with a manifest.

    Attributes:
        line: where, counted from 1.
        problem: what was found and what was expected.
        kind: what is concerned: "column emotion", "rows" (not CSV or JSON, or without audio and text), or "repeated"
            (the same stretch of a recording was there before).
    """

    line: int
    problem: str
    kind: str

    def __str__(self) -> str:
        return f"line {self.line}: {self.problem}"


class FaultSample:
    """Counts faults by kind, and says which are among the first of theirs: bounded, however many rows are wrong.

    Args:
        most: how many of a kind are wanted; None: all.

    Attributes:
        counts: kind -> how many there were.
    """

    def __init__(self, most: int | None) -> None:
        self._most = most
        self.counts: Counter[str] = Counter()

    def takes(self, fault: Fault) -> bool:
        """Counts a fault, and says whether it is wanted."""
        self.counts[fault.kind] += 1
        return self._most is None or self.counts[fault.kind] <= self._most

    def rest(self) -> list[str]:
        """What was not wanted, a line for each kind."""
        if self._most is None:
            return []
        return [f"and {n - self._most:,} more ({kind})" for kind, n in self.counts.items() if n > self._most]


def known_of(record: Mapping[str, Any]) -> dict[str, Any]:
    """The fields of a row that have a value."""
    return {name: value for name, value in record.items() if value is not None and value != ""}


def problems_of(
    known: Mapping[str, Any], folder: str, *, check_audio: bool, labelled: bool = True
) -> list[tuple[str, str]]:
    """What is wrong with a row: kinds (see :class:`Fault`) and problems; none where it is right.

    Args:
        known: its fields.
        folder: where ``audio`` is to be found from.
        check_audio: look whether it is there.
        labelled: False where only ``audio``, ``text``, ``start`` and ``end`` are looked at.
    """
    if not labelled:
        known = {name: known[name] for name in ("audio", "text", "start", "end") if name in known}
    problems: list[tuple[str, str]] = []
    for name, value in known.items():
        if isinstance(value, str):
            if not value.isascii() and _NOT_UTF8.search(value):
                problems.append((name, f"{name} is not UTF-8"))
        elif name in _WORDS:
            problems.append((name, f"{name} is {json.dumps(value)}; expected a string"))
    if not problems:
        _check_values(known, problems, labelled)
        audio = known.get("audio")
        if check_audio and audio is not None and not os.path.isfile(os.path.join(folder, audio)):  # noqa: PTH113, PTH118
            problems.append(("audio", f"audio '{audio}' is not there"))
    return [(f"column {name}" if name else "rows", problem) for name, problem in problems]


def utterance_of(known: Mapping[str, Any], folder: Path) -> Utterance:
    """The utterance that a row without problems describes."""
    audio = known.get("audio")
    fields: dict[str, Any] = {name: known.get(name) for name in _WORDS}
    fields |= {name: float(known[name]) for name in _NUMBERS if name in known}
    fields["audio"] = None if audio is None else folder / audio
    fields["extra"] = {
        name: value if isinstance(value, str) else json.dumps(value)
        for name, value in known.items()
        if name not in _HAVE_MEANING
    }
    return Utterance(**fields)


def _check_values(known: Mapping[str, Any], problems: list[tuple[str, str]], labelled: bool) -> None:
    numbers = {name: _number(name, known[name], problems) for name in _NUMBERS if name in known}
    start, end = numbers.get("start"), numbers.get("end")
    if start is not None and start < 0:
        problems.append(("start", f"start is {start:g} s; expected 0 or more"))
    if end is not None and end <= (start or 0.0):
        problems.append(("end", f"end is {end:g} s; expected more than start, {start or 0.0:g} s"))
    emotion, split, language = known.get("emotion"), known.get("split"), known.get("language")
    if labelled and emotion not in EMOTIONS:
        problems.append(("emotion", f"emotion is {_quoted(emotion)}; expected one of {', '.join(EMOTIONS)}"))
    if split is not None and split not in SPLITS:
        problems.append(("split", f"split is {_quoted(split)}; expected one of {', '.join(SPLITS)}"))
    if language is not None and not _LANGUAGE.fullmatch(language):
        problems.append(("language", f"language is {_quoted(language)}; expected a BCP 47 code such as 'en'"))
    if "audio" not in known and "text" not in known:
        problems.append(("", "neither audio nor text; expected one of them at least"))


def _number(name: str, value: Any, problems: list[tuple[str, str]]) -> float | None:
    try:
        number = math.nan if isinstance(value, (bool, list, dict)) else float(value)
    except (ValueError, OverflowError):
        number = math.nan
    if math.isfinite(number):
        return number
    problems.append((name, f"{name} is {_quoted(value)}; expected a number"))
    return None


def _quoted(value: object) -> str:
    return "empty" if value is None else f"'{value}'"
