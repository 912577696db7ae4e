"""A model judged on labelled speech: what it can be asked, what it answers, its scores, what is to be known of them.

Whoever calls says what the model is (a :class:`~m3ser.evaluation.Respondent`), and what is to be shown meanwhile (an
:class:`Audience`).
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from m3ser.corpora import LabelledPart, transcribe
from m3ser.errors import DataError, M3serError, UsageError
from m3ser.evaluation.asking import Question, Respondent, answers, conditions_for, questions, tabulate
from m3ser.evaluation.folder import EvaluationFolder
from m3ser.evaluation.notes import (
    of_conditions,
    of_corpora,
    of_languages,
    of_parts,
    of_scheme,
    of_training,
    of_transcripts,
)
from m3ser.evaluation.predictions import PredictionTable
from m3ser.evaluation.record import Evaluation
from m3ser.evaluation.word_errors import WordErrors, word_errors
from m3ser.schema import EmotionScheme
from m3ser.text.asr import Transcriber

__all__ = ["Audience", "Verdict", "judge"]


class Audience(Protocol):
    """Who is told how an evaluation goes on."""

    def working(self, what: str, total: int, unit: str) -> AbstractContextManager[Callable[[], None]]:
        """Work of so many steps begins, and ends with the context; what that gives is called after each step."""
        ...

    def failed(self, sentence: str) -> None:
        """Something could not be used; each sentence comes once."""
        ...


@dataclass(frozen=True, eq=False)
class Verdict:
    """What an evaluation came to.

    Attributes:
        asked: what was asked, as JSON-ready values: model, manifest, conditions, scheme, transcriber.
        scores: condition -> scores.
        transcripts: how right the transcripts are; None where there are none, or nothing to hold them against.
        failures: utterance, and why it could not be used.
        notes: what is to be known beside the scores, a sentence each.
    """

    asked: Mapping[str, Any]
    scores: Mapping[str, Evaluation]
    transcripts: WordErrors | None
    failures: tuple[tuple[str, str], ...]
    notes: tuple[str, ...]

    def to_dict(self) -> dict[str, Any]:
        """The scores and what belongs to them as JSON-ready values."""
        return {
            "conditions": {name: one.to_dict() for name, one in self.scores.items()},
            "transcripts": None if self.transcripts is None else self.transcripts.to_dict(),
            "failed": len({utterance for utterance, _ in self.failures}),
            "notes": list(self.notes),
        }


def judge(
    respondent: Respondent,
    labelled: LabelledPart,
    manifest: Path,
    *,
    audience: Audience,
    max_seconds: float,
    part: str | None = None,
    kinds: Sequence[str] = (),
    texts: Sequence[str] = ("given",),
    scheme: EmotionScheme | None = None,
    transcriber: Transcriber | None = None,
    out: Path | None = None,
    resume: bool = False,
    made: Mapping[str, Any] | None = None,
) -> Verdict:
    """Ask a model about labelled speech and score its answers; all of it is kept in `out` as it comes.

    Args:
        respondent: the model.
        labelled: the utterances, of :func:`m3ser.corpora.read_part`.
        manifest: the file that they are from.
        audience: is told how it goes on.
        max_seconds: the longest recording that is transcribed.
        part: which part of the manifest they are; None: all of it.
        kinds: what the model is given, of "audio", "text" and "both"; none: all that there is.
        texts: where words come from, of "given" and "transcribed".
        scheme: the classes to judge by; None: the model's own.
        transcriber: what transcribes, where `texts` has "transcribed".
        out: folder for predictions, transcripts and scores; None: nothing is kept.
        resume: go on with the evaluation in `out`, if there is one.
        made: further values for the scores that are kept (versions, the command).

    Raises:
        UsageError: the model cannot be judged like this, or `out` holds something else.
        DataError: nothing can be judged, or a file cannot be read or written.
    """
    judged_by = scheme if scheme is not None else respondent.scheme
    possible = conditions_for(respondent.modalities, texts)
    wanted = [name for name in possible if not kinds or name.partition("-")[0] in kinds]
    if not wanted:
        raise UsageError(
            f"{respondent.name} cannot be judged under {', '.join(kinds)}, only under {', '.join(possible)}."
        )
    asked = {
        "model": respondent.name,
        "model_sha256": respondent.fingerprint,
        "manifest": manifest.name,
        "manifest_sha256": hashlib.sha256(manifest.read_bytes()).hexdigest(),
        "part": part,
        "conditions": wanted,
        "scheme": judged_by.name,
        "transcriber": None if transcriber is None else transcriber.name,
    }
    notes = [
        *of_parts(labelled, part),
        *of_training(respondent.trained_on(labelled.utterances)),
        *of_corpora(labelled, respondent.data),
        *of_scheme(labelled, judged_by, respondent.labels),
    ]
    failures = _Failures(audience)
    errors: WordErrors | None = None
    with EvaluationFolder(out, asked, resume=resume) as folder:
        try:
            understood: dict[str, str] = {}
            if transcriber is not None:
                understood = _transcripts(labelled, transcriber, folder, failures, max_seconds)
                errors = _word_errors(labelled, understood)
                notes += of_transcripts(labelled, understood, transcriber.name)
            laid_out = _laid_out(labelled, wanted, judged_by, understood, demanded=bool(kinds))
            laid_out, unread = _readable(respondent, laid_out)
            notes += of_conditions(labelled, list(laid_out), judged_by)
            notes += of_languages(unread, respondent.name)
            table = _answered(respondent, laid_out, judged_by, folder, failures)
        finally:
            folder.keep_failures(failures.found)
        scores = {name: table.where(condition=name).evaluate() for name in dict.fromkeys(table.conditions)}
        verdict = Verdict(asked, scores, errors, tuple(failures.found), tuple(notes))
        folder.finish(table, {**verdict.to_dict(), **(made or {})}, comment=labelled.comment)
    return verdict


class _Failures:
    """Utterances and what is wrong with them, each pair once, in the order in which they were found."""

    def __init__(self, audience: Audience) -> None:
        self.audience = audience
        self._found: dict[tuple[str, str], None] = {}

    @property
    def found(self) -> list[tuple[str, str]]:
        return list(self._found)

    def add(self, utterance: str, error: M3serError) -> None:
        """Says a failure once, however many conditions and utterances it is met under."""
        if str(error) not in {problem for _, problem in self._found}:
            self.audience.failed(str(error))
        self._found[utterance, str(error)] = None


def _transcripts(
    labelled: LabelledPart,
    transcriber: Transcriber,
    folder: EvaluationFolder,
    failures: _Failures,
    max_seconds: float,
) -> dict[str, str]:
    """Utterance -> what was understood of it."""
    total = sum(utterance.audio is not None for utterance in labelled.utterances)
    understood: dict[str, str] = {}
    with failures.audience.working("transcribing", total, "files") as advance:
        for name, text in transcribe(
            labelled.utterances, labelled.names, transcriber, journal=folder.transcripts, max_seconds=max_seconds
        ):
            if isinstance(text, M3serError):
                failures.add(name, text)
            else:
                understood[name] = text
            advance()
    return understood


def _word_errors(labelled: LabelledPart, understood: Mapping[str, str]) -> WordErrors | None:
    """Of the utterances whose words are in the manifest; None where there are none.

    In a paired corpus the words are not what is said.
    """
    pairs = [
        (utterance.text, understood[name])
        for utterance, name in zip(labelled.utterances, labelled.names, strict=True)
        if utterance.text is not None and name in understood and "relation" not in utterance.extra
    ]
    return word_errors([said for said, _ in pairs], [heard for _, heard in pairs]) if pairs else None


def _laid_out(
    labelled: LabelledPart,
    conditions: Sequence[str],
    scheme: EmotionScheme,
    understood: Mapping[str, str],
    *,
    demanded: bool,
) -> dict[str, tuple[Question, ...]]:
    """The questions under each condition; conditions under which there are none are left out, unless `demanded`.

    Raises:
        DataError: there are none.
    """
    found = {
        condition: questions(
            labelled.utterances, labelled.names, condition=condition, scheme=scheme, transcripts=understood
        )
        for condition in conditions
    }
    empty = [condition for condition, asked in found.items() if not asked]
    if len(empty) == len(found) or (empty and demanded):
        raise DataError(
            f"Nothing in the manifest can be judged under {', '.join(empty)}; expected utterances with voice or words, "
            f"as that needs, of {', '.join(scheme.classes)}."
        )
    return {condition: asked for condition, asked in found.items() if asked}


def _readable(
    respondent: Respondent, laid_out: Mapping[str, tuple[Question, ...]]
) -> tuple[dict[str, tuple[Question, ...]], dict[str, int]]:
    """The questions that the model has something to answer by, and how many texts of each condition it does not read.

    What has a voice as well is asked all the same, as in prediction.

    Raises:
        DataError: there are none.
    """
    asked: dict[str, tuple[Question, ...]] = {}
    unread: dict[str, int] = {}
    for condition, group in laid_out.items():
        strange = {one.utterance for one in group if one.text is not None and not respondent.reads(one)}
        kept = tuple(one for one in group if one.audio is not None or one.utterance not in strange)
        if strange:
            unread[condition] = len(strange)
        if kept:
            asked[condition] = kept
    if not asked:
        raise DataError(
            f"Nothing can be judged under {', '.join(laid_out)}: {respondent.name} does not read the language of the "
            "words."
        )
    return asked, unread


def _answered(
    respondent: Respondent,
    laid_out: Mapping[str, tuple[Question, ...]],
    scheme: EmotionScheme,
    folder: EvaluationFolder,
    failures: _Failures,
) -> PredictionTable:
    """What the model says of everything that it can be asked.

    Raises:
        DataError: nothing could be judged.
    """
    asked = [question for group in laid_out.values() for question in group]
    answered = {}
    with failures.audience.working("judging", len(asked), "utterances") as advance:
        for question, shares in answers(respondent, asked, scheme=scheme, journal=folder.answers):
            if isinstance(shares, M3serError):
                failures.add(question.utterance, shares)
            else:
                answered[question.utterance, question.condition] = shares
            advance()
    if not answered:
        raise DataError("Nothing could be judged: none of the recordings or texts could be used.")
    rows = [(q, answered[q.utterance, q.condition]) for q in asked if (q.utterance, q.condition) in answered]
    return tabulate(rows, scheme=scheme, fold=respondent.fold, seed=respondent.seed)
