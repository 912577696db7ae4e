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
from m3ser.evaluation.report import Evaluation, evaluate

__all__ = [
    "Evaluation",
    "Interval",
    "ReliabilityCurve",
    "brier_score",
    "confusion_matrix",
    "evaluate",
    "expected_calibration_error",
    "fit_temperature",
    "macro_f1",
    "negative_log_likelihood",
    "precision_per_class",
    "recall_per_class",
    "reliability_curve",
    "softmax",
    "speaker_bootstrap",
    "unweighted_accuracy",
    "weighted_accuracy",
    "weighted_f1",
]
