"""IEMOCAP: ten actors in five dyadic sessions, scripted and improvised, labelled by several annotators a turn.

A turn in ``Session1/dialog/EmoEvaluation/Ses01F_impro01.txt``, and its line in ``dialog/transcriptions``::

    [6.2901 - 8.2357]	Ses01F_impro01_F000	neu	[2.5000, 2.5000, 2.5000]
    C-E2:	Neutral;	()
    A-E3:	val 3; act 2; dom  2;	()
    Ses01F_impro01_F000 [006.2901-008.2357]: Excuse me.

is seconds in the dialogue, name, majority label (xxx: none), mean valence, activation and dominance (1 to 5); below it
the vote of evaluator E2, and the ratings of E3. The actors' own (C-F1, C-M1, ...) count neither here nor in the label.

The turn's recording is ``sentences/wav/Ses01F_impro01/Ses01F_impro01_F000.wav``. ``Ses01F`` says who wore the motion
capture markers; the last F that the woman of session 1 speaks. A script is what recurs across sessions: ``impro01``,
``script01_1``. Parts of it that were recorded separately (``impro05a``, ``script01_1b``) belong to the same one.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from m3ser.corpora.corpus import Corpus, CorpusInfo, Progress
from m3ser.corpora.folders import about, lines_of, read_text
from m3ser.corpora.recordings import Clip, find_recordings, missing_clips, read_annotated
from m3ser.errors import DataError

__all__ = ["INFO", "read"]

INFO = CorpusInfo(
    name="iemocap",
    title="IEMOCAP (Interactive Emotional Dyadic Motion Capture Database)",
    kind="speech",
    languages=("en",),
    licence="LicenseRef-IEMOCAP",
    citation="C. Busso, M. Bulut, C.-C. Lee, A. Kazemzadeh, E. Mower, S. Kim, J. N. Chang, S. Lee, S. S. Narayanan: "
    "IEMOCAP: Interactive emotional dyadic motion capture database. Language Resources and Evaluation 42(4), 335-359, "
    "2008.",
    labels={
        "ang": "angry",
        "hap": "happy",
        "exc": "excited",
        "sad": "sad",
        "neu": "neutral",
        "fru": "frustrated",
        "fea": "fearful",
        "sur": "surprised",
        "dis": "disgusted",
        "oth": "other",
        "xxx": None,
    },
    utterances=10_039,
    speakers=10,
    layout="Session1/sentences/wav/Ses01F_impro01/Ses01F_impro01_F000.wav",
    access="on request, from USC SAIL: sail.usc.edu/iemocap (signed release form)",
    counts={
        "ang": 1103,
        "hap": 595,
        "exc": 1041,
        "sad": 1084,
        "neu": 1708,
        "fru": 1849,
        "fea": 40,
        "sur": 107,
        "dis": 2,
        "oth": 3,
        "xxx": 2507,
    },
    notes=(
        "The licence is the signed release form: research only, and nobody may pass the recordings on.",
        "Scripted dialogues repeat their sentences across sessions, so that a split by session alone lets a model "
        "know its test sentences; protocol 'session+script' keeps them apart.",
        "Turns without a label that the annotators agree on (xxx) are left out.",
        "The usual four classes are angry, happy with excited, sad and neutral: 5,531 turns.",
    ),
)

# Of the published corpus: annotated turns in each session.
_SESSIONS = {"Ses01": 1819, "Ses02": 1811, "Ses03": 2136, "Ses04": 2103, "Ses05": 2170}

_DIALOGUE = re.compile(r"(Ses\d{2})[FM]_((impro|script)\d{2}(?:_\d)?)[a-z]?")
_TURN = re.compile(rf"({_DIALOGUE.pattern})_([FM])\d{{3}}")
# What else is called like a turn or dialogue: recordings of whole dialogues, and noises between the turns (FXX0).
_BESIDE = re.compile(rf"{_DIALOGUE.pattern}(?:_[FM]XX\d+)?")
_KINDS = {"impro": "improvised", "script": "scripted"}
_GENDERS = {"F": "female", "M": "male"}

_NUMBER = r"\s*(\d+(?:\.\d+)?)\s*"
_SUMMARY = re.compile(rf"\[{_NUMBER}-{_NUMBER}\]\s+(\w+)\s+(\w+)\s+\[{_NUMBER},{_NUMBER},{_NUMBER}\]\s*")
_VOTE = re.compile(r"C-E\d+:([^(]*)")
_TRANSCRIPT = re.compile(rf"(\w+)\s+\[{_NUMBER}-{_NUMBER}\]:(.*)")


@dataclass
class _Evaluation:
    """One turn's annotation; `votes` are the labels that each evaluator gave it."""

    label: str
    valence: float
    arousal: float
    dominance: float
    votes: list[set[str]] = field(default_factory=list)

    def agreement(self) -> str:
        """The share of the evaluators who gave the turn its label; empty where their votes are not there."""
        return f"{sum(self.label in vote for vote in self.votes) / len(self.votes):.3f}" if self.votes else ""


def read(folder: str | os.PathLike[str], *, progress: Progress | None = None) -> Corpus:
    """Read a copy of IEMOCAP: the full release, some of its sessions, or a rearranged copy.

    Recordings of turns may lie anywhere, the tables in any folders called ``EmoEvaluation`` and ``transcriptions``.
    ``extra`` also has "dialogue", "kind" ("scripted" or "improvised") and "agreement" (the share of the evaluators who
    gave the turn its label, from 0 to 1).

    Raises:
        DataError: no recording below `folder` is named like ``Ses01F_impro01_F000.wav``, or no turn is annotated.
    """
    found = find_recordings(folder, INFO, names=_TURN, beside=_BESIDE)
    evaluations, findings = _evaluations(found.root)
    if not evaluations:
        raise DataError(
            f"'{found.root}' is not a copy of {INFO.title}: looked for annotated turns in files like "
            f"'EmoEvaluation/Ses01F_impro01.txt', found none beside {len(found.files):,} recordings."
        )
    transcripts, faults = _transcripts(found.root)
    findings += faults
    rows = {turn: _row(turn, evaluation, transcripts.get(turn)) for turn, evaluation in evaluations.items()}
    wordless = [turn for turn, row in rows.items() if isinstance(row, Clip) and row.text is None]
    findings += about(wordless, "Annotated, but not transcribed")
    strangers = [turn for turn in transcripts if turn not in evaluations]
    findings += about(strangers, "Transcribed, but not annotated, left out")
    findings += missing_clips(
        evaluations, _SESSIONS, speaker_of=lambda turn: turn[:5], group="session", items="annotated turns"
    )
    return read_annotated(INFO, found, rows, findings=findings, progress=progress)


def _row(turn: str, evaluation: _Evaluation, text: str | None) -> Clip | str:
    if INFO.labels[evaluation.label] is None:
        return f"no label that the annotators agree on ({evaluation.label})"
    name = _TURN.fullmatch(turn)
    assert name is not None
    dialogue, session, script, kind, gender = name.groups()
    return Clip(
        id=turn,
        label=evaluation.label,
        speaker=f"{session}{gender}",
        sentence=script,
        text=text,
        language="en",
        extra={
            "gender": _GENDERS[gender],
            "dialogue": dialogue,
            "kind": _KINDS[kind],
            "agreement": evaluation.agreement(),
        },
        session=session,
        valence=evaluation.valence,
        arousal=evaluation.arousal,
        dominance=evaluation.dominance,
    )


def _evaluations(root: Path) -> tuple[dict[str, _Evaluation], list[str]]:
    """Turn -> its annotation, in the order of the files; and what is wrong with them."""
    evaluations: dict[str, _Evaluation] = {}
    again: list[str] = []
    unclear: list[str] = []
    lines, findings = _lines(root, "EmoEvaluation")
    votes: list[set[str]] = []
    for place, line in lines:
        summary = _SUMMARY.fullmatch(line)
        if summary is not None:
            _, _, turn, label, valence, arousal, dominance = summary.groups()
            votes = []
            if not _TURN.fullmatch(turn) or label not in INFO.labels:
                unclear.append(place)
            elif turn in evaluations:
                again.append(turn)
            else:
                evaluations[turn] = _Evaluation(label, float(valence), float(arousal), float(dominance), votes)
        elif line.startswith("["):
            votes = []
            unclear.append(place)
        elif (vote := _VOTE.match(line)) is not None:
            # "Anger; Frustration;": an evaluator may name several. The labels are the words' first three letters.
            votes.append({word.strip()[:3].lower() for word in vote[1].split(";")})
    findings += about(unclear, "Annotation that cannot be made out, ignored")
    findings += about(again, "Annotated more than once, the first is used")
    return evaluations, findings


def _transcripts(root: Path) -> tuple[dict[str, str], list[str]]:
    """Turn -> its words, in the order of the files; and what is wrong with them."""
    transcripts: dict[str, str] = {}
    again: list[str] = []
    lines, findings = _lines(root, "transcriptions")
    for _, line in lines:
        match = _TRANSCRIPT.fullmatch(line)
        # Between the turns stand what was not annotated: "Ses01F_impro01_FXX0 [...]: [BREATHING]", "M: Oh.".
        if match is None or not _TURN.fullmatch(match[1]) or not match[4].strip():
            continue
        if match[1] in transcripts:
            again.append(match[1])
        transcripts.setdefault(match[1], match[4].strip())
    findings += about(again, "Transcribed more than once, the first is used")
    return transcripts, findings


def _lines(root: Path, folder: str) -> tuple[list[tuple[str, str]], list[str]]:
    """Every line of the dialogues' files in folders of that name, each with its place; and which cannot be read."""
    lines: list[tuple[str, str]] = []
    unreadable: list[str] = []
    for path in _tables(root, folder):
        place = path.relative_to(root).as_posix()
        try:
            text = read_text(path)
        except OSError as error:
            unreadable.append(f"{place} ({error.strerror})")
            continue
        lines += ((f"{place}:{number}", line.strip()) for number, line in enumerate(lines_of(text), 1))
    return lines, about(unreadable, "Files that cannot be read")


def _tables(root: Path, folder: str) -> Iterator[Path]:
    # Other folders of the release have files of the same names: motion capture, forced alignment.
    for place in sorted((*([root] if root.name == folder else []), *root.rglob(folder))):
        yield from sorted(path for path in place.glob("*.txt") if _DIALOGUE.fullmatch(path.stem))
