"""Writing a report to where it is wanted."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from m3ser.errors import UsageError
from m3ser.evaluation.report.markdown import report_markdown
from m3ser.evaluation.report.page import report_page
from m3ser.evaluation.report.results import Results, judge_runs
from m3ser.evaluation.report.runs import Run
from m3ser.files import write_whole

__all__ = ["Report", "report_files", "write_report"]

PAGE, TEXT = "report.html", "report.md"
_PAGES, _TEXTS = (".html", ".htm"), (".md", ".markdown")


@dataclass(frozen=True, eq=False)
class Report:
    """A report that was written.

    Attributes:
        results: what it was written from.
        files: that hold it.
    """

    results: Results
    files: tuple[Path, ...]


def report_files(out: str | os.PathLike[str]) -> tuple[Path, ...]:
    """The files that a report to `out` is written to: the one that it names, or both kinds in the folder that it is.

    Raises:
        UsageError: it looks like a file of another kind.
    """
    out = Path(out)
    if not out.is_dir():
        if out.suffix.lower() in (*_PAGES, *_TEXTS):
            return (out,)
        if re.fullmatch(r"\.[A-Za-z]+", out.suffix) or out.is_file():
            raise UsageError(f"A report is written to a folder, or as .html or .md; found '{out}'.")
    return out / PAGE, out / TEXT


def write_report(
    runs: Sequence[Run],
    out: str | os.PathLike[str],
    *,
    title: str | None = None,
    resamples: int = 10_000,
    seed: int = 0,
    progress: Callable[[], None] | None = None,
) -> Report:
    """Write the report of one run or of several; a file that is there is replaced.

    Args:
        runs: as :func:`~m3ser.evaluation.report.read_run` reads them. Others are compared with the first.
        out: a folder, for ``report.html`` and ``report.md`` in it; or one file, ``.html`` or ``.md``.
        title: the heading; None: the names of the runs.
        resamples: how often the bootstrap of each interval draws.
        seed: of the bootstrap.
        progress: told twice for each run: when it has been judged, and when it has been written.

    Returns:
        The results, and the files that were written.

    Raises:
        UsageError: there is no run, one is given twice, or `out` is of another kind.
        DataError: a file cannot be written.
        MissingExtraError: scikit-learn, SciPy or matplotlib is not installed.
    """
    files = report_files(out)
    results = judge_runs(runs, resamples=resamples, seed=seed, progress=progress)
    title = title or _title(results)
    page = next((file.name for file in files if file.suffix.lower() in _PAGES), "")
    # All of it is made before any of it is written: half a report would be of two times.
    texts = [
        report_page(results, title=title)
        if file.suffix.lower() in _PAGES
        else report_markdown(results, title=title, page=page)
        for file in files
    ]
    for file, text in zip(files, texts, strict=True):
        write_whole(file, text, "Report")
    for _ in runs:
        if progress is not None:
            progress()
    return Report(results, files)


def _title(results: Results) -> str:
    *others, last = (one.name for one in results.runs)
    return f"Report: {', '.join(others)} and {last}" if others else f"Report: {last}"
