"""A model is asked about labelled utterances, under each condition that it can be asked under.

=====================  =============================================================================================
``audio``              the voice alone
``text``               the given words alone
``both``               the voice and the given words
``text-transcribed``   the words alone, as a speech recogniser understood them
``both-transcribed``   the voice and these words; the voice alone where nothing was understood, as in prediction
=====================  =============================================================================================

What answers is a :class:`Respondent`: this room knows neither bundles nor checkpoints.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from m3ser.errors import M3serError, UsageError
from m3ser.evaluation.predictions import PredictionTable
from m3ser.files import Journal
from m3ser.schema import EmotionScheme, Utterance

__all__ = ["CONDITIONS", "Question", "Respondent", "answers", "conditions_for", "questions", "tabulate"]

CONDITIONS = ("audio", "text", "both", "text-transcribed", "both-transcribed")
"""Every condition; see the top of this module."""

TEXTS = ("given", "transcribed")
"""Where words can come from."""

_EXTRA = ("corpus", "relation", "gender")


@dataclass(frozen=True)
class Question:
    """One utterance as the model is to have it, and what is kept of it in the table.

    Attributes:
        utterance: what it is called.
        condition: one of :data:`CONDITIONS`.
        truth: the column of the true class in the scheme.
        audio: the recording; None: the model gets no voice.
        text: the words; None: it gets none.
        start, end: the part of the recording that is meant, in seconds.
        speaker: who speaks; "" where that is not known.
        language: BCP 47 code of the words; None: not known.
        extra: further columns of the table.
    """

    utterance: str
    condition: str
    truth: int
    audio: Path | None
    text: str | None
    start: float | None = None
    end: float | None = None
    speaker: str = ""
    language: str | None = None
    extra: Mapping[str, str] = field(default_factory=dict)


class Respondent(Protocol):
    """A model that can be asked.

    Bundles are by :class:`m3ser.inference.BundleRespondent`, trained checkpoints by
    :class:`m3ser.training.evaluating.RunRespondent`.
    """

    @property
    def name(self) -> str:
        """What the model is called ("starter@5")."""
        ...

    @property
    def labels(self) -> tuple[str, ...]:
        """The classes, in the order of the probabilities."""
        ...

    @property
    def scheme(self) -> EmotionScheme:
        """The emotion scheme whose classes they are."""
        ...

    @property
    def modalities(self) -> tuple[str, ...]:
        """What it looks at: "audio", "text" or both."""
        ...

    @property
    def fold(self) -> str:
        """The fold that it was trained on; "" where it is of none."""
        ...

    @property
    def seed(self) -> int:
        """That it was trained with; 0 where that is not known."""
        ...

    @property
    def fingerprint(self) -> str:
        """Something that is another for another model."""
        ...

    @property
    def data(self) -> tuple[str, ...]:
        """The titles of the corpora that it was made of, where more than that is not known."""
        ...

    def trained_on(self, utterances: Iterable[Utterance]) -> int | None:
        """How many of these it was trained on, or chosen by; None where that is not known."""
        ...

    def reads(self, question: Question) -> bool:
        """Whether it reads the language that a question's words are in."""
        ...

    def answer(self, questions: Iterable[Question]) -> Iterator[NDArray[np.float64] | M3serError]:
        """The probabilities (classes,) for each question, or why there are none; in their order, taken as needed."""
        ...


def conditions_for(modalities: Sequence[str], texts: Sequence[str]) -> tuple[str, ...]:
    """The conditions that a model can be asked under.

    Args:
        modalities: what it looks at.
        texts: where words come from, of "given" and "transcribed".
    """
    if "text" not in modalities:
        return ("audio",)
    ways = ["" if text == "given" else "-transcribed" for text in TEXTS if text in texts]
    if "audio" not in modalities:
        return tuple(f"text{way}" for way in ways)
    return ("audio", *(f"{kind}{way}" for way in ways for kind in ("text", "both")))


def questions(
    utterances: Sequence[Utterance],
    names: Sequence[str],
    *,
    condition: str,
    scheme: EmotionScheme,
    transcripts: Mapping[str, str] | None = None,
) -> tuple[Question, ...]:
    """Lay out labelled utterances under a condition; those that lack what it needs, or a class, are left out.

    In a paired (semi-synthetic) corpus each recording is heard once without its sentence, and each sentence read once
    without a voice; its truth is then the sentence's own emotion, and it stands for its speaker in the bootstrap.

    Args:
        utterances: with their emotions.
        names: what each is called; all different.
        condition: one of :data:`CONDITIONS`.
        scheme: which class each emotion counts as.
        transcripts: name -> what a speech recogniser understood, "" where that is nothing; for the conditions that
            end in "-transcribed".

    Raises:
        UsageError: there is no such condition.
    """
    if condition not in CONDITIONS:
        raise UsageError(f"There is no condition '{condition}'; known are {', '.join(CONDITIONS)}.")
    heard = transcripts or {}
    found: list[Question] = []
    seen: set[object] = set()
    for utterance, name in zip(utterances, names, strict=True):
        question = _question(utterance, name, condition, scheme, heard)
        if question is None:
            continue
        if "relation" in utterance.extra and condition != "both":
            half: object = question.text if condition == "text" else (utterance.audio, utterance.start, utterance.end)
            if half in seen:
                continue
            seen.add(half)
        found.append(question)
    return tuple(found)


def _question(
    utterance: Utterance, name: str, condition: str, scheme: EmotionScheme, transcripts: Mapping[str, str]
) -> Question | None:
    kind, _, way = condition.partition("-")
    text = transcripts.get(name) if way else utterance.text
    emotion, speaker = utterance.emotion, utterance.speaker or ""
    if "relation" in utterance.extra and condition != "both":
        if condition == "text":
            emotion = utterance.extra.get("text_emotion", emotion)
            name = speaker = f"sentence {utterance.extra.get('text_id', text)}"
        else:
            name = name.partition("+")[0]
    truth = scheme.index_of(emotion)
    if truth is None or (kind != "text" and utterance.audio is None):
        return None
    # Nothing that was understood leaves the voice; words that nobody wrote down leave no question about both.
    if kind != "audio" and (text is None or (not text and condition != "both-transcribed")):
        return None
    # In a paired corpus, the given words are not those that were said.
    language = utterance.language if way else utterance.extra.get("text_language", utterance.language)
    return Question(
        utterance=name,
        condition=condition,
        truth=truth,
        audio=None if kind == "text" else utterance.audio,
        text=None if kind == "audio" else text or None,
        start=utterance.start,
        end=utterance.end,
        speaker=speaker,
        language=None if kind == "audio" else language,
        extra={name: utterance.extra[name] for name in _EXTRA if name in utterance.extra}
        | ({} if utterance.language is None else {"language": utterance.language}),
    )


def answers(
    respondent: Respondent, asked: Sequence[Question], *, scheme: EmotionScheme, journal: Journal
) -> Iterator[tuple[Question, NDArray[np.float64] | M3serError]]:
    """Each question with the probabilities (classes of the scheme,), or with why there are none.

    What `journal` has already is not asked again, and comes first; every answer is written there before it is yielded.
    Where the scheme's classes are not the model's, the probabilities of the model's classes that count as each are
    added up, and scaled to sum to 1: the model has to choose among the scheme's.

    Args:
        respondent: the model.
        asked: the questions, no two of the same utterance under the same condition.
        scheme: the classes to judge by.
        journal: what was answered before, and where answers go.

    Raises:
        UsageError: the model has nothing that counts as one of the scheme's classes.
    """
    weights = _weights(respondent.labels, scheme)
    known = {(one["utterance"], one["condition"]): one["probabilities"] for one in journal.records}
    waiting = []
    for question in asked:
        shares = known.get((question.utterance, question.condition))
        if shares is None:
            waiting.append(question)
        else:
            yield question, np.array(shares, dtype=np.float64)
    for question, answer in zip(waiting, respondent.answer(iter(waiting)), strict=True):
        if isinstance(answer, M3serError):
            yield question, answer
            continue
        shares = answer if weights is None else _chosen(answer @ weights)
        journal.append(
            {"utterance": question.utterance, "condition": question.condition, "probabilities": shares.tolist()}
        )
        yield question, shares


def tabulate(
    answered: Iterable[tuple[Question, NDArray[np.float64]]], *, scheme: EmotionScheme, fold: str = "", seed: int = 0
) -> PredictionTable:
    """Answered questions as a table, in their order.

    Args:
        answered: each question with the probabilities (classes of the scheme,).
        scheme: the classes.
        fold: of the model, where it is one of a cross-validation.
        seed: that it was trained with.

    Raises:
        UsageError: a row of probabilities is no distribution.
    """
    pairs = list(answered)
    asked = [question for question, _ in pairs]
    columns = dict.fromkeys(name for question in asked for name in question.extra)
    return PredictionTable(
        labels=scheme.classes,
        utterances=tuple(question.utterance for question in asked),
        speakers=tuple(question.speaker for question in asked),
        folds=(fold,) * len(asked),
        seeds=np.full(len(asked), seed, dtype=np.int64),
        conditions=tuple(question.condition for question in asked),
        truth=np.array([question.truth for question in asked], dtype=np.int64),
        probabilities=np.array([shares for _, shares in pairs]).reshape(len(asked), len(scheme.classes)),
        extra={name: tuple(question.extra.get(name, "") for question in asked) for name in columns},
    )


def _weights(labels: Sequence[str], scheme: EmotionScheme) -> NDArray[np.float64] | None:
    """(labels, classes), 1 where a label counts as a class; None where they are the same."""
    if tuple(labels) == scheme.classes:
        return None
    weights = np.zeros((len(labels), len(scheme.classes)))
    for row, label in enumerate(labels):
        column = scheme.index_of(label)
        if column is not None:
            weights[row, column] = 1.0
    lacking = [name for name, reached in zip(scheme.classes, weights.sum(axis=0).tolist(), strict=True) if not reached]
    if lacking:
        raise UsageError(
            f"A model of {', '.join(labels)} cannot be judged by '{scheme.name}': it has nothing for "
            f"{', '.join(lacking)}."
        )
    return weights


def _chosen(shares: NDArray[np.float64]) -> NDArray[np.float64]:
    # A model may be so sure of a class that is not asked for that the others round to nothing.
    shares = np.maximum(shares, np.finfo(np.float64).tiny)
    chosen: NDArray[np.float64] = shares / shares.sum()
    return chosen
