"""One stream without its connection: sound in, messages out. Blocks while it works; for one thread at a time."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from m3ser.errors import AudioTooLongError
from m3ser.inference import TRANSCRIBE, Recogniser
from m3ser.profile import Profile
from m3ser.schema import Segment
from m3ser.serving.problems import ProblemError
from m3ser.serving.streaming.messages import Start, segment_message

__all__ = ["OPUS_RATE", "Session", "pcm_samples"]

OPUS_RATE = 48_000
"""Hz. Whatever was recorded, Opus is decoded at this rate."""

_BYTES_A_SAMPLE = 2


class Session:
    """One client's stream.

    Args:
        recogniser: what answers.
        start: what the client asked for.
        profile: the one that it named; None: it named none.
        max_seconds: of sound and gaps, at most.

    Attributes:
        model: what answers, with the profile.
        segments: final ones so far.

    Raises:
        MissingExtraError: speech cannot be found (the ``asr`` extra).
    """

    def __init__(self, recogniser: Recogniser, start: Start, *, profile: Profile | None, max_seconds: float) -> None:
        self._stream = recogniser.stream(
            sample_rate=start.sample_rate or OPUS_RATE,
            text=TRANSCRIBE if start.transcribe else None,
            language=start.language,
            profile=profile,
            provisional_seconds=start.provisional_seconds,
        )
        named = None if profile is None else recogniser.bundle.with_profile(profile).manifest
        self.model = recogniser.name if named is None else named.full_name
        self._offset = start.offset
        self._max_seconds = max_seconds
        self.segments = 0

    @property
    def seconds(self) -> float:
        """How long the stream has lasted, gaps included and its offset not."""
        return self._stream.seconds

    def push(self, samples: NDArray[Any], *, provisional: bool = True) -> list[dict[str, Any]]:
        """Hear the next samples.

        Args:
            samples: (samples,) or (samples, channels), at the rate of the stream; floats in [-1, 1] or integers.
            provisional: whether there may be a provisional segment among the answers.

        Returns:
            Messages, in order.

        Raises:
            AudioTooLongError: the stream is longer than it may be; the samples were not heard.
            AudioContentError: NaN or infinite samples.
        """
        self._check_length(0.0)
        return self._messages(self._stream.push(samples, provisional=provisional))

    def skip(self, seconds: float) -> list[dict[str, Any]]:
        """Let `seconds` pass that were lost; as :meth:`push`."""
        self._check_length(seconds)
        return self._messages(self._stream.skip(seconds))

    def finish(self) -> list[dict[str, Any]]:
        """The final segments that remain."""
        return self._messages(self._stream.finish())

    def done(self) -> dict[str, Any]:
        """The last message of a stream that was finished."""
        return {"type": "done", "seconds": round(self.seconds, 3), "segments": self.segments}

    def _check_length(self, further: float) -> None:
        if self.seconds + further > self._max_seconds:
            raise AudioTooLongError(
                f"The stream is longer than {self._max_seconds:g} s; expected at most that, and then another stream."
            )

    def _messages(self, segments: list[Segment]) -> list[dict[str, Any]]:
        self.segments += sum(segment.final for segment in segments)
        return [segment_message(segment, self._offset) for segment in segments]


def pcm_samples(data: bytes, channels: int) -> NDArray[np.int16]:
    """16-bit samples out of a binary message.

    Returns:
        (samples, channels), a view of `data`.

    Raises:
        ProblemError: 400, the message ends within a sample.
    """
    size = _BYTES_A_SAMPLE * channels
    if len(data) % size:
        raise ProblemError(
            400,
            "bad-message",
            f"A message of sound has {len(data)} bytes; expected a multiple of {size} "
            f"(16-bit samples, {channels} channel{'s' if channels > 1 else ''}).",
        )
    return np.frombuffer(data, "<i2").reshape(-1, channels)
