"""What a service says, as m3ser's own nouns and errors."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from m3ser import errors
from m3ser.errors import M3serError, ServiceError
from m3ser.schema import Prediction, Segment

__all__ = ["ServedModel", "error_of", "json_of", "models_of", "prediction_of", "segment_of"]

_KINDS: Mapping[str, type[M3serError]] = MappingProxyType(
    {
        "bad-request": errors.UsageError,
        "bad-message": errors.UsageError,
        "audio-too-long": errors.AudioTooLongError,
        "audio-unreadable": errors.AudioReadError,
        "audio-too-short": errors.AudioTooShortError,
        "audio-silent-or-broken": errors.AudioContentError,
        "text-unusable": errors.TextError,
    }
)
"""Problems that are errors of m3ser's, by the last part of their type."""


@dataclass(frozen=True)
class ServedModel:
    """A model that a service answers with.

    Attributes:
        name: and version ("starter@5").
        labels: its classes.
        modalities: what it goes by: "audio", "text" or both.
        transcriber: what turns speech into text there; None: nothing does.
        profiles: the names of those that it may be asked for.
        details: all else that the service says of it.
    """

    name: str
    labels: tuple[str, ...]
    modalities: tuple[str, ...]
    transcriber: str | None
    profiles: tuple[str, ...]
    details: Mapping[str, Any]


def json_of(status: int, content: bytes) -> Any:
    """What a response holds.

    Raises:
        M3serError: it is a problem, or no JSON at all.
    """
    try:
        found = json.loads(content)
    except ValueError as error:
        raise ServiceError(
            f"The answer (status {status}) is not JSON; is that address an m3ser service?", status
        ) from error
    if status >= 400:
        raise error_of(found, status)
    return found


def error_of(problem: Any, status: int | None = None) -> M3serError:
    """The error that a problem (RFC 9457) is.

    Args:
        problem: its members.
        status: of the response; None: the problem's own.
    """
    if not isinstance(problem, dict):
        problem = {}
    status = status or problem.get("status")
    sentence = str(problem.get("detail") or f"The service answered with status {status} and no sentence.")
    cause = str(problem.get("type", "")).rpartition(":")[2] or None
    kind = _KINDS.get(cause or "")
    return ServiceError(sentence, status, cause) if kind is None else kind(sentence)


def prediction_of(found: Mapping[str, Any], file: str | None) -> Prediction:
    """A prediction of its JSON.

    Args:
        found: as the service answers it.
        file: the recording as the caller named it.

    Raises:
        ServiceError: it is no prediction.
    """
    try:
        return Prediction(
            label=found["label"] or "",
            scores=found["scores"],
            duration=found["duration"],
            text=found["text"],
            text_source=found["text_source"],
            model=found["model"],
            file=file,
            segments=tuple(segment_of(segment) for segment in found["segments"]),
            language=found.get("language"),
            note=found.get("note"),
        )
    except (KeyError, TypeError, AttributeError) as error:
        raise ServiceError(f"The answer is not a prediction as this m3ser knows it: {error!r} is missing.") from error


def segment_of(found: Mapping[str, Any]) -> Segment:
    """A segment of its JSON, of a timeline or a stream."""
    return Segment(
        start=found["start"],
        end=found["end"],
        label=found["label"],
        scores=found["scores"],
        text=found["text"],
        channel=found.get("channel"),
        final=found.get("final", True),
        note=found.get("note"),
    )


def models_of(found: Mapping[str, Any]) -> tuple[ServedModel, ...]:
    """The models of their JSON."""
    known = ("name", "labels", "modalities", "transcriber", "profiles")
    return tuple(
        ServedModel(
            name=model["name"],
            labels=tuple(model["labels"]),
            modalities=tuple(model["modalities"]),
            transcriber=model["transcriber"],
            profiles=tuple(model.get("profiles", ())),  # an older service has none
            details={key: value for key, value in model.items() if key not in known},
        )
        for model in found["models"]
    )
