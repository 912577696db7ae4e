"""Every error m3ser raises on purpose, in one tree.

::

    M3serError
    ├── UsageError            what was asked for makes no sense (unknown name, contradictory options)
    ├── MissingExtraError     a feature needs packages that are not installed; says which extra brings them
    ├── AudioError            a recording cannot be used
    │   ├── AudioReadError        not audio, damaged, truncated, unreadable, or not a file
    │   ├── AudioTooShortError    shorter than one analysis frame, or empty
    │   ├── AudioTooLongError     longer than the caller allows
    │   ├── AudioContentError     decoded, but holds no usable sound (silent, NaN or infinite samples)
    │   └── AudioDeviceError      there is no microphone, or it stopped
    ├── TextError             a transcript cannot be used
    ├── TranscriptionError    the speech recogniser failed
    ├── DataError             a corpus, manifest or split is not what it should be
    ├── RecipeError           a training recipe has an unknown key or an impossible value
    ├── CheckpointError       weights that are not ours, of another version, or of another shape
    ├── BundleError           a bundle that is missing, damaged or of another version
    ├── DownloadError         a file could not be fetched, or is not the file that was published
    └── ServiceError          an m3ser service cannot be reached, or does not answer what it was asked

Each message is one sentence that names the thing, what was found and what was expected; the command line prints it as
it is. ``except m3ser.M3serError`` catches them all. Anything else that escapes from m3ser is a bug.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

__all__ = [
    "AudioContentError",
    "AudioDeviceError",
    "AudioError",
    "AudioReadError",
    "AudioTooLongError",
    "AudioTooShortError",
    "BundleError",
    "CheckpointError",
    "DataError",
    "DownloadError",
    "M3serError",
    "MissingExtraError",
    "RecipeError",
    "ServiceError",
    "TextError",
    "TranscriptionError",
    "UsageError",
    "needing",
]


class M3serError(Exception):
    """Base of every error that m3ser raises on purpose."""


class UsageError(M3serError):
    """What was asked for makes no sense: an unknown name, or options that contradict each other."""


class MissingExtraError(M3serError):
    """A feature needs packages that are not installed.

    Args:
        feature: what was asked for, as the subject of a sentence ("Reading call.m4a").
        extra: the m3ser extra that brings the packages ("media").
    """

    def __init__(self, feature: str, extra: str) -> None:
        super().__init__(f"{feature} needs the '{extra}' extra: pip install \"m3ser[{extra}]\".")
        self.extra = extra


class AudioError(M3serError):
    """A recording cannot be used."""


class AudioReadError(AudioError):
    """The source is not audio, is damaged or truncated, cannot be opened, or is not a file."""


class AudioTooShortError(AudioError):
    """The recording is empty or shorter than one analysis frame."""


class AudioTooLongError(AudioError):
    """The recording is longer than the caller allows."""


class AudioContentError(AudioError):
    """The recording was decoded but holds no usable sound: silence, or NaN or infinite samples."""


class AudioDeviceError(AudioError):
    """There is no such microphone, it cannot be opened, or it stopped."""


class TextError(M3serError):
    """A transcript cannot be used."""


class TranscriptionError(M3serError):
    """The speech recogniser failed on this recording."""


class DataError(M3serError):
    """A corpus, manifest or split is not what it should be."""


class RecipeError(M3serError):
    """A training recipe has an unknown key or an impossible value."""


class CheckpointError(M3serError):
    """Weights that are not ours, of another version, or of another shape."""


class BundleError(M3serError):
    """A bundle that is missing, damaged or of another version."""


class DownloadError(M3serError):
    """A file could not be fetched, or is not the file that was published."""


class ServiceError(M3serError):
    """An m3ser service cannot be reached, or answered with a problem that is none of the errors above.

    Args:
        sentence: what happened; the problem's own, where there was one.
        status: HTTP's; None: there was no answer.
        cause: the problem's kind ("overloaded"); None: it did not say.
    """

    def __init__(self, sentence: str, status: int | None = None, cause: str | None = None) -> None:
        super().__init__(sentence)
        self.status = status
        self.cause = cause


@contextmanager
def needing(extra: str, feature: str) -> Iterator[None]:
    """Around imports from an extra's packages: where one of them is not installed, says what to install.

    Args:
        extra: the m3ser extra that brings the packages ("train").
        feature: what they are needed for, as in :class:`MissingExtraError`.

    Raises:
        MissingExtraError: one of them is not installed.
    """
    try:
        yield
    except ModuleNotFoundError as error:
        if error.name is not None and error.name.partition(".")[0] == "m3ser":
            raise  # a module of our own that is not there is a bug
        raise MissingExtraError(feature, extra) from error
