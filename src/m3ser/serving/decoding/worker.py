"""The whole of a decoder's life: ``python -m m3ser.serving.decoding.worker``, started by the pool.

It reads recordings from its standard input and writes waveforms to what was its standard output; anything that a
library prints goes nowhere. It ends when its parent is gone.
"""

from __future__ import annotations

import io
import json
import os
import signal
import sys
from contextlib import suppress
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from m3ser.audio import SAMPLE_RATE, load_waveform, open_blocks
from m3ser.errors import AudioReadError, AudioTooLongError, M3serError, UsageError
from m3ser.serving.decoding.frames import read_frame, write_frame

__all__ = ["main"]


class _Named(io.BytesIO):
    """A recording with the name that sentences call it by. Nothing opens that name."""

    def __init__(self, content: bytearray, name: str | None) -> None:
        super().__init__(content)
        self.name = name


def main() -> None:
    """Answer until nobody asks any more; limits (JSON) are the only argument."""
    limits: dict[str, int] = json.loads(sys.argv[1])
    with suppress(ValueError):
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C goes to the whole terminal; the parent decides
    inbox, outbox = os.fdopen(os.dup(0), "rb"), os.fdopen(os.dup(1), "wb")
    nowhere = os.open(os.devnull, os.O_RDWR)
    for standard in (0, 1, 2):
        os.dup2(nowhere, standard)
    _load_decoders()
    _limit_memory(limits["memory"])
    write_frame(outbox, {"ready": True})
    try:
        while True:
            head, content = read_frame(inbox, largest=limits["content"])
            _limit_processor_time(limits["seconds"])
            _answer(outbox, head, content)
    except (EOFError, BrokenPipeError):
        return


def _answer(outbox: BinaryIO, head: dict[str, Any], content: bytearray) -> None:
    try:
        options = {name: head[name] for name in ("may_be_silent", "most_channels")}
        waveform = _decoded(_Named(content, head["name"]), head["max_seconds"], **options)
    except M3serError as error:
        write_frame(outbox, {"error": type(error).__name__, "detail": str(error)})
    except MemoryError:
        name = head["name"] or "The recording"
        detail = f"{name} takes more memory to decode than a recording is given here; expected an ordinary recording."
        write_frame(outbox, {"error": AudioReadError.__name__, "detail": detail})
    else:
        write_frame(outbox, {"shape": waveform.shape}, waveform.data.cast("B"))


def _decoded(
    source: BinaryIO, max_seconds: float, *, may_be_silent: bool, most_channels: int | None
) -> NDArray[np.float32]:
    """(samples,), or where channels are kept apart (`most_channels`) (samples, channels)."""
    if not may_be_silent and most_channels is None:
        return load_waveform(source, max_seconds=max_seconds)
    pieces: list[NDArray[np.float32]] = []
    with open_blocks(source, split=most_channels is not None) as blocks:
        if most_channels is not None and blocks.channels > most_channels:
            raise UsageError(
                f"{blocks.label} has {blocks.channels} channels; expected at most {most_channels} to be kept apart."
            )
        too_long = AudioTooLongError(f"{blocks.label} is longer than {max_seconds:g} s; expected at most that.")
        if blocks.duration is not None and blocks.duration > max_seconds:
            raise too_long
        left = round(max_seconds * SAMPLE_RATE)
        for block in blocks:
            left -= len(block)
            if left < 0:
                raise too_long
            pieces.append(block if most_channels is not None else block[:, 0])
    return np.concatenate(pieces)


def _load_decoders() -> None:
    """What is loaded now does not count against the memory of a recording."""
    with suppress(ImportError):
        import av  # noqa: F401


def _limit_memory(budget: int) -> None:
    """Allow `budget` bytes more than are mapped now, and neither files nor core dumps."""
    try:
        import resource
    except ImportError:  # Windows
        return
    for kind in (resource.RLIMIT_CORE, resource.RLIMIT_FSIZE):
        resource.setrlimit(kind, (0, 0))
    try:
        with open("/proc/self/statm", encoding="ascii") as file:  # noqa: PTH123 - no path but a question to the kernel
            mapped = int(file.read().split()[0]) * resource.getpagesize()
    except OSError:
        return  # elsewhere than on Linux what is mapped is not known, and macOS does not hold to the limit
    resource.setrlimit(resource.RLIMIT_AS, (mapped + budget, mapped + budget))


def _limit_processor_time(seconds: int) -> None:
    """End this process should it still calculate when nobody waits for it any more."""
    try:
        import resource
    except ImportError:
        return
    usage = resource.getrusage(resource.RUSAGE_SELF)
    _, hardest = resource.getrlimit(resource.RLIMIT_CPU)
    resource.setrlimit(resource.RLIMIT_CPU, (int(usage.ru_utime + usage.ru_stime) + seconds + 1, hardest))


if __name__ == "__main__":
    main()
