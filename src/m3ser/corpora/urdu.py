"""URDU: 400 utterances from Urdu talk shows in four emotions.

The file's name is its annotation::

    Angry/SM1_F1_A01.wav     speaker M1 (male), that speaker's file 1 of this emotion, anger (A), number 01 of all
"""

from __future__ import annotations

import os
import re
from collections.abc import Collection

from m3ser.corpora.corpus import Corpus, CorpusInfo, Progress
from m3ser.corpora.recordings import Clip, missing_clips, read_recordings

__all__ = ["INFO", "read"]

INFO = CorpusInfo(
    name="urdu",
    title="URDU (emotional utterances from Urdu talk shows)",
    kind="speech",
    languages=("ur",),
    licence="LicenseRef-URDU",
    citation="S. Latif, A. Qayyum, M. Usman, J. Qadir: Cross Lingual Speech Emotion Recognition: Urdu vs. Western "
    "Languages. 2018, arXiv:1812.10411.",
    labels={"Angry": "angry", "Happy": "happy", "Neutral": "neutral", "Sad": "sad"},
    utterances=400,
    speakers=29,
    layout="Angry/SM1_F1_A01.wav",
    access="github.com/siddiquelatif/URDU-Dataset",
    counts=dict.fromkeys(("Angry", "Happy", "Neutral", "Sad"), 100),
    notes=(
        "For research purposes only, its authors say.",
        "The authors speak of 38 speakers, 27 of them men; the published names tell 29 apart, 18 of them men.",
        "Most speakers are heard in one emotion only, so that a voice gives its emotion away: leave speakers out.",
    ),
)

_NAME = re.compile(r"S([MF]\d{1,2})_F\d{1,3}_([AHNS])\d{2,4}")
_LABELS = {"A": "Angry", "H": "Happy", "N": "Neutral", "S": "Sad"}

# speaker -> recordings in the published corpus
_WOMEN = {"F1": 12, "F2": 2, "F3": 2, "F4": 4, "F5": 4, "F6": 14, "F7": 6, "F8": 2, "F9": 4, "F10": 2, "F11": 4}
_MEN = {"M1": 22, "M2": 28, "M3": 12, "M4": 48, "M5": 80, "M6": 14, "M7": 28, "M17": 2, "M18": 2, "M19": 2, "M20": 10}
_MORE_MEN = {"M21": 4, "M22": 2, "M23": 6, "M24": 38, "M25": 40, "M26": 2, "M27": 4}
_SPEAKERS = {**_WOMEN, **_MEN, **_MORE_MEN}


def read(folder: str | os.PathLike[str], *, progress: Progress | None = None) -> Corpus:
    """Read a copy of URDU.

    Raises:
        DataError: no recording below `folder` is named like ``SM1_F1_A01.wav``.
    """
    return read_recordings(folder, INFO, names=_NAME, describe=_describe, missing=_missing, progress=progress)


def _describe(name: re.Match[str]) -> Clip | str:
    speaker, letter = name.groups()
    if speaker not in _SPEAKERS:
        return "name with a speaker that URDU does not have"
    return Clip(
        id=name.string,
        label=_LABELS[letter],
        speaker=speaker,
        sentence=None,
        text=None,
        language="ur",
        extra={"gender": "male" if speaker[0] == "M" else "female"},
    )


def _missing(present: Collection[str]) -> list[str]:
    return missing_clips(present, _SPEAKERS, speaker_of=lambda clip: clip.partition("_")[0][1:])
