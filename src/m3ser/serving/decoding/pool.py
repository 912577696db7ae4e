"""Decoding processes, a thread that drives each, and one that ends those which take too long."""

from __future__ import annotations

import math
import os
import queue
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, BinaryIO, Literal, cast

import numpy as np
from numpy.typing import NDArray

from m3ser import errors
from m3ser.audio import MIN_SAMPLES, SAMPLE_RATE
from m3ser.errors import AudioReadError, M3serError
from m3ser.serving.decoding.frames import read_frame, write_frame
from m3ser.serving.problems import ProblemError

__all__ = ["MOST_CHANNELS", "DecoderPool"]

Waveform = NDArray[np.float32]
Reason = Literal["crashed", "hung"]

COMMAND = (sys.executable, "-m", "m3ser.serving.decoding.worker")

MOST_CHANNELS = 2
"""Who talk to each other: a caller and an agent."""

_START_SECONDS = 60.0  # a decoder imports NumPy, on a machine that may be busy
_LOOK_SECONDS = 0.05  # how often somebody looks for decoders that take too long
_KNOWN_ERRORS = {
    name: kind
    for name, kind in vars(errors).items()
    if isinstance(kind, type) and issubclass(kind, M3serError) and kind is not errors.MissingExtraError
}


@dataclass(frozen=True, eq=False)
class _Job:
    content: bytes
    head: dict[str, Any]
    future: Future[Waveform] = field(default_factory=Future)


class DecoderPool:
    """Turns recordings into waveforms, several at a time; for any threads.

    Args:
        size: how many processes.
        max_seconds: the longest recording.
        max_bytes: the largest one.
        time_limit: seconds that one may take before its process is killed.
        restarted: is told why a process was replaced.
        command: what a process runs.
    """

    def __init__(
        self,
        *,
        size: int,
        max_seconds: float,
        max_bytes: int,
        time_limit: float,
        restarted: Callable[[Reason], None] = lambda _: None,
        command: Sequence[str] = COMMAND,
    ) -> None:
        self._jobs: queue.SimpleQueue[_Job | None] = queue.SimpleQueue()
        self._max_seconds = max_seconds
        samples = math.ceil(max_seconds * SAMPLE_RATE) * 4 * MOST_CHANNELS  # bytes
        limits = {
            "content": max_bytes,
            "samples": samples + SAMPLE_RATE,
            "memory": (256 << 20) + 3 * max_bytes + 3 * samples,
            "seconds": math.ceil(time_limit),
        }
        self._decoders = [
            _Decoder(command, limits, self._jobs, time_limit=time_limit, restarted=restarted) for _ in range(size)
        ]
        self._stopped = threading.Event()
        self._watchman = threading.Thread(target=self._watch, name="m3ser-watch", daemon=True)

    def start(self) -> None:
        """Start the processes, and wait until they are there.

        Raises:
            M3serError: one of them cannot be started.
        """
        self._watchman.start()
        for decoder in self._decoders:
            decoder.begin()
        for decoder in self._decoders:
            decoder.await_ready()
        for decoder in self._decoders:
            decoder.thread.start()

    def decode(
        self, content: bytes, *, name: str | None = None, may_be_silent: bool = False, apart: bool = False
    ) -> Future[Waveform]:
        """Decode one recording.

        Args:
            content: the file's bytes.
            name: what sentences call it.
            may_be_silent: whether a recording without any sound is one.
            apart: whether its channels, :data:`MOST_CHANNELS` at most, are kept apart; it may then be silent, too.

        Returns:
            What becomes (samples,) float32, mono, 16 kHz; (samples, channels) where they are kept apart. Cancelled
            before its turn, it is never decoded. It raises what :func:`m3ser.audio.load_waveform` raises,
            AudioReadError where the recording crashes its decoder, UsageError for more channels than may be kept apart,
            and ProblemError (504) where it takes too long.
        """
        head = {
            "name": name,
            "max_seconds": self._max_seconds,
            "may_be_silent": may_be_silent,
            "most_channels": MOST_CHANNELS if apart else None,
        }
        job = _Job(content, head)
        self._jobs.put(job)
        return job.future

    def stop(self) -> None:
        """End the processes; what waits is cancelled."""
        self._stopped.set()
        while True:
            try:
                job = self._jobs.get_nowait()
            except queue.Empty:
                break
            if job is not None:
                job.future.cancel()
        for _ in self._decoders:
            self._jobs.put(None)
        for decoder in self._decoders:
            decoder.end()
        if self._watchman.is_alive():
            self._watchman.join()

    def _watch(self) -> None:
        while not self._stopped.wait(_LOOK_SECONDS):
            now = time.monotonic()
            for decoder in self._decoders:
                decoder.end_overdue(now)


class _Decoder:
    """One decoding process after another, and the thread that asks it."""

    def __init__(
        self,
        command: Sequence[str],
        limits: dict[str, int],
        jobs: queue.SimpleQueue[_Job | None],
        *,
        time_limit: float,
        restarted: Callable[[Reason], None],
    ) -> None:
        self._command = [*command, _json(limits)]
        self._limits = limits
        self._jobs = jobs
        self._time_limit = time_limit
        self._restarted = restarted
        self._process: subprocess.Popen[bytes] | None = None
        self._lock = threading.Lock()
        self._deadline: float | None = None
        self._hung = False
        self._ended = False
        self.thread = threading.Thread(target=self._run, name="m3ser-decode", daemon=True)

    def begin(self) -> None:
        """Start a process."""
        with self._lock:
            if self._ended:
                raise M3serError("The decoders have been stopped.")
            self._process = subprocess.Popen(  # noqa: S603 - our own module, no shell
                self._command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                env=_environment(),
            )

    def await_ready(self) -> None:
        """Wait for the process that was started.

        Raises:
            M3serError: it ends, or does not come to life.
        """
        self._set_deadline(_START_SECONDS)
        try:
            read_frame(self._pipe("stdout"), largest=0)
        except (EOFError, ValueError, OSError) as error:
            self._clear()
            raise M3serError("A decoding process ended while it began; is there enough memory for it?") from error
        finally:
            self._set_deadline(None)

    def end_overdue(self, now: float) -> None:
        """Kill the process if it has had its time."""
        with self._lock:
            if self._deadline is not None and now > self._deadline and self._process is not None:
                self._hung = True
                self._deadline = None
                self._process.kill()

    def end(self) -> None:
        """Kill the process, whatever it does."""
        with self._lock:
            self._ended = True
            if self._process is not None:
                self._process.kill()
        if self.thread.is_alive():
            self.thread.join()
        self._clear()

    def _run(self) -> None:
        while (job := self._jobs.get()) is not None:
            if not job.future.set_running_or_notify_cancel():
                continue
            try:
                waveform = self._ask(job)
            except Exception as error:  # noqa: BLE001 - whoever asked is told, and the next one gets its turn
                job.future.set_exception(error)
            else:
                job.future.set_result(waveform)
            del job  # or the last recording would stay in memory until there is another

    def _ask(self, job: _Job) -> Waveform:
        if self._process is None or self._process.poll() is not None:
            self._clear()
            self.begin()
            self.await_ready()
        name = job.head["name"] or "The recording"
        self._set_deadline(self._time_limit)
        try:
            write_frame(self._pipe("stdin"), job.head, job.content)
            head, payload = read_frame(self._pipe("stdout"), largest=self._limits["samples"])
            waveform: Waveform = np.frombuffer(payload, np.float32).reshape(head.get("shape", -1))
        except (EOFError, ValueError, TypeError, OSError) as error:  # a decoder may say anything
            hung = self._set_deadline(None)
            self._clear()
            if self._ended:
                raise M3serError("The service is being stopped.") from error
            self._restarted("hung" if hung else "crashed")
            if hung:
                raise ProblemError(
                    504,
                    "decoding-timeout",
                    f"{name} could not be decoded within {self._time_limit:g} s; expected an ordinary recording.",
                ) from error
            raise AudioReadError(f"{name} ended the process that decoded it; expected a whole recording.") from error
        self._set_deadline(None)
        if "error" in head:
            raise _raised(head)
        if len(waveform) < MIN_SAMPLES:
            raise AudioReadError(f"{name} could not be decoded; expected a whole recording.")
        return waveform

    def _set_deadline(self, seconds: float | None) -> bool:
        """Give the process so many seconds from now; says whether it was killed for want of them before."""
        with self._lock:
            self._deadline = None if seconds is None else time.monotonic() + seconds
            hung, self._hung = self._hung, False
            return hung

    def _pipe(self, which: str) -> BinaryIO:
        return cast(BinaryIO, getattr(self._process, which))

    def _clear(self) -> None:
        """Bury the process."""
        with self._lock:
            process, self._process = self._process, None
        if process is None:
            return
        process.kill()
        process.wait()
        for pipe in (process.stdin, process.stdout):
            if pipe is not None:
                with suppress(OSError):  # what could not be sent any more
                    pipe.close()


def _raised(head: dict[str, Any]) -> M3serError:
    """The error that a decoder names; of its words nothing but the sentence is believed."""
    name, detail = str(head.get("error")), str(head.get("detail"))
    if name == "MissingExtraError":
        return ProblemError(415, "audio-unsupported", detail)
    return _KNOWN_ERRORS.get(name, AudioReadError)(detail)


def _environment() -> dict[str, str]:
    """What a decoder knows of the world: how to find its modules, and not to take all cores. No secrets."""
    kept = ("PATH", "SYSTEMROOT", "LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH", "LANG", "LC_ALL", "TMPDIR", "TZ")
    return {
        **{name: os.environ[name] for name in kept if name in os.environ},
        "PYTHONPATH": os.pathsep.join(path for path in sys.path if path),
        "PYTHONDONTWRITEBYTECODE": "1",
        "OMP_NUM_THREADS": "1",
        "OPENBLAS_NUM_THREADS": "1",
        "MALLOC_ARENA_MAX": "2",
    }


def _json(limits: dict[str, int]) -> str:
    import json

    return json.dumps(limits)
