"""How good a model is, and how sure that is: metrics, intervals, calibration, report."""

from __future__ import annotations

from m3ser.evaluation.calibration import (
    ReliabilityCurve,
    brier_score,
    expected_calibration_error,
    fit_temperature,
    negative_log_likelihood,
    reliability_curve,
    softmax,
)
from m3ser.evaluation.comparison import Comparison, Difference, compare, compare_with, holm
from m3ser.evaluation.confidence import Interval, speaker_bootstrap
from m3ser.evaluation.metrics import (
    confusion_matrix,
    macro_f1,
    precision_per_class,
    recall_per_class,
    unweighted_accuracy,
    weighted_accuracy,
    weighted_f1,
)
from m3ser.evaluation.prediction_files import read_predictions, write_predictions
from m3ser.evaluation.predictions import PredictionTable, concatenate
from m3ser.evaluation.record import Evaluation, evaluate

__all__ = [
    "Comparison",
    "Difference",
    "Evaluation",
    "Interval",
    "PredictionTable",
    "ReliabilityCurve",
    "brier_score",
    "compare",
    "compare_with",
    "concatenate",
    "confusion_matrix",
    "evaluate",
    "expected_calibration_error",
    "fit_temperature",
    "holm",
    "macro_f1",
    "negative_log_likelihood",
    "precision_per_class",
    "read_predictions",
    "recall_per_class",
    "reliability_curve",
    "softmax",
    "speaker_bootstrap",
    "unweighted_accuracy",
    "weighted_accuracy",
    "weighted_f1",
    "write_predictions",
]
