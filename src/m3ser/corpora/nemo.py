"""nEMO: nine Polish actors, ninety sentences, six emotions.

The file's name says speaker, emotion and sentence; a table says the words::

    samples/WR0_surprised_64.wav
    data.tsv    WR0_surprised_64.wav  surprised  Ucho wykrywa dźwięki o różnej częstotliwości.  ...  WR0  male  23
"""

from __future__ import annotations

import csv
import os
import re
from collections.abc import Collection, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Literal

from m3ser.corpora.corpus import Corpus, CorpusInfo, Progress
from m3ser.corpora.folders import find_file
from m3ser.corpora.recordings import Clip, missing_clips, read_recordings

__all__ = ["INFO", "read"]

INFO = CorpusInfo(
    name="nemo",
    title="nEMO (Polish emotional speech)",
    kind="speech",
    languages=("pl",),
    licence="CC-BY-NC-SA-4.0",
    citation="I. Christop: nEMO: Dataset of Emotional Speech in Polish. LREC-COLING 2024, arXiv:2404.06292.",
    labels={
        "anger": "angry",
        "fear": "fearful",
        "happiness": "happy",
        "neutral": "neutral",
        "sadness": "sad",
        "surprised": "surprised",
    },
    utterances=4481,
    speakers=9,
    layout="samples/WR0_surprised_64.wav",
    access="huggingface.co/datasets/amu-cai/nEMO",
    counts={"anger": 749, "fear": 736, "happiness": 749, "neutral": 809, "sadness": 769, "surprised": 669},
    notes=("The words are in data.tsv only: without it the sentences are told apart but not known.",),
)

_NAME = re.compile(r"([A-Z]{2}\d)_([a-z]+)_(\d{1,2})")

# speaker -> gender, age, recordings in the published corpus
_SPEAKERS = {
    "EB0": ("female", 27, 539),
    "IC0": ("female", 28, 540),
    "KD0": ("female", 28, 540),
    "KS0": ("male", 23, 540),
    "MK0": ("female", 23, 450),
    "MP0": ("male", 24, 256),
    "SM0": ("male", 24, 538),
    "TP0": ("male", 26, 539),
    "WR0": ("male", 23, 539),
}

# The published table, and a manifest as people put beside converted copies: name, column of file names, of sentences,
# delimiter.
_TABLES = (("data.tsv", "file_id", "raw_text", "\t"), ("manifest.csv", "file", "text", ","))


def read(folder: str | os.PathLike[str], *, progress: Progress | None = None) -> Corpus:
    """Read a copy of nEMO; the words come from ``data.tsv`` (or a ``manifest.csv``) in it.

    Raises:
        DataError: no recording below `folder` is named like ``WR0_surprised_64.wav``.
    """
    sentences = _sentences(Path(folder))

    def describe(name: re.Match[str]) -> Clip | str:
        return _describe(name, sentences)

    corpus = read_recordings(folder, INFO, names=_NAME, describe=describe, missing=_missing, progress=progress)
    wordless = sum(utterance.text is None for utterance in corpus.utterances)
    if not wordless:
        return corpus
    finding = f"Recordings without their words, which no table (data.tsv) has: {wordless:,}."
    return replace(corpus, findings=(*corpus.findings, finding))


def _describe(name: re.Match[str], sentences: Mapping[str, str]) -> Clip | str:
    speaker, emotion, sentence = name.groups()
    if speaker not in _SPEAKERS or emotion not in INFO.labels or not 1 <= int(sentence) <= 90:
        return "name with a speaker, emotion or sentence that nEMO does not have"
    gender, age, _ = _SPEAKERS[speaker]
    return Clip(
        id=name.string,
        label=emotion,
        speaker=speaker,
        sentence=sentence,
        text=sentences.get(sentence),
        language="pl",
        extra={"gender": gender, "age": str(age)},
    )


def _sentences(folder: Path) -> dict[str, str]:
    """Sentence number -> its words, from the first table below `folder` that has them."""
    for table, file_column, text_column, delimiter in _TABLES:
        path = find_file(folder, table)
        if path is None:
            continue
        # The published table never quotes a field.
        quoting: Literal[0, 3] = csv.QUOTE_NONE if delimiter == "\t" else csv.QUOTE_MINIMAL
        with path.open(encoding="utf-8-sig", errors="replace", newline="") as file:
            found = {
                match[3]: text
                for row in csv.DictReader(file, delimiter=delimiter, quoting=quoting)
                if (match := _NAME.fullmatch(Path(row.get(file_column) or "").stem))
                and (text := (row.get(text_column) or "").strip())
            }
        if found:
            return found
    return {}


def _missing(present: Collection[str]) -> list[str]:
    expected = {speaker: recordings for speaker, (_, _, recordings) in _SPEAKERS.items()}
    return missing_clips(present, expected, speaker_of=lambda clip: clip[:3])
