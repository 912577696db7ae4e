"""Where recordings lie that a foreign file names, and folders that appear whole or not at all."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from itertools import islice
from pathlib import Path

from m3ser.errors import DataError, UsageError

__all__ = ["folder_appearing_whole", "new_folder", "recordings_below", "relative_name"]

_TRIED = 20
"""How many recordings are looked for before a folder is given up as the one that paths begin in."""


def recordings_below(folder: Path, names: Sequence[str], root: Path | None, notes: list[str]) -> Callable[[str], Path]:
    """How the paths of recordings in a foreign file are to be understood.

    Most tools are started in some folder above their lists, and paths begin there. So where nobody says otherwise they
    begin in the nearest folder, from `folder` upwards, that holds some of the first recordings.

    Args:
        folder: where the list lies.
        names: the paths in it.
        root: where they begin; None: look for it.
        notes: told where no recording was found.

    Returns:
        A function from a path in the list to where that recording lies.

    Raises:
        UsageError: `root` is not a folder.
    """
    if root is not None and not root.is_dir():
        raise UsageError(f"'{root}' is not a folder; expected the one in which the recordings' paths begin.")
    base = root
    relative = list(islice((name for name in names if not Path(name).is_absolute()), _TRIED))
    if base is None and relative:
        above = (folder, *folder.absolute().parents)
        base = next((place for place in above if any((place / name).is_file() for name in relative)), None)
        if base is None:
            notes.append(
                f"Recordings such as '{relative[0]}' are neither in '{folder}' nor in a folder above it; "
                "--audio-root FOLDER says where their paths begin."
            )
    start = folder if base is None else base
    return lambda name: start / name


def relative_name(path: Path, folder: Path) -> str:
    """The path of a recording from `folder`, with forward slashes; the whole path where it is on another drive."""
    try:
        # As in a manifest: both folders as they really are, for ".." leads out of where a link points.
        relative = os.path.relpath(os.path.realpath(path.parent), os.path.realpath(folder))
    except ValueError:
        return path.resolve().as_posix()
    return (Path(relative) / path.name).as_posix()


def new_folder(path: Path) -> Path:
    """`path`, absolute, where nothing stands in the way of making that folder.

    Raises:
        UsageError: it is a file, or a folder that holds something.
    """
    path = path.resolve()
    if path.is_dir() and any(path.iterdir()):
        raise UsageError(f"Folder '{path}' is not empty; name a new one.")
    if path.exists() and not path.is_dir():
        raise UsageError(f"'{path}' is a file; expected the name of a new folder.")
    return path


@contextmanager
def folder_appearing_whole(path: Path, what: str) -> Iterator[Path]:
    """A draft folder to fill, which becomes `path` at the end; on an error nothing has changed.

    Args:
        path: the folder; those above it are made where they are missing.
        what: it is, as the subject of an error ("audformat database").

    Raises:
        UsageError: it is there already, and not empty.
        DataError: it cannot be written.
    """
    path = new_folder(path)
    draft = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        draft.mkdir(parents=True)
        yield draft
        if path.is_dir():
            path.rmdir()  # empty; not every system renames onto a folder
        draft.rename(path)
    except OSError as error:
        raise DataError(f"{what} '{path}' cannot be written: {error.strerror or error}.") from error
    finally:
        shutil.rmtree(draft, ignore_errors=True)
