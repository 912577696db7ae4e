"""Rows: emotions over time: recordings of any length beside real time, live speech, and memory."""

from __future__ import annotations

import atexit
import shutil
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from m3ser.bench.rows import Ready, Row, Side, Sizes

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

__all__ = ["final_latency", "passes", "peak_memory", "provisional_cores", "rows"]

_MINUTES = 5.0  # of the recording that speed is measured on, and of the one that a long one's memory stands beside
_LIVE = 60.0  # seconds
_CHUNK = 0.1  # seconds


def passes(seconds: float, *, transcribed: bool) -> Ready:
    """``recogniser.timeline`` of a recording, read anew in each run.

    Args:
        seconds: of it.
        transcribed: its words too, by the default transcriber; else the voice alone.
    """
    from m3ser import inference

    file, length = _conversation(seconds)
    recogniser = inference.load(transcriber="moonshine" if transcribed else None)
    options: dict[str, Any] = {} if transcribed else {"text": None}

    def run() -> None:
        for _ in recogniser.timeline(file, **options):
            pass

    return Ready(run, audio_seconds=length)


def final_latency(seconds: float) -> Ready:
    """How long live speech waits for an utterance's answer once its end is found: the slowest one's seconds.

    Every utterance is transcribed. Sound comes in tenths of a second, each when it has been spoken, or later where what
    came before it is still being worked on: by a clock that is put on by the time each call took, so that nobody has to
    wait. An answer's time is from when the sound that brought the end was there.

    Args:
        seconds: of sound in one run, at least so many that an utterance ends.
    """
    from m3ser import inference
    from m3ser.audio import load_waveform

    chunks = list(_chunks(load_waveform(_conversation(seconds)[0])))
    recogniser = inference.load(transcriber="moonshine")

    def run() -> float:
        stream = recogniser.stream(provisional_seconds=None)
        late = []
        clock = 0.0
        for number, chunk in enumerate(chunks, 1):
            spoken = number * _CHUNK
            began = time.perf_counter()
            finals = stream.push(chunk)
            clock = max(clock, spoken) + time.perf_counter() - began
            if finals:
                late.append(clock - spoken)
        return max(late)

    return Ready(run)


def provisional_cores(seconds: float) -> Ready:
    """How many cores live speech keeps busy while somebody speaks without a pause, the voice alone.

    Args:
        seconds: of sound in one run.
    """
    from m3ser import inference
    from m3ser.audio import SAMPLE_RATE
    from m3ser.bench.material import speech

    chunks = list(_chunks(speech(seconds, SAMPLE_RATE)))
    recogniser = inference.load(transcriber=None)

    def run() -> float:
        stream = recogniser.stream(text=None)
        began = time.process_time()
        for chunk in chunks:
            stream.push(chunk)
        return (time.process_time() - began) / seconds

    return Ready(run)


def peak_memory(seconds: float) -> Ready:
    """The most memory that ``m3ser timeline`` ever has, in bytes, on a recording of so many seconds, voice alone."""
    from m3ser.bench.command import seconds_and_memory

    file, _ = _conversation(seconds)

    def run() -> float:
        with tempfile.TemporaryDirectory() as out:
            command = [sys.executable, "-m", "m3ser", "timeline", str(file), "--out", str(Path(out) / "out.csv")]
            return seconds_and_memory([*command, "--no-text"])[1]

    return Ready(run)


def _conversation(seconds: float) -> tuple[Path, float]:
    """A recording, there as long as this process, and its length in seconds."""
    from m3ser.bench.material import write_conversation

    folder = Path(tempfile.mkdtemp())
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return folder / "conversation.flac", write_conversation(folder / "conversation.flac", seconds)


def _chunks(waveform: NDArray[np.float32]) -> Iterator[NDArray[np.float32]]:
    from m3ser.audio import SAMPLE_RATE

    size = round(_CHUNK * SAMPLE_RATE)
    return (waveform[first : first + size] for first in range(0, len(waveform), size))


_INSTALL = 'pip install "m3ser[asr]"'
_NO_PEER = "no other that cuts speech and judges emotion without a download"
_NO_LIMIT = "how much there is to do depends on what is said"


def rows(sizes: Sizes) -> tuple[Row, ...]:
    """Speed without and with transcription, live speech, and the memory of a long recording."""
    speed: dict[str, Any] = {"seconds": 60 * _MINUTES}
    return (
        Row(
            name="timeline-voice",
            what=f"timeline of {_MINUTES:g} minutes, voice alone",
            ours=Side("m3ser", f"{__name__}:passes", {**speed, "transcribed": False}, install=_INSTALL),
            peer=None,
            aim_real_time=50,
            no_limit=_NO_LIMIT,
            no_peer=_NO_PEER,
        ),
        Row(
            name="timeline-transcribed",
            what=f"timeline of {_MINUTES:g} minutes, transcribed by Moonshine",
            ours=Side("m3ser", f"{__name__}:passes", {**speed, "transcribed": True}, install=_INSTALL),
            peer=None,
            aim_real_time=8,
            no_limit=_NO_LIMIT,
            no_peer=_NO_PEER,
        ),
        Row(
            name="timeline-live-final",
            what=f"live speech, {_LIVE:g} s: from an utterance's found end to its answer, transcribed; the slowest one",
            ours=Side("m3ser", f"{__name__}:final_latency", {"seconds": _LIVE}, install=_INSTALL),
            peer=None,
            aim_figure=0.3,
            no_limit=_NO_LIMIT,
            no_peer=_NO_PEER,
        ),
        Row(
            name="timeline-live-provisional",
            what=f"live speech without a pause, {_LIVE:g} s, a provisional answer every half second, voice alone",
            ours=Side("m3ser", f"{__name__}:provisional_cores", {"seconds": _LIVE}, install=_INSTALL),
            peer=None,
            unit="cores",
            aim_figure=0.5,
            no_limit=_NO_LIMIT,
            no_peer=_NO_PEER,
        ),
        Row(
            name="timeline-memory",
            what=f"peak memory of m3ser timeline, voice alone: {sizes.minutes:g} minutes beside {_MINUTES:g}",
            ours=Side(
                f"{sizes.minutes:g} minutes", f"{__name__}:peak_memory", {"seconds": 60 * sizes.minutes}, _INSTALL
            ),
            peer=Side("5 minutes only", f"{__name__}:peak_memory", speed, _INSTALL),
            unit="bytes",
            ratio="share",
            aim=1.2,
            no_limit="not a matter of speed",
            warm_up=False,
        ),
    )
