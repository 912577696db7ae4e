"""Reports: what a training, or several, came to, as one self-contained page and as Markdown.

>>> from m3ser.evaluation.report import read_run, write_report
>>> write_report([read_run("runs/3m-ser-ln"), read_run("runs/server")], "runs", title="Table 1")  # doctest: +SKIP
"""

from __future__ import annotations

from m3ser.evaluation.report.results import GroupScore, Judged, Results, judge_runs
from m3ser.evaluation.report.runs import Run, Training, read_run
from m3ser.evaluation.report.tables import Table, results_table
from m3ser.evaluation.report.writing import Report, report_files, write_report

__all__ = [
    "GroupScore",
    "Judged",
    "Report",
    "Results",
    "Run",
    "Table",
    "Training",
    "judge_runs",
    "read_run",
    "report_files",
    "results_table",
    "write_report",
]
