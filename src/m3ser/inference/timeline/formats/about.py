"""What a format may say of a recording besides its utterances."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

__all__ = ["About"]


@dataclass(frozen=True)
class About:
    """The recording and the model.

    Attributes:
        file: the recording as the caller named it; None for arrays.
        labels: the model's classes, in the order of the scores.
        model: name and version of the bundle.
        duration: gives the recording's length in seconds, counted from its own beginning; asked for at the end alone,
            as it may not be known before.
    """

    file: str | None
    labels: tuple[str, ...]
    model: str
    duration: Callable[[], float]
