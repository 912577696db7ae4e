from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

pytest.importorskip("sklearn", reason="needs the train extra")

from m3ser.errors import MissingExtraError, UsageError
from m3ser.evaluation import (
    auc_per_class,
    confusion_matrix,
    macro_auc,
    macro_f1,
    precision_per_class,
    recall_per_class,
    unweighted_accuracy,
    weighted_accuracy,
    weighted_f1,
)

# 3M-SER with LayerNorm, as published: rows are the truth, in the order of CLASSES.
CLASSES = ["angry", "happy", "sad", "neutral"]
PUBLISHED = np.array([[153, 6, 2, 16], [9, 237, 6, 29], [5, 5, 169, 25], [21, 43, 20, 187]])


def utterances(confusion: NDArray[np.int64]) -> tuple[list[str], list[str]]:
    pairs = [(t, p) for t in range(4) for p in range(4) for _ in range(confusion[t, p])]
    return [CLASSES[t] for t, _ in pairs], [CLASSES[p] for _, p in pairs]


def test_the_published_confusion_matrix() -> None:
    truth, predictions = utterances(PUBLISHED)
    assert len(truth) == 933
    assert round(100 * weighted_accuracy(truth, predictions), 2) == 79.96
    assert round(100 * unweighted_accuracy(truth, predictions), 2) == 80.66
    np.testing.assert_array_equal(confusion_matrix(truth, predictions, labels=CLASSES), PUBLISHED)
    recall = recall_per_class(truth, predictions, labels=CLASSES)
    np.testing.assert_allclose(recall, [153 / 177, 237 / 281, 169 / 204, 187 / 271])
    precision = precision_per_class(truth, predictions, labels=CLASSES)
    np.testing.assert_allclose(precision, [153 / 188, 237 / 291, 169 / 197, 187 / 257])


def counted(truth: list[int], predictions: list[int]) -> dict[str, float]:
    """The metrics by counting, without any library."""
    pairs = list(zip(truth, predictions, strict=True))
    recalls, f1s, weights = [], [], []
    for label in sorted({*truth, *predictions}):
        hits = sum(t == p == label for t, p in pairs)
        said, guessed = truth.count(label), predictions.count(label)
        if said:
            recalls.append(hits / said)
        f1s.append(2 * hits / (said + guessed))
        weights.append(said)
    return {
        "unweighted_accuracy": sum(recalls) / len(recalls),
        "weighted_accuracy": sum(t == p for t, p in pairs) / len(pairs),
        "macro_f1": sum(f1s) / len(f1s),
        "weighted_f1": sum(f * w for f, w in zip(f1s, weights, strict=True)) / len(pairs),
    }


@given(st.lists(st.tuples(st.integers(0, 4), st.integers(0, 4)), min_size=1, max_size=40))
def test_against_counting(pairs: list[tuple[int, int]]) -> None:
    truth, predictions = [t for t, _ in pairs], [p for _, p in pairs]
    expected = counted(truth, predictions)
    for metric in (unweighted_accuracy, weighted_accuracy, macro_f1, weighted_f1):
        value = metric(truth, predictions)
        assert type(value) is float
        assert value == pytest.approx(expected[metric.__name__], abs=1e-12)


def test_one_class_gets_all() -> None:
    truth, predictions = [0] * 90 + [1] * 10, [0] * 100
    assert weighted_accuracy(truth, predictions) == 0.9
    assert unweighted_accuracy(truth, predictions) == 0.5


def test_what_is_undefined_is_not_a_number() -> None:
    recall = recall_per_class([0, 0], [0, 2], labels=[0, 1, 2])
    precision = precision_per_class([0, 0], [0, 2], labels=[0, 1, 2])
    np.testing.assert_array_equal(recall, [0.5, np.nan, np.nan])
    np.testing.assert_array_equal(precision, [1.0, np.nan, 0.0])
    assert unweighted_accuracy([0, 0], [0, 2]) == 0.5  # over the one class that occurs


def test_rows_are_the_truth() -> None:
    confusion = confusion_matrix([0, 0, 1], [1, 1, 1], labels=[0, 1, 2])
    np.testing.assert_array_equal(confusion, [[0, 2, 0], [0, 1, 0], [0, 0, 0]])
    assert confusion.dtype == np.int64


def test_auc_by_hand() -> None:
    # Of class 0, utterances 0 and 1 (0.7, 0.3) against 2, 3 and 4 (0.2, 0.3, 0.5): of 6 pairs 4 are in order, (0.3,
    # 0.3) is a tie, (0.3, 0.5) is not. Of class 1, 2 and 3 (0.6, 0.3) against 0, 1 and 4 (0.2, 0.4, 0.3): 4 and a tie.
    # Of class 2, 4 (0.2) against 0.1, 0.3, 0.2 and 0.4: 1 and a tie.
    probabilities = [[0.7, 0.2, 0.1], [0.3, 0.4, 0.3], [0.2, 0.6, 0.2], [0.3, 0.3, 0.4], [0.5, 0.3, 0.2]]
    truth = [0, 0, 1, 1, 2]
    found = auc_per_class(truth, probabilities)
    np.testing.assert_allclose(found, [4.5 / 6, 4.5 / 6, 1.5 / 4])
    assert macro_auc(truth, probabilities) == pytest.approx((0.75 + 0.75 + 0.375) / 3)


@given(st.lists(st.tuples(st.integers(0, 2), st.integers(1, 9), st.integers(1, 9), st.integers(1, 9)), min_size=1))
def test_auc_against_counting_pairs(rows: list[tuple[int, int, int, int]]) -> None:
    truth = [row[0] for row in rows]
    weights = np.array([row[1:] for row in rows], dtype=np.float64)
    probabilities = weights / weights.sum(axis=1, keepdims=True)
    for place, area in enumerate(auc_per_class(truth, probabilities)):
        column = probabilities[:, place]
        own = [p for p, t in zip(column, truth, strict=True) if t == place]
        rest = [p for p, t in zip(column, truth, strict=True) if t != place]
        if not own or not rest:
            assert np.isnan(area)
            continue
        ranked = sum((p > q) + 0.5 * (p == q) for p in own for q in rest) / (len(own) * len(rest))
        assert area == pytest.approx(ranked)


def test_auc_of_a_class_that_does_not_occur_is_not_a_number() -> None:
    found = auc_per_class([0, 1], [[0.9, 0.1, 0.0], [0.2, 0.8, 0.0]])
    np.testing.assert_array_equal(found, [1.0, 1.0, np.nan])
    assert np.isnan(macro_auc([0, 1], [[0.9, 0.1, 0.0], [0.2, 0.8, 0.0]]))
    assert np.isnan(auc_per_class([0, 0], [[0.9, 0.1], [0.2, 0.8]])).all()


PER_CLASS = [recall_per_class, precision_per_class, confusion_matrix]


@pytest.mark.parametrize("metric", [unweighted_accuracy, weighted_accuracy, macro_f1, weighted_f1, *PER_CLASS])
@pytest.mark.parametrize(
    ("truth", "predictions"), [([], []), ([0, 1], [0]), ([[0, 1]], [[0, 1]]), (0, 0), (["a", "b"], ["a", "b", "c"])]
)
def test_one_class_for_each_utterance(metric: Callable[..., Any], truth: object, predictions: object) -> None:
    options = {"labels": [0, 1]} if metric in PER_CLASS else {}
    with pytest.raises(UsageError, match="one class for each utterance"):
        metric(truth, predictions, **options)


@pytest.mark.parametrize("metric", PER_CLASS)
@pytest.mark.parametrize("labels", [["sad"], [], ["sad", "angry", "sad"]])
def test_labels_name_every_class_once(metric: Callable[..., Any], labels: list[str]) -> None:
    with pytest.raises(UsageError, match=r"every class once; found .* for \['angry', 'sad'\]"):
        metric(["sad", "sad"], ["sad", "angry"], labels=labels)


def test_without_scikit_learn(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "sklearn", None)
    with pytest.raises(MissingExtraError, match="Evaluation needs the 'train' extra"):
        weighted_accuracy([0], [0])
