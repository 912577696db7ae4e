"""How good a model is, and how sure that is: metrics, intervals, calibration, report."""

from __future__ import annotations

from m3ser.evaluation.asking import (
    CONDITIONS,
    Question,
    Respondent,
    answers,
    conditions_for,
    questions,
    tabulate,
)
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
from m3ser.evaluation.folder import EvaluationFolder
from m3ser.evaluation.metrics import (
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
from m3ser.evaluation.prediction_files import read_predictions, write_predictions
from m3ser.evaluation.predictions import PredictionTable, concatenate
from m3ser.evaluation.record import Evaluation, evaluate
from m3ser.evaluation.word_errors import WordErrors, word_errors

__all__ = [
    "CONDITIONS",
    "Comparison",
    "Difference",
    "Evaluation",
    "EvaluationFolder",
    "Interval",
    "PredictionTable",
    "Question",
    "ReliabilityCurve",
    "Respondent",
    "WordErrors",
    "answers",
    "auc_per_class",
    "brier_score",
    "compare",
    "compare_with",
    "concatenate",
    "conditions_for",
    "confusion_matrix",
    "evaluate",
    "expected_calibration_error",
    "fit_temperature",
    "holm",
    "macro_auc",
    "macro_f1",
    "negative_log_likelihood",
    "precision_per_class",
    "questions",
    "read_predictions",
    "recall_per_class",
    "reliability_curve",
    "softmax",
    "speaker_bootstrap",
    "tabulate",
    "unweighted_accuracy",
    "weighted_accuracy",
    "weighted_f1",
    "word_errors",
    "write_predictions",
]
