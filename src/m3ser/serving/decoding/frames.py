"""What goes through the pipe between the service and a decoder: a head in JSON, then bytes.

No pickles: a decoder that was taken over by what it decoded must not be able to run anything in the service.
"""

from __future__ import annotations

import json
import struct
from typing import Any, BinaryIO

__all__ = ["read_frame", "write_frame"]

_SIZES = struct.Struct(">IQ")  # bytes of the head, bytes behind it
_LARGEST_HEAD = 1 << 16


def write_frame(stream: BinaryIO, head: dict[str, Any], payload: bytes | memoryview = b"") -> None:
    """Send one message.

    Raises:
        OSError: nobody reads any more.
    """
    encoded = json.dumps(head).encode("ascii")
    stream.write(_SIZES.pack(len(encoded), len(payload)) + encoded)
    stream.write(payload)
    stream.flush()


def read_frame(stream: BinaryIO, *, largest: int) -> tuple[dict[str, Any], bytearray]:
    """Receive one message.

    Args:
        stream: what it comes through.
        largest: bytes that may follow the head.

    Raises:
        EOFError: the other end is gone.
        ValueError: this is no message, or a larger one.
    """
    head_size, payload_size = _SIZES.unpack(_exactly(stream, _SIZES.size))
    if head_size > _LARGEST_HEAD or payload_size > largest:
        raise ValueError("the message is too large")
    head = json.loads(_exactly(stream, head_size))
    if not isinstance(head, dict):
        raise ValueError("the message has no head")  # noqa: TRY004 - what was received is wrong, not its caller
    return head, _exactly(stream, payload_size)


def _exactly(stream: BinaryIO, size: int) -> bytearray:
    content = bytearray(size)
    view, done = memoryview(content), 0
    while done < size:
        count = stream.readinto(view[done:])  # type: ignore[attr-defined]
        if not count:
            raise EOFError
        done += count
    return content
