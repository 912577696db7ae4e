"""The files of a run folder, read with one sentence for what is wrong with them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from m3ser.errors import DataError

__all__ = ["read_json", "read_mapping", "read_text"]


def read_text(path: Path) -> str:
    """What the file holds.

    Raises:
        DataError: it cannot be read, or is not UTF-8.
    """
    try:
        return path.read_text(encoding="utf-8")
    except OSError as error:
        raise DataError(f"'{path}' cannot be read: {error.strerror or error}.") from error
    except UnicodeDecodeError:
        raise DataError(f"'{path}' is damaged: it is not UTF-8.") from None


def read_json(path: Path, kind: type) -> Any:
    """The JSON value of that kind (dict, list) that the file holds.

    Raises:
        DataError: it cannot be read, is not JSON, or holds something else.
    """
    try:
        found = json.loads(read_text(path))
    except ValueError as error:
        raise DataError(f"'{path}' is damaged: not JSON ({error}).") from error
    if not isinstance(found, kind):
        raise DataError(f"'{path}' is damaged: it holds a {type(found).__name__}; expected a {kind.__name__}.")
    return found


def read_mapping(path: Path) -> Mapping[str, Any]:
    """The JSON object that the file holds; raises as :func:`read_json`."""
    found: Mapping[str, Any] = read_json(path, dict)
    return found
