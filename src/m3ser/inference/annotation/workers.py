"""Who answers: this process, or several of their own with one recogniser each.

A worker reads its tasks from a pipe and has a few of them ahead, so that it decodes the next one while its model
works. It ends when the other end of the pipe is gone, as it is when the parent was killed. A worker that ends by itself
(a decoder that crashes, memory that runs out) takes nothing with it: what it had is asked again one by one, and what
ends a worker on its own has failed.
"""

from __future__ import annotations

import logging
import multiprocessing
import os
import queue
import signal
import threading
from collections import deque
from collections.abc import Generator, Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from typing import Any, TypeAlias

from m3ser.bundle import Bundle
from m3ser.errors import M3serError, UsageError
from m3ser.inference.graphs import SessionSettings
from m3ser.inference.recogniser import Recogniser
from m3ser.inference.requests import Request
from m3ser.text.asr import Transcriber

__all__ = [
    "Answer",
    "Answers",
    "Crew",
    "Setup",
    "Task",
    "answer_here",
    "answer_in_processes",
    "processes_for",
    "refuse_in_worker",
    "split",
]

Task: TypeAlias = "list[tuple[int, Request]]"
"""A few items that go through the model together: keys and requests."""

Answer: TypeAlias = dict[str, Any]
"""What the journal keeps: the key, and the prediction as a dictionary ("result") or a sentence ("error")."""

Answers: TypeAlias = Generator[list[Answer], None, None]

_AHEAD = 3  # tasks a worker has: one in the model, one being decoded, one in the pipe
_LOST_IN_A_ROW = 20  # workers that end without any answer in between, before it is not the recordings' fault
_GOODBYE = 10.0  # seconds that a worker is given to end


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


def refuse_in_worker() -> None:
    """Make sure that this is not a worker that is importing the program which has started it.

    Raises:
        UsageError: it is.
    """
    if getattr(multiprocessing.current_process(), "_inheriting", False):
        raise UsageError(
            "annotate was called while a worker imported the program that started it; call it under "
            '`if __name__ == "__main__":`, or with workers=1.'
        )


def answer_here(setup: Setup, tasks: Iterator[Task]) -> Answers:
    """Answer tasks in this process, in their order."""
    yield from _answers(setup.recogniser(), tasks)


def _answers(recogniser: Recogniser, tasks: Iterator[Task]) -> Answers:
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


def answer_in_processes(setup: Setup, tasks: Iterator[Task], *, workers: int) -> Answers:
    """Answer tasks in processes of their own, as the answers come.

    Raises:
        M3serError: what a worker met with while it began.
    """
    with closing(Crew(setup, workers)) as crew:
        yield from crew.answers(tasks)


class _Worker:
    """A process, and what it was asked and has not answered yet."""

    def __init__(self, setup: Setup) -> None:
        context = multiprocessing.get_context("spawn")
        self.connection, theirs = context.Pipe()
        self.process = context.Process(target=_serve, args=(theirs, setup), name="m3ser-annotate", daemon=True)
        with _interrupts_held():
            self.process.start()
        theirs.close()
        self.asked: deque[Task] = deque()
        self.alone = False
        self.began = False
        self._dismissed = False

    def ask(self, task: Task) -> None:
        """Give it one more task."""
        self.asked.append(task)
        with suppress(OSError):  # one that has ended is found out by whoever reads
            self.connection.send(task)

    def dismiss(self) -> None:
        """Let it end by itself."""
        self._dismissed = True
        with suppress(OSError):
            self.connection.send(None)

    def end(self) -> None:
        """Have it ended."""
        if self._dismissed:
            self.process.join(_GOODBYE)
        if self.process.is_alive():
            self.process.terminate()
            self.process.join(_GOODBYE)
        self.connection.close()


class Crew:
    """Several workers and the tasks between them.

    Args:
        setup: what each makes its recogniser of.
        size: how many there are.
    """

    def __init__(self, setup: Setup, size: int) -> None:
        self._setup = setup
        self._size = size
        self._tasks: Iterator[Task] = iter(())
        self._again: deque[Task] = deque()
        self._workers: list[_Worker] = []
        self._lost_in_a_row = 0

    def answers(self, tasks: Iterator[Task]) -> Answers:
        """Answer tasks, as the answers come. When all of them have come, it can be asked again.

        Raises:
            M3serError: what a worker met with while it began.
        """
        self._tasks = tasks
        while len(self._workers) < self._size:
            self._workers.append(_Worker(self._setup))
        for most in range(1, _AHEAD + 1):
            for worker in self._workers:
                self._supply(worker, most)
        while busy := {worker.connection: worker for worker in self._workers if worker.asked}:
            for connection in wait(list(busy)):
                worker = busy[connection]  # type: ignore[index]
                try:
                    message = worker.connection.recv()
                except (EOFError, OSError):
                    yield from self._lost(worker)
                    continue
                yield from self._heard(worker, message)

    def close(self) -> None:
        """Let workers end that have answered everything, and have the others ended."""
        for worker in self._workers:
            if not worker.asked:
                worker.dismiss()
        for worker in self._workers:
            worker.end()

    def _supply(self, worker: _Worker, most: int = _AHEAD) -> None:
        """Give a worker something to do. What another worker may have ended by, it gets alone."""
        if self._again or worker.alone:
            if worker.asked:
                return
            worker.alone = bool(self._again)
            if self._again:
                worker.ask(self._again.popleft())
                return
        while len(worker.asked) < most and (task := next(self._tasks, None)) is not None:
            worker.ask(task)

    def _heard(self, worker: _Worker, message: Any) -> Iterator[list[Answer]]:
        kind, content = message
        if kind == "began":
            worker.began = True
        elif kind == "broken":
            raise M3serError(content)
        elif kind == "warning":
            logging.getLogger("m3ser.inference").warning("%s", content)
        else:
            self._lost_in_a_row = 0
            worker.asked.popleft()
            self._supply(worker)
            yield content

    def _lost(self, worker: _Worker) -> Iterator[list[Answer]]:
        """A worker has ended by itself: another one goes on with what it had."""
        worker.process.join()
        how = _how_it_ended(worker.process.exitcode)
        had = [item for task in worker.asked for item in task]
        self._workers.remove(worker)
        worker.end()
        if not worker.began:
            raise M3serError(f"A worker ended while it began ({how}); fewer workers take less memory.")
        self._lost_in_a_row += 1
        if self._lost_in_a_row == _LOST_IN_A_ROW:
            raise M3serError(f"One worker after the other ended ({how}); fewer workers take less memory.")
        if len(had) == 1:
            yield [{"key": had[0][0], "error": f"The worker that had this alone ended ({how})."}]
        else:
            self._again.extend([item] for item in had)
        self._workers.append(_Worker(self._setup))
        self._supply(self._workers[-1])


def _how_it_ended(code: int | None) -> str:
    if code is not None and code < 0:
        with suppress(ValueError):
            return f"by signal {signal.Signals(-code).name}"
    return f"with exit code {code}"


@contextmanager
def _interrupts_held() -> Iterator[None]:
    """Ctrl-C goes to all processes of a terminal. Those that begin in here leave it to their parent."""
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    from multiprocessing import resource_tracker

    # It begins with the first process, and lets interrupts through again.
    resource_tracker.ensure_running()
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


# In a worker


class _Warnings(logging.Handler):
    """What the library warns of goes to the parent."""

    def __init__(self, connection: Connection) -> None:
        super().__init__(logging.WARNING)
        self._connection = connection

    def emit(self, record: logging.LogRecord) -> None:
        with _sending:
            self._connection.send(("warning", record.getMessage()))


_sending = threading.Lock()


def _serve(connection: Connection, setup: Setup) -> None:
    """The whole of a worker's life."""
    with suppress(ValueError):
        signal.signal(signal.SIGINT, signal.SIG_IGN)
    # Libraries that transcribe take all cores each, which the other workers already have.
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    inbox: queue.SimpleQueue[Task | None] = queue.SimpleQueue()
    threading.Thread(target=_listen, args=(connection, inbox), daemon=True).start()
    log = logging.getLogger("m3ser")
    log.addHandler(_Warnings(connection))
    log.propagate = False
    try:
        recogniser = setup.recogniser()
    except M3serError as error:
        connection.send(("broken", str(error)))
        return
    with _sending:
        connection.send(("began", None))
    for answers in _answers(recogniser, _arriving(inbox)):
        with _sending:
            connection.send(("answers", answers))


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


def split(items: Iterator[tuple[int, Request]], size: int) -> Iterator[Task]:
    """Tasks of so many items each."""
    task: Task = []
    for item in items:
        task.append(item)
        if len(task) == size:
            yield task
            task = []
    if task:
        yield task


def processes_for(waiting: int, asked: int | None, size: int) -> int:
    """How many workers: as many as asked for, else one per core, as far as there is something to do for them."""
    if asked is not None:
        return max(1, min(asked, -(-waiting // size)))
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    # One that answers a few items alone spends more time on its beginning.
    return max(1, min(cores, waiting // (4 * size)))
