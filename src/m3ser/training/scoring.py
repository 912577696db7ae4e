"""How well a model does under each condition: the voice alone, the words alone, both, and both in conflict."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from m3ser.bundle import Temperature
from m3ser.evaluation import Evaluation, evaluate, softmax
from m3ser.schema import EmotionScheme, Utterance
from m3ser.training.examples import CONDITIONS
from m3ser.training.judging import Asked, Logits, ask, fit_temperatures

__all__ = ["Conditions", "Mistake", "Scores", "conditions", "fit_bundle_temperatures", "score"]


@dataclass(frozen=True)
class Conditions:
    """One part of a paired corpus under each condition: the voice alone, the words alone, every pair."""

    audio: Asked
    text: Asked
    both: Asked

    @property
    def relations(self) -> NDArray[np.str_]:
        """Of each pair in `both`, what its words are to its voice."""
        return np.array([utterance.extra["relation"] for utterance in self.both.utterances])


def conditions(utterances: Sequence[Utterance], names: Sequence[str], scheme: EmotionScheme) -> Conditions:
    """Lay out one part of a paired corpus for judging."""
    return Conditions(**{name: ask(name, utterances, names, scheme) for name in CONDITIONS})


@dataclass(frozen=True)
class Mistake:
    """A recording whose emotion the model got wrong.

    Attributes:
        name: of the recording.
        emotion: what it was recorded as.
        heard: what the model said.
        probability: how sure it was of that.
    """

    name: str
    emotion: str
    heard: str
    probability: float


@dataclass(frozen=True)
class Scores:
    """A model's scores on one part of a paired (semi-synthetic) corpus.

    Attributes:
        audio, text, both: as in :class:`Conditions`. The intervals of `text` resample sentences,
            the others speakers.
        corpora: speech corpus -> the scores on those recordings of `audio` alone.
        languages, genders: language (BCP 47), or gender of the speaker -> the same.
        relations: relation of words to voice -> the scores on those pairs of `both` alone.
        mistakes: the wrong answers to the voice alone that the model was surest of, one of each class at most, the
            surest first.
        conflict_flips: among the conflicting pairs whose voice alone is recognised rightly: its weighted accuracy is
            the share that stays right once the words are read, too. None where there are no such pairs.
    """

    audio: Evaluation
    text: Evaluation
    both: Evaluation
    corpora: Mapping[str, Evaluation]
    languages: Mapping[str, Evaluation]
    genders: Mapping[str, Evaluation]
    mistakes: tuple[Mistake, ...]
    relations: Mapping[str, Evaluation]
    conflict_flips: Evaluation | None

    @property
    def flip_rate(self) -> float | None:
        """Share of right answers from the voice that conflicting words turn into wrong ones."""
        return None if self.conflict_flips is None else 1.0 - self.conflict_flips.weighted_accuracy

    @property
    def flip_interval(self) -> tuple[float, float] | None:
        """95% interval of :attr:`flip_rate`, resampling speakers; None where there are fewer than two."""
        if self.conflict_flips is None or not self.conflict_flips.intervals:
            return None
        interval = self.conflict_flips.intervals["weighted_accuracy"]
        return 1.0 - interval.high, 1.0 - interval.low


def fit_bundle_temperatures(validation: Conditions, logits: Logits) -> Temperature:
    """The temperatures that suit the validation part best, one for each set of modalities."""
    return Temperature(**fit_temperatures([validation.both, validation.audio, validation.text], logits))


def score(part: Conditions, logits: Logits, *, temperature: Temperature, labels: Sequence[str]) -> Scores:
    """Judge a model on one part of a paired corpus."""
    heard = softmax(logits(part.audio.examples), temperature=temperature.audio)
    read = softmax(logits(part.text.examples), temperature=temperature.text)
    fused = softmax(logits(part.both.examples), temperature=temperature.both)
    truth = np.array([pair.label for pair in part.both.examples])
    speakers = np.array(part.both.speakers)
    relations = part.relations

    rightly_heard = {
        one.audio: guess == one.label for one, guess in zip(part.audio.examples, heard.argmax(axis=1), strict=True)
    }
    voice_was_right = np.array([rightly_heard[pair.audio] for pair in part.both.examples])

    def among(chosen: NDArray[np.bool_]) -> Evaluation:
        return evaluate(truth[chosen], fused[chosen], labels=labels, speakers=speakers[chosen])

    at_risk = (relations == "conflict") & voice_was_right
    voices = np.array([one.label for one in part.audio.examples])
    audio_speakers = np.array(part.audio.speakers)

    def hearing(chosen: NDArray[np.bool_]) -> Evaluation:
        return evaluate(voices[chosen], heard[chosen], labels=labels, speakers=audio_speakers[chosen])

    def hearing_each(groups: Sequence[str]) -> dict[str, Evaluation]:
        each = np.array(groups)
        return {str(group): hearing(each == group) for group in np.unique(each) if group}

    return Scores(
        audio=hearing(np.ones(len(voices), bool)),
        # Corpora prefix their speakers' names: "emodb/11".
        corpora=hearing_each([speaker.partition("/")[0] for speaker in part.audio.speakers]),
        languages=hearing_each([one.language or "" for one in part.audio.utterances]),
        genders=hearing_each([one.extra.get("gender", "") for one in part.audio.utterances]),
        mistakes=_mistakes(part.audio, heard, labels),
        text=evaluate(
            [e.label for e in part.text.examples], read, labels=labels, speakers=np.array(part.text.speakers)
        ),
        both=among(np.ones(len(truth), bool)),
        relations={str(relation): among(relations == relation) for relation in np.unique(relations)},
        conflict_flips=among(at_risk) if at_risk.any() else None,
    )


def _mistakes(asked: Asked, heard: NDArray[np.float64], labels: Sequence[str]) -> tuple[Mistake, ...]:
    found: dict[str, Mistake] = {}
    for row in heard.max(axis=1).argsort(kind="stable")[::-1]:
        emotion, guess = labels[asked.examples[row].label], labels[int(heard[row].argmax())]
        if emotion != guess and emotion not in found:
            one = asked.utterances[row]
            name = f"{one.extra.get('corpus', '')}/{one.extra.get('id', '')}".strip("/")
            found[emotion] = Mistake(name, emotion, guess, float(heard[row].max()))
    return tuple(found.values())
