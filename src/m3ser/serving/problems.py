"""What goes wrong, as a client sees it: problem+json (RFC 9457), one sentence each, and never a trace or a path.

Each kind of error has one status. What is not meant for a client (a damaged bundle, a bug) is "internal" to it, and a
line in the log for whoever runs the service.
"""

from __future__ import annotations

import http
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

from m3ser import errors
from m3ser.errors import M3serError

__all__ = ["INTERNAL", "MEDIA_TYPE", "STOPPING", "Problem", "ProblemError", "problem_of"]

MEDIA_TYPE = "application/problem+json"

TYPE_PREFIX = "urn:m3ser:problem:"
"""Before a problem's cause, this is its type: names of our own, for there is no page behind them."""


@dataclass(frozen=True)
class Problem:
    """One answer that is not the one hoped for.

    Attributes:
        status: HTTP's.
        cause: its kind in a word or two ("audio-unreadable"); what metrics count and clients tell apart.
        detail: a sentence.
        headers: what the response carries besides.
    """

    status: int
    cause: str
    detail: str
    headers: Mapping[str, str] = field(default_factory=dict)

    def to_dict(self, *, request_id: str | None = None, file: str | None = None) -> dict[str, Any]:
        """The members of problem+json.

        Args:
            request_id: by which the log knows the request.
            file: the recording that it is about, as the client named it.
        """
        return {
            "type": TYPE_PREFIX + self.cause,
            "title": http.HTTPStatus(self.status).phrase,
            "status": self.status,
            "detail": self.detail,
            **({} if request_id is None else {"request_id": request_id}),
            **({} if file is None else {"file": file}),
        }


INTERNAL = Problem(500, "internal", "Something went wrong in the service; its log says what, under this request_id.")

STOPPING = Problem(503, "stopping", "The service was stopped before it could answer.", {"Retry-After": "10"})


class ProblemError(M3serError):
    """Ends a request with a problem.

    Args:
        status, cause, detail: as :class:`Problem` has them.
        headers: as there.
    """

    def __init__(self, status: int, cause: str, detail: str, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(detail)
        self.problem = Problem(status, cause, detail, headers or {})


_BY_KIND: Mapping[type[M3serError], tuple[int, str]] = MappingProxyType(
    {
        errors.UsageError: (400, "bad-request"),
        errors.AudioTooLongError: (413, "audio-too-long"),
        errors.MissingExtraError: (415, "audio-unsupported"),
        errors.AudioReadError: (422, "audio-unreadable"),
        errors.AudioTooShortError: (422, "audio-too-short"),
        errors.AudioContentError: (422, "audio-silent-or-broken"),
        errors.TextError: (422, "text-unusable"),
    }
)
"""What a client can do something about. All other errors are internal."""


def problem_of(error: BaseException) -> Problem:
    """The problem that an error is to a client."""
    if isinstance(error, ProblemError):
        return error.problem
    for kind, (status, cause) in _BY_KIND.items():
        if isinstance(error, kind):
            return Problem(status, cause, str(error))
    return INTERNAL
