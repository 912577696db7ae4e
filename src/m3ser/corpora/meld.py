"""MELD: dialogues from the television series Friends with seven emotions; words, and the clips where they are there.

A row of ``train_sent_emo.csv`` (``dev_sent_emo.csv``, ``test_sent_emo.csv``)::

    2,What?,Monica,surprise,negative,0,1,4,7,"00:21:01,927","00:21:03,261"

is row number, utterance, speaker, emotion, sentiment, dialogue, utterance in the dialogue, season, episode, start, end.
Its clip is ``dia0_utt1.mp4``, in ``train_splits`` (``dev_splits_complete``, ``output_repeated_splits_test``).
"""

from __future__ import annotations

import csv
import io
import os
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from m3ser.corpora.corpus import Corpus, CorpusInfo, Progress
from m3ser.corpora.folders import about, existing_folder, find_file, listed, read_text
from m3ser.corpora.meld_clips import find_clips, inspect_clip
from m3ser.errors import DataError
from m3ser.schema import Utterance

__all__ = ["INFO", "read"]

INFO = CorpusInfo(
    name="meld",
    title="MELD (Multimodal EmotionLines Dataset)",
    kind="text",  # of a copy with clips: "speech"
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
    access="words: github.com/declare-lab/MELD; clips: affective-meld.github.io (MELD.Raw.tar.gz, 10 GB)",
    counts={
        "anger": 1607,
        "disgust": 361,
        "fear": 358,
        "joy": 2308,
        "neutral": 6436,
        "sadness": 1002,
        "surprise": 1636,
    },
    splits=("train", "validation", "test"),
    notes=(
        "The official parts share speakers and episodes.",
        "Clips are used where they are there. As published, train/dia125_utt3 is broken and validation/dia110_utt7 "
        "missing, and a few clips were cut in the wrong place: some are minutes long.",
        "Videos (mp4) need the extra 'media' when they are decoded; wav or flac files extracted from them do not.",
    ),
)

# file -> part, rows in the published corpus
_PARTS = {
    "train_sent_emo.csv": ("train", 9_989),
    "dev_sent_emo.csv": ("validation", 1_109),
    "test_sent_emo.csv": ("test", 2_610),
}
_COLUMNS = ("Utterance", "Speaker", "Emotion", "Dialogue_ID", "Utterance_ID", "Season", "Episode")


def read(folder: str | os.PathLike[str], *, progress: Progress | None = None) -> Corpus:
    """Read a copy of MELD: its words, and its clips where they are there.

    In a copy with clips an utterance without one, or with a broken one, keeps its words and has no ``audio``.
    "duration" is that of the clip in seconds.

    Raises:
        DataError: `folder` has none of the three tables, or one of them lacks a column or cannot be read.
        MissingExtraError: extracted clips are in a format (m4a, say) whose decoder is not installed.
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
    clips, strays = find_clips(root)
    if not clips:
        return Corpus(INFO, root, tuple(utterances), tuple(findings))
    voiced, faults = _with_clips(utterances, clips, root, progress)
    return Corpus(replace(INFO, kind="speech"), root, voiced, (*findings, *strays, *faults))


def _with_clips(
    utterances: Sequence[Utterance], clips: Mapping[str, str], root: Path, progress: Progress | None
) -> tuple[tuple[Utterance, ...], list[str]]:
    """The utterances with their clips, and what is wrong with those."""
    voiced: list[Utterance] = []
    damage: defaultdict[str, list[str]] = defaultdict(list)
    absent: list[str] = []
    for done, utterance in enumerate(utterances, 1):
        name = utterance.extra["id"]
        path = clips.get(name)
        duration, fault = (None, None) if path is None else inspect_clip(path)
        if path is None:
            absent.append(name)
        elif fault is not None:
            damage[fault].append(Path(path).relative_to(root).as_posix())
        if path is None or fault is not None:
            voiced.append(utterance)
        else:
            extra = {} if duration is None else {"duration": f"{duration:.3f}"}
            voiced.append(replace(utterance, audio=Path(path), extra={**utterance.extra, **extra}))
        if progress is not None:
            progress(done, len(utterances))
    known = {utterance.extra["id"] for utterance in utterances}
    findings = [s for fault, paths in damage.items() for s in about(paths, f"{fault}, only the words are used")]
    findings += about(absent, "Clips that are missing, only the words are used")
    findings += about(sorted(set(clips) - known), "Clips of which no row tells, ignored")
    return tuple(voiced), findings


def _rows(path: Path) -> Iterator[tuple[int, dict[str, str]]]:
    try:
        text = read_text(path)
    except OSError as error:
        raise DataError(f"'{path}' cannot be read: {error.strerror}.") from error
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
