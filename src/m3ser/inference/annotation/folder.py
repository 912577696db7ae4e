"""The folder beside a table, in which an annotation keeps what it knows: whose it is, and what its answers depend on.

====================  ================================================================================================
``settings.json``     what the answers depend on: model, words, versions
``list.jsonl``        everything that is to be annotated, in order; written anew each time
``answers.jsonl``     a prediction, or why there is none, for each recording, as they come
``profiles.jsonl``    a profile for each speaker (or the like), where they are judged by their own
``lock``              held by the process that is at it
====================  ================================================================================================

It stays when the table is written: annotating again answers what is new and nothing else.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import filelock

from m3ser.errors import DataError, UsageError
from m3ser.files import write_whole

__all__ = ["ANSWERS", "LIST", "PROFILES", "begin", "claimed"]

LIST, ANSWERS, PROFILES = "list.jsonl", "answers.jsonl", "profiles.jsonl"
_SETTINGS, _LOCK = "settings.json", "lock"
_OTHER_BUNDLE = "other weights, or another profile, under the model's name"


@contextmanager
def claimed(out: Path, settings: Mapping[str, Any], *, overwrite: bool) -> Iterator[Path]:
    """The folder beside the table, for this process alone.

    Raises:
        UsageError: what is there is not to be gone on with, or another process is at it.
        DataError: it cannot be made or read.
    """
    folder = out.with_name(f"{out.name}.journal")
    made = not folder.exists()
    if out.exists() and not (folder / _SETTINGS).exists() and not overwrite:
        raise UsageError(
            f"'{out}' is there already, and no journal of it; name another file, or replace it with --overwrite."
        )
    try:
        folder.mkdir(exist_ok=True)
        lock = filelock.FileLock(folder / _LOCK, timeout=0)
        lock.acquire()
    except filelock.Timeout:
        raise UsageError(f"'{out}' is being written by another m3ser annotate; wait for its end.") from None
    except OSError as error:
        raise DataError(f"Folder '{folder}' cannot be made: {error.strerror or error}.") from error
    try:
        if not overwrite and _holds_anything(folder / ANSWERS):
            _compare(out, folder / _SETTINGS, settings)
        yield folder
    finally:
        lock.release()
        if made and not (folder / _SETTINGS).exists():
            shutil.rmtree(folder, ignore_errors=True)


def _holds_anything(path: Path) -> bool:
    try:
        return path.stat().st_size > 0
    except OSError:
        return False


def begin(folder: Path, settings: Mapping[str, Any], *, overwrite: bool) -> None:
    """Write down what the answers depend on, once there is something to answer."""
    path = folder / _SETTINGS
    # Without answers yet, other settings are no fault; profiles may have been learnt by them all the same.
    if overwrite or not path.exists() or _read(path) != json.loads(json.dumps(dict(settings))):
        for name in (ANSWERS, PROFILES) if overwrite else (PROFILES,):
            with suppress(FileNotFoundError):
                (folder / name).unlink()
    write_whole(path, json.dumps(dict(settings), indent=2) + "\n", "Journal")


def _compare(out: Path, path: Path, settings: Mapping[str, Any]) -> None:
    if not path.exists():
        return
    before = _read(path)
    differing = [
        f"{name} {before.get(name)}, now {value}" if name != "bundle" else _OTHER_BUNDLE
        for name, value in settings.items()
        if before.get(name) != value and (name != "bundle" or before.get("model") == settings["model"])
    ]
    if differing:
        raise UsageError(
            f"'{out}' was begun with other settings ({'; '.join(differing)}): go on with those, name another file, or "
            "begin anew with --overwrite."
        )


def _read(path: Path) -> dict[str, Any]:
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise DataError(f"'{path}' cannot be read: {error}.") from error
    if not isinstance(found, dict):
        raise DataError(f"'{path}' holds no JSON object; begin anew with --overwrite.")
    return found
