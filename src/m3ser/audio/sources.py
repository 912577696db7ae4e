"""What a caller may hand over as a recording, and how it is opened.

Everything but an array becomes a seekable stream of bytes without a name, so that what a file is gets decided by what
it holds and never by how it is called.
"""

from __future__ import annotations

import io
import os
import stat
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, BinaryIO, TypeAlias, TypeGuard, cast

import numpy as np
from numpy.typing import NDArray

from m3ser.errors import AudioReadError, UsageError

__all__ = ["AudioSource", "ByteStream", "can_be_read_again", "is_array", "open_bytes", "source_label", "source_name"]

AudioSource: TypeAlias = str | os.PathLike[str] | bytes | BinaryIO | NDArray[Any]
"""A path, the bytes of a file, a binary file object, or an array (samples,) or (samples, channels)."""


def source_name(source: AudioSource) -> str | None:
    """The recording as the caller named it: its path, or the name of the file object; None for bytes and arrays."""
    if isinstance(source, (str, os.PathLike)):
        return os.fspath(source)
    name = getattr(source, "name", None)
    return name if isinstance(name, str) and name else None


def source_label(source: AudioSource) -> str:
    """What an error message calls the recording, at the beginning of a sentence."""
    return source_name(source) or "The recording"


class ByteStream:
    """A seekable stream of bytes that never raises while a decoder reads it.

    Decoders written in C cannot pass a Python exception on: libsndfile's binding prints it and carries on. So the first
    failure is kept, and the decoder sees the end of the file.

    Attributes:
        size: bytes in all.
        failure: what went wrong while reading, if anything did.
    """

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self.failure: OSError | None = None
        self.size = file.seek(0, os.SEEK_END)
        file.seek(0)

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        """Move, and say where to."""
        return self._file.seek(offset, whence)

    def tell(self) -> int:
        """Where the next byte is read."""
        return self._file.tell()

    def read(self, size: int = -1) -> bytes:
        """At most `size` bytes; none at the end, and none after a failure."""
        if self.failure is not None:
            return b""
        try:
            return self._file.read(size)
        except OSError as error:
            self.failure = error
            return b""

    def readinto(self, buffer: Any) -> int:
        """Fill `buffer` as far as the bytes go, and say how far."""
        data = self.read(len(buffer))
        buffer[: len(data)] = data
        return len(data)

    def read_at(self, offset: int, size: int) -> bytes:
        """At most `size` bytes from `offset` on."""
        self.seek(offset)
        return self.read(size)


@contextmanager
def open_bytes(source: AudioSource) -> Iterator[ByteStream]:
    """Open anything but an array, from its first byte; what m3ser opened is closed afterwards.

    A file object that cannot seek (a pipe, a socket) is read into memory first.

    Raises:
        AudioReadError: the path does not exist, is not a file, or may not be read.
        UsageError: the source is nothing that could hold a recording.
    """
    with ExitStack() as stack:
        if isinstance(source, (bytes, bytearray, memoryview)):
            file: BinaryIO = io.BytesIO(source)
        elif isinstance(source, (str, os.PathLike)):
            file = stack.enter_context(_open_path(source))
        elif isinstance(source, io.TextIOBase):
            raise UsageError(f"{source_label(source)} is open as text; expected a file opened in binary mode.")
        elif hasattr(source, "read"):
            file = cast(BinaryIO, source)
        else:
            raise UsageError(
                f"A recording cannot be of type {type(source).__name__}; "
                "expected a path, bytes, a binary file or an array."
            )
        try:
            stream = ByteStream(file if _can_seek(file) else io.BytesIO(file.read()))
        except (OSError, ValueError) as error:  # ValueError: closed
            raise AudioReadError(f"{source_label(source)} cannot be read ({error}); expected an open file.") from error
        yield stream


def _open_path(path: str | os.PathLike[str]) -> BinaryIO:
    name = os.fspath(path)
    try:
        mode = Path(path).stat().st_mode
        if stat.S_ISDIR(mode):
            raise AudioReadError(f"{name} is a folder; expected an audio file.")
        if not stat.S_ISREG(mode):
            raise AudioReadError(f"{name} is not a regular file; expected an audio file.")
        return Path(path).open("rb")
    except FileNotFoundError as error:
        raise AudioReadError(f"{name} does not exist; expected an audio file.") from error
    except PermissionError as error:
        raise AudioReadError(f"{name} cannot be opened (permission denied); expected a readable audio file.") from error
    except (OSError, ValueError) as error:  # ValueError: a null character in the path
        reason = error.strerror if isinstance(error, OSError) else str(error)
        raise AudioReadError(f"{name!a} cannot be opened ({reason}); expected an audio file.") from error


def _can_seek(file: BinaryIO) -> bool:
    # Minimal file objects have `seek` but not `seekable`.
    seekable = getattr(file, "seekable", None)
    return bool(seekable()) if callable(seekable) else hasattr(file, "seek") and hasattr(file, "tell")


def is_array(source: object) -> TypeGuard[NDArray[Any]]:
    """Whether a source is samples rather than the bytes of a file."""
    return isinstance(source, np.ndarray) or (hasattr(source, "__array__") and not hasattr(source, "read"))


def can_be_read_again(source: AudioSource) -> bool:
    """Whether a recording can be decoded twice; a file object may stand for a pipe, which cannot."""
    return isinstance(source, (str, bytes, os.PathLike)) or is_array(source)
