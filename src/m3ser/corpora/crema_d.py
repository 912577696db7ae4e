"""CREMA-D: 91 American actors, twelve English sentences, six emotions; the label is the intended emotion.

The file's name is its annotation, and one table knows the actors::

    AudioWAV/1001_IEO_ANG_HI.wav     actor 1001, sentence IEO, anger, high intensity (XX: not specified)
    VideoDemographics.csv            1001,51,"Male","Caucasian","Not Hispanic"
"""

from __future__ import annotations

import csv
import os
import re
from collections.abc import Collection, Mapping
from pathlib import Path

from m3ser.corpora.corpus import Corpus, CorpusInfo
from m3ser.corpora.recordings import Clip, missing_clips, read_recordings

__all__ = ["INFO", "read"]

INFO = CorpusInfo(
    name="crema-d",
    title="CREMA-D (Crowd-sourced Emotional Multimodal Actors Dataset)",
    kind="speech",
    languages=("en",),
    # The database; rights in its contents are under the Database Contents License (DbCL) 1.0, which SPDX does not list.
    licence="ODbL-1.0",
    citation="H. Cao, D. G. Cooper, M. K. Keutmann, R. C. Gur, A. Nenkova, R. Verma: CREMA-D: Crowd-sourced Emotional "
    "Multimodal Actors Dataset. IEEE Transactions on Affective Computing 5(4), 377-390, 2014.",
    labels={
        "ANG": "angry",
        "DIS": "disgusted",
        "FEA": "fearful",
        "HAP": "happy",
        "NEU": "neutral",
        "SAD": "sad",
    },
    utterances=7442,
    speakers=91,
    layout="AudioWAV/1001_IEO_ANG_HI.wav",
    notes=(
        "1076_MTI_SAD_XX was published without sound and is left out.",
        "Early copies name 1040_ITH_SAD_XX with a single X.",
        "1064_IEO_DIS_MD is a minute of all emotions in the MP3 copy; its WAV is as it should be.",
    ),
)

_NAME = re.compile(r"(\d{4})_([A-Z]{3})_([A-Z]{3})_(XX?|LO|MD|HI)")
_SILENT = "1076_MTI_SAD_XX"

_SENTENCES = {
    "IEO": "It's eleven o'clock.",
    "TIE": "That is exactly what happened.",
    "IOM": "I'm on my way to the meeting.",
    "IWW": "I wonder what this is about.",
    "TAI": "The airplane is almost full.",
    "MTI": "Maybe tomorrow it will be cold.",
    "IWL": "I would like a new alarm clock.",
    "ITH": "I think I have a doctor's appointment.",
    "DFA": "Don't forget a jacket.",
    "ITS": "I think I've seen this before.",
    "TSI": "The surface is slick.",
    "WSI": "We'll stop in a couple of minutes.",
}
_INTENSITIES = {"LO": "low", "MD": "medium", "HI": "high"}
_ACTORS = tuple(str(actor) for actor in range(1001, 1092))

# What was never published, of twelve sentences times six emotions: the beginnings of the names.
_UNPUBLISHED = ("1002_TIE_NEU", "1008_WSI", "1009_MTI", "1019_ITH", "1076_ITS_NEU")


def read(folder: str | os.PathLike[str]) -> Corpus:
    """Read a copy of CREMA-D: the published repository, or its folder of WAV (or MP3) files.

    Gender and age come from ``VideoDemographics.csv``, in `folder` or the folder above it; without it they are unknown.

    Raises:
        DataError: no recording below `folder` is named like ``1001_IEO_ANG_HI.wav``.
    """
    actors = _demographics(Path(folder))

    def describe(name: re.Match[str]) -> Clip | str:
        return _describe(name, actors)

    return read_recordings(folder, INFO, names=_NAME, describe=describe, missing=_missing)


def _describe(name: re.Match[str], actors: Mapping[str, Mapping[str, str]]) -> Clip | str:
    actor, sentence, emotion, level = name.groups()
    if actor not in _ACTORS or sentence not in _SENTENCES or emotion not in INFO.labels:
        return "name with an actor, sentence or emotion that CREMA-D does not have"
    clip = f"{actor}_{sentence}_{emotion}_{'XX' if level == 'X' else level}"
    if clip == _SILENT:
        return "published without sound"
    return Clip(
        id=clip,
        label=emotion,
        speaker=actor,
        sentence=sentence,
        text=_SENTENCES[sentence],
        language="en",
        extra={"intensity": _INTENSITIES.get(level, ""), **actors.get(actor, {})},
    )


def _demographics(folder: Path) -> dict[str, dict[str, str]]:
    """Actor -> gender and age, as far as a table is at hand."""
    for table in (folder / "VideoDemographics.csv", folder.parent / "VideoDemographics.csv"):
        if table.is_file():
            with table.open(encoding="utf-8-sig", errors="replace", newline="") as file:
                return {
                    row["ActorID"]: {"gender": row["Sex"].lower(), "age": row["Age"]}
                    for row in csv.DictReader(file)
                    if row.get("ActorID") and row.get("Sex") and row.get("Age")
                }
    return {}


def _missing(present: Collection[str]) -> list[str]:
    expected = {actor: _published(actor) for actor in _ACTORS}
    return missing_clips(present, expected, speaker_of=lambda clip: clip[:4])


def _published(actor: str) -> set[str]:
    """The names of an actor's recordings, but for the silent one."""
    names = {
        f"{actor}_{sentence}_{emotion}_{level}"
        for sentence in _SENTENCES
        for emotion in INFO.labels
        # Only the first sentence was spoken at three intensities, and neutrally at none.
        for level in (_INTENSITIES if sentence == "IEO" and emotion != "NEU" else ("XX",))
    }
    return {name for name in names if not name.startswith(_UNPUBLISHED)} - {_SILENT}
