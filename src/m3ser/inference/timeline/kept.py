"""What has been recognised of a recording, kept on disk, so that interrupted work goes on where it was."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping
from contextlib import AbstractContextManager
from pathlib import Path
from types import TracebackType
from typing import Any

from m3ser.errors import DataError
from m3ser.files import Journal

__all__ = ["KeptAnswers", "file_digest"]

_KEY = "timeline"
_BLOCK = 1 << 20


class KeptAnswers(AbstractContextManager["KeptAnswers"]):
    """The answers to a recording's utterances, by their places.

    Args:
        path: the journal, which is gone on with where it is there; None: nothing is kept.
        key: everything that the answers depend on: the recording's content, the model, the settings.

    Raises:
        DataError: the journal cannot be read or written, or is of another recording, model or other settings.
    """

    def __init__(self, path: str | os.PathLike[str] | None, key: Mapping[str, Any]) -> None:
        self._journal = Journal(path, "Journal")
        self._keeps = path is not None
        records = self._journal.records
        # Written with the first answer: a recording that cannot be used leaves no journal behind.
        self._key: Mapping[str, Any] | None = None if records else dict(key)
        if records and records[0].get(_KEY) != key:
            self._journal.close()
            was = records[0].get(_KEY)
            known = was if isinstance(was, dict) else {}
            differing = sorted(name for name in {*key, *known} if known.get(name) != key.get(name))
            raise DataError(
                f"Journal '{path}' is of other work (differing: {', '.join(differing) or 'all of it'}); "
                "expected the same recording, model and settings: delete it to begin anew."
            )
        try:
            self._answers: dict[tuple[int, int], dict[str, Any]] = {
                (int(r["start"]), int(r["channel"])): r["answer"] for r in records[1:]
            }
        except (KeyError, TypeError, ValueError):
            self._journal.close()
            raise DataError(f"Journal '{path}' holds records that are no answers; delete it to begin anew.") from None

    def __len__(self) -> int:
        return len(self._answers)

    def get(self, place: tuple[int, int]) -> dict[str, Any] | None:
        """What was kept for the utterance at (start in samples, channel); it is not needed again."""
        return self._answers.pop(place, None)

    def keep(self, place: tuple[int, int], answer: Mapping[str, Any]) -> None:
        """Keep one more answer.

        Raises:
            DataError: the journal cannot be written.
        """
        if self._keeps:
            if self._key is not None:
                self._append({_KEY: self._key})
                self._key = None
            self._append({"start": place[0], "channel": place[1], "answer": dict(answer)})

    def _append(self, record: Mapping[str, Any]) -> None:
        self._journal.append(record)
        self._journal.records.clear()  # it is in the file; memory must not grow with the recording

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._journal.close()


def file_digest(path: str | os.PathLike[str]) -> str:
    """SHA-256 of a file's content, in hexadecimal.

    Raises:
        DataError: it cannot be read.
    """
    digest = hashlib.sha256()
    try:
        with Path(path).open("rb") as file:
            while block := file.read(_BLOCK):
                digest.update(block)
    except OSError as error:
        raise DataError(f"'{path}' cannot be read ({error.strerror or error}).") from error
    return digest.hexdigest()
