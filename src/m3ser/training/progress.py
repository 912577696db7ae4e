"""How far a training is, on stderr: standard output belongs to results."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import datasets
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeRemainingColumn
from transformers import TrainerCallback
from transformers.utils import logging as transformers_logging

from m3ser.training.processes import is_first_process

__all__ = ["TrainingProgress", "quiet_libraries", "waiting"]


def waiting() -> Progress:
    """A bar on stderr for as long as something is being computed."""
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        console=Console(stderr=True),
        transient=True,
    )


class TrainingProgress(TrainerCallback):  # type: ignore[misc,unused-ignore]
    """A bar over all steps with the current UA, and a line per epoch.

    Args:
        title: what is being trained.
        metric: the score that the best epoch is chosen by ("both_ua"), which ends an epoch's line.
        judged_on: the part that it is measured on.
    """

    def __init__(self, title: str, *, metric: str, judged_on: str) -> None:
        self._title = title
        self._main = metric.removesuffix("_ua")
        self._judged_on = judged_on
        self._progress = waiting()
        # Of several processes that train together, the first one shows it for all.
        self._progress.disable = not is_first_process()
        self._task: TaskID | None = None
        self._found: dict[str, float] = {}

    def on_train_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:  # noqa: ARG002
        """Show the bar, at the step a resumed training begins with."""
        self._task = self._progress.add_task(self._title, total=state.max_steps, completed=state.global_step)
        self._progress.start()

    def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:  # noqa: ARG002
        """Move the bar."""
        assert self._task is not None
        self._progress.update(self._task, completed=state.global_step)

    def on_evaluate(self, args: Any, state: Any, control: Any, metrics: Any = None, **_: Any) -> None:  # noqa: ARG002
        """Keep the UA of each condition; after the last one, print the epoch's line."""
        self._found.update(
            {name.split("_")[1]: value for name, value in (metrics or {}).items() if name.endswith("_ua")}
        )
        if self._main not in self._found or self._task is None:
            return
        shown = ", ".join(f"{name} {value:.3f}" for name, value in self._found.items())
        line = f"{self._title}, epoch {state.epoch or 0:.0f}: {self._judged_on} UA {shown}"
        if not self._progress.disable:
            self._progress.console.print(line, highlight=False, markup=False)
        self._progress.update(self._task, description=f"{self._title} (UA {self._found[self._main]:.3f})")
        self._found = {}

    def on_train_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:  # noqa: ARG002
        """Take the bar away."""
        self._progress.stop()


@contextmanager
def quiet_libraries() -> Iterator[None]:
    """Without the bars that transformers and datasets draw over every file they read or write."""
    drawn = datasets.are_progress_bars_disabled(), transformers_logging.is_progress_bar_enabled()
    datasets.disable_progress_bars()
    transformers_logging.disable_progress_bar()
    try:
        yield
    finally:
        if not drawn[0]:
            datasets.enable_progress_bars()
        if drawn[1]:
            transformers_logging.enable_progress_bar()
