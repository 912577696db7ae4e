from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from m3ser.errors import DataError, UsageError
from m3ser.evaluation import EvaluationFolder, PredictionTable, read_predictions

ASKED: dict[str, Any] = {"model": "starter@1", "conditions": ["audio"], "part": None}


def table() -> PredictionTable:
    return PredictionTable(
        labels=("angry", "sad"),
        utterances=("a", "b"),
        speakers=("s1", "s2"),
        folds=("", ""),
        seeds=np.zeros(2, np.int64),
        conditions=("audio", "audio"),
        truth=np.array([0, 1]),
        probabilities=np.array([[0.7, 0.3], [0.2, 0.8]]),
    )


def test_a_finished_evaluation_holds_its_results_and_is_remembered(tmp_path: Path) -> None:
    out = tmp_path / "new" / "out"
    with EvaluationFolder(out, ASKED) as folder:
        folder.answers.append({"utterance": "a", "condition": "audio", "probabilities": [0.7, 0.3]})
        folder.transcripts.append({"utterance": "a", "text": "no"})
        folder.keep_failures([("c", 'c.wav, "odd", is not audio.')])
        folder.finish(table(), {"notes": ["one"]}, comment="made up")
    assert sorted(path.name for path in out.iterdir()) == [
        "asked.json",
        "failures.csv",
        "predictions.csv",
        "scores.json",
        "transcripts.jsonl",
    ]
    assert json.loads((out / "scores.json").read_text()) == {"notes": ["one"]}
    assert read_predictions(out / "predictions.csv").utterances == ("a", "b")
    assert (out / "predictions.csv").read_text().startswith("# made up\n")
    assert (out / "failures.csv").read_text() == 'utterance,problem\nc,"c.wav, ""odd"", is not audio."\n'
    with EvaluationFolder(out, ASKED, resume=True) as folder:
        assert [one["utterance"] for one in folder.answers.records] == ["a", "b"]
        assert folder.answers.records[1]["probabilities"] == [0.2, 0.8]
        folder.keep_failures([])
    assert not (out / "failures.csv").exists()


def test_what_is_there_is_not_taken_for_something_else(tmp_path: Path) -> None:
    with EvaluationFolder(tmp_path, ASKED):
        pass
    with pytest.raises(UsageError, match="already holds an evaluation; go on with it by --resume"):
        EvaluationFolder(tmp_path, ASKED)
    with pytest.raises(UsageError, match=r"is of something else \(it differs in model, part\)"):
        EvaluationFolder(tmp_path, {**ASKED, "model": "other@1", "part": "test"}, resume=True)
    (tmp_path / "asked.json").write_text("{")
    with pytest.raises(DataError, match=r"asked\.json' cannot be read"):
        EvaluationFolder(tmp_path, ASKED, resume=True)
    run = tmp_path / "run"
    run.mkdir()
    (run / "predictions.csv").write_text("")
    with pytest.raises(UsageError, match="already holds the predictions of a run"):
        EvaluationFolder(run, ASKED, resume=True)


def test_without_a_folder_everything_stays_in_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with EvaluationFolder(None, ASKED) as folder:
        folder.answers.append({"utterance": "a"})
        folder.keep_failures([("a", "no")])
        folder.finish(table(), {})
    assert folder.answers.records == [{"utterance": "a"}]
    assert list(tmp_path.iterdir()) == []
