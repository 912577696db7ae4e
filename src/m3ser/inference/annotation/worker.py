"""One worker: what it makes its recogniser of, how it answers, and its whole life where it is a process of its own."""

from __future__ import annotations

import logging
import os
import queue
import signal
import threading
from collections import deque
from collections.abc import Generator, Iterator
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing.connection import Connection
from typing import Any, TypeAlias

from m3ser.bundle import Bundle
from m3ser.errors import M3serError
from m3ser.inference.graphs import SessionSettings
from m3ser.inference.recogniser import Recogniser
from m3ser.inference.requests import Request
from m3ser.text.asr import Transcriber

__all__ = ["Answer", "Answers", "Setup", "Task", "answers_to", "serve"]

Task: TypeAlias = "list[tuple[int, Request]]"
"""A few items that go through the model together: keys and requests."""

Answer: TypeAlias = dict[str, Any]
"""What the journal keeps: the key, and the prediction as a dictionary ("result") or a sentence ("error")."""

Answers: TypeAlias = Generator[list[Answer], None, None]


@dataclass(frozen=True)
class Setup:
    """What each worker makes its recogniser of.

    Attributes:
        bundle: opened, so that nobody checks or fetches it again.
        providers: as in :func:`m3ser.inference.load`.
        transcriber: as there, but never "auto".
        max_seconds: as there.
    """

    bundle: Bundle
    providers: tuple[str, ...]
    transcriber: Transcriber | str | None
    max_seconds: float

    def recogniser(self) -> Recogniser:
        """A recogniser on one thread; errors as in :func:`m3ser.inference.load`."""
        return Recogniser(
            self.bundle,
            settings=SessionSettings(threads=1, providers=self.providers),
            transcriber=self.transcriber,
            max_seconds=self.max_seconds,
        )


def answers_to(tasks: Iterator[Task], recogniser: Recogniser) -> Answers:
    """Answer tasks in their order; an empty one says that there is nothing more for the moment."""
    keys: deque[list[int]] = deque()

    def chunks() -> Iterator[list[Request]]:
        for task in tasks:
            if task:
                keys.append([key for key, _ in task])
            yield [request for _, request in task]

    for outcomes in recogniser.predict_chunks(chunks()):
        yield [
            {"key": key, "error": str(outcome)}
            if isinstance(outcome, M3serError)
            else {"key": key, "result": outcome.to_dict()}
            for key, outcome in zip(keys.popleft(), outcomes, strict=True)
        ]


def serve(connection: Connection) -> None:
    """The whole of a worker's life: a :class:`Setup` comes in, then tasks, then None.

    It sends ("began", None) when its recogniser is there, then ("answers", ...) for each task in their order; at any
    time ("warning", sentence); and ("broken", sentence) where it ends because something is wrong.
    """
    with suppress(ValueError):
        signal.signal(signal.SIGINT, signal.SIG_IGN)
    outbox = _Outbox(connection)
    log = logging.getLogger("m3ser")
    log.addHandler(_Warnings(outbox))
    log.propagate = False
    began = False
    try:
        setup: Setup = connection.recv()
        inbox: queue.SimpleQueue[Task | None] = queue.SimpleQueue()
        threading.Thread(target=_listen, args=(connection, inbox), daemon=True).start()
        recogniser = setup.recogniser()
        began = True
        outbox.send("began")
        for answers in answers_to(_arriving(inbox), recogniser):
            outbox.send("answers", answers)
    except M3serError as error:
        outbox.send("broken", str(error))
    except Exception as error:  # noqa: BLE001 - whatever it is, the parent says it in a sentence
        what = " ".join(f"{type(error).__name__}: {error}".split()).rstrip(".: ")
        outbox.send("broken", what if began else f"A worker could not begin: {what}.")


class _Outbox:
    """What a worker says, whole messages from several threads."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._lock = threading.Lock()

    def send(self, kind: str, content: Any = None) -> None:
        with self._lock, suppress(OSError):  # nobody is there any more, and whoever listens ends this process
            self._connection.send((kind, content))


class _Warnings(logging.Handler):
    """What the library warns of goes to the parent."""

    def __init__(self, outbox: _Outbox) -> None:
        super().__init__(logging.WARNING)
        self._outbox = outbox

    def emit(self, record: logging.LogRecord) -> None:
        self._outbox.send("warning", record.getMessage())


def _listen(connection: Connection, inbox: queue.SimpleQueue[Task | None]) -> None:
    # All the time, so that neither end ever waits for the other to make room in the pipe.
    try:
        while (task := connection.recv()) is not None:
            inbox.put(task)
        inbox.put(None)
    except (EOFError, OSError):
        # The parent is gone without a word, and nobody wants the rest.
        os._exit(1)


def _arriving(inbox: queue.SimpleQueue[Task | None]) -> Iterator[Task]:
    """Tasks as they come; an empty one where there is none for the moment."""
    while True:
        try:
            task = inbox.get_nowait()
        except queue.Empty:
            yield []
            task = inbox.get()
        if task is None:
            return
        yield task
