from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

pytest.importorskip("scipy", reason="needs the train extra")

from m3ser.errors import MissingExtraError, UsageError
from m3ser.evaluation import (
    brier_score,
    expected_calibration_error,
    fit_temperature,
    negative_log_likelihood,
    reliability_curve,
    softmax,
)


def drawn(logits: NDArray[np.float64], seed: int) -> NDArray[np.int64]:
    """True classes drawn from the distributions that `logits` stand for."""
    uniform = np.random.default_rng(seed).random((len(logits), 1))
    return (uniform > np.cumsum(softmax(logits), axis=1)[:, :-1]).sum(axis=1)


@pytest.fixture(scope="module")
def logits() -> NDArray[np.float64]:
    return np.random.default_rng(0).normal(0, 1.5, (20_000, 4))


def test_softmax_is_stable_and_normalised() -> None:
    probabilities = softmax([[1e4, 0.0, -1e4], [1.0, 1.0, 1.0]])
    np.testing.assert_allclose(probabilities, [[1, 0, 0], [1 / 3, 1 / 3, 1 / 3]])
    scipy_special = pytest.importorskip("scipy.special")
    values = np.random.default_rng(1).normal(0, 9, (50, 5))
    np.testing.assert_allclose(softmax(values, temperature=1.7), scipy_special.softmax(values / 1.7, axis=1))


def test_likelihood_against_scikit_learn(logits: NDArray[np.float64]) -> None:
    sklearn_metrics = pytest.importorskip("sklearn.metrics")
    truth = drawn(logits, 1)
    expected = sklearn_metrics.log_loss(truth, softmax(logits, temperature=2.0))
    assert negative_log_likelihood(logits, truth, temperature=2.0) == pytest.approx(expected)


@pytest.mark.parametrize("temperature", [0.4, 1.0, 3.5])
def test_the_temperature_is_found_again(logits: NDArray[np.float64], temperature: float) -> None:
    truth = drawn(logits, 2)
    assert fit_temperature(logits * temperature, truth) == pytest.approx(temperature, rel=0.04)


def test_no_other_temperature_is_likelier(logits: NDArray[np.float64]) -> None:
    truth = drawn(logits, 3)[:300]
    best = fit_temperature(logits[:300] * 2, truth)
    least = negative_log_likelihood(logits[:300] * 2, truth, temperature=best)
    for other in np.geomspace(0.05, 20, 60):
        assert least <= negative_log_likelihood(logits[:300] * 2, truth, temperature=float(other)) + 1e-9


def test_logits_without_a_best_temperature_stay_in_bounds() -> None:
    assert 0.05 <= fit_temperature([[9.0, 0.0], [0.0, 9.0]], [0, 1]) < 0.5  # always right: the surer the better
    assert 19.9 < fit_temperature([[9.0, 0.0], [0.0, 9.0]], [1, 0]) <= 20.0  # always wrong


def test_scaling_mends_the_error(logits: NDArray[np.float64]) -> None:
    truth = drawn(logits, 4)
    too_sure = logits * 3
    before = expected_calibration_error(softmax(too_sure), truth)
    after = expected_calibration_error(softmax(too_sure, temperature=fit_temperature(too_sure, truth)), truth)
    assert before > 0.15
    assert after < 0.02


def test_the_curve_by_hand() -> None:
    probabilities = [[0.6, 0.4], [0.35, 0.65], [0.9, 0.1], [1.0, 0.0], [0.5, 0.5]]
    curve = reliability_curve(probabilities, [0, 0, 0, 1, 0], bins=5)
    np.testing.assert_allclose(curve.edges, [0, 0.2, 0.4, 0.6, 0.8, 1.0])
    np.testing.assert_array_equal(curve.counts, [0, 0, 2, 1, 2])
    np.testing.assert_allclose(curve.confidence, [np.nan, np.nan, 0.55, 0.65, 0.95])
    np.testing.assert_allclose(curve.accuracy, [np.nan, np.nan, 1.0, 0.0, 0.5])
    expected = (2 * 0.45 + 1 * 0.65 + 2 * 0.45) / 5
    assert expected_calibration_error(probabilities, [0, 0, 0, 1, 0], bins=5) == pytest.approx(expected)


def test_error_by_counting(logits: NDArray[np.float64]) -> None:
    probabilities, truth = softmax(logits[:500]), drawn(logits, 5)[:500]
    bins: dict[int, list[tuple[float, bool]]] = {}
    for row, label in zip(probabilities, truth, strict=True):
        bins.setdefault(int(np.ceil(row.max() * 15)), []).append((row.max(), row.argmax() == label))
    gaps = [abs(sum(sure for sure, _ in b) - sum(right for _, right in b)) for b in bins.values()]
    assert expected_calibration_error(probabilities, truth) == pytest.approx(sum(gaps) / 500)


def test_brier_score() -> None:
    sklearn_metrics = pytest.importorskip("sklearn.metrics")
    assert brier_score([[1.0, 0.0], [0.0, 1.0]], [0, 1]) == 0.0
    assert brier_score([[1.0, 0.0], [0.0, 1.0]], [1, 0]) == 2.0
    sure = np.random.default_rng(6).random(40)
    truth = np.random.default_rng(7).integers(0, 2, 40)
    expected = 2 * sklearn_metrics.brier_score_loss(truth, sure)
    assert brier_score(np.stack([1 - sure, sure], axis=1), truth) == pytest.approx(expected)


@pytest.mark.parametrize("score", [brier_score, expected_calibration_error, reliability_curve])
@pytest.mark.parametrize(
    ("probabilities", "truth", "message"),
    [
        ([[2.0, -1.0]], [0], "softmax"),
        ([[0.9, 0.9]], [0], "softmax"),
        ([[0.5, 0.5]], [2], "integers from 0 to 1; found 2"),
        ([[0.5, 0.5]], [-1], "integers from 0 to 1; found -1"),
        ([[0.5, 0.5]] * 4, [0.0] * 4, r"found 0\.0, 0\.0, 0\.0, \.\.\."),
        ([[0.5, 0.5]], [0, 1], "found shapes"),
        ([0.5, 0.5], [0, 1], "found shapes"),
        ([], [], "found shapes"),
        ([[np.nan, 1.0]], [0], "finite"),
    ],
)
def test_what_are_no_probabilities(score: Callable[..., Any], probabilities: Any, truth: Any, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        score(probabilities, truth)


def test_options_that_make_no_sense() -> None:
    with pytest.raises(UsageError, match="at least one bin; found 0"):
        reliability_curve([[1.0, 0.0]], [0], bins=0)
    for temperature in (0.0, -1.0, float("nan")):
        with pytest.raises(UsageError, match="temperature has to be positive"):
            softmax([[1.0, 0.0]], temperature=temperature)
    with pytest.raises(UsageError, match="Logits have to be finite"):
        fit_temperature([[np.inf, 0.0]], [0])


def test_without_scipy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "scipy.optimize", None)
    with pytest.raises(MissingExtraError, match="Calibration needs the 'train' extra"):
        fit_temperature([[1.0, 0.0]], [0])
