"""Whether probabilities mean what they say: of what is called 70% sure, 70% should be right.

Guo, Pleiss, Sun, Weinberger (2017), "On Calibration of Modern Neural Networks", arXiv:1706.04599, for temperature
scaling, the expected calibration error and the reliability curve; Brier (1950), "Verification of forecasts expressed in
terms of probability", for the score of that name.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from m3ser.errors import UsageError, needing
from m3ser.evaluation.checks import probable, scored

__all__ = [
    "ReliabilityCurve",
    "brier_score",
    "expected_calibration_error",
    "fit_temperature",
    "negative_log_likelihood",
    "reliability_curve",
    "softmax",
]

_TEMPERATURES = (0.05, 20.0)
"""Searched for the best one. Logits that separate the validation set would otherwise send it to zero."""


@dataclass(frozen=True, eq=False)
class ReliabilityCurve:
    """How sure the predictions are and how often they are right, in bins of equal width; all (bins,) or (bins + 1,).

    Attributes:
        edges: of the bins, from 0 to 1; a bin takes in its upper edge.
        counts: utterances in each bin.
        confidence: the mean probability of the predicted class; NaN in an empty bin.
        accuracy: the share that is right; NaN in an empty bin.
    """

    edges: NDArray[np.float64]
    counts: NDArray[np.int64]
    confidence: NDArray[np.float64]
    accuracy: NDArray[np.float64]


def softmax(logits: ArrayLike, *, temperature: float = 1.0) -> NDArray[np.float64]:
    """Probabilities from logits (..., classes): exp(logit / temperature), normalised over the last axis.

    Raises:
        UsageError: `temperature` is not positive.

    >>> softmax([[2.0, 0.0]], temperature=2.0).round(3)
    array([[0.731, 0.269]])
    """
    return np.exp(_log_softmax(np.asarray(logits, dtype=np.float64), temperature))


def negative_log_likelihood(logits: ArrayLike, truth: ArrayLike, *, temperature: float = 1.0) -> float:
    """The mean of -ln of the true class's probability (cross-entropy), in [0, infinity).

    Args:
        logits: (utterances, classes).
        truth: (utterances,) the true classes' columns.
        temperature: that the logits are divided by.

    Raises:
        UsageError: the shapes do not match, a class is no column, a logit is not finite, `temperature` is not positive.

    >>> round(negative_log_likelihood([[0.0, 0.0]], [1]), 4)
    0.6931
    """
    table, columns = scored(logits, truth, what="Logits")
    return float(-_log_softmax(table, temperature)[np.arange(len(columns)), columns].mean())


def fit_temperature(logits: ArrayLike, truth: ArrayLike) -> float:
    """The temperature that makes the truth of a validation set most likely (temperature scaling).

    It changes how sure a model is, never what it predicts. The likelihood has a single maximum; it is searched for
    between 0.05 and 20, on a logarithmic scale. Never fit it on what is reported afterwards.

    Args:
        logits: (utterances, classes), of utterances that the model was not trained on.
        truth: (utterances,) the true classes' columns.

    Returns:
        Above 1 where the model is too sure of itself, below 1 where it is not sure enough.

    Raises:
        UsageError: the shapes do not match, a class is no column, or a logit is not finite.
        MissingExtraError: SciPy is not installed.
    """
    with needing("train", "Calibration"):
        from scipy.optimize import minimize_scalar
    table, columns = scored(logits, truth, what="Logits")
    best = minimize_scalar(
        lambda log_temperature: negative_log_likelihood(table, columns, temperature=float(np.exp(log_temperature))),
        bounds=np.log(_TEMPERATURES),
        method="bounded",
        options={"xatol": 1e-6},
    )
    return float(np.exp(best.x))


def reliability_curve(probabilities: ArrayLike, truth: ArrayLike, *, bins: int = 15) -> ReliabilityCurve:
    """The reliability diagram's values.

    Args:
        probabilities: (utterances, classes), each row summing to 1.
        truth: (utterances,) the true classes' columns.
        bins: of equal width over [0, 1].

    Raises:
        UsageError: the shapes do not match, a class is no column, a row is no distribution, or there is no bin.
    """
    if bins < 1:
        raise UsageError(f"A reliability curve needs at least one bin; found {bins}.")
    table, columns = probable(probabilities, truth)
    edges = np.linspace(0.0, 1.0, bins + 1)
    sure, right = table.max(axis=1), table.argmax(axis=1) == columns
    place = np.digitize(sure, edges[1:-1], right=True)
    counts = np.bincount(place, minlength=bins)
    some = counts > 0
    confidence, accuracy = (
        np.divide(np.bincount(place, weights=values, minlength=bins), counts, out=np.full(bins, np.nan), where=some)
        for values in (sure, right)
    )
    return ReliabilityCurve(edges, counts.astype(np.int64), confidence, accuracy)


def expected_calibration_error(probabilities: ArrayLike, truth: ArrayLike, *, bins: int = 15) -> float:
    r"""ECE: how far, on average over utterances, the accuracy of a bin is from its confidence.

    .. math:: ECE = \sum_{b} \frac{|B_b|}{N} |acc(B_b) - conf(B_b)|

    Arguments and errors as in :func:`reliability_curve`.

    Returns:
        A value in [0, 1]; 0 is perfect. It depends on the number of bins, and grows on small sets.

    >>> round(expected_calibration_error([[0.9, 0.1], [0.8, 0.2]], [0, 1]), 3)
    0.45
    """
    curve = reliability_curve(probabilities, truth, bins=bins)
    gaps = np.abs(np.nan_to_num(curve.accuracy) - np.nan_to_num(curve.confidence))
    return float((curve.counts * gaps).sum() / curve.counts.sum())


def brier_score(probabilities: ArrayLike, truth: ArrayLike) -> float:
    r"""The mean squared distance of the probabilities from the truth, over all classes.

    .. math:: B = \frac{1}{N} \sum_{i} \sum_{c} (p_{ic} - [y_i = c])^2

    Arguments and errors as in :func:`reliability_curve`.

    Returns:
        A value in [0, 2]; 0 is perfect. (Brier's own definition: for two classes it is twice the common binary score.)

    >>> round(brier_score([[0.9, 0.1], [0.8, 0.2]], [0, 1]), 3)
    0.65
    """
    table, columns = probable(probabilities, truth)
    hit = np.eye(table.shape[1])[columns]
    return float(((table - hit) ** 2).sum(axis=1).mean())


def _log_softmax(logits: NDArray[np.float64], temperature: float) -> NDArray[np.float64]:
    if not temperature > 0:
        raise UsageError(f"A temperature has to be positive; found {temperature}.")
    scaled = logits / temperature
    shifted: NDArray[np.float64] = scaled - scaled.max(axis=-1, keepdims=True)
    total: NDArray[np.float64] = np.exp(shifted).sum(axis=-1, keepdims=True)
    return shifted - np.log(total)
