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

__all__ = ["TrainingProgress", "console", "quiet_libraries"]


def console() -> Console:
    """Where progress is shown."""
    return Console(stderr=True)


class TrainingProgress(TrainerCallback):  # type: ignore[misc,unused-ignore]
    """A bar over all steps with the validation UA of the last epoch, and a line per epoch."""

    def __init__(self) -> None:
        self._progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeRemainingColumn(),
            console=console(),
            transient=True,
        )
        self._task: TaskID | None = None
        self._found: dict[str, float] = {}

    def on_train_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:  # noqa: ARG002
        """Show the bar, at the step a resumed training begins with."""
        self._task = self._progress.add_task("Training", total=state.max_steps, completed=state.global_step)
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
        if "both" not in self._found or self._task is None:
            return
        shown = ", ".join(f"{name} {value:.3f}" for name, value in self._found.items())
        self._progress.console.print(f"epoch {state.epoch or 0:g}: validation UA {shown}", highlight=False)
        self._progress.update(self._task, description=f"Training (UA {self._found['both']:.3f})")
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
