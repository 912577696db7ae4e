"""One side of a comparison, in a process of its own that waits for its turns: ``python -m m3ser.bench.worker``.

It is told a line of JSON at a time and answers with one: first what to set up, then once for each run. Its environment
holds the thread pools of every library to the cores that the row allows; on Linux, it may use no others either.
"""

from __future__ import annotations

import importlib
import json
import os
import subprocess
import sys
from collections.abc import Mapping
from contextlib import AbstractContextManager, suppress
from types import TracebackType
from typing import IO, Any

from m3ser.bench.measure import timed
from m3ser.bench.rows import Ready, Side
from m3ser.errors import MissingExtraError

__all__ = ["THREADS", "SideError", "Worker", "serve"]

THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS", "VECLIB_MAXIMUM_THREADS")
"""Variables of the environment by which libraries are told how many threads to use."""

# A peer's libraries look for nothing on the network: everything that is compared is made here.
_QUIET = {"HF_HUB_OFFLINE": "1", "TRANSFORMERS_VERBOSITY": "error", "TOKENIZERS_PARALLELISM": "false"}


class SideError(Exception):
    """A side could not be set up or run.

    Args:
        problem: why, as a sentence.
        missing: whether packages are not installed.
    """

    def __init__(self, problem: str, *, missing: bool = False) -> None:
        super().__init__(problem)
        self.missing = missing


class Worker(AbstractContextManager["Worker"]):
    """A side, set up in a process of its own, that runs when it is told to.

    Args:
        side: what to run.
        cores: that it may use.

    Attributes:
        audio_seconds, flops: as in :class:`~m3ser.bench.rows.Ready`.

    Raises:
        SideError: it cannot be set up.
    """

    def __init__(self, side: Side, cores: int) -> None:
        self._title = side.title
        environment = {**os.environ, **_QUIET, **dict.fromkeys(THREADS, str(cores))}
        self._process = subprocess.Popen(
            [sys.executable, "-m", "m3ser.bench.worker"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            encoding="utf-8",
            env=environment,
        )
        try:
            answer = self._ask(
                {"setup": side.setup, "options": dict(side.options), "install": side.install, "cores": cores}
            )
        except BaseException:
            self.close()
            raise
        self.audio_seconds: float | None = answer["audio_seconds"]
        self.flops: float | None = answer["flops"]

    def run(self) -> float:
        """The figure of one run.

        Raises:
            SideError: it failed.
        """
        return float(self._ask({})["figure"])

    def close(self) -> None:
        """End the process, which tidies up after itself."""
        for stream in (self._process.stdin, self._process.stdout):
            if stream is not None:
                with suppress(OSError):  # it has gone already
                    stream.close()
        self._process.wait()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _ask(self, question: Mapping[str, Any]) -> dict[str, Any]:
        talk, listen = self._process.stdin, self._process.stdout
        assert talk is not None
        assert listen is not None
        line = ""
        with suppress(OSError):  # where it has gone, there is no answer either
            talk.write(json.dumps(question) + "\n")
            talk.flush()
            line = listen.readline()
        if not line:
            raise SideError(f"{self._title} ended without an answer (exit code {self._process.wait()}).")
        answer: dict[str, Any] = json.loads(line)
        if "problem" in answer:
            raise SideError(answer["problem"], missing=answer["missing"])
        return answer


def serve(listen: IO[str], talk: IO[str]) -> None:
    """Answer lines of `listen` on `talk` until there are no more."""
    ready: Ready | None = None
    for line in listen:
        question = json.loads(line)
        try:
            if ready is None:
                ready = _set_up(question)
                answer: dict[str, Any] = {"audio_seconds": ready.audio_seconds, "flops": ready.flops}
            else:
                answer = {"figure": timed(ready.run)}
        except (ModuleNotFoundError, MissingExtraError) as error:
            told = question.get("install") or getattr(error, "name", None) or str(error)
            answer = {"problem": f"not installed: {told}", "missing": True}
        except Exception as error:  # noqa: BLE001 - whatever a peer raises is its row's result, not the end of the page
            reason = " ".join(str(error).split())
            answer = {"problem": f"failed: {type(error).__name__}: {reason[:200]}", "missing": False}
        talk.write(json.dumps(answer) + "\n")
        talk.flush()


def _set_up(question: Mapping[str, Any]) -> Ready:
    _keep_to(int(question["cores"]))
    module, _, function = question["setup"].partition(":")
    ready = getattr(importlib.import_module(module), function)(**question["options"])
    assert isinstance(ready, Ready)
    return ready


def _keep_to(cores: int) -> None:
    if hasattr(os, "sched_setaffinity"):  # Linux
        # The last ones: the first serves the machine's interrupts on many systems.
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[-cores:])


def _main() -> None:
    # What libraries print must not come between the answers.
    talk = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    with suppress(KeyboardInterrupt, BrokenPipeError):
        serve(sys.stdin, talk)


if __name__ == "__main__":
    _main()
