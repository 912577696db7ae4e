"""Files that appear whole or not at all, and journals that grow by whole lines."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, suppress
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO, TextIO

from m3ser.errors import DataError

__all__ = ["Journal", "PlainLineEnds", "appearing_whole", "write_whole"]


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


class PlainLineEnds:
    r"""A file for :mod:`csv` to write to, with ``lineterminator="\r\n"``: rows end with a newline alone.

    Told to do so itself, the writer would leave carriage returns in values bare.
    """

    def __init__(self, file: TextIO) -> None:
        self._file = file

    def write(self, row: str) -> int:
        """Write one row."""
        return self._file.write(row.removesuffix("\r\n") + "\n")


class Journal(AbstractContextManager["Journal"]):
    """Records that are kept one by one as they come (JSON Lines), so that whatever ends the work loses none of them.

    Args:
        path: the file, which is gone on with where it is there; its folder is made where it is missing. None: the
            records are kept in memory alone.
        what: it is, as the subject of an error ("Transcripts").

    Attributes:
        records: what it holds, in order.

    Raises:
        DataError: the file cannot be read or written, or a line of it is no JSON object.
    """

    def __init__(self, path: str | os.PathLike[str] | None, what: str = "Journal") -> None:
        self._path = None if path is None else Path(path)
        self._what = what
        self._file: BinaryIO | None = None
        self._whole = 0
        self.records: list[dict[str, Any]] = []
        if self._path is not None:
            self._read(self._path)

    def _read(self, path: Path) -> None:
        try:
            content = path.read_bytes()
        except FileNotFoundError:
            return
        except OSError as error:
            raise DataError(f"{self._what} '{path}' cannot be read: {error.strerror or error}.") from error
        # What was being written when the process was killed has no end of line, and is written anew.
        self._whole = content.rfind(b"\n") + 1
        self.records = [
            self._record(number, line) for number, line in enumerate(content[: self._whole].splitlines(), 1)
        ]

    def _record(self, number: int, line: bytes) -> dict[str, Any]:
        try:
            record = json.loads(line)
        except ValueError:
            record = None
        if not isinstance(record, dict):
            raise DataError(f"{self._what} '{self._path}', line {number}, is no JSON object; delete the file.")
        return record

    def append(self, record: Mapping[str, Any]) -> None:
        """Keep one more record; it is in the file when this returns.

        Raises:
            DataError: the file cannot be written.
        """
        self.records.append(dict(record))
        if self._path is None:
            return
        try:
            if self._file is None:
                self._path.parent.mkdir(parents=True, exist_ok=True)
                self._file = self._path.open("ab")
                self._file.truncate(self._whole)
            # ASCII, for names of files that are no UTF-8 reach us with lone surrogates.
            self._whole += self._file.write(json.dumps(record).encode("ascii") + b"\n")
            self._file.flush()
        except OSError as error:
            raise DataError(f"{self._what} '{self._path}' cannot be written: {error.strerror or error}.") from error

    def close(self) -> None:
        """Close the file; the records stay."""
        if self._file is not None:
            file, self._file = self._file, None
            with suppress(OSError):  # every record was flushed, or has raised
                file.close()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
