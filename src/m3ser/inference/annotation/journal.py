"""Answers as they come, a line of JSON each: in a file that survives a kill, and not in memory."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, suppress
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO

from m3ser.errors import DataError

__all__ = ["AnswerJournal"]

_BLOCK = 1 << 16


class AnswerJournal(AbstractContextManager["AnswerJournal"]):
    """Records on disk alone (:class:`m3ser.files.Journal` also has them in memory), found again by their place.

    Args:
        path: the file, which is gone on with where it is there; its folder has to be there. What a kill cut off at its
            end is dropped.

    Raises:
        DataError: it cannot be read or written.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        try:
            self._file: BinaryIO = path.open("ab")
            self._end = _whole_until(path)
            self._file.truncate(self._end)
            self._reader: BinaryIO = path.open("rb")
        except OSError as error:
            raise self._unwritable(error) from error

    def records(self) -> Iterator[tuple[int, dict[str, Any]]]:
        """The place of each record, and the record; in the order in which they came.

        Raises:
            DataError: a line is no JSON object.
        """
        place = 0
        self._reader.seek(0)
        for number, line in enumerate(self._reader, 1):
            yield place, self._parsed(line, f"line {number}")
            place += len(line)

    def read(self, place: int) -> dict[str, Any]:
        """The record at this place.

        Raises:
            DataError: it is not there any more.
        """
        try:
            self._reader.seek(place)
            line = self._reader.readline()
        except OSError as error:
            raise DataError(f"Journal '{self._path}' cannot be read: {error.strerror or error}.") from error
        return self._parsed(line, f"byte {place}")

    def _parsed(self, line: bytes, where: str) -> dict[str, Any]:
        try:
            record = json.loads(line)
        except ValueError:
            record = None
        if not isinstance(record, dict) or not isinstance(record.get("key"), int):
            raise DataError(f"Journal '{self._path}', {where}, is not what was written there; delete its folder.")
        return record

    def append(self, records: Iterable[Mapping[str, Any]]) -> list[int]:
        """Keep records; they are in the file when this returns.

        Returns:
            The place of each.

        Raises:
            DataError: they cannot be written.
        """
        # ASCII, for names of files that are no UTF-8 reach us with lone surrogates.
        lines = [json.dumps(record).encode("ascii") + b"\n" for record in records]
        try:
            self._file.write(b"".join(lines))
            self._file.flush()
        except OSError as error:
            raise self._unwritable(error) from error
        places = []
        for line in lines:
            places.append(self._end)
            self._end += len(line)
        return places

    def _unwritable(self, error: OSError) -> DataError:
        return DataError(
            f"Journal '{self._path}' cannot be written: {error.strerror or error}; what was done until now is kept, "
            "and the same command goes on from there."
        )

    def close(self) -> None:
        """Close the file."""
        self._reader.close()
        with suppress(OSError):  # every record was flushed, or has raised
            self._file.close()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def _whole_until(path: Path) -> int:
    """Where the last whole line of a file ends."""
    with path.open("rb") as file:
        place = file.seek(0, os.SEEK_END)
        while place:
            begin = max(0, place - _BLOCK)
            file.seek(begin)
            found = file.read(place - begin).rfind(b"\n")
            if found >= 0:
                return begin + found + 1
            place = begin
    return 0
