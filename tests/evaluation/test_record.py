from __future__ import annotations

import dataclasses
import json
import subprocess
import sys

import numpy as np
import pytest
from numpy.typing import NDArray

pytest.importorskip("sklearn", reason="needs the train extra")

from m3ser import evaluation
from m3ser.errors import UsageError
from m3ser.evaluation import evaluate

CLASSES = ("angry", "happy", "sad", "neutral")
PUBLISHED = np.array([[153, 6, 2, 16], [9, 237, 6, 29], [5, 5, 169, 25], [21, 43, 20, 187]])


@pytest.fixture(scope="module")
def answers() -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """The published confusion matrix of 3M-SER with LayerNorm, utterance by utterance, each answer 70% sure."""
    pairs = np.array([(t, p) for t in range(4) for p in range(4) for _ in range(PUBLISHED[t, p])])
    return pairs[:, 0], np.where(np.eye(4)[pairs[:, 1]] == 1, 0.7, 0.1)


def test_the_published_numbers(answers: tuple[NDArray[np.int64], NDArray[np.float64]]) -> None:
    truth, probabilities = answers
    found = evaluate(truth, probabilities, labels=CLASSES, speakers=np.arange(933) % 10)
    assert (found.utterances, found.speakers) == (933, 10)
    assert found.confusion == tuple(map(tuple, PUBLISHED.tolist()))
    assert round(found.unweighted_accuracy, 4) == 0.8066
    assert round(found.weighted_accuracy, 4) == 0.7996
    assert found.expected_calibration_error == pytest.approx(found.weighted_accuracy - 0.7)
    assert found.recall[1] == pytest.approx(237 / 281)
    assert found.intervals_note == ""
    for name in ("unweighted_accuracy", "weighted_accuracy", "macro_f1"):
        interval = found.intervals[name]
        assert interval.low < getattr(found, name) < interval.high


def test_the_table_gives_both_names(answers: tuple[NDArray[np.int64], NDArray[np.float64]]) -> None:
    truth, probabilities = answers
    lines = evaluate(truth, probabilities, labels=CLASSES, speakers=np.arange(933) % 10).to_markdown().splitlines()
    assert lines[0] == "| 933 utterances, 10 speakers | value | 95% interval over speakers |"
    assert lines[2].startswith("| UA (unweighted accuracy = balanced accuracy) | 80.66% | ")
    assert lines[3].startswith("| WA (weighted accuracy = accuracy) | 79.96% | ")
    assert " to " in lines[2]
    assert "| happy: recall / precision / AUC | 84.34% / 81.44% / 0.880 | |" in lines
    assert any(line.startswith("| macro AUC (each class against the rest) | 0.8") for line in lines)
    assert {line.count("|") for line in lines} == {4}


def test_as_json(answers: tuple[NDArray[np.int64], NDArray[np.float64]]) -> None:
    truth, probabilities = answers
    found = evaluate(truth, probabilities, labels=CLASSES, speakers=np.arange(933) % 10, resamples=100)
    read = json.loads(json.dumps(found.to_dict(), allow_nan=False))
    assert set(read) == {field.name for field in dataclasses.fields(found)}
    assert read["confusion"] == PUBLISHED.tolist()
    assert list(read["recall"]) == list(read["auc"]) == list(CLASSES)
    assert set(read["intervals"]["macro_f1"]) == {"low", "high", "level"}


def test_without_speakers_and_with_only_one() -> None:
    truth, probabilities = [0, 1, 1], [[0.9, 0.1, 0.0], [0.2, 0.8, 0.0], [0.6, 0.4, 0.0]]
    unknown = evaluate(truth, probabilities, labels=["a", "b", "c"])
    assert (unknown.speakers, dict(unknown.intervals)) == (None, {})
    assert "| 3 utterances | value | interval over speakers |" in unknown.to_markdown()
    assert "none: the speakers are not known" in unknown.to_markdown()
    alone = evaluate(truth, probabilities, labels=["a", "b", "c"], speakers=["anna"] * 3)
    assert (alone.speakers, dict(alone.intervals)) == (1, {})
    assert "3 utterances, 1 speaker |" in alone.to_markdown()
    assert "none: there is only one speaker" in alone.to_markdown()


def test_a_class_that_does_not_occur() -> None:
    found = evaluate([0, 1], [[0.9, 0.1, 0.0], [0.2, 0.8, 0.0]], labels=["a", "b", "c"])
    assert found.unweighted_accuracy == 1.0
    assert np.isnan(found.recall[2])
    assert found.to_dict()["recall"] == {"a": 1.0, "b": 1.0, "c": None}
    assert found.to_dict()["auc"] == {"a": 1.0, "b": 1.0, "c": None}
    assert found.to_dict()["macro_auc"] is None
    assert "| c: recall / precision / AUC | undefined / undefined / undefined | |" in found.to_markdown()


def test_labels_for_every_column() -> None:
    with pytest.raises(UsageError, match="2 columns of probabilities need as many labels"):
        evaluate([0], [[0.5, 0.5]], labels=["a"])


def test_the_room_is_complete_and_light() -> None:
    assert all(hasattr(evaluation, name) for name in evaluation.__all__)
    code = "import sys, m3ser.evaluation; print(*[m for m in ('sklearn', 'scipy', 'torch') if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == ""
