"""Files that appear whole or not at all."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from m3ser.errors import DataError

__all__ = ["appearing_whole", "write_whole"]


@contextmanager
def appearing_whole(path: str | os.PathLike[str], what: str = "") -> Iterator[Path]:
    """A draft to write to, which takes the place of `path` at the end; on an error nothing has changed.

    Args:
        path: the file; its folder is made where it is missing.
        what: it is, as the subject of an error ("Manifest"); empty: the path alone.

    Raises:
        DataError: it cannot be written.
    """
    path = Path(path)
    # In the same folder, so that the rename that makes it appear stays within one file system.
    draft = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        yield draft
        draft.replace(path)
    except OSError as error:
        raise DataError(f"{what} '{path}' cannot be written: {error.strerror or error}.".lstrip()) from error
    finally:
        with suppress(OSError):  # after the rename it is not there, nor where its folder could not be made
            draft.unlink()


def write_whole(path: str | os.PathLike[str], content: str | bytes, what: str = "") -> Path:
    """Write a file at once (text as UTF-8); arguments and errors as :func:`appearing_whole`.

    Returns:
        `path`.
    """
    with appearing_whole(path, what) as draft:
        draft.write_bytes(content.encode("utf-8") if isinstance(content, str) else content)
    return Path(path)
