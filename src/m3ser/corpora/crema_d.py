"""CREMA-D: 91 American actors, twelve English sentences, six emotions, both as intended and as listeners heard them.

The file's name is its annotation, and tables know the actors and the listeners' votes::

    AudioWAV/1001_IEO_ANG_HI.wav             actor 1001, sentence IEO, anger, high intensity (XX: not specified)
    VideoDemographics.csv                    1001,51,"Male","Caucasian","Not Hispanic"
    processedResults/tabulatedVotes.csv      "100008",0,1,0,2,7,0,"1001_IEO_ANG_LO",10,0.7,"N",...
    processedResults/summaryTable.csv        "8","1001_IEO_ANG_LO","N","59.57",...

A row of the votes says how many heard anger, disgust, fear, happiness, neutral and sadness. Rows whose number begins
with 1 are of listeners who had the voice alone, 2: the face, 3: both. The summary names the winners, A:N for a tie.
"""

from __future__ import annotations

import csv
import io
import os
import re
from collections import Counter
from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from m3ser.corpora.corpus import Corpus, CorpusInfo, Progress
from m3ser.corpora.folders import existing_folder, find_file, read_text
from m3ser.corpora.recordings import Clip, missing_clips, read_recordings
from m3ser.errors import DataError, UsageError

__all__ = ["INFO", "SENTENCES", "read"]

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
    access="github.com/CheyneyComputerScience/CREMA-D",
    counts={"ANG": 1271, "DIS": 1271, "FEA": 1271, "HAP": 1271, "NEU": 1087, "SAD": 1271},
    label_sources=("intended", "perceived"),
    notes=(
        "Counts are of intended emotions; listeners who had the voice alone agree with 3,099 of them.",
        "1076_MTI_SAD_XX was published without sound and is left out.",
        "Early copies name 1040_ITH_SAD_XX with a single X.",
        "1064_IEO_DIS_MD is a minute of all emotions in the MP3 copy; its WAV is as it should be.",
    ),
)

_NAME = re.compile(r"(\d{4})_([A-Z]{3})_([A-Z]{3})_(XX?|LO|MD|HI)")
_SILENT = "1076_MTI_SAD_XX"

SENTENCES = {
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


_TABULATED, _SUMMARY = "tabulatedVotes.csv", "summaryTable.csv"
_VOTES = {"A": "ANG", "D": "DIS", "F": "FEA", "H": "HAP", "N": "NEU", "S": "SAD"}
_VOICE_ROW = re.compile(r"1\d{5}")
_TIE = "listeners' votes are tied"
_NO_VOTES = "no listener's vote in the tables"


@dataclass(frozen=True)
class _Vote:
    """What listeners who had the voice alone made of a recording.

    Attributes:
        winners: labels with the most votes; more than one where they are tied.
        agreement: share of the votes that each of them has; None where only the summary is at hand.
        votes: how many there are; None likewise.
    """

    winners: tuple[str, ...]
    agreement: float | None = None
    votes: int | None = None

    def columns(self) -> dict[str, str]:
        """The vote as columns of a manifest."""
        agreement = "" if self.agreement is None else f"{self.agreement:.3f}"
        return {"perceived": ":".join(self.winners), "agreement": agreement, "votes": str(self.votes or "")}


def read(folder: str | os.PathLike[str], *, labels: str | None = None, progress: Progress | None = None) -> Corpus:
    """Read a copy of CREMA-D: the published repository, or its folder of WAV (or MP3) files.

    Gender and age come from ``VideoDemographics.csv``, and what listeners heard from ``tabulatedVotes.csv``, or else
    ``summaryTable.csv``: in `folder`, in the folder above it, or in ``processedResults`` there. Where the votes are at
    hand, "intended", "perceived" (labels joined by ":" where they are tied), "agreement" (share of the votes) and
    "votes" are columns of ``extra``, whichever the labels are.

    Args:
        folder: the copy.
        labels: "intended" (the default) or "perceived": what most listeners heard in the voice alone, without the face;
            where their votes are tied, the recording is left out and counted.
        progress: told how many recordings have been looked at, and of how many.

    Raises:
        DataError: no recording below `folder` is named like ``1001_IEO_ANG_HI.wav``, or the labels are to be the
            perceived ones and there is no table of votes.
        UsageError: `labels` is something else.
    """
    if labels not in (None, *INFO.label_sources):
        raise UsageError(f"CREMA-D has no '{labels}' labels; expected {' or '.join(INFO.label_sources)}.")
    root = existing_folder(folder, INFO)
    actors = _demographics(root)
    votes = _votes(root)
    if labels == "perceived" and not votes:
        raise DataError(
            f"'{root}' has no table of votes to take perceived labels from: looked for {_TABULATED} and {_SUMMARY} "
            "there, in the folder above and in processedResults."
        )

    def describe(name: re.Match[str]) -> Clip | str:
        return _describe(name, actors, votes)

    corpus = read_recordings(root, INFO, names=_NAME, describe=describe, missing=_missing, progress=progress)
    return _as_perceived(corpus, votes) if labels == "perceived" else corpus


def _as_perceived(corpus: Corpus, votes: Mapping[str, _Vote]) -> Corpus:
    """The same recordings, labelled by what most listeners heard."""
    utterances = []
    left_out = Counter(corpus.left_out)
    for utterance in corpus.utterances:
        vote = votes.get(utterance.extra["id"])
        if vote is None or len(vote.winners) != 1:
            left_out[_NO_VOTES if vote is None else _TIE] += 1
            continue
        (label,) = vote.winners
        emotion = INFO.labels[label]
        assert emotion is not None
        utterances.append(replace(utterance, emotion=emotion, extra={**utterance.extra, "label": label}))
    return replace(corpus, utterances=tuple(utterances), left_out=left_out)


def _describe(name: re.Match[str], actors: Mapping[str, Mapping[str, str]], votes: Mapping[str, _Vote]) -> Clip | str:
    actor, sentence, emotion, level = name.groups()
    if actor not in _ACTORS or sentence not in SENTENCES or emotion not in INFO.labels:
        return "name with an actor, sentence or emotion that CREMA-D does not have"
    clip = _clip_id(name.string)
    if clip == _SILENT:
        return "published without sound"
    return Clip(
        id=clip,
        label=emotion,
        speaker=actor,
        sentence=sentence,
        text=SENTENCES[sentence],
        language="en",
        extra={
            "intensity": _INTENSITIES.get(level, ""),
            **actors.get(actor, {}),
            **({"intended": emotion, **votes[clip].columns()} if clip in votes else {}),
        },
    )


def _demographics(root: Path) -> dict[str, dict[str, str]]:
    """Actor -> gender and age, as far as a table is at hand."""
    return {
        row["ActorID"]: {"gender": row["Sex"].lower(), "age": row["Age"]}
        for row in _rows(root, "VideoDemographics.csv")
        if row.get("ActorID") and row.get("Sex") and row.get("Age")
    }


def _votes(root: Path) -> dict[str, _Vote]:
    """Recording -> how it was heard, from the table of votes or else the summary; empty where neither is at hand."""
    votes = {}
    for row in _rows(root, _TABULATED):
        counts = {label: int(row[letter]) for letter, label in _VOTES.items() if (row.get(letter) or "").isdigit()}
        # The rows' numbers, which have no column name, tell voice, face and both apart.
        if len(counts) == len(_VOTES) and _VOICE_ROW.fullmatch(row.get("") or "") and any(counts.values()):
            most, total = max(counts.values()), sum(counts.values())
            winners = tuple(label for label, count in counts.items() if count == most)
            votes[_clip_id(row.get("fileName"))] = _Vote(winners, most / total, total)
    if votes:
        return votes
    for row in _rows(root, _SUMMARY):
        letters = (row.get("VoiceVote") or "").split(":")
        if all(letter in _VOTES for letter in letters):
            votes[_clip_id(row.get("FileName"))] = _Vote(tuple(_VOTES[letter] for letter in letters))
    return votes


def _clip_id(name: str | None) -> str:
    """A recording's published name, from one that may end in a single X."""
    match = _NAME.fullmatch(name or "")
    return f"{name}X" if match is not None and match[4] == "X" else name or ""


def _rows(root: Path, table: str) -> list[dict[str, str]]:
    """The rows of a table that lies in `root` or in the folder above it; none where it is missing or unreadable."""
    above = (root.parent / table, root.parent / "processedResults" / table)
    path = find_file(root, table) or next((path for path in above if path.is_file()), None)
    if path is None:
        return []
    try:
        text = read_text(path)
    except OSError:
        return []
    return list(csv.DictReader(io.StringIO(text, newline="")))


def _missing(present: Collection[str]) -> list[str]:
    expected = {actor: _published(actor) for actor in _ACTORS}
    return missing_clips(present, expected, speaker_of=lambda clip: clip[:4])


def _published(actor: str) -> set[str]:
    """The names of an actor's recordings, but for the silent one."""
    names = {
        f"{actor}_{sentence}_{emotion}_{level}"
        for sentence in SENTENCES
        for emotion in INFO.labels
        # Only the first sentence was spoken at three intensities, and neutrally at none.
        for level in (_INTENSITIES if sentence == "IEO" and emotion != "NEU" else ("XX",))
    }
    return {name for name in names if not name.startswith(_UNPUBLISHED)} - {_SILENT}
