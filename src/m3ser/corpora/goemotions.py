"""GoEmotions: 54,263 English Reddit comments with one or more of 27 emotions, or neutral. Words alone, no speech.

A row of ``train.tsv`` (``dev.tsv``, ``test.tsv``) is the comment, the numbers of its labels, and the comment's id::

    I've never been this sad in my life!<TAB>25<TAB>edcu99z

Each comment that m3ser can name with a single emotion becomes an utterance; the others are left out, and counted.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from m3ser.corpora.corpus import Corpus, CorpusInfo, Progress
from m3ser.corpora.folders import existing_folder, find_file, listed
from m3ser.errors import DataError
from m3ser.schema import Utterance

__all__ = ["INFO", "read"]

INFO = CorpusInfo(
    name="goemotions",
    title="GoEmotions",
    kind="text",
    languages=("en",),
    licence="Apache-2.0",
    citation="D. Demszky, D. Movshovitz-Attias, J. Ko, A. Cowen, G. Nemade, S. Ravi: GoEmotions: A Dataset of "
    "Fine-Grained Emotions. ACL 2020.",
    # In the order of their published numbers.
    labels={
        "admiration": None,
        "amusement": "happy",
        "anger": "angry",
        "annoyance": "angry",
        "approval": None,
        "caring": None,
        "confusion": None,
        "curiosity": None,
        "desire": None,
        "disappointment": "sad",
        "disapproval": None,
        "disgust": "disgusted",
        "embarrassment": None,
        "excitement": "excited",
        "fear": "fearful",
        "gratitude": None,
        "grief": "sad",
        "joy": "happy",
        "love": None,
        "nervousness": None,
        "optimism": None,
        "pride": None,
        "realization": None,
        "relief": None,
        "remorse": None,
        "sadness": "sad",
        "surprise": "surprised",
        "neutral": "neutral",
    },
    utterances=54_263,
    speakers=None,
    layout="data/train.tsv",
    access="github.com/google-research/google-research/tree/master/goemotions",
    # They add up to more than there are comments: many have several labels.
    counts={
        "admiration": 5122,
        "amusement": 2895,
        "anger": 1960,
        "annoyance": 3093,
        "approval": 3687,
        "caring": 1375,
        "confusion": 1673,
        "curiosity": 2723,
        "desire": 801,
        "disappointment": 1583,
        "disapproval": 2581,
        "disgust": 1013,
        "embarrassment": 375,
        "excitement": 1052,
        "fear": 764,
        "gratitude": 3372,
        "grief": 96,
        "joy": 1785,
        "love": 2576,
        "nervousness": 208,
        "optimism": 1976,
        "pride": 142,
        "realization": 1382,
        "relief": 182,
        "remorse": 669,
        "sadness": 1625,
        "surprise": 1330,
        "neutral": 17_772,
    },
    splits=("train", "validation", "test"),
    notes=(
        "Names and religions in the comments are masked as [NAME] and [RELIGION].",
        "Comments with labels of different emotions are left out; joy or amusement with excitement counts as happy.",
    ),
)

# file -> part, rows in the published corpus
_PARTS = {"train.tsv": ("train", 43_410), "dev.tsv": ("validation", 5_426), "test.tsv": ("test", 5_427)}
_LABELS = tuple(INFO.labels)
_NO_EMOTION = "labels that are none of m3ser's emotions"
_SEVERAL = "labels of several emotions"


def read(folder: str | os.PathLike[str], *, progress: Progress | None = None) -> Corpus:
    """Read a copy of GoEmotions (the published split, not the raw ratings).

    Raises:
        DataError: `folder` has none of train.tsv, dev.tsv and test.tsv with rows as above, or its list of labels is
            another than the published one.
    """
    root = existing_folder(folder, INFO)
    _check_labels(root)
    utterances: list[Utterance] = []
    findings: list[str] = []
    left_out: Counter[str] = Counter()
    rows_found = 0
    for done, (name, (part, published)) in enumerate(_PARTS.items(), start=1):
        if progress is not None:
            progress(done, len(_PARTS))
        path = find_file(root, name)
        if path is None:
            findings.append(f"{name} is missing: {published:,} rows.")
            continue
        rows = 0
        damaged: list[str] = []
        for number, row in _rows(path):
            if row is None:
                damaged.append(str(number))
                continue
            rows += 1
            text, labels, comment = row
            emotion = _emotion(labels)
            if emotion in (_NO_EMOTION, _SEVERAL):
                left_out[emotion] += 1
                continue
            extra = {"corpus": INFO.name, "id": comment, "label": ",".join(labels)}
            utterances.append(Utterance(None, emotion, text=text, language="en", split=part, extra=extra))
        if damaged:
            findings.append(f"{name} has lines that are not text, label numbers and id: {listed(damaged)}.")
        if rows != published:
            findings.append(f"{name} has {rows:,} of {published:,} rows.")
        rows_found += rows
    if not rows_found:
        raise DataError(
            f"'{root}' is not a copy of {INFO.title}: looked for train.tsv, dev.tsv and test.tsv with rows of text, "
            "label numbers and comment id, found none."
        )
    return Corpus(INFO, root, tuple(utterances), tuple(findings), left_out)


def _emotion(labels: list[str]) -> str:
    """The one emotion that all of a comment's labels name, or why there is none."""
    emotions = {INFO.labels[label] for label in labels}
    if emotions == {"happy", "excited"}:
        return "happy"
    if None in emotions:
        return _NO_EMOTION
    return _SEVERAL if len(emotions) > 1 else str(emotions.pop())


def _rows(path: Path) -> Iterator[tuple[int, tuple[str, list[str], str] | None]]:
    """Line numbers with text, labels and id; None for a line that is something else."""
    # newline="\n": comments hold other characters that str.splitlines would take for line ends.
    with path.open(encoding="utf-8-sig", errors="replace", newline="\n") as file:
        for number, line in enumerate(file, start=1):
            text, _, rest = line.rstrip("\r\n").partition("\t")
            numbers, _, comment = rest.partition("\t")
            try:
                labels = [_LABELS[int(n)] for n in numbers.split(",")]
            except (ValueError, IndexError):
                yield number, None
                continue
            yield number, (text.strip(), labels, comment.strip()) if text.strip() else None


def _check_labels(root: Path) -> None:
    path = find_file(root, "emotions.txt", "labels.txt")
    if path is None:
        return
    found = path.read_text(encoding="utf-8-sig", errors="replace").split()
    if tuple(found) != _LABELS:
        raise DataError(
            f"'{path}' lists {len(found)} labels ({listed(found)}), not the 28 of {INFO.title} in their published "
            "order, so the label numbers cannot be trusted."
        )
