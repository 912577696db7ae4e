"""What m3ser evaluate left behind, in a report: alone, and beside trainings."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from m3ser.errors import DataError
from m3ser.evaluation import EvaluationFolder, PredictionTable, concatenate, read_predictions
from m3ser.evaluation.report import judge_runs, read_run, write_report

pytest.importorskip("matplotlib", reason="needs the train extra")


def evaluation(folder: Path, like: Path, *, rate: float = 0.8, notes: tuple[str, ...] = (), **asked: Any) -> Path:
    """An evaluation on what the training in `like` was tested on, under a condition more."""
    tested = read_predictions(like / "predictions.csv")
    first = tested.where(condition="both")
    keep = first.where(seed=int(first.seeds[0])) if len(set(first.seeds.tolist())) > 1 else first
    generator = np.random.default_rng(0)
    tables = []
    for condition in ("audio", "both", "both-transcribed"):
        wrong = generator.random(len(keep)) > rate
        guesses = np.where(wrong, (keep.truth + 1) % 4, keep.truth)
        tables.append(
            PredictionTable(
                labels=keep.labels,
                utterances=keep.utterances,
                speakers=keep.speakers,
                folds=("",) * len(keep),
                seeds=np.zeros(len(keep), np.int64),
                conditions=(condition,) * len(keep),
                truth=keep.truth,
                probabilities=np.full((len(keep), 4), 0.1) + 0.6 * np.eye(4)[guesses],
                extra={"corpus": ("made-up",) * len(keep)},
            )
        )
    what = {
        "model": "starter@1",
        "model_sha256": "a" * 64,
        "manifest": "calls.csv",
        "manifest_sha256": "b" * 64,
        "part": None,
        "conditions": ["audio", "both", "both-transcribed"],
        "scheme": "iemocap4",
        "transcriber": "moonshine",
        **asked,
    }
    scores = {
        "conditions": {},
        "transcripts": {"word_error_rate": 0.125, "words": 1600},
        "failed": 2,
        "notes": list(notes),
        "m3ser": "9.9",
        "command": "m3ser evaluate starter calls.csv --out runs/judged",
        "finished": "2026-01-01T00:00:00+00:00",
    }
    with EvaluationFolder(folder, what) as place:
        place.finish(concatenate(tables), scores)
    return folder


def test_it_is_read_as_a_run_without_trainings(runs: dict[str, Path], tmp_path: Path) -> None:
    run = read_run(evaluation(tmp_path / "judged", runs["first"], part="test"))
    assert (run.name, run.protocol, run.marks) == (
        "starter@1",
        "judged on calls.csv, test part",
        ("judged on calls.csv, test part",),
    )
    assert (run.trainings, run.seeds, run.folds, run.expected, run.paired) == ((), (), (), "", False)
    assert run.conditions == ("both", "both-transcribed", "audio")


def test_what_makes_a_score_less_than_it_seems(runs: dict[str, Path], tmp_path: Path) -> None:
    notes = (
        "paired (semi-synthetic): nobody ever said these sentences in these voices.",
        "the model was made of EmoDB: on speakers that it knows from there it scores too well.",
    )
    run = read_run(evaluation(tmp_path / "judged", runs["first"], notes=notes))
    assert run.marks[1:] == ("paired (semi-synthetic)", "optimistic: the model knows some of it")


def test_alone_it_has_a_page(runs: dict[str, Path], tmp_path: Path) -> None:
    run = read_run(evaluation(tmp_path / "judged", runs["first"], notes=("a note on it",)))
    write_report([run], tmp_path / "out", resamples=50)
    text = (tmp_path / "out" / "report.md").read_text(encoding="utf-8")
    page = (tmp_path / "out" / "report.html").read_text(encoding="utf-8")
    for told in (
        "voice and transcribed words",
        "calls.csv",
        "12.50% of 1,600 words",
        "a note on it",
        "m3ser evaluate starter calls.csv --out runs/judged",
        "9.9",
        "moonshine",
        "b" * 64,
    ):
        assert told in text, told
        assert told in page, told
    for untold in ("epoch", "Leakage audit", "The recipe, resolved", "0 folds"):
        assert untold not in text, untold


def test_beside_a_training_it_is_in_the_same_table(runs: dict[str, Path], tmp_path: Path) -> None:
    """And compared, where both were tested on the same utterances."""
    trained, judged = read_run(runs["voice"]), read_run(evaluation(tmp_path / "judged", runs["first"]))
    results = judge_runs([read_run(runs["first"]), judged, trained], resamples=50)
    write_report([read_run(runs["first"]), judged], tmp_path / "out", resamples=50)
    text = (tmp_path / "out" / "report.md").read_text(encoding="utf-8")
    table = text.partition("## Differences")[0]
    assert "| first | voice and words |" in table
    assert "| starter@1 | voice and words |" in table
    assert "elsewhere | judged on calls.csv |" in table
    assert "2 folds, 2 seeds" in table
    # Once as it is, once by an independent count.
    table_of = judged.predictions.where(condition="both")
    recalls = [np.mean(table_of.guesses[table_of.truth == k] == k) for k in range(4)]
    assert results.runs[1].own.unweighted_accuracy == pytest.approx(np.mean(recalls))
    assert {one.second for one in results.comparisons} | set(results.not_compared) == {"starter@1", "voice"}
    found = results.to_dict()["runs"][1]
    assert (found["protocol"], found["seeds"], found["folds"]) == ("judged on calls.csv", [], 0)


def test_what_is_not_finished_or_damaged(runs: dict[str, Path], tmp_path: Path) -> None:
    folder = evaluation(tmp_path / "judged", runs["first"])
    scores = json.loads((folder / "scores.json").read_text(encoding="utf-8"))
    (folder / "scores.json").write_text(json.dumps({**scores, "failed": None}), encoding="utf-8")
    with pytest.raises(DataError, match=r"asked\.json' or its scores\.json is damaged: TypeError"):
        read_run(folder)
    (folder / "scores.json").unlink()
    with pytest.raises(DataError, match=r"The evaluation in '.*judged' is not finished.*m3ser evaluate with --resume"):
        read_run(folder)
