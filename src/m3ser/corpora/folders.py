"""Looking into a folder that somebody says is a corpus."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from m3ser.corpora.corpus import CorpusInfo
from m3ser.errors import DataError

__all__ = ["existing_folder", "find_file", "listed"]


def existing_folder(folder: str | os.PathLike[str], info: CorpusInfo) -> Path:
    """`folder` as a Path.

    Raises:
        DataError: there is no such folder.
    """
    path = Path(folder)
    if not path.is_dir():
        found = "a file" if path.exists() else "not there"
        raise DataError(f"'{path}' is {found}; expected the folder that holds {info.title}.")
    return path


def find_file(folder: Path, *names: str) -> Path | None:
    """The file of one of these names that lies least deep in `folder`; earlier names first; None: there is none."""
    for name in names:
        found = sorted(folder.rglob(name), key=lambda path: (len(path.parts), path))
        if found:
            return found[0]
    return None


def listed(names: Sequence[str], *, most: int = 3) -> str:
    """The first `most` of `names`, and how many more there are."""
    shown = ", ".join(names[:most])
    return shown if len(names) <= most else f"{shown} and {len(names) - most:,} more"
