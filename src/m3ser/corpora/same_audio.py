"""Which utterances are the same sound: by fingerprint, so that other formats, rates and levels hide nothing."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING

from m3ser.corpora.corpus import Progress
from m3ser.errors import AudioError, MissingExtraError
from m3ser.schema import Utterance

if TYPE_CHECKING:
    from m3ser.corpora.fingerprint import Fingerprint

__all__ = ["SameAudio", "Stretch", "find_same_audio"]

Stretch = tuple[Path, float | None, float | None]
"""A recording, and where in it an utterance begins and ends (seconds)."""


@dataclass(frozen=True)
class SameAudio:
    """What sounds the same.

    Attributes:
        pairs: two stretches -> the bit error rate of their fingerprints, 0 (identical) to 0.2.
        compared: how many stretches have a fingerprint.
        unheard: how many have none: unreadable, or less than half a second of sound.
    """

    pairs: Mapping[tuple[Stretch, Stretch], float]
    compared: int
    unheard: int

    def __post_init__(self) -> None:
        object.__setattr__(self, "pairs", MappingProxyType(dict(self.pairs)))


def find_same_audio(utterances: Iterable[Utterance], *, progress: Progress | None = None) -> SameAudio:
    """Fingerprint every utterance's recording, and find those that are the same (see :mod:`.fingerprint`).

    Args:
        utterances: of one or several corpora; those without audio are passed over.
        progress: told how many recordings have been heard, and of how many.
    """
    from m3ser.corpora.fingerprint import find_matches

    stretches = sorted({(u.audio, u.start, u.end) for u in utterances if u.audio is not None}, key=str)
    prints: list[Fingerprint | None] = []
    with ThreadPoolExecutor(max_workers=2) as pool:
        for done, found in enumerate(pool.map(_print_of, stretches), 1):
            prints.append(found)
            if progress is not None:
                progress(done, len(stretches))
    pairs = {(stretches[m.first], stretches[m.second]): m.error for m in find_matches(prints)}
    unheard = prints.count(None)
    return SameAudio(pairs, len(prints) - unheard, unheard)


def _print_of(stretch: Stretch) -> Fingerprint | None:
    from m3ser.audio import stream_waveform
    from m3ser.corpora.fingerprint import fingerprint

    path, start, end = stretch
    try:
        return fingerprint(stream_waveform(path, start=start, end=end))
    except (AudioError, MissingExtraError):  # what is wrong with a recording is for import and validation to say
        return None
