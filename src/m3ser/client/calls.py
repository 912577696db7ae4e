"""Requests as they are made and what becomes of their answers: the same for both clients, and no network here."""

from __future__ import annotations

import itertools
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from m3ser.client.answers import error_of, json_of, prediction_of
from m3ser.client.recordings import Audio, Sent, as_sent
from m3ser.errors import M3serError, ServiceError, UsageError
from m3ser.schema import Prediction

__all__ = [
    "BatchCall",
    "Call",
    "Channels",
    "Patience",
    "batch_calls",
    "checked_url",
    "headers",
    "predict_call",
    "unreachable",
]

Channels = Literal["mix", "split"]
"""What is done with the channels of a recording: their average is heard, or each by itself."""

_FILES = 8  # recordings in one request: as many as go through the model together
_FIRST_WAIT = 0.5  # seconds, where a busy service does not say when to come again; doubled each time


@dataclass(frozen=True)
class Call:
    """A request.

    Attributes:
        method, path: HTTP's.
        options: of ``httpx``'s request: its body.
        file: the recording as the caller named it.
    """

    method: str
    path: str
    options: dict[str, Any] = field(default_factory=dict)
    file: str | None = None

    def answer(self, status: int, content: bytes) -> Prediction:
        """What the response to it says; raises what :func:`~m3ser.client.answers.json_of` raises."""
        return prediction_of(json_of(status, content), self.file)


@dataclass(frozen=True)
class BatchCall:
    """A request for several recordings; those that could not be read are among `found` already.

    Attributes:
        call: asks for the rest; None: there is no rest.
        sent: the recordings, or why there is none, in the caller's order.
    """

    call: Call | None
    sent: tuple[Sent | M3serError, ...]

    def answers(self, status: int, content: bytes) -> list[Prediction | M3serError]:
        """One result for each recording, in order."""
        results = iter(json_of(status, content)["results"] if self.call is not None else ())
        return [one if isinstance(one, M3serError) else _result(next(results), one.file) for one in self.sent]


def _result(found: dict[str, Any], file: str | None) -> Prediction | M3serError:
    return prediction_of(found, file) if "label" in found else error_of(found)


def predict_call(
    audio: Audio | None,
    *,
    text: str | None,
    transcribe: bool | None,
    language: str | None,
    sample_rate: float | None,
    profile: str | None,
    timeline: bool = False,
    adapt: bool = False,
    neutral: float | None = None,
    channels: Channels = "mix",
) -> Call:
    """The request for one utterance, or for a timeline.

    Raises:
        UsageError: neither audio nor text, or arguments that contradict each other.
        AudioReadError: the file cannot be read.
    """
    if audio is None:
        if text is None:
            raise UsageError("Nothing to recognise: give audio, a text, or both.")
        if profile is not None:
            raise UsageError("A profile is about a voice, and there is no recording; give audio, or no profile.")
        words = {"text": text} if language is None else {"text": text, "language": language}
        return Call("POST", "/v1/emotions", {"json": words})
    sent = as_sent(audio, sample_rate, apart=channels == "split")
    fields = _fields(transcribe, language, profile)
    if text is not None:
        fields["text"] = text
    if timeline:
        fields["timeline"] = "true"
    if adapt:
        fields["adapt"] = "true"
    if neutral is not None:
        fields["neutral"] = str(neutral)
    if channels != "mix":
        fields["channels"] = channels
    return Call("POST", "/v1/emotions", {"files": [("file", sent.part)], "data": fields}, sent.file)


def batch_calls(
    items: Sequence[Audio],
    *,
    texts: Sequence[str] | None,
    transcribe: bool | None,
    language: str | None,
    sample_rate: float | None,
    profile: str | None,
    on_error: Literal["raise", "return"],
) -> Iterator[BatchCall]:
    """The requests for many recordings; each reads its files when it is asked for.

    Raises:
        UsageError: `items` is a single recording, the texts are not as many, or `on_error` is neither of the two.
        AudioReadError: with "raise", a file cannot be read.
    """
    if isinstance(items, (str, bytes)):
        raise UsageError("A batch is a list of recordings; this is a single one.")
    if texts is not None and len(texts) != len(items):
        raise UsageError(f"There are {len(items)} recordings and {len(texts)} texts; expected one for each.")
    if on_error not in ("raise", "return"):
        raise UsageError(f"on_error is '{on_error}'; expected 'raise' or 'return'.")
    for first in range(0, len(items), _FILES):
        sent: list[Sent | M3serError] = []
        fields: dict[str, Any] = _fields(transcribe, language, profile)
        for place in range(first, min(first + _FILES, len(items))):
            item = items[place]
            try:
                sent.append(as_sent(item, sample_rate if not isinstance(item, (str, bytes)) else None))
            except M3serError as error:
                if on_error == "raise":
                    raise
                sent.append(error)
                continue
            if texts is not None:
                fields.setdefault("text", []).append(texts[place])
        files = [("file", one.part) for one in sent if isinstance(one, Sent)]
        call = Call("POST", "/v1/emotions:batch", {"files": files, "data": fields}) if files else None
        yield BatchCall(call, tuple(sent))


def _fields(transcribe: bool | None, language: str | None, profile: str | None) -> dict[str, Any]:
    told = None if transcribe is None else "true" if transcribe else "false"
    fields = {"transcribe": told, "language": language, "profile": profile}
    return {name: value for name, value in fields.items() if value is not None}


class Patience:
    """How long a busy service (503) is asked again.

    Args:
        seconds: that all waits together may take.
    """

    def __init__(self, seconds: float) -> None:
        self._end = time.monotonic() + seconds
        self._own = (_FIRST_WAIT * 2**n for n in itertools.count())

    def wait(self, status: int, retry_after: str | None) -> float | None:
        """Seconds until the request is made again; None: it is not.

        Args:
            status: of the response.
            retry_after: what its header says, in seconds; anything else counts as nothing.
        """
        if status != 503:
            return None
        own = next(self._own)
        seconds = float(retry_after) if retry_after is not None and retry_after.isdecimal() else own
        return seconds if time.monotonic() + seconds <= self._end else None


def checked_url(url: str) -> str:
    """The address of a service, without a slash behind it.

    Raises:
        UsageError: it is no http or https address.
    """
    if not url.startswith(("http://", "https://")):
        raise UsageError(f"The service's address is {url!r}; expected one that begins with http:// or https://.")
    return url.rstrip("/")


def headers(api_key: str | None) -> dict[str, str]:
    """What every request carries."""
    return {} if api_key is None else {"Authorization": f"Bearer {api_key}"}


def unreachable(url: str, error: Exception) -> ServiceError:
    """Nothing came back."""
    return ServiceError(f"The service at {url} does not answer ({str(error) or type(error).__name__}).")
