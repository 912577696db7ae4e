"""SAVEE: four men of the University of Surrey, fifteen English sentences in each of six emotions, thirty neutral.

Folder and name are the annotation; some copies have both in the name::

    AudioData/DC/sa01.wav     speaker DC, sadness (sa), sentence 1; likewise DC_sa01.wav
"""

from __future__ import annotations

import os
import re
from pathlib import Path

from m3ser.corpora.corpus import Corpus, CorpusInfo, Progress
from m3ser.corpora.recordings import Clip, find_recordings, missing_clips, read_annotated

__all__ = ["INFO", "read"]

INFO = CorpusInfo(
    name="savee",
    title="SAVEE (Surrey Audio-Visual Expressed Emotion), audio",
    kind="speech",
    languages=("en",),
    licence="LicenseRef-SAVEE",
    citation="S. Haq, P. J. B. Jackson: Multimodal Emotion Recognition. In: W. Wang (ed.), Machine Audition: "
    "Principles, Algorithms and Systems, 398-423. IGI Global, 2010.",
    labels={
        "anger": "angry",
        "disgust": "disgusted",
        "fear": "fearful",
        "happiness": "happy",
        "neutral": "neutral",
        "sadness": "sad",
        "surprise": "surprised",
    },
    utterances=480,
    speakers=4,
    layout="AudioData/DC/sa01.wav",
    access="on registration, from the University of Surrey (kahlan.eps.surrey.ac.uk/savee)",
    counts={
        "anger": 60,
        "disgust": 60,
        "fear": 60,
        "happiness": 60,
        "neutral": 120,
        "sadness": 60,
        "surprise": 60,
    },
    notes=(
        "The words are TIMIT sentences; copies do not hold them.",
        "Three sentences are spoken in every emotion, and two of each emotion neutrally as well. The names do not say "
        "which, so scripts do not tell all sentences apart: leave speakers out.",
    ),
)

_SPEAKERS = ("DC", "JE", "JK", "KL")
_LABELS = {
    "a": "anger",
    "d": "disgust",
    "f": "fear",
    "h": "happiness",
    "n": "neutral",
    "sa": "sadness",
    "su": "surprise",
}
_NAME = re.compile(r"(DC|JE|JK|KL)_?((a|d|f|h|n|sa|su)(\d{2}))")
_BARE = re.compile(r"(?:a|d|f|h|n|sa|su)\d{2}")
_SENTENCES = {code: range(1, 31 if code == "n" else 16) for code in _LABELS}


def read(folder: str | os.PathLike[str], *, progress: Progress | None = None) -> Corpus:
    """Read a copy of SAVEE's audio, in folders by speaker or with the speaker in front of each name.

    Raises:
        DataError: no recording below `folder` is called like ``DC/sa01.wav`` or ``DC_sa01.wav``.
    """
    found = find_recordings(folder, INFO, names=_NAME, name_of=_name)
    rows = {name: _describe(match) for name in found.files if (match := _NAME.fullmatch(name))}
    present = {row.id for row in rows.values() if isinstance(row, Clip)}
    expected = {s: {f"{s}_{code}{n:02}" for code in _LABELS for n in _SENTENCES[code]} for s in _SPEAKERS}
    findings = missing_clips(present, expected, speaker_of=lambda clip: clip[:2])
    return read_annotated(INFO, found, rows, findings=findings, progress=progress)


def _name(path: str) -> str:
    """A recording's name with its speaker in front: that of its folder, where it has none itself."""
    name = Path(path).stem
    return f"{Path(path).parent.name}_{name}" if _BARE.fullmatch(name) else name


def _describe(name: re.Match[str]) -> Clip | str:
    speaker, sentence, code, number = name.groups()
    if int(number) not in _SENTENCES[code]:
        return "name with a sentence that SAVEE does not have"
    return Clip(
        id=f"{speaker}_{sentence}",
        label=_LABELS[code],
        speaker=speaker,
        sentence=sentence,
        text=None,
        language="en",
        extra={"gender": "male"},
    )
