"""TESS: two Toronto actresses say "Say the word ..." with two hundred words in seven emotions each.

The file's name is its annotation::

    OAF_angry/OAF_back_angry.wav     the older actress (YAF: the younger), word back, anger (ps: pleasant surprise)
"""

from __future__ import annotations

import os
import re
from collections.abc import Collection

from m3ser.corpora.corpus import Corpus, CorpusInfo, Progress
from m3ser.corpora.recordings import Clip, missing_clips, read_recordings

__all__ = ["INFO", "read"]

INFO = CorpusInfo(
    name="tess",
    title="TESS (Toronto Emotional Speech Set)",
    kind="speech",
    languages=("en",),
    licence="CC-BY-NC-ND-4.0",
    citation="M. K. Pichora-Fuller, K. Dupuis: Toronto emotional speech set (TESS). University of Toronto, Psychology "
    "Department, 2010, doi:10.5683/SP2/E8H2MF.",
    labels={
        "angry": "angry",
        "disgust": "disgusted",
        "fear": "fearful",
        "happy": "happy",
        "neutral": "neutral",
        "ps": "surprised",
        "sad": "sad",
    },
    utterances=2800,
    speakers=2,
    layout="OAF_angry/OAF_back_angry.wav",
    access="doi.org/10.5683/SP2/E8H2MF",
    counts=dict.fromkeys(("angry", "disgust", "fear", "happy", "neutral", "ps", "sad"), 400),
    notes=(
        "Surprise (ps) is pleasant surprise only.",
        "OAF_bite_neutral is published as OA_bite_neutral.",
        "Two speakers: leaving one out tests on a single voice.",
    ),
)

_NAME = re.compile(r"(OAF?|YAF)_([a-z]+)_(angry|disgust|fear|happy|neutral|ps|sad)", re.IGNORECASE)
_AGES = {"OAF": "64", "YAF": "26"}
_RECORDINGS = 1400  # of each actress


def read(folder: str | os.PathLike[str], *, progress: Progress | None = None) -> Corpus:
    """Read a copy of TESS.

    Raises:
        DataError: no recording below `folder` is named like ``OAF_back_angry.wav``.
    """
    return read_recordings(folder, INFO, names=_NAME, describe=_describe, missing=_missing, progress=progress)


def _describe(name: re.Match[str]) -> Clip:
    speaker, word, label = name[1].upper(), name[2].lower(), name[3].lower()
    speaker = "OAF" if speaker == "OA" else speaker
    return Clip(
        id=f"{speaker}_{word}_{label}",
        label=label,
        speaker=speaker,
        sentence=word,
        text=f"Say the word {word}.",
        language="en",
        extra={"gender": "female", "age": _AGES[speaker]},
    )


def _missing(present: Collection[str]) -> list[str]:
    return missing_clips(present, dict.fromkeys(_AGES, _RECORDINGS), speaker_of=lambda clip: clip[:3])
