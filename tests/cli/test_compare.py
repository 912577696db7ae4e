from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("scipy", reason="needs the train extra")

from m3ser.evaluation import PredictionTable, compare, concatenate, read_predictions, write_predictions

Run = Callable[..., Any]
LABELS = ("angry", "happy", "sad", "neutral")


def predictions(rate: float, *, condition: str = "both", seed: int = 0, utterances: int = 240) -> PredictionTable:
    """A model that is right on the share `rate` of what ten speakers say."""
    generator = np.random.default_rng(seed)
    truth = np.arange(utterances) // 3 % 4
    right = generator.random(utterances) < rate
    guesses = np.where(right, truth, (truth + generator.integers(1, 4, utterances)) % 4)
    return PredictionTable(
        labels=LABELS,
        utterances=tuple(f"u{i}" for i in range(utterances)),
        speakers=tuple(f"s{i % 12}" for i in range(utterances)),
        folds=("fold1",) * utterances,
        seeds=np.zeros(utterances, dtype=np.int64),
        conditions=(condition,) * utterances,
        truth=truth,
        probabilities=np.full((utterances, 4), 0.1) + 0.6 * np.eye(4)[guesses],
    )


@pytest.fixture
def runs(tmp_path: Path) -> tuple[Path, Path, Path]:
    """A poor run, a good one, and one that is as poor as the first."""
    for name, rate, seed in (("poor", 0.5, 1), ("good", 0.8, 2), ("other", 0.5, 3)):
        both, audio = predictions(rate, seed=seed), predictions(0.4, condition="audio", seed=seed)
        write_predictions(tmp_path / name / "predictions.csv", concatenate([both, audio]))
    return tmp_path / "poor", tmp_path / "good", tmp_path / "other"


def test_two_runs_side_by_side(m3ser: Run, runs: tuple[Path, ...]) -> None:
    result = m3ser("compare", str(runs[0]), str(runs[1]), env={"COLUMNS": "100"})
    assert (result.exit_code, result.stderr) == (0, "")
    tables = [read_predictions(run / "predictions.csv").where(condition="both") for run in runs[:2]]
    expected = compare(*tables, names=("poor", "good"))
    shown = " ".join(result.stdout.split())
    assert shown.startswith("good (both) against poor (both)")
    assert expected.sentence() in shown
    assert f"alone is right on {expected.first_only} utterances, this run on {expected.second_only};" in shown
    for one in expected.differences.values():
        low, high = 100 * one.interval.low, 100 * one.interval.high
        assert (
            f"{100 * one.first:.2f}% {100 * one.second:.2f}% {100 * one.value:+.2f} {low:+.2f} to {high:+.2f}" in shown
        )
    assert "UA (balanced accuracy)" in shown
    assert "WA (accuracy)" in shown
    assert "one training each" in shown


def test_several_runs_against_the_first_as_json(m3ser: Run, runs: tuple[Path, ...]) -> None:
    result = m3ser("compare", *map(str, runs), "--json", "--resamples", "400", "--seed", "3")
    records = [json.loads(line) for line in result.stdout.splitlines()]
    assert [(one["first"], one["second"], one["runs"]) for one in records] == [
        ("poor", "good", 2),
        ("poor", "other", 2),
    ]
    assert [one["conditions"] for one in records] == [["both", "both"]] * 2
    good, other = (one["differences"]["unweighted_accuracy"] for one in records)
    assert good["p_adjusted"] == pytest.approx(2 * good["p_value"])
    assert "good is better than poor" in records[0]["sentence"]
    assert other["p_adjusted"] == other["p_value"]
    assert "No difference between poor and other can be shown" in records[1]["sentence"]


def test_several_runs_for_people(m3ser: Run, runs: tuple[Path, ...]) -> None:
    shown = m3ser("compare", *map(str, runs), "--resamples", "400").stdout
    assert shown.count("p, corrected") == 2
    assert shown.count("against poor (both)") == 2


def test_condition_chooses_what_is_compared(m3ser: Run, runs: tuple[Path, ...]) -> None:
    arguments = ["compare", str(runs[0]), str(runs[1]), "--json", "--resamples", "50"]
    (record,) = map(json.loads, m3ser(*arguments, "--condition", "audio").stdout.splitlines())
    tables = [read_predictions(run / "predictions.csv").where(condition="audio") for run in runs[:2]]
    expected = compare(*tables, names=("poor", "good"), resamples=50)
    assert record == {**expected.to_dict(), "conditions": ["audio", "audio"]}
    result = m3ser(*arguments, "--condition", "text")
    assert result.exit_code == 2
    assert result.stderr == f"m3ser: '{runs[0]}' has no predictions under 'text'; it has both, audio.\n"


def test_a_run_with_one_condition_is_asked_under_its_own(m3ser: Run, runs: tuple[Path, ...], tmp_path: Path) -> None:
    heard = write_predictions(tmp_path / "heard.csv", predictions(0.4, condition="audio"))
    result = m3ser("compare", str(heard), str(runs[1] / "predictions.csv"), "--json", "--resamples", "50")
    (record,) = map(json.loads, result.stdout.splitlines())
    assert record["conditions"] == ["audio", "both"]
    assert (record["first"], record["second"]) == ("heard.csv", "good")
    several = concatenate([predictions(0.4, condition=name) for name in ("audio", "text")])
    write_predictions(heard, several)
    result = m3ser("compare", str(heard), str(runs[1]))
    assert result.exit_code == 2
    assert "has predictions under audio, text; choose one with --condition" in result.stderr


def test_runs_of_one_name_are_called_by_their_paths(m3ser: Run, runs: tuple[Path, ...], tmp_path: Path) -> None:
    twin = write_predictions(tmp_path / "later" / "poor" / "predictions.csv", predictions(0.5)).parent
    (record,) = map(
        json.loads, m3ser("compare", str(runs[0]), str(twin), "--json", "--resamples", "9").stdout.splitlines()
    )
    assert (record["first"], record["second"]) == (str(runs[0]), str(twin))


def test_other_utterances_are_refused(m3ser: Run, runs: tuple[Path, ...], tmp_path: Path) -> None:
    fewer = write_predictions(tmp_path / "fewer" / "predictions.csv", predictions(0.5, utterances=200)).parent
    result = m3ser("compare", str(runs[0]), str(fewer))
    assert result.exit_code == 1
    assert result.stdout == ""
    assert result.stderr == (
        "m3ser: poor and fewer were not tested on the same utterances: 200 are in both, 40 only in poor (such as "
        "'u200').\n"
    )


def test_bad_use(m3ser: Run, runs: tuple[Path, ...], tmp_path: Path) -> None:
    for arguments, code, complaint in (
        ([runs[0]], 2, "needs at least two runs; found one"),
        ([runs[0], runs[0]], 2, "is given more than once"),
        ([runs[0], tmp_path], 1, "has no predictions.csv; expected the folder of a run"),
        ([runs[0], tmp_path / "nowhere"], 1, "cannot be read: No such file or directory"),
    ):
        result = m3ser("compare", *map(str, arguments))
        assert result.exit_code == code
        assert complaint in result.stderr
        assert result.stderr.count("\n") == 1
