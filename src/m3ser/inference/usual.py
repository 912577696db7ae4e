"""How somebody usually sounds, as far as has been heard: what becomes a profile; see :mod:`m3ser.profile`."""

from __future__ import annotations

from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from m3ser.bundle import Bundle, slug
from m3ser.errors import DataError, UsageError
from m3ser.inference.requests import Request
from m3ser.profile import Profile

__all__ = ["Listener", "UsualVoice", "check_name"]


class Listener(Protocol):
    """What learning needs of a :class:`~m3ser.inference.Recogniser`."""

    @property
    def bundle(self) -> Bundle:
        """Its model."""

    def voice_state(self, utterance: Request) -> NDArray[np.float64]:
        """The mean audio state (dim,) of one utterance, whatever the profile."""


class UsualVoice:
    """Hears utterances one by one; which of them are heard together must not matter to the last digit.

    Args:
        listener: the recogniser that they are heard with.
        neutral: share of neutral ones among them, 0 to 1; None: emotions are about even.

    Attributes:
        utterances: how many have been heard.
        seconds: how long they are together.

    Raises:
        UsageError: its model takes no profiles, or none with such a share.
    """

    def __init__(self, listener: Listener, neutral: float | None = None) -> None:
        listener.bundle.require_adaptable(neutral)
        self._listener = listener
        self._neutral = neutral
        self._total: Any = 0.0
        self.utterances = 0
        self.seconds = 0.0

    def hear(self, utterance: Request, seconds: float) -> None:
        """One more utterance, of that many seconds.

        Raises:
            AudioError, BundleError: as :meth:`~m3ser.inference.Recogniser.predict`; it is not counted then.
        """
        self._total = self._total + self._listener.voice_state(utterance)
        self.utterances += 1
        self.seconds += seconds

    def profile(self, name: str) -> Profile:
        """What has been heard, as a profile that predictions call `name`.

        Raises:
            DataError: that is nothing.
            UsageError: a profile cannot be called so.
        """
        check_name(name)
        if not self.utterances:
            raise DataError("Nothing to learn from: no utterance has been heard.")
        bundle = self._listener.bundle
        assert bundle.encoder is not None
        mean = (self._total / self.utterances).astype(np.float32)
        return Profile(
            name=name,
            encoder=bundle.encoder,
            model=bundle.manifest.full_name.partition("+")[0],
            utterances=self.utterances,
            seconds=round(self.seconds, 3),
            mean=tuple(mean.tolist()),
            neutral=self._neutral,
        )


def check_name(name: str) -> None:
    """Make sure that a profile can be called `name`.

    Raises:
        UsageError: it cannot.
    """
    if slug(name) != name:
        raise UsageError(f"A profile cannot be called '{name}'; expected letters, digits, '.', '_' and '-'.")
