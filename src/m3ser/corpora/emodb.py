"""EmoDB, the Berlin database of emotional speech: ten actors, ten German sentences, seven emotions.

The file's name is its annotation::

    wav/03a01Fa.wav     speaker 03, sentence a01, emotion F (Freude: joy), version a
"""

from __future__ import annotations

import os
import re
from collections.abc import Collection

from m3ser.corpora.corpus import Corpus, CorpusInfo, Progress
from m3ser.corpora.recordings import Clip, missing_clips, read_recordings

__all__ = ["INFO", "read"]

INFO = CorpusInfo(
    name="emodb",
    title="EmoDB (Berlin Database of Emotional Speech)",
    kind="speech",
    languages=("de",),
    licence="CC0-1.0",
    citation="F. Burkhardt, A. Paeschke, M. Rolfes, W. F. Sendlmeier, B. Weiss: A Database of German Emotional Speech. "
    "Interspeech 2005, 1517-1520.",
    labels={
        "anger": "angry",
        "boredom": "bored",
        "disgust": "disgusted",
        "fear": "fearful",
        "happiness": "happy",
        "sadness": "sad",
        "neutral": "neutral",
    },
    utterances=535,
    speakers=10,
    layout="wav/03a01Fa.wav",
    access="emodb.bilderbar.info",
    counts={"anger": 127, "boredom": 81, "disgust": 46, "fear": 69, "happiness": 71, "sadness": 62, "neutral": 79},
    notes=("Only what listeners recognised and found natural is published: speakers and emotions differ in number.",),
)

_NAME = re.compile(r"(\d{2})([ab]\d{2})([A-Z])([a-z]?)")

# The letters stand for German words: Wut, Langeweile, Ekel, Angst, Freude, Trauer, neutral.
_LABELS = {
    "W": "anger",
    "L": "boredom",
    "E": "disgust",
    "A": "fear",
    "F": "happiness",
    "T": "sadness",
    "N": "neutral",
}

_SENTENCES = {
    "a01": "Der Lappen liegt auf dem Eisschrank.",
    "a02": "Das will sie am Mittwoch abgeben.",
    "a04": "Heute abend könnte ich es ihm sagen.",
    "a05": "Das schwarze Stück Papier befindet sich da oben neben dem Holzstück.",
    "a07": "In sieben Stunden wird es soweit sein.",
    "b01": "Was sind denn das für Tüten, die da unter dem Tisch stehen?",
    "b02": "Sie haben es gerade hochgetragen und jetzt gehen sie wieder runter.",
    "b03": "An den Wochenenden bin ich jetzt immer nach Hause gefahren und habe Agnes besucht.",
    "b09": "Ich will das eben wegbringen und dann mit Karl was trinken gehen.",
    "b10": "Die wird auf dem Platz sein, wo wir sie immer hinlegen.",
}

# speaker -> gender, age, recordings in the published corpus
_SPEAKERS = {
    "03": ("male", 31, 49),
    "08": ("female", 34, 58),
    "09": ("female", 21, 43),
    "10": ("male", 32, 38),
    "11": ("male", 26, 55),
    "12": ("male", 30, 35),
    "13": ("female", 32, 61),
    "14": ("female", 35, 69),
    "15": ("male", 25, 56),
    "16": ("female", 31, 71),
}


def read(folder: str | os.PathLike[str], *, progress: Progress | None = None) -> Corpus:
    """Read a copy of EmoDB.

    Raises:
        DataError: no recording below `folder` is named like ``03a01Fa.wav``.
    """
    return read_recordings(folder, INFO, names=_NAME, describe=_describe, missing=_missing, progress=progress)


def _describe(name: re.Match[str]) -> Clip | str:
    speaker, sentence, letter, _version = name.groups()
    if speaker not in _SPEAKERS or sentence not in _SENTENCES or letter not in _LABELS:
        return "name with a speaker, sentence or emotion that EmoDB does not have"
    gender, age, _ = _SPEAKERS[speaker]
    return Clip(
        id=name.string,
        label=_LABELS[letter],
        speaker=speaker,
        sentence=sentence,
        text=_SENTENCES[sentence],
        language="de",
        extra={"gender": gender, "age": str(age)},
    )


def _missing(present: Collection[str]) -> list[str]:
    expected = {speaker: recordings for speaker, (_, _, recordings) in _SPEAKERS.items()}
    return missing_clips(present, expected, speaker_of=lambda clip: clip[:2])
