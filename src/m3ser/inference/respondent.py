"""A bundle as something that can be asked for probabilities, which is what :mod:`m3ser.evaluation` judges."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Protocol, TypeAlias

import numpy as np
from numpy.typing import NDArray

from m3ser.errors import M3serError, UsageError
from m3ser.inference.groups import learn_groups
from m3ser.inference.languages import Reading
from m3ser.inference.recogniser import Recogniser
from m3ser.inference.requests import Request
from m3ser.profile import Profile
from m3ser.schema import SCHEMES, EmotionScheme, Utterance
from m3ser.text.language_codes import known_language

__all__ = ["BundleRespondent"]

_GROUPS = ("speaker", "session", "language")
"""What utterances are grouped by that is not among their further columns."""


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


_Stretch: TypeAlias = "tuple[Path | None, float | None, float | None]"
"""A recording, and from where to where."""


class BundleRespondent:
    """Answers questions with a bundle: a :class:`m3ser.evaluation.Respondent`.

    Args:
        recogniser: the bundle, loaded.

    Attributes:
        groups: group -> its profile, after :meth:`adapt`; None: it has too few utterances to learn from.
    """

    def __init__(self, recogniser: Recogniser) -> None:
        self._recogniser = recogniser
        self._reading = Reading(recogniser.bundle.manifest)
        self._suffix = ""
        self._group_of: dict[_Stretch, str] = {}
        self.groups: Mapping[str, Profile | None] = {}

    def adapt(
        self,
        utterances: Sequence[Utterance],
        *,
        by: str,
        neutral: float | None = None,
        progress: Callable[[int, int], None] | None = None,
    ) -> None:
        """Learn how each speaker usually sounds, to judge their recordings by it (:mod:`m3ser.profile`).

        Args:
            utterances: those that are going to be asked about.
            by: what they are grouped by: "speaker", "session", "language", or a further column of theirs.
            neutral: see :func:`~m3ser.inference.groups.learn_groups`; so is `progress`.
            progress: of groups.

        Raises:
            UsageError: none of them has one, or the model takes no profiles, or none with such a share.
        """

        def group(utterance: Utterance) -> str:
            own = getattr(utterance, by) if by in _GROUPS else utterance.extra.get(by)
            return "" if own is None else str(own)

        heard = [one for one in utterances if one.audio is not None]
        if not any(map(group, heard)):
            raise UsageError(f"None of the recordings has a column '{by}' to tell whose they are.")
        self._suffix = f"+each-{by}" + (f"+neutral-{neutral:g}" if neutral is not None else "")
        self._group_of = {(one.audio, one.start, one.end): group(one) for one in heard}
        requests = [
            (name, Request(audio, text=None, start=start, end=end))
            for (audio, start, end), name in self._group_of.items()
        ]
        self.groups = learn_groups(self._recogniser, lambda: requests, neutral=neutral, progress=progress)

    @property
    def modalities(self) -> tuple[str, ...]:
        """What the bundle looks at."""
        return self._recogniser.bundle.manifest.modalities

    @property
    def name(self) -> str:
        """The bundle and its version: "starter@5".

        With profiles, whose they are and what was said of them: "starter@5+each-speaker+neutral-0.7".
        """
        return self._recogniser.name + (self._suffix if self.groups else "")

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
        """SHA-256 of the bundle's manifest, which holds that of every other file; with a head and profiles, if any."""
        bundle = self._recogniser.bundle
        told = [bundle.digest()] if bundle.head is None else [bundle.digest(), bundle.head]
        told += [f"{group}={profile and profile.digest()}" for group, profile in sorted(self.groups.items())]
        return told[0] if len(told) == 1 else hashlib.sha256(":".join(told).encode()).hexdigest()

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
        for result in self._recogniser.predict_each(map(self._request, questions), on_error="return"):
            if isinstance(result, M3serError):
                yield result
            else:
                yield np.array([result.scores[label] for label in self.labels])

    def _request(self, asked: Asked) -> Request:
        group = self._group_of.get((asked.audio, asked.start, asked.end), "")
        return Request(
            asked.audio,
            text=asked.text,
            start=asked.start,
            end=asked.end,
            language=known_language(asked.language),
            profile=self.groups.get(group),
        )
