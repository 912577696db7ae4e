"""The model at work for many clients at once: what arrives together goes through it together.

A few threads answer, each with a processor thread of its own, as the workers of an annotation do. A request waits in
one queue, first come, first served. What has been cancelled, or has waited too long, is dropped when its turn comes.
"""

from __future__ import annotations

import math
import threading
import time
from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Protocol

from m3ser.audio import AudioSource
from m3ser.errors import M3serError
from m3ser.inference.requests import Request
from m3ser.schema import Prediction
from m3ser.serving.metrics import Metrics
from m3ser.serving.problems import ProblemError

__all__ = ["Engine", "overloaded"]


class Recogniser(Protocol):
    """What the engine needs of a :class:`~m3ser.inference.Recogniser`."""

    def predict_chunks(
        self, chunks: Iterator[list[Request | AudioSource]]
    ) -> Iterator[list[Prediction | M3serError]]: ...


@dataclass(frozen=True, eq=False)
class _Job:
    request: Request
    asked: float
    future: Future[Prediction] = field(default_factory=Future)


def overloaded(seconds: float) -> ProblemError:
    """The problem of somebody who should come again in so many seconds."""
    wait = max(1, math.ceil(seconds))
    return ProblemError(
        503, "overloaded", f"The service is busy; try again in {wait} s.", headers={"Retry-After": str(wait)}
    )


class Engine:
    """Answers requests with one recogniser, several at a time; for any threads.

    Args:
        recogniser: the model.
        lanes: threads that answer.
        batch_size: requests that go through the model together, at most.
        batch_wait: seconds that the first of them waits for others.
        max_wait: seconds in which a request is answered, as far as can be foreseen; what cannot be is dropped.
        metrics: what is counted.
    """

    def __init__(
        self,
        recogniser: Recogniser,
        *,
        lanes: int,
        batch_size: int,
        batch_wait: float,
        max_wait: float,
        metrics: Metrics,
    ) -> None:
        self._recogniser = recogniser
        self._batch_size = batch_size
        self._batch_wait = batch_wait
        self._max_wait = max_wait
        self._metrics = metrics
        self._waiting: deque[_Job] = deque()
        self._changed = threading.Condition()
        self._stopped = False
        self._idle = 0
        self._seconds_each = 0.05  # that an utterance takes, smoothed; a guess until some were answered
        self._lanes = lanes
        self._here = threading.local()  # a lane's own: when it began with what it is at
        self._threads = [threading.Thread(target=self._run, name="m3ser-lane", daemon=True) for _ in range(lanes)]

    def start(self) -> None:
        """Begin to answer."""
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """Answer what is in the model, drop what waits, and end."""
        with self._changed:
            self._stopped = True
            for job in self._waiting:
                job.future.cancel()
            self._waiting.clear()
            self._changed.notify_all()
        for thread in self._threads:
            if thread.is_alive():
                thread.join()

    def seconds_for(self, count: int) -> float:
        """About how long so many utterances will take."""
        return count * self._seconds_each / self._lanes

    def submit(self, request: Request, *, asked: float | None = None) -> Future[Prediction]:
        """Ask for one utterance; the answer raises what :meth:`m3ser.inference.Recogniser.predict` raises.

        Cancelled before its turn, it never reaches the model. Where its turn does not come in time it raises a
        ProblemError (503).

        Args:
            request: the utterance.
            asked: when its client began to wait, by the monotonic clock; None: now.
        """
        job = _Job(request, time.monotonic() if asked is None else asked)
        with self._changed:
            if self._stopped:
                job.future.set_exception(overloaded(1))
                return job.future
            self._waiting.append(job)
            self._metrics.queue_length.set(len(self._waiting))
            self._changed.notify()
        return job.future

    def _run(self) -> None:
        while not self._stopped:
            taken: deque[list[_Job]] = deque()
            try:
                for outcomes in self._recogniser.predict_chunks(self._chunks(taken)):
                    jobs = taken.popleft()
                    for job, outcome in zip(jobs, outcomes, strict=True):
                        _settle(job, outcome)
                    self._note_pace(len(jobs))
            except Exception:  # noqa: BLE001 - a bug, or memory that ran out: the service goes on
                for job in (job for jobs in taken for job in jobs):
                    self._answer_alone(job)

    def _answer_alone(self, job: _Job) -> None:
        """What failed in company is asked again, so that one request does not take others with it."""
        try:
            ((outcome,),) = self._recogniser.predict_chunks(iter([[job.request]]))
        except Exception as error:  # noqa: BLE001 - whoever asked is told
            job.future.set_exception(error)
        else:
            _settle(job, outcome)

    def _note_pace(self, count: int) -> None:
        now = time.monotonic()
        seconds = (now - self._here.begun) / count
        self._here.begun = now
        self._seconds_each += 0.1 * (seconds - self._seconds_each)

    def _chunks(self, taken: deque[list[_Job]]) -> Iterator[list[Request | AudioSource]]:
        """Batches as they come; an empty one where nothing waits, so that what was read ahead is answered."""
        while not self._stopped:
            jobs = self._take(before=sum(map(len, taken)))
            if jobs:
                taken.append(jobs)
                self._metrics.batch_size.observe(len(jobs))
            yield [job.request for job in jobs]

    def _take(self, *, before: int) -> list[_Job]:
        """The next batch of a lane that has `before` requests to answer first; waited for where it has none."""
        jobs: list[_Job] = []
        with self._changed:
            if not before:
                self._wait_for_company()
                self._here.begun = time.monotonic()
            elif self._idle:
                return []  # another lane can have it now, this one only once it has answered
            now = time.monotonic()
            while self._waiting and len(jobs) < self._batch_size:
                job = self._waiting.popleft()
                waited = now - job.asked
                if not job.future.set_running_or_notify_cancel():
                    continue
                self._metrics.queue_seconds.observe(waited)
                if waited + self._seconds_each * (before + len(jobs) + 1) > self._max_wait:
                    job.future.set_exception(overloaded(self.seconds_for(len(self._waiting))))
                else:
                    jobs.append(job)
            self._metrics.queue_length.set(len(self._waiting))
        return jobs

    def _wait_for_company(self) -> None:
        """Wait until somebody asks, and then a little for others to join."""
        self._idle += 1
        self._changed.wait_for(lambda: self._waiting or self._stopped)
        self._idle -= 1
        self._changed.wait_for(
            lambda: len(self._waiting) >= self._batch_size or self._stopped, timeout=self._batch_wait
        )


def _settle(job: _Job, outcome: Prediction | M3serError) -> None:
    if isinstance(outcome, M3serError):
        job.future.set_exception(outcome)
    else:
        job.future.set_result(outcome)
