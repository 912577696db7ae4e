"""What an MP4 file says about itself (ISO/IEC 14496-12), read without a decoder: its boxes' headers and little else."""

from __future__ import annotations

import os
import struct
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import BinaryIO

__all__ = ["inspect_movie"]

_WAY_IN = (b"moov", b"trak", b"mdia")  # which boxes to look into, from the outermost
_SOUND = b"soun"


class _DamagedError(Exception):
    """A box reaches beyond what holds it."""


def inspect_movie(path: str) -> tuple[float | None, str | None]:
    """An MP4 file's duration in seconds, where it says, and what is wrong with it, where something is."""
    try:
        with Path(path).open("rb") as file:
            boxes = list(_boxes(file, 0, file.seek(0, os.SEEK_END)))
            headers = [_movie_header(file, start) for kind, start in boxes if kind == b"mvhd"]
            handlers = [_read(file, start + 8, 4) for kind, start in boxes if kind == b"hdlr"]
    except OSError as error:
        return None, f"Not readable: {error.strerror}"
    except _DamagedError:
        return None, "Damaged or truncated video"
    if not headers:
        return None, "Video without its index, which no player can read"
    if _SOUND not in handlers:
        return None, "Video without a sound track"
    return headers[0], None


def _boxes(file: BinaryIO, start: int, end: int, way_in: Sequence[bytes] = _WAY_IN) -> Iterator[tuple[bytes, int]]:
    """Type and place of the content of every box between two places, those within tracks included."""
    while start < end:
        size, kind = struct.unpack(">I4s", _read(file, start, 8))
        content = start + 8
        if size == 1:  # too large for 32 bits
            (size,) = struct.unpack(">Q", _read(file, content, 8))
            content += 8
        elif size == 0:  # the last box: to the end
            size = end - start
        if size < content - start or start + size > end:
            raise _DamagedError
        yield kind, content
        if kind in way_in[:1]:
            yield from _boxes(file, content, start + size, way_in[1:])
        start += size


def _movie_header(file: BinaryIO, start: int) -> float | None:
    """The duration in seconds that a movie header states; None where it leaves it open."""
    version = _read(file, start, 1)[0]
    # Times of creation and change come first, in 32 or 64 bits.
    scale, duration = struct.unpack(
        *((">IQ", _read(file, start + 20, 12)) if version else (">II", _read(file, start + 12, 8)))
    )
    return duration / scale if scale and duration else None


def _read(file: BinaryIO, start: int, length: int) -> bytes:
    file.seek(start)
    data = file.read(length)
    if len(data) < length:
        raise _DamagedError
    return data
