"""JL-Corpus: four New Zealand English speakers, fifteen sentences, five primary and five secondary emotions.

The file's name is its annotation, and a text file beside it says the words::

    JL(wav+txt)/male1_angry_10a_1.wav     speaker male1, angry, sentence 10, take a_1
    JL(wav+txt)/male1_angry_10a_1.txt
"""

from __future__ import annotations

import os
import re
from itertools import product
from pathlib import Path

from m3ser.corpora.corpus import Corpus, CorpusInfo, Progress
from m3ser.corpora.folders import read_text
from m3ser.corpora.recordings import Clip, find_recordings, missing_clips, read_annotated

__all__ = ["INFO", "read"]

_PRIMARY = {"angry": "angry", "excited": "excited", "happy": "happy", "neutral": "neutral", "sad": "sad"}
_SECONDARY = ("anxious", "apologetic", "assertive", "concerned", "encouraging")

INFO = CorpusInfo(
    name="jl-corpus",
    title="JL-Corpus (New Zealand English emotional speech)",
    kind="speech",
    languages=("en",),
    licence="CC0-1.0",
    citation="J. James, L. Tian, C. I. Watson: An Open Source Emotional Speech Corpus for Human Robot Interaction "
    "Applications. Interspeech 2018.",
    labels={**_PRIMARY, **dict.fromkeys(_SECONDARY)},
    utterances=2400,
    speakers=4,
    layout="JL(wav+txt)/male1_angry_10a_1.wav",
    access="kaggle.com/tli725/jl-corpus",
    counts=dict.fromkeys((*_PRIMARY, *_SECONDARY), 240),
    notes=(
        "The secondary emotions (anxious, apologetic, assertive, concerned, encouraging) are none of m3ser's.",
        "Every speaker says each sentence four times in each emotion.",
    ),
)

_NAME = re.compile(r"((?:fe)?male[12])_([a-z]+)_(\d{1,2})([ab]_[12])")
_SPEAKERS = ("female1", "female2", "male1", "male2")
_SENTENCES = range(1, 16)
_TAKES = ("a_1", "a_2", "b_1", "b_2")


def read(folder: str | os.PathLike[str], *, progress: Progress | None = None) -> Corpus:
    """Read a copy of JL-Corpus; the words come from the text file beside each recording.

    Raises:
        DataError: no recording below `folder` is named like ``male1_angry_10a_1.wav``.
    """
    found = find_recordings(folder, INFO, names=_NAME)
    rows = {name: _describe(match, path) for name, path in found.files.items() if (match := _NAME.fullmatch(name))}
    clips = [row for row in rows.values() if isinstance(row, Clip)]
    expected = {
        speaker: {f"{speaker}_{label}_{n}{take}" for label, n, take in product(INFO.labels, _SENTENCES, _TAKES)}
        for speaker in _SPEAKERS
    }
    findings = missing_clips({clip.id for clip in clips}, expected, speaker_of=lambda clip: clip.partition("_")[0])
    wordless = sum(clip.text is None for clip in clips if INFO.labels[clip.label] is not None)
    if wordless:
        findings.append(f"Recordings without a text file of their words beside them: {wordless:,}.")
    return read_annotated(INFO, found, rows, findings=findings, progress=progress)


def _describe(name: re.Match[str], path: str) -> Clip | str:
    speaker, label, number, take = name.groups()
    if label not in INFO.labels or int(number) not in _SENTENCES:
        return "name with an emotion or sentence that JL-Corpus does not have"
    return Clip(
        id=name.string,
        label=label,
        speaker=speaker,
        sentence=number,
        text=_words(Path(path).with_suffix(".txt")),
        language="en",
        extra={"gender": "female" if speaker.startswith("fe") else "male", "repetition": take},
    )


def _words(path: Path) -> str | None:
    try:
        return " ".join(read_text(path).split()) or None
    except OSError:
        return None
