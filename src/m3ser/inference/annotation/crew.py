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
import signal
from collections import deque
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from multiprocessing.connection import wait
from multiprocessing.reduction import ForkingPickler
from typing import Any

from m3ser.cores import available_cores
from m3ser.errors import M3serError, UsageError
from m3ser.inference.annotation.worker import Answer, Answers, Setup, Task, answers_to, serve
from m3ser.inference.requests import Request

__all__ = ["Crew", "answer_here", "answer_in_processes", "processes_for", "refuse_in_worker", "split"]

_AHEAD = 3  # tasks a worker has: one in the model, one being decoded, one in the pipe
_LOST_IN_A_ROW = 20  # workers that end without any answer in between, before it is not the recordings' fault
_GOODBYE = 10.0  # seconds that a worker is given to end

# CTranslate2's and OpenBLAS's; Accelerate's. Each takes all cores, which the other workers already have.
_THREADS = ("OMP_NUM_THREADS", "VECLIB_MAXIMUM_THREADS")


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
    yield from answers_to(tasks, setup.recogniser())


def answer_in_processes(setup: Setup, tasks: Iterator[Task], *, workers: int) -> Answers:
    """Answer tasks in processes of their own, as the answers come.

    Memory holds a few tasks a worker, however slowly the answers are taken.

    Raises:
        UsageError: the transcriber cannot be sent to another process.
        M3serError: what a worker met with while it began.
    """
    with closing(Crew(setup, workers)) as crew:
        yield from crew.answers(tasks)


class _Worker:
    """A process, and what it was asked and has not answered yet.

    Args:
        setup: what it makes its recogniser of, pickled.

    Attributes:
        asked: tasks that it has and has not answered.
        alone: whether it is asked one item at a time, because another worker may have ended by one of these.
        began: whether it has a recogniser.
        broken: why it says that it ends; None: it has not said so.

    Raises:
        M3serError: there can be no further process.
    """

    def __init__(self, setup: memoryview) -> None:
        context = multiprocessing.get_context("spawn")
        try:
            self.connection, theirs = context.Pipe()
            self.process = context.Process(target=serve, args=(theirs,), name="m3ser-annotate", daemon=True)
            with theirs, _interrupts_held(), _one_thread_each():
                self.process.start()
        except OSError as error:
            raise M3serError(f"A worker could not begin: {error.strerror or error}; use fewer workers.") from error
        self.asked: deque[Task] = deque()
        self.alone = False
        self.began = False
        self.broken: str | None = None
        self._dismissed = False
        # Not an argument of the process: what cannot be unpickled there is a trace instead of a message.
        with suppress(OSError):  # one that has ended is found out by whoever reads
            self.connection.send_bytes(setup)

    def ask(self, task: Task) -> None:
        """Give it one more task."""
        self.asked.append(task)
        with suppress(OSError):
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

    Raises:
        UsageError: the transcriber cannot be sent to another process.
    """

    def __init__(self, setup: Setup, size: int) -> None:
        try:
            self._setup = ForkingPickler.dumps(setup)
        except Exception as error:  # pickling calls code of the transcriber's, which may raise anything
            raise UsageError(
                f"The transcriber cannot be sent to a worker, so use workers=1 ({type(error).__name__}: {error})."
            ) from error
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
            if not worker.began:
                raise M3serError(content)
            worker.broken = content
        elif kind == "warning":
            logging.getLogger("m3ser.inference").warning("%s", content)
        else:
            self._lost_in_a_row = 0
            worker.asked.popleft()
            # Before more is taken from the list: where that fails, what is answered is kept. The worker has more to do.
            yield content
            self._supply(worker)

    def _lost(self, worker: _Worker) -> Iterator[list[Answer]]:
        """A worker has ended by itself: another one goes on with what it had."""
        worker.process.join()
        code = worker.process.exitcode
        how = worker.broken or _how_it_ended(code)
        # A system that runs out of memory kills.
        advice = "; fewer workers take less memory" if code is not None and code < 0 else ""
        had = [item for task in worker.asked for item in task]
        self._workers.remove(worker)
        worker.end()
        if not worker.began:
            raise M3serError(f"A worker ended while it began ({how}){advice}.")
        self._lost_in_a_row += 1
        if self._lost_in_a_row == _LOST_IN_A_ROW:
            raise M3serError(f"One worker after the other ended ({how}){advice}.")
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


@contextmanager
def _one_thread_each() -> Iterator[None]:
    """Libraries in processes that begin in here have one thread, unless the environment says otherwise already.

    They look when they are loaded, some of them before the first line of ours that a worker runs.
    """
    own = {name: "1" for name in _THREADS if name not in os.environ}
    os.environ.update(own)
    try:
        yield
    finally:
        for name in own:
            os.environ.pop(name, None)


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
    # One that answers a few items alone spends more time on its beginning.
    return max(1, min(available_cores(), waiting // (4 * size)))
