from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from m3ser.evaluation.report import judge_runs, read_run, results_table
from m3ser.evaluation.report.tables import (
    Table,
    audit_table,
    calibration_table,
    classes_table,
    comparison_table,
    confusion_table,
    folds_table,
    selection_table,
)
from m3ser.evaluation.report.words import commands, data_table, notices, provenance_table, selection_sentence


def rectangular(table: Table) -> bool:
    return {len(row) for row in table.rows} == {len(table.columns)}


def test_the_shape_of_table_1(runs: dict[str, Path]) -> None:
    results = judge_runs([read_run(runs[name]) for name in ("first", "voice", "paper", "paired")], resamples=100)
    table = results_table(results)
    assert rectangular(table)
    assert table.columns[2:4] == (
        "UA (unweighted accuracy = balanced accuracy)",
        "WA (weighted accuracy = accuracy)",
    )
    rows = {(row[0], row[1]): row for row in table.rows}
    first = results.runs[0].own
    cells = rows["first", "voice and words"]
    score, interval, deviation = str(cells[2]).split("\n")
    assert score == f"{100 * first.unweighted_accuracy:.2f}%"
    low, high = (float(end) for end in interval.split(" to "))
    assert low <= 100 * first.unweighted_accuracy <= high
    assert deviation.startswith("sd ")
    assert cells[4:] == ("48 utterances\n6 speakers", "2 folds\n2 seeds", "speaker", "UA 70%, by the paper")
    assert rows["first", "the words alone"][-1] is None
    assert "sd" not in str(rows["voice", "the voice alone"][2])
    assert rows["published", "voice and words"][6] == "paper\noptimistic: as published"
    assert rows["paired", "voice and words"][6] == "speaker\npaired (semi-synthetic)"
    assert len(rows) == 3 + 1 + 3 + 3


def test_no_column_for_expectations_that_nobody_has(runs: dict[str, Path]) -> None:
    table = results_table(judge_runs([read_run(runs["better"])], resamples=10))
    assert rectangular(table)
    assert table.columns[-1] == "protocol"


def test_differences(runs: dict[str, Path]) -> None:
    results = judge_runs([read_run(runs[name]) for name in ("first", "better", "voice")], resamples=200)
    table = comparison_table(results.comparisons)
    assert rectangular(table)
    assert "Holm" in table.caption
    assert [row[:2] for row in table.rows] == [("better", "first"), ("voice", "first")]
    assert str(table.rows[0][2]).startswith("+")


def test_classes_and_confusions(runs: dict[str, Path]) -> None:
    (one,) = judge_runs([read_run(runs["first"])], resamples=1).runs
    classes = classes_table(one, "both")
    *labels, mean = classes.rows
    assert [row[0] for row in labels] == ["angry", "happy", "sad", "neutral"]
    assert mean[0] == "mean over classes"
    assert mean[3] == f"{100 * one.own.macro_f1:.2f}%"
    shown = [float(str(row[3]).rstrip("%")) for row in labels]
    assert sum(shown) / 4 == pytest.approx(100 * one.own.macro_f1, abs=0.01)
    confusion = confusion_table(one, "both")
    assert [row[1:] for row in confusion.rows] == [tuple(row) for row in one.own.confusion]
    assert confusion.shading is not None
    assert [sum(cell for cell in row if cell is not None) for row in confusion.shading] == pytest.approx([1.0] * 4)


def test_how_sure_and_how_often_right(runs: dict[str, Path]) -> None:
    (one,) = judge_runs([read_run(runs["first"])], resamples=1).runs
    rows = {row[0]: row for row in calibration_table(one).rows}
    # Every answer is 70% sure.
    assert [row[1] for row in rows.values()] == ["70.00%"] * 3
    right = one.own.weighted_accuracy
    assert rows["voice and words"][2:4] == (f"{100 * right:.2f}%", f"{100 * abs(right - 0.7):.2f}%")


def test_folds_selection_and_audit(runs: dict[str, Path]) -> None:
    run = read_run(runs["first"])
    folds = folds_table(run)
    assert rectangular(folds)
    assert folds.rows[2] == ("1: speakers 1", "test", 24, 3, 6, 6, 6, 6)
    selection = selection_table(run)
    assert selection.rows[0] == ("fold 1", 0, "2", "3", "validation", 1.25, 1.25, 1.25)
    assert len(selection.rows) == 4
    audit = audit_table(run)
    assert audit is not None
    # Of each fold once: the seeds share them.
    assert audit.rows == (("script", "test and train", 4, 2, "one (9 utterances)"),)
    published = read_run(runs["paper"])
    assert rectangular(selection_table(published))
    assert selection_table(published).rows[0][-1] == "test"
    assert "test part itself" in selection_sentence(published)
    assert "validation part" in selection_sentence(run)


def test_an_audit_that_found_nothing(tmp_path: Path, write_run: Callable[..., Path]) -> None:
    assert audit_table(read_run(write_run(tmp_path / "run", audit=()))) is None


def test_where_it_comes_from(runs: dict[str, Path]) -> None:
    run = read_run(runs["first"])
    data, made = dict(data_table(run).rows), dict(provenance_table(run).rows)
    assert data["licences"] == "made-up: CC0-1.0"
    assert data["fingerprint of all utterances"] == "f" * 64
    assert made["git revision"] == "0123abc+ (with changes that are not committed)"
    assert made["time"] == "4 min 6 s, all trainings together"
    assert made["peak memory"] == "1.5 GiB"
    assert commands(run) == ("m3ser crossval made-up.yaml --out runs/made-up",)


def test_what_nobody_may_overlook(runs: dict[str, Path]) -> None:
    results = judge_runs([read_run(runs[name]) for name in ("first", "paper", "paired")], resamples=1)
    first, paper, paired = (notices(one) for one in results.runs)
    assert first == []
    assert len(paper) == len(paired) == 1
    assert "optimistic: as published" in paper[0]
    assert "paired (semi-synthetic)" in paired[0]
