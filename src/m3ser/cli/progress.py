"""A progress bar that shows up only where someone is waiting: on a terminal, after two seconds."""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from types import TracebackType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.progress import Progress

__all__ = ["LateProgress"]

DELAY_SECONDS = 2.0


class LateProgress(AbstractContextManager["LateProgress"]):
    """Counts finished items on stderr; silent where stderr is no terminal.

    Args:
        what: what is being done, in one word or two.
        total: how many items there are.
        unit: what is counted ("files"), to show how many are finished a second; None: that is not shown.
        time_left: show about how long it will take.
        shown: False where what is being done shows by itself how far it is.
    """

    def __init__(
        self, what: str, total: int, *, unit: str | None = None, time_left: bool = False, shown: bool = True
    ) -> None:
        self._lock = threading.RLock()
        self._showing = False
        self._bar: Progress | None = None
        if shown and _someone_watches():
            self._bar = _make_bar(what, total, unit, time_left=time_left)
        self._timer = threading.Timer(DELAY_SECONDS, self._show)
        self._timer.daemon = True

    def __enter__(self) -> LateProgress:
        if self._bar is not None:
            self._timer.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._timer.cancel()
        with self._lock:
            if self._bar is not None and self._showing:
                self._bar.stop()
            self._bar = None

    def advance(self) -> None:
        """One more item is finished."""
        if self._bar is not None:
            self._bar.advance(self._bar.task_ids[0])

    def update(self, finished: int, total: int | None, *, what: str | None = None, note: str | None = None) -> None:
        """So many items are finished, of so many: for work whose extent shows only once it is under way.

        Args:
            finished: how many are.
            total: of how many; None: that is not known yet.
            what: what is being done now; None: as before.
            note: what stands behind the bar; None: as before.
        """
        if self._bar is not None:
            task = self._bar.task_ids[0]
            self._bar.update(task, completed=finished, total=total, description=what)
            self._bar.tasks[0].total = total  # None, to update, means that it stays as it was
            if note is not None:
                self._bar.update(task, note=note)

    @contextmanager
    def paused(self) -> Iterator[None]:
        """Takes the bar off the screen while something else is written there."""
        with self._lock:
            if self._bar is None or not self._showing:
                yield
                return
            self._bar.stop()
            yield
            self._bar.start()

    def _show(self) -> None:
        with self._lock:
            if self._bar is not None:
                self._bar.start()
                self._showing = True


def _someone_watches() -> bool:
    return sys.stderr is not None and sys.stderr.isatty() and os.environ.get("TERM") != "dumb"


def _make_bar(what: str, total: int, unit: str | None, *, time_left: bool) -> Progress:
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        ProgressColumn,
        Task,
        TextColumn,
        TimeElapsedColumn,
        TimeRemainingColumn,
    )
    from rich.text import Text

    class Rate(ProgressColumn):
        def render(self, task: Task) -> Text:
            speed = task.finished_speed or task.speed
            return Text("" if speed is None else f"{speed:.1f} {unit}/s")

    bar = Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        *([] if unit is None else [Rate()]),
        TextColumn("{task.fields[note]}"),
        *([TextColumn("left"), TimeRemainingColumn()] if time_left else []),
        console=Console(stderr=True),
        transient=True,
        # Results go to stdout as they come; rich would lead them to stderr.
        redirect_stdout=False,
        redirect_stderr=False,
    )
    bar.add_task(what, total=total, note="")
    return bar
