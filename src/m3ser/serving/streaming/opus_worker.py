"""A filter: an Ogg or WebM file with Opus on standard input, in pieces as they come; its samples on standard output.

It is run as a program, one for each stream, so that a crash or a hang in FFmpeg ends that stream alone. It imports
nothing of m3ser, and not even NumPy: it is there within a few tenths of a second and has 12 MB to itself. Nothing comes
in but bytes, and it may neither open a file for writing nor go on for ever.

Out come frames of 48 kHz: one byte for the number of channels first, then float32 samples, channels interleaved. How it
ended is its exit code.
"""

from __future__ import annotations

import os
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any

__all__ = ["CHANGED", "DAMAGED", "MISSING", "NO_OPUS", "main"]

DAMAGED = 3
NO_OPUS = 4
CHANGED = 5
MISSING = 6
"""Exit codes: the file is damaged; has no Opus track; changes its channels; PyAV is not installed."""

_MEMORY = 1 << 30  # bytes of address space; the libraries take a quarter of it
_PIECE = 4096  # bytes that FFmpeg asks for at a time; it gets those that are there
_MOST_CHANNELS = 8


class _Pipe:
    """Standard input as FFmpeg wants it: `read` comes back with what is there, and there is no seeking."""

    def read(self, size: int) -> bytes:
        return os.read(0, size)


def main(kind: str, cpu_seconds: int) -> int:
    """Decode until the input ends.

    Args:
        kind: FFmpeg's name of the container, "ogg" or "matroska".
        cpu_seconds: processor time after which the system ends the process.
    """
    try:
        import av
    except ImportError:
        return MISSING
    _limit(cpu_seconds)
    av.logging.set_level(av.logging.PANIC)
    options = {
        # Nothing but what was asked for is ever opened, whatever the file says that it is.
        "format_whitelist": "matroska,webm,ogg",
        "codec_whitelist": "opus,libopus",
        # The header says it all: what comes behind it is not to be waited for. ("nobuffer" would lose a packet.)
        "probesize": "32",
        "analyzeduration": "0",
    }
    try:
        with av.open(_Pipe(), "r", format=kind, container_options=options, buffer_size=_PIECE) as container:
            tracks = container.streams.audio
            if not tracks or tracks[0].codec_context is None or tracks[0].codec_context.name not in ("opus", "libopus"):
                return NO_OPUS
            return _decode(av, container, tracks[0])
    except av.error.FFmpegError:
        return DAMAGED
    except BrokenPipeError:
        return 0  # nobody wants the rest


def _decode(av: Any, container: Any, track: Any) -> int:
    channels = 0
    resampler = None
    for frame in container.decode(track):
        count = len(frame.layout.channels)
        if not channels:
            if not 1 <= count <= _MOST_CHANNELS:
                return NO_OPUS
            channels = count
            # From planar to interleaved; neither rate nor values change.
            resampler = av.AudioResampler("flt", frame.layout, frame.sample_rate)
            _write(bytes([channels]))
        if count != channels:
            return CHANGED
        assert resampler is not None
        for packed in resampler.resample(frame):
            _write(bytes(packed.planes[0])[: 4 * channels * packed.samples])
    return 0


def _write(data: bytes) -> None:
    while data:
        data = data[os.write(1, data) :]


def _limit(cpu_seconds: int) -> None:
    """As little as the system lets us have; where it has no such limits, that a process can be killed must do."""
    try:
        import resource
    except ImportError:
        return
    for name, most in (("RLIMIT_AS", _MEMORY), ("RLIMIT_CPU", cpu_seconds), ("RLIMIT_FSIZE", 0), ("RLIMIT_CORE", 0)):
        if (what := getattr(resource, name, None)) is not None:
            with suppress(ValueError, OSError):
                resource.setrlimit(what, (most, most))


if __name__ == "__main__":
    # This file's folder is no place to import from: its neighbours' names are not theirs alone.
    here = Path(__file__).resolve().parent
    sys.path[:] = [path for path in sys.path if Path(path).resolve() != here]
    sys.exit(main(sys.argv[1], int(sys.argv[2])))
