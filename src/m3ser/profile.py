"""A profile: how a speaker, or a source of recordings, usually sounds to a model's audio encoder.

People, microphones and lines differ by more than moods do, and a model that has never met them takes some of that for
emotion: to one that was trained on loud speakers, a soft one is sad. The mean audio state of a few of their recordings,
of whatever emotions, says how they usually sound; it needs no labels. What a model hears is moved by the difference
between that and its own centre, the mean state of the recordings that it was trained on.

What most people say is neutral, and so is the mean of their recordings. Where it is said how many of these are, the
mean is first moved to where it would be if emotions were even: by how neutral recordings differed from others in the
model's training.

Normalising by speaker or corpus is usual in the field; see B. Schuller et al., "Cross-Corpus Acoustic Emotion
Recognition: Variances and Strategies", IEEE Transactions on Affective Computing 1(2), 2010, 119-131. Here it is applied
to a model that was trained without it.
"""

from __future__ import annotations

import hashlib
import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from m3ser.bundle_parts import Slug
from m3ser.errors import DataError
from m3ser.files import write_whole

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

__all__ = ["FEW", "Profile", "read_profile"]

FEW: Final = 10
"""Utterances below which a profile says more about them than about who speaks."""

_LIMIT = 1 << 24  # bytes; a real one has some ten thousand


class Profile(BaseModel):
    """What :meth:`m3ser.inference.Recogniser.learn` makes of recordings.

    It holds no sound and no words, but is about a person where the recordings are of one.

    Attributes:
        format: layout of the file.
        name: what predictions call it by, behind the model's name ("starter@5+anna").
        encoder: SHA-256 of the audio encoder that heard the recordings; it serves every model with the same one.
        model: the one that was asked ("starter@5").
        utterances: how many there were.
        seconds: how long they are together, in seconds.
        mean: mean over the utterances of each one's mean audio state, (dim,).
        neutral: share of neutral ones among them, 0 to 1; None: nobody said, and emotions are taken to be about even.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    format: Literal[1] = 1
    name: Slug
    encoder: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
    model: str
    utterances: Annotated[int, Field(ge=1)]
    seconds: Annotated[float, Field(gt=0, allow_inf_nan=False)]
    mean: Annotated[tuple[Annotated[float, Field(allow_inf_nan=False)], ...], Field(min_length=1)]
    neutral: Annotated[float, Field(ge=0, le=1)] | None = None

    def state(self) -> NDArray[np.float32]:
        """`mean` as an array (dim,)."""
        import numpy as np  # here, so that the commands' help need not wait for it

        return np.array(self.mean, np.float32)

    def digest(self) -> str:
        """SHA-256 of all that answers depend on."""
        told = hashlib.sha256(f"{self.name}\n{self.encoder}\n".encode())
        told.update(self.state().tobytes())
        if self.neutral is not None:
            told.update(f"\n{self.neutral}".encode())
        return told.hexdigest()

    def write(self, path: str | os.PathLike[str]) -> None:
        """Write it, whole or not at all.

        Raises:
            DataError: it cannot be written.
        """
        write_whole(Path(path), self.model_dump_json(exclude_none=True) + "\n", "Profile")


def read_profile(path: str | os.PathLike[str]) -> Profile:
    """Read what :meth:`Profile.write` has written.

    Raises:
        DataError: it cannot be read, or is no profile.
    """
    try:
        with Path(path).open("rb") as file:
            content = file.read(_LIMIT + 1)
    except OSError as error:
        raise DataError(f"Profile '{os.fspath(path)}' cannot be read: {error.strerror or error}.") from error
    try:
        # Strict, as a bundle's manifest is read. What is cut off at the limit is no JSON any more.
        return Profile.model_validate_json(content, strict=True)
    except ValidationError as error:
        first = error.errors(include_url=False, include_context=False, include_input=False)[0]
        where = ".".join(map(str, first["loc"]))
        raise DataError(
            f"'{os.fspath(path)}' is not a profile as m3ser adapt writes it ({where or 'all of it'}: {first['msg']})."
        ) from error
