"""How long utterances are: as they say of themselves, else as their recordings' headers say."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from m3ser.corpora.corpus import Progress
from m3ser.corpora.folders import about
from m3ser.corpora.recordings import inspect_recording
from m3ser.errors import MissingExtraError, UsageError
from m3ser.schema import Utterance

__all__ = ["Durations", "measure_durations"]


@dataclass(frozen=True)
class Durations:
    """How long some utterances are.

    Attributes:
        seconds: of each utterance, in order; None where it has no recording, or its length cannot be known.
        opened: how many recordings had to be looked into.
        findings: why lengths are not known, a sentence each.
    """

    seconds: tuple[float | None, ...]
    opened: int
    findings: tuple[str, ...]


def measure_durations(
    utterances: Sequence[Utterance], *, threads: int = 8, progress: Progress | None = None
) -> Durations:
    """How long each utterance is, in seconds.

    From the first that is known: ``end`` less ``start``; the column "duration" of ``extra``; the header of the
    recording, less ``start``. Nothing is decoded, and nothing is guessed.

    Args:
        utterances: of one or several corpora.
        threads: that look into recordings at the same time; most of the time goes into waiting for the disk.
        progress: told how many recordings have been looked into, and of how many.

    Raises:
        UsageError: there is no thread.
    """
    if threads < 1:
        raise UsageError(f"Measuring durations needs at least one thread; found {threads}.")
    faults: defaultdict[str, list[str]] = defaultdict(list)
    seconds = [_stated(utterance, faults) for utterance in utterances]
    unknown = [
        (place, utterance.audio)
        for place, (utterance, known) in enumerate(zip(utterances, seconds, strict=True))
        if known is None and utterance.audio is not None
    ]
    paths = list(dict.fromkeys(audio for _, audio in unknown))  # one recording may hold many utterances
    found: dict[Path, tuple[float | None, str | None]] = {}
    with ThreadPoolExecutor(threads) as pool:
        for path, answer in zip(paths, pool.map(_inspect, paths), strict=True):
            found[path] = answer
            if progress is not None:
                progress(len(found), len(paths))
    for path, (duration, fault) in found.items():
        if duration is None:
            faults[fault or "Without a length in the header"].append(str(path))
    for place, audio in unknown:
        duration = found[audio][0]
        start = utterances[place].start or 0.0
        if duration is not None and duration > start:
            seconds[place] = duration - start
        elif duration is not None:
            faults["Over before the utterance starts"].append(str(audio))
    findings = [sentence for fault, names in faults.items() for sentence in about(names, f"{fault}, length not known")]
    return Durations(tuple(seconds), len(paths), tuple(findings))


def _stated(utterance: Utterance, faults: defaultdict[str, list[str]]) -> float | None:
    """What the utterance itself says; a column "duration" that says nothing sensible is a fault."""
    if utterance.audio is None:
        return None
    if utterance.end is not None:
        return utterance.end - (utterance.start or 0.0)
    stated = utterance.extra.get("duration")
    if not stated:
        return None
    try:
        seconds = float(stated)
    except ValueError:
        seconds = math.nan
    if math.isfinite(seconds) and seconds > 0:
        return seconds
    faults["Their 'duration' is no number of seconds above 0; where the recording does not help either"].append(
        f"'{stated}'"
    )
    return None


def _inspect(path: Path) -> tuple[float | None, str | None]:
    try:
        return inspect_recording(str(path))
    except MissingExtraError as error:
        return None, f"In a format that needs the '{error.extra}' extra (pip install \"m3ser[{error.extra}]\")"
