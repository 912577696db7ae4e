"""Looking into a folder that somebody says is a corpus."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from m3ser.corpora.corpus import CorpusInfo
from m3ser.errors import DataError

__all__ = ["about", "existing_folder", "find_file", "lines_of", "listed", "read_text"]


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


def about(names: Sequence[str], what: str) -> list[str]:
    """A sentence that says `what` of these names, where there are any; otherwise none."""
    return [f"{what} ({len(names):,}): {listed(names)}."] if names else []


def read_text(path: Path) -> str:
    """A table or transcript, whatever became of its encoding: UTF-8, else Windows' code page 1252 (so Latin-1 as well).

    Raises:
        OSError: it cannot be read.
    """
    raw = path.read_bytes()
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError:
        return raw.decode("cp1252", errors="replace")


def lines_of(text: str) -> list[str]:
    """The lines of `text`, by what ends lines in files; U+2028 and its like do not."""
    return text.replace("\r\n", "\n").replace("\r", "\n").split("\n")
