"""A bundle as something that can be asked for probabilities, which is what :mod:`m3ser.evaluation` judges."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from m3ser.errors import M3serError
from m3ser.inference.languages import Reading
from m3ser.inference.recogniser import Recogniser
from m3ser.inference.requests import Request
from m3ser.schema import SCHEMES, EmotionScheme, Utterance
from m3ser.text.language_codes import known_language

__all__ = ["BundleRespondent"]


class Asked(Protocol):
    """What a question has to have: :class:`m3ser.evaluation.Question` does."""

    @property
    def audio(self) -> Path | None: ...
    @property
    def text(self) -> str | None: ...
    @property
    def start(self) -> float | None: ...
    @property
    def end(self) -> float | None: ...
    @property
    def language(self) -> str | None: ...


class BundleRespondent:
    """Answers questions with a bundle: a :class:`m3ser.evaluation.Respondent`.

    Args:
        recogniser: the bundle, loaded.
    """

    def __init__(self, recogniser: Recogniser) -> None:
        self._recogniser = recogniser
        self._reading = Reading(recogniser.bundle.manifest)

    @property
    def modalities(self) -> tuple[str, ...]:
        """What the bundle looks at."""
        return self._recogniser.bundle.manifest.modalities

    @property
    def name(self) -> str:
        """The bundle and its version: "starter@4"."""
        return self._recogniser.name

    @property
    def labels(self) -> tuple[str, ...]:
        """The classes, in the order of the probabilities."""
        return self._recogniser.labels

    @property
    def scheme(self) -> EmotionScheme:
        """The emotion scheme that it was trained for; one without merged emotions where m3ser does not know it."""
        name = self._recogniser.bundle.manifest.scheme
        known = SCHEMES.get(name)
        return known if known is not None and known.classes == self.labels else EmotionScheme(name, self.labels)

    @property
    def fold(self) -> str:
        """A bundle is of no fold."""
        return ""

    @property
    def seed(self) -> int:
        """A bundle does not say what it was trained with."""
        return 0

    @property
    def fingerprint(self) -> str:
        """SHA-256 of the bundle's manifest, which holds that of every other file; of a head, with its scheme."""
        bundle = self._recogniser.bundle
        if bundle.head is None:
            return bundle.digest()
        return hashlib.sha256(f"{bundle.digest()}:{bundle.head}".encode()).hexdigest()

    @property
    def data(self) -> tuple[str, ...]:
        """The titles of the corpora that it was made of."""
        return self._recogniser.bundle.manifest.data

    def trained_on(self, utterances: Iterable[Utterance]) -> None:  # noqa: ARG002
        """A bundle does not say what it was trained on."""
        return

    def reads(self, question: Asked) -> bool:
        """Whether the words of a question are in a language that the bundle reads, as it is known or recognised."""
        return self._reading.words(question.text, known_language(question.language)).note is None

    def answer(self, questions: Iterable[Asked]) -> Iterator[NDArray[np.float64] | M3serError]:
        """The probabilities (classes,) for each question, or why there are none; in their order.

        The next recordings are read while the model works on the last ones; no more of `questions` is taken than that
        needs.
        """
        requests = (
            Request(one.audio, text=one.text, start=one.start, end=one.end, language=known_language(one.language))
            for one in questions
        )
        for result in self._recogniser.predict_each(requests, on_error="return"):
            if isinstance(result, M3serError):
                yield result
            else:
                yield np.array([result.scores[label] for label in self.labels])
