"""MSP-IMPROV: twelve actors improvise in pairs around twenty target sentences, each in four emotions.

A turn in ``Evalution.txt`` (so spelled in the first release; ``Evaluation.txt`` later), and one of its annotators'
lines::

    UTD-IMPROV-S03H-F05-R-FM02.avi; N; A:3.100000; V:3.000000; D:2.900000 ; N:4.500000;
    rater-p1; Neutral; Neutral,Calm; A:3.000000; V:3.000000; D:3.000000; N:5.000000;

is sentence 3 meant happily, recorded by woman 5 (who plays with man 5 in session 5), read (R), turn FM02; the label
that most annotators gave it (X: none), and mean activation, valence, dominance and naturalness (1 to 5). Its recording
is ``session5/S03H/R/MSP-IMPROV-S03H-F05-R-FM02.wav``. Other kinds of turns are the target sentence within an
improvisation (T), other turns of it (S), and what was said between recordings (P).
"""

from __future__ import annotations

import math
import os
import re
from collections.abc import Iterable

from m3ser.corpora.corpus import Corpus, CorpusInfo, Progress
from m3ser.corpora.folders import about, find_file, lines_of, read_text
from m3ser.corpora.recordings import Clip, file_name, find_recordings, read_annotated
from m3ser.corpora.transcripts import transcripts_of
from m3ser.errors import DataError

__all__ = ["INFO", "read"]

INFO = CorpusInfo(
    name="msp-improv",
    title="MSP-IMPROV",
    kind="speech",
    languages=("en",),
    licence="LicenseRef-MSP-IMPROV",
    citation="C. Busso, S. Parthasarathy, A. Burmania, M. AbdelWahab, N. Sadoughi, E. Mower Provost: MSP-IMPROV: An "
    "Acted Corpus of Dyadic Interactions to Study Emotion Perception. IEEE Transactions on Affective Computing 8(1), "
    "67-80, 2017.",
    labels={"A": "angry", "H": "happy", "S": "sad", "N": "neutral", "O": "other", "X": None},
    utterances=8_438,
    speakers=12,
    layout="session1/S01A/P/MSP-IMPROV-S01A-F01-P-FM01.wav",
    access="on request, from UT Dallas: ecs.utdallas.edu/research/researchlabs/msp-lab/MSP-Improv.html (licence form)",
    counts={"A": 792, "H": 2644, "S": 885, "N": 3477, "O": 85, "X": 555},
    notes=(
        "The licence is a form that is signed with UT Dallas: research only.",
        "The twenty target sentences recur in every session and every emotion: they are the scripts here. Other turns "
        "of an improvisation count to the sentence that it leads up to.",
        "Turns without a label that the annotators agree on (X) are left out.",
    ),
)

_NAME = re.compile(r"(MSP|UTD)-IMPROV-(S\d{2})([AHSN])-([FM])(\d{2})-([PRST])-([FM]{2}\d+)")
_TURN = re.compile(rf"({_NAME.pattern})\.(?:avi|wav)\s*;\s*(\w+)\s*;(.*)")
_RATING = re.compile(r"([AVDN])\s*:\s*(\d+(?:\.\d+)?)")  # NaN where nobody rated it
_TABLES = ("Evalution.txt", "Evaluation.txt")
_INTENDED = {"A": "angry", "H": "happy", "S": "sad", "N": "neutral"}
_KINDS = {"P": "between recordings", "R": "read target", "S": "improvised", "T": "improvised target"}
_GENDERS = {"F": "female", "M": "male"}


def read(folder: str | os.PathLike[str], *, progress: Progress | None = None) -> Corpus:
    """Read a copy of MSP-IMPROV.

    The words come from text files that are called like the recordings (``All_human_transcriptions``), where they are
    there. ``extra`` also has "kind" (of turn), "intended" (emotion), "naturalness" (1 to 5) and "agreement" (the share
    of the annotators who gave the turn its label, from 0 to 1).

    Raises:
        DataError: no recording below `folder` is named like ``MSP-IMPROV-S01A-F01-P-FM01.wav``, or the table is not
            there or cannot be read.
    """
    found = find_recordings(folder, INFO, names=_NAME, name_of=lambda path: _published(file_name(path)))
    table = find_file(found.root, *_TABLES)
    if table is None:
        raise DataError(
            f"'{found.root}' is not a copy of {INFO.title}: looked for {' or '.join(_TABLES)}, found neither."
        )
    try:
        lines = lines_of(read_text(table))
    except OSError as error:
        raise DataError(f"'{table}' cannot be read: {error.strerror}.") from error
    texts, findings = transcripts_of(found.root, _NAME)
    texts = {_published(name): text for name, text in texts.items()}
    rows: dict[str, Clip | str] = {}
    again: list[str] = []
    unclear: list[str] = []
    for number, match, votes in _turns(lines):
        turn = _published(match[1])
        if match[9] not in INFO.labels:
            unclear.append(str(number))
        elif turn in rows:
            again.append(turn)
        else:
            rows[turn] = _row(turn, match, votes, texts.get(turn))
    findings += about(unclear, f"Lines of {table.name} with a label that {INFO.title} does not have, ignored")
    findings += about(again, "Annotated more than once, the first is used")
    if len(rows) != INFO.utterances:
        findings.append(f"{table.name} has {len(rows):,} of {INFO.utterances:,} turns.")
    wordless = [row.id for row in rows.values() if isinstance(row, Clip) and row.text is None]
    if texts:
        findings += about(wordless, "Annotated, but not transcribed")
    return read_annotated(INFO, found, rows, findings=findings, progress=progress)


def _published(name: str) -> str:
    # The table calls a turn by its video ("UTD-IMPROV-..."), the release its recording "MSP-IMPROV-...".
    return name.replace("UTD-IMPROV-", "MSP-IMPROV-", 1)


def _turns(lines: Iterable[str]) -> list[tuple[int, re.Match[str], dict[str, str]]]:
    """Every turn's line number and summary, and each annotator's label (its first letter)."""
    turns: list[tuple[int, re.Match[str], dict[str, str]]] = []
    for number, line in enumerate(lines, 1):
        match = _TURN.fullmatch(line.strip())
        if match is not None:
            turns.append((number, match, {}))
        elif turns and line.count(";") >= 2:
            annotator, label, *_ = line.split(";")
            # Some annotators' lines are there twice; keyed by annotator they count once.
            turns[-1][2][annotator.strip()] = label.strip()[:1].upper()
    return turns


def _row(turn: str, match: re.Match[str], votes: dict[str, str], text: str | None) -> Clip | str:
    _, _, sentence, intended, gender, session, kind, _, label, ratings = match.groups()
    if INFO.labels[label] is None:
        return f"no label that the annotators agree on ({label})"
    rated = {name: float(value) for name, value in _RATING.findall(ratings)}
    naturalness = rated.get("N", math.nan)
    return Clip(
        id=turn,
        label=label,
        speaker=f"{gender}{session}",
        sentence=sentence,
        text=text,
        language="en",
        extra={
            "gender": _GENDERS[gender],
            "kind": _KINDS[kind],
            "intended": _INTENDED[intended],
            "naturalness": "" if math.isnan(naturalness) else f"{naturalness:g}",
            "agreement": f"{list(votes.values()).count(label) / len(votes):.3f}" if votes else "",
        },
        session=session,
        valence=rated.get("V"),
        arousal=rated.get("A"),
        dominance=rated.get("D"),
    )
