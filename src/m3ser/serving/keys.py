"""Who may ask: API keys, compared without telling by the time it takes how much of one was right."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Iterable, Mapping
from pathlib import Path

from m3ser.errors import UsageError
from m3ser.serving.problems import ProblemError

__all__ = ["ApiKeys", "read_api_keys"]

_SHORTEST = 16  # characters; what is shorter can be guessed


def read_api_keys(path: Path) -> tuple[str, ...]:
    """The keys in a file: one a line; empty lines and those that begin with ``#`` do not count.

    Raises:
        UsageError: the file cannot be read, holds no key, or one that is too short or has a space in it. No key is
            ever part of the sentence.
    """
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8 text"
        raise UsageError(f"API key file '{path}' cannot be read ({reason}); expected one key a line.") from error
    keys = []
    for number, line in enumerate(lines, start=1):
        key = line.strip()
        if not key or key.startswith("#"):
            continue
        if len(key) < _SHORTEST or not key.isascii() or not key.isprintable() or " " in key:
            raise UsageError(
                f"API key file '{path}', line {number}: expected at least {_SHORTEST} ASCII characters without spaces."
            )
        keys.append(key)
    if not keys:
        raise UsageError(f"API key file '{path}' holds no key; expected one a line.")
    return tuple(keys)


class ApiKeys:
    """The keys that open a service; without any, it is open.

    Args:
        keys: as they were given out. Their digests alone are kept.
    """

    def __init__(self, keys: Iterable[str]) -> None:
        self._digests = tuple(_digest(key) for key in keys)

    def __bool__(self) -> bool:
        return bool(self._digests)

    def admits(self, key: str | None) -> bool:
        """Whether a key opens the service. All keys are compared, whichever of them fits."""
        if not self._digests:
            return True
        given = _digest(key or "")
        fits = False
        for digest in self._digests:
            fits |= hmac.compare_digest(given, digest)
        return fits

    def check(self, headers: Mapping[str, str]) -> None:
        """Let a request in by its headers: ``Authorization: Bearer KEY`` or ``X-API-Key: KEY``.

        Args:
            headers: by lower-case name.

        Raises:
            ProblemError: 401, there is no key or a wrong one.
        """
        scheme, _, credentials = headers.get("authorization", "").partition(" ")
        key = credentials.strip() if scheme.lower() == "bearer" else headers.get("x-api-key")
        if not self.admits(key):
            what = "The API key is not one of this service's" if key else "This service asks for an API key"
            raise ProblemError(
                401,
                "unauthorized",
                f"{what}; expected 'Authorization: Bearer KEY' or 'X-API-Key: KEY'.",
                {"WWW-Authenticate": "Bearer"},
            )


def _digest(key: str) -> bytes:
    return hashlib.sha256(key.encode("utf-8", errors="surrogateescape")).digest()
