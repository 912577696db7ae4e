"""How many utterances are recognised, by the names of the field.

UA (unweighted accuracy, balanced accuracy, unweighted average recall) counts every class alike; WA (weighted accuracy)
is plain accuracy, so that a class weighs as much as it occurs. The published notebooks of SERVER and 3M-SER print the
two under each other's names; m3ser never does.

Classes are integers or strings, one for each utterance. Everything is computed by scikit-learn.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, cast

import numpy as np
from numpy.typing import ArrayLike, NDArray

from m3ser.errors import UsageError, needing
from m3ser.evaluation.checks import paired, probable

__all__ = [
    "auc_per_class",
    "confusion_matrix",
    "macro_auc",
    "macro_f1",
    "precision_per_class",
    "recall_per_class",
    "unweighted_accuracy",
    "weighted_accuracy",
    "weighted_f1",
]


def unweighted_accuracy(truth: ArrayLike, predictions: ArrayLike) -> float:
    r"""UA: the mean of the per-class recalls, also called balanced accuracy or UAR.

    .. math:: UA = \frac{1}{|C|} \sum_{c \in C} \frac{TP_c}{TP_c + FN_c}

    where C are the classes that occur in `truth`; chance is 1 / \|C\|.

    Args:
        truth: the true class of each utterance.
        predictions: the predicted ones.

    Returns:
        A value in [0, 1].

    Raises:
        UsageError: the two are empty, not flat, or of different lengths.
        MissingExtraError: scikit-learn is not installed.

    Reference:
        Schuller, Steidl, Batliner (2009), "The INTERSPEECH 2009 Emotion Challenge".

    >>> unweighted_accuracy(["sad", "sad", "sad", "angry"], ["sad", "sad", "angry", "angry"])
    0.8333333333333333
    """
    truth, predictions = paired(truth, predictions)
    recalls = _sklearn().recall_score(truth, predictions, labels=np.unique(truth), average="macro", zero_division=0.0)
    return float(recalls)


def weighted_accuracy(truth: ArrayLike, predictions: ArrayLike) -> float:
    r"""WA: the share of utterances that are recognised, also called accuracy.

    .. math:: WA = \frac{1}{N} \sum_{i=1}^{N} [\hat{y}_i = y_i]

    Arguments, range, errors and reference as in :func:`unweighted_accuracy`.

    >>> weighted_accuracy(["sad", "sad", "sad", "angry"], ["sad", "sad", "angry", "angry"])
    0.75
    """
    truth, predictions = paired(truth, predictions)
    return float(_sklearn().accuracy_score(truth, predictions))


def macro_f1(truth: ArrayLike, predictions: ArrayLike) -> float:
    r"""The mean over classes of F1, the harmonic mean of precision and recall.

    .. math:: F1 = \frac{1}{|C|} \sum_{c \in C} \frac{2 TP_c}{2 TP_c + FP_c + FN_c}

    where C are the classes that occur in `truth` or in `predictions`. Arguments, range and errors as in
    :func:`unweighted_accuracy`.

    Reference:
        Opitz, Burst (2019), "Macro F1 and Macro F1", arXiv:1911.03347; this is their "averaged F1".

    >>> round(macro_f1(["sad", "sad", "sad", "angry"], ["sad", "sad", "angry", "angry"]), 4)
    0.7333
    """
    return _f1(truth, predictions, average="macro")


def weighted_f1(truth: ArrayLike, predictions: ArrayLike) -> float:
    r"""The mean over classes of F1, each weighted by how often it occurs in `truth`.

    .. math:: F1 = \sum_{c} \frac{N_c}{N} \frac{2 TP_c}{2 TP_c + FP_c + FN_c}

    Arguments, range and errors as in :func:`unweighted_accuracy`.

    >>> round(weighted_f1(["sad", "sad", "sad", "angry"], ["sad", "sad", "angry", "angry"]), 4)
    0.7667
    """
    return _f1(truth, predictions, average="weighted")


def recall_per_class(truth: ArrayLike, predictions: ArrayLike, *, labels: Sequence[Any]) -> NDArray[np.float64]:
    r"""Of the utterances of each class, the share that is recognised: TP / (TP + FN).

    Args:
        truth: the true class of each utterance.
        predictions: the predicted ones.
        labels: the classes, in the order of the result.

    Returns:
        (classes,) in [0, 1]; NaN for a class that does not occur in `truth`.

    Raises:
        UsageError: as :func:`unweighted_accuracy`; also where a class is not among `labels`.
        MissingExtraError: scikit-learn is not installed.

    >>> recall_per_class(["sad", "sad", "angry"], ["sad", "angry", "angry"], labels=["angry", "sad"])
    array([1. , 0.5])
    """
    truth, predictions = _among(labels, truth, predictions)
    values = _sklearn().recall_score(truth, predictions, labels=labels, average=None, zero_division=np.nan)
    return cast("NDArray[np.float64]", values)


def precision_per_class(truth: ArrayLike, predictions: ArrayLike, *, labels: Sequence[Any]) -> NDArray[np.float64]:
    r"""Of the utterances that are taken for each class, the share that belongs to it: TP / (TP + FP).

    Arguments and errors as in :func:`recall_per_class`.

    Returns:
        (classes,) in [0, 1]; NaN for a class that is never predicted.

    >>> precision_per_class(["sad", "sad", "angry"], ["sad", "angry", "angry"], labels=["angry", "sad"])
    array([0.5, 1. ])
    """
    truth, predictions = _among(labels, truth, predictions)
    values = _sklearn().precision_score(truth, predictions, labels=labels, average=None, zero_division=np.nan)
    return cast("NDArray[np.float64]", values)


def confusion_matrix(truth: ArrayLike, predictions: ArrayLike, *, labels: Sequence[Any]) -> NDArray[np.int64]:
    r"""How often each class is taken for each: rows are the truth, columns the predictions.

    Arguments and errors as in :func:`recall_per_class`.

    Returns:
        (classes, classes) int64; it sums to the number of utterances.

    >>> confusion_matrix(["sad", "sad", "angry"], ["sad", "angry", "angry"], labels=["angry", "sad"])
    array([[1, 0],
           [1, 1]])
    """
    truth, predictions = _among(labels, truth, predictions)
    counts = _sklearn().confusion_matrix(truth, predictions, labels=labels)
    return cast("NDArray[np.int64]", counts.astype(np.int64))


def auc_per_class(truth: ArrayLike, probabilities: ArrayLike) -> NDArray[np.float64]:
    r"""Area under the ROC curve of each class against the rest: how well its probability ranks its utterances.

    .. math:: AUC_c = P(p_{ic} > p_{jc}) + \frac{1}{2} P(p_{ic} = p_{jc})

    for an utterance i that is of class c and a j that is not, drawn at random; 0.5 is chance. Unlike recall and
    precision it does not ask which class is the likeliest.

    Args:
        truth: (utterances,) the true classes' columns.
        probabilities: (utterances, classes), each row summing to 1.

    Returns:
        (classes,) in [0, 1]; NaN for a class that no utterance, or every one, is of.

    Raises:
        UsageError: the shapes do not match, a class is no column, or a row is no distribution.
        MissingExtraError: scikit-learn is not installed.

    Reference:
        Fawcett (2006), "An introduction to ROC analysis", Pattern Recognition Letters 27(8).

    >>> auc_per_class([0, 0, 1], [[0.9, 0.1], [0.4, 0.6], [0.3, 0.7]])
    array([1., 1.])
    """
    table, columns = probable(probabilities, truth)
    area = _sklearn().roc_auc_score
    areas = np.full(table.shape[1], np.nan)
    for place in range(table.shape[1]):
        own = columns == place
        if own.any() and not own.all():
            areas[place] = area(own, table[:, place])
    return areas


def macro_auc(truth: ArrayLike, probabilities: ArrayLike) -> float:
    """The mean over classes of :func:`auc_per_class`, in [0, 1]; NaN where that of any class is not defined.

    Arguments and errors as there.

    >>> macro_auc([0, 0, 1], [[0.9, 0.1], [0.4, 0.6], [0.3, 0.7]])
    1.0
    """
    return float(auc_per_class(truth, probabilities).mean())


def _f1(truth: ArrayLike, predictions: ArrayLike, *, average: str) -> float:
    truth, predictions = paired(truth, predictions)
    return float(_sklearn().f1_score(truth, predictions, average=average, zero_division=0.0))


def _among(labels: Sequence[Any], truth: ArrayLike, predictions: ArrayLike) -> tuple[NDArray[Any], NDArray[Any]]:
    truth, predictions = paired(truth, predictions)
    occurring = {*truth.tolist(), *predictions.tolist()}
    if not occurring <= set(labels) or len(set(labels)) != len(labels):
        raise UsageError(
            f"Labels have to name every class once; found {list(labels)} for {sorted(occurring, key=repr)}."
        )
    return truth, predictions


def _sklearn() -> Any:
    with needing("train", "Evaluation"):
        from sklearn import metrics
    return metrics
