"""What the numbers of this room are computed from, checked once."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from m3ser.errors import UsageError

__all__: list[str] = []


def paired(truth: ArrayLike, predictions: ArrayLike) -> tuple[NDArray[Any], NDArray[Any]]:
    """Both as arrays of shape (utterances,).

    Raises:
        UsageError: they are empty, not flat, or of different lengths.
    """
    truth, predictions = np.asarray(truth), np.asarray(predictions)
    if truth.ndim != 1 or truth.shape != predictions.shape or truth.size == 0:
        raise UsageError(
            "Truth and predictions have to be one class for each utterance, at least one; "
            f"found shapes {truth.shape} and {predictions.shape}."
        )
    return truth, predictions


def scored(scores: ArrayLike, truth: ArrayLike, *, what: str) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Scores (utterances, classes) as float64, and the true classes' columns (utterances,) as int64.

    Raises:
        UsageError: the shapes do not match, a true class is no column, or a score is NaN or infinite.
    """
    table, columns = np.asarray(scores, dtype=np.float64), np.asarray(truth)
    if table.ndim != 2 or table.size == 0 or columns.shape != table.shape[:1]:
        raise UsageError(
            f"{what} have to be of shape (utterances, classes) with one true class for each utterance; "
            f"found shapes {table.shape} and {columns.shape}."
        )
    if not np.issubdtype(columns.dtype, np.integer) or columns.min() < 0 or columns.max() >= table.shape[1]:
        raise UsageError(f"True classes have to be integers from 0 to {table.shape[1] - 1}; found {_sample(columns)}.")
    if not np.isfinite(table).all():
        raise UsageError(f"{what} have to be finite; found NaN or infinite values.")
    return table, columns.astype(np.int64)


def probable(probabilities: ArrayLike, truth: ArrayLike) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """As :func:`scored`, for rows that are distributions.

    Raises:
        UsageError: also where a value is outside [0, 1] or a row does not sum to 1 within 1e-3.
    """
    table, columns = scored(probabilities, truth, what="Probabilities")
    if table.min() < 0 or table.max() > 1 + 1e-3 or np.abs(table.sum(axis=1) - 1).max() > 1e-3:
        raise UsageError("Each row of probabilities has to lie in [0, 1] and sum to 1; logits need softmax() first.")
    return table, columns


def _sample(values: NDArray[Any]) -> str:
    first: Sequence[Any] = values[:3].tolist()
    return f"{', '.join(map(repr, first))}{', ...' if values.size > 3 else ''}"
