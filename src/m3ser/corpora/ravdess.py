"""RAVDESS, speech part: 24 North American actors, two English sentences, eight emotions at two intensities.

The file's name is its annotation::

    Actor_12/03-01-06-02-02-01-12.wav

modality 03 (audio only), channel 01 (speech), emotion 06 (fearful), intensity 02 (strong), statement 02, repetition 01,
actor 12 (even: female).
"""

from __future__ import annotations

import os
import re
from collections.abc import Collection
from itertools import product

from m3ser.corpora.corpus import Corpus, CorpusInfo, Progress
from m3ser.corpora.recordings import Clip, missing_clips, read_recordings

__all__ = ["INFO", "STATEMENTS", "read"]

INFO = CorpusInfo(
    name="ravdess",
    title="RAVDESS (Ryerson Audio-Visual Database of Emotional Speech and Song), speech",
    kind="speech",
    languages=("en",),
    licence="CC-BY-NC-SA-4.0",
    citation="S. R. Livingstone, F. A. Russo: The Ryerson Audio-Visual Database of Emotional Speech and Song "
    "(RAVDESS). PLoS ONE 13(5), e0196391, 2018.",
    labels={
        "neutral": "neutral",
        "calm": "calm",
        "happy": "happy",
        "sad": "sad",
        "angry": "angry",
        "fearful": "fearful",
        "disgust": "disgusted",
        "surprised": "surprised",
    },
    utterances=1440,
    speakers=24,
    layout="Actor_12/03-01-06-02-02-01-12.wav",
    access="zenodo.org/records/1188976",
    counts={
        "neutral": 96,
        "calm": 192,
        "happy": 192,
        "sad": 192,
        "angry": 192,
        "fearful": 192,
        "disgust": 192,
        "surprised": 192,
    },
    notes=(
        "03-01-03-01-02-01-07 and 03-01-03-01-02-02-07 are byte-identical in the published corpus.",
        "The neutral emotion exists at normal intensity only.",
    ),
)

_NAME = re.compile(r"(\d{2})-(\d{2})-(\d{2})-(\d{2})-(\d{2})-(\d{2})-(\d{2})")

_LABELS = dict(zip((f"{code:02}" for code in range(1, 9)), INFO.labels, strict=True))
_INTENSITIES = {"01": "normal", "02": "strong"}
STATEMENTS = {"01": "Kids are talking by the door.", "02": "Dogs are sitting by the door."}
_REPETITIONS = ("01", "02")
_ACTORS = tuple(f"{actor:02}" for actor in range(1, 25))


def read(folder: str | os.PathLike[str], *, progress: Progress | None = None) -> Corpus:
    """Read a copy of the speech part of RAVDESS; song and video in the same folder are left out.

    Raises:
        DataError: no recording below `folder` is named like ``03-01-06-02-02-01-12.wav``.
    """
    return read_recordings(folder, INFO, names=_NAME, describe=_describe, missing=_missing, progress=progress)


def _describe(name: re.Match[str]) -> Clip | str:
    modality, channel, emotion, intensity, statement, repetition, actor = name.groups()
    if modality in ("01", "02"):
        return "video, not audio only"
    if channel == "02":
        return "song, not speech"
    if name.string not in _NAMES:
        return "name with a code that RAVDESS does not have"
    return Clip(
        id=name.string,
        label=_LABELS[emotion],
        speaker=actor,
        sentence=statement,
        text=STATEMENTS[statement],
        language="en",
        extra={
            "gender": "male" if int(actor) % 2 else "female",
            "intensity": _INTENSITIES[intensity],
            "repetition": repetition,
        },
    )


_NAMES = frozenset(
    "-".join(("03", "01", *codes))
    for codes in product(_LABELS, _INTENSITIES, STATEMENTS, _REPETITIONS, _ACTORS)
    if not (_LABELS[codes[0]] == "neutral" and _INTENSITIES[codes[1]] == "strong")
)


def _missing(present: Collection[str]) -> list[str]:
    expected = {actor: {name for name in _NAMES if name.endswith(f"-{actor}")} for actor in _ACTORS}
    return missing_clips(present, expected, speaker_of=lambda clip: clip[-2:])
