"""MELD: dialogues from the television series Friends with seven emotions. Only the words are read, not the clips.

A row of ``train_sent_emo.csv`` (``dev_sent_emo.csv``, ``test_sent_emo.csv``)::

    2,What?,Monica,surprise,negative,0,1,4,7,"00:21:01,927","00:21:03,261"

is row number, utterance, speaker, emotion, sentiment, dialogue, utterance in the dialogue, season, episode, start, end.
"""

from __future__ import annotations

import csv
import io
import os
from collections.abc import Iterator, Mapping
from pathlib import Path

from m3ser.corpora.corpus import Corpus, CorpusInfo
from m3ser.corpora.folders import existing_folder, find_file, listed
from m3ser.errors import DataError
from m3ser.schema import Utterance

__all__ = ["INFO", "read"]

INFO = CorpusInfo(
    name="meld",
    title="MELD (Multimodal EmotionLines Dataset), words",
    kind="text",
    languages=("en",),
    licence="GPL-3.0-only",
    citation="S. Poria, D. Hazarika, N. Majumder, G. Naik, E. Cambria, R. Mihalcea: MELD: A Multimodal Multi-Party "
    "Dataset for Emotion Recognition in Conversations. ACL 2019.",
    labels={
        "anger": "angry",
        "disgust": "disgusted",
        "fear": "fearful",
        "joy": "happy",
        "neutral": "neutral",
        "sadness": "sad",
        "surprise": "surprised",
    },
    utterances=13_708,
    # Hundreds of minor characters share names such as "Woman"; only the six leads are reliably one speaker each.
    speakers=None,
    layout="data/MELD/train_sent_emo.csv",
    splits=("train", "validation", "test"),
    notes=("The official parts share speakers and episodes.",),
)

# file -> part, rows in the published corpus
_PARTS = {
    "train_sent_emo.csv": ("train", 9_989),
    "dev_sent_emo.csv": ("validation", 1_109),
    "test_sent_emo.csv": ("test", 2_610),
}
_COLUMNS = ("Utterance", "Speaker", "Emotion", "Dialogue_ID", "Utterance_ID", "Season", "Episode")


def read(folder: str | os.PathLike[str]) -> Corpus:
    """Read the words of a copy of MELD.

    Raises:
        DataError: `folder` has none of the three tables, or one of them lacks a column.
    """
    root = existing_folder(folder, INFO)
    utterances: list[Utterance] = []
    findings: list[str] = []
    for name, (part, published) in _PARTS.items():
        path = find_file(root, name)
        if path is None:
            findings.append(f"{name} is missing: {published:,} rows.")
            continue
        rows = list(_rows(path))
        damaged = [str(number) for number, row in rows if not _usable(row)]
        utterances += (_utterance(part, row) for _, row in rows if _usable(row))
        if damaged:
            findings.append(f"{name} has rows without words or with an unknown emotion, at lines {listed(damaged)}.")
        if len(rows) != published:
            findings.append(f"{name} has {len(rows):,} of {published:,} rows.")
    if not utterances:
        raise DataError(f"'{root}' is not a copy of {INFO.title}: looked for rows in {', '.join(_PARTS)}.")
    return Corpus(INFO, root, tuple(utterances), tuple(findings))


def _rows(path: Path) -> Iterator[tuple[int, dict[str, str]]]:
    raw = path.read_bytes()
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError:
        text = raw.decode("cp1252", errors="replace")  # what saving the table from a spreadsheet makes of it
    reader = csv.DictReader(io.StringIO(text, newline=""), restval="")
    lacking = [column for column in _COLUMNS if column not in (reader.fieldnames or ())]
    if lacking:
        raise DataError(f"'{path}' has no column {', '.join(lacking)}; MELD's tables have {', '.join(_COLUMNS)}.")
    for row in reader:
        yield reader.line_num, {column: row[column].strip() for column in _COLUMNS}


def _usable(row: Mapping[str, str]) -> bool:
    return bool(row["Utterance"]) and row["Emotion"].lower() in INFO.labels


def _utterance(part: str, row: Mapping[str, str]) -> Utterance:
    label = row["Emotion"].lower()
    emotion = INFO.labels[label]
    assert emotion is not None
    return Utterance(
        audio=None,
        emotion=emotion,
        text=row["Utterance"],
        speaker=f"{INFO.name}/{row['Speaker']}",
        session=f"{INFO.name}/s{row['Season']:0>2}e{row['Episode']:0>2}",
        # Dialogues are numbered anew in each part.
        script=f"{INFO.name}/{part}-{row['Dialogue_ID']}",
        language="en",
        split=part,
        # The published clip of this utterance is called so, in a folder per part.
        extra={
            "corpus": INFO.name,
            "id": f"{part}/dia{row['Dialogue_ID']}_utt{row['Utterance_ID']}",
            "label": label,
        },
    )
