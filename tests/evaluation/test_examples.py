from __future__ import annotations

import doctest
from types import ModuleType

import pytest

pytest.importorskip("sklearn", reason="needs the train extra")

from m3ser.evaluation import calibration, metrics


@pytest.mark.parametrize("module", [metrics, calibration])
def test_the_examples_in_the_docstrings(module: ModuleType) -> None:
    outcome = doctest.testmod(module)
    assert outcome.attempted > 0
    assert outcome.failed == 0


def test_every_metric_has_an_example() -> None:
    assert [name for name in metrics.__all__ if ">>> " not in (getattr(metrics, name).__doc__ or "")] == []
