"""MSP-Podcast: speaking turns out of published podcasts, labelled by five or more annotators each.

A row of ``Labels/labels_consensus.csv``::

    MSP-PODCAST_0001_0008.wav,N,2.2,4.0,2.6,30,Male,Test1

is recording, label that most annotators gave it (C: contempt, O: other, X: none), mean activation, valence and
dominance (1 to 7), speaker, gender and official part. The first number in the name is the podcast's. The recording is
in ``Audios``, its words in ``Transcripts/MSP-PODCAST_0001_0008.txt``.
"""

from __future__ import annotations

import csv
import io
import math
import os
import re
from collections.abc import Mapping

from m3ser.corpora.corpus import Corpus, CorpusInfo, Progress
from m3ser.corpora.folders import about, find_file, read_text
from m3ser.corpora.recordings import Clip, find_recordings, read_annotated
from m3ser.corpora.transcripts import transcripts_of
from m3ser.errors import DataError

__all__ = ["INFO", "read"]

INFO = CorpusInfo(
    name="msp-podcast",
    title="MSP-Podcast",
    kind="speech",
    languages=("en",),
    licence="LicenseRef-MSP-Podcast",
    citation="R. Lotfian, C. Busso: Building Naturalistic Emotionally Balanced Speech Corpus by Retrieving Emotional "
    "Speech From Existing Podcast Recordings. IEEE Transactions on Affective Computing 10(4), 471-483, 2019.",
    labels={
        "A": "angry",
        "H": "happy",
        "S": "sad",
        "N": "neutral",
        "U": "surprised",
        "F": "fearful",
        "D": "disgusted",
        "C": None,
        "O": "other",
        "X": None,
    },
    utterances=264_705,
    # Thousands, and more with every release; those of some turns are not known.
    speakers=None,
    layout="Audios/MSP-PODCAST_0001_0008.wav",
    access="on request, from UT Dallas: ecs.utdallas.edu/research/researchlabs/msp-lab/MSP-Podcast.html (licence form)",
    splits=("train", "validation", "test"),
    notes=(
        "The licence is a form that is signed with UT Dallas.",
        "It grows with every release: 264,705 labelled turns are those of release 2.0.",
        "The official test sets 1 and 2 are one part here, 'test'; extra 'split_set' tells them apart. Some speakers "
        "are in both.",
        "The labels of test set 3 are not published; its recordings are left out.",
        "Contempt (C) has no name in m3ser, and X is no label that the annotators agree on: both are left out.",
        "The speaker of some turns of the training set is unknown; a split by speaker cannot vouch for those.",
    ),
)

_NAME = re.compile(r"MSP-PODCAST_(\w+?)_\d+(?:_\d+)*")
_HIDDEN = "MSP-PODCAST_test3_"
_TABLES = ("labels_consensus.csv", "labels_concensus.csv")  # the second in some releases
_NEEDED = ("FileName", "EmoClass")
_COLUMNS = (*_NEEDED, "EmoAct", "EmoVal", "EmoDom", "SpkrID", "Gender", "Split_Set")
_SPLITS = {
    "train": "train",
    "development": "validation",
    "test": "test",
    "test1": "test",
    "test2": "test",
    "test3": "test",
}
_UNKNOWN = ("", "unknown")


def read(folder: str | os.PathLike[str], *, progress: Progress | None = None) -> Corpus:
    """Read a copy of MSP-Podcast, of any release that has ``labels_consensus.csv``.

    Raises:
        DataError: no recording below `folder` is named like ``MSP-PODCAST_0001_0008.wav``, or the table is not there,
            cannot be read or lacks a column.
    """
    found = find_recordings(folder, INFO, names=_NAME)
    table = find_file(found.root, *_TABLES)
    if table is None:
        raise DataError(f"'{found.root}' is not a copy of {INFO.title}: looked for {_TABLES[0]}, found none.")
    try:
        reader = csv.DictReader(io.StringIO(read_text(table), newline=""), restval="")
    except OSError as error:
        raise DataError(f"'{table}' cannot be read: {error.strerror}.") from error
    lacking = [column for column in _NEEDED if column not in (reader.fieldnames or ())]
    if lacking:
        raise DataError(f"'{table}' has no column {', '.join(lacking)}; {INFO.title}'s has {', '.join(_COLUMNS)}.")
    texts, findings = transcripts_of(found.root, _NAME)
    rows: dict[str, Clip | str] = {}
    again: list[str] = []
    unclear: list[str] = []
    for fields in reader:
        row = {column: (fields.get(column) or "").strip() for column in _COLUMNS}
        name = row["FileName"].removesuffix(".wav")
        if not _NAME.fullmatch(name) or row["EmoClass"] not in INFO.labels:
            unclear.append(str(reader.line_num))
        elif name in rows:
            again.append(name)
        else:
            rows[name] = _row(name, row, texts.get(name))
    for name in found.files:
        if name.startswith(_HIDDEN):
            rows.setdefault(name, "in test set 3, whose labels are not published")
    findings += about(unclear, f"Lines of {table.name} without a name or label of {INFO.title}, ignored")
    findings += about(again, "Annotated more than once, the first is used")
    wordless = [row.id for row in rows.values() if isinstance(row, Clip) and row.text is None]
    if texts:
        findings += about(wordless, "Annotated, but not transcribed")
    return read_annotated(INFO, found, rows, findings=findings, progress=progress)


def _row(name: str, row: Mapping[str, str], text: str | None) -> Clip | str:
    if row["EmoClass"] == "X":
        return "no label that the annotators agree on (X)"
    match = _NAME.fullmatch(name)
    assert match is not None
    gender = row["Gender"].lower()
    return Clip(
        id=name,
        label=row["EmoClass"],
        speaker=None if row["SpkrID"].lower() in _UNKNOWN else row["SpkrID"],
        sentence=None,
        text=text,
        language="en",
        extra={"gender": "" if gender in _UNKNOWN else gender, "split_set": row["Split_Set"]},
        session=match[1],
        split=_SPLITS.get(row["Split_Set"].lower()),
        valence=_rating(row["EmoVal"]),
        arousal=_rating(row["EmoAct"]),
        dominance=_rating(row["EmoDom"]),
    )


def _rating(value: str) -> float | None:
    try:
        number = float(value)
    except ValueError:
        return None
    return number if math.isfinite(number) else None
