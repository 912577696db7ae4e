"""Learning curves of several trainings as one: mean and deviation of every epoch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from m3ser.evaluation.report.runs import Training

__all__ = ["Curve", "curves_of"]


@dataclass(frozen=True, eq=False)
class Curve:
    """One quantity over the epochs.

    Attributes:
        epochs: (epochs,) ascending.
        mean: (epochs,) over the trainings that went on that long.
        deviation: (epochs,) standard deviation over them; 0 where there is one.
        trainings: how many have this quantity at all.
    """

    epochs: NDArray[np.float64]
    mean: NDArray[np.float64]
    deviation: NDArray[np.float64]
    trainings: int


def curves_of(trainings: Sequence[Training], names: Mapping[str, str]) -> dict[str, Curve]:
    """Title -> the curve of the quantity that `names` has for it; without those that no training has recorded.

    Trainings that were stopped early count as long as they went on.
    """
    found = {}
    for title, name in names.items():
        curves = [curve for one in trainings if (curve := one.curve(name))]
        if not curves:
            continue
        values: dict[float, list[float]] = {}
        for curve in curves:
            for epoch, value in curve:
                values.setdefault(epoch, []).append(value)
        epochs = sorted(values)
        found[title] = Curve(
            epochs=np.array(epochs),
            mean=np.array([np.mean(values[epoch]) for epoch in epochs]),
            deviation=np.array([np.std(values[epoch], ddof=int(len(values[epoch]) > 1)) for epoch in epochs]),
            trainings=len(curves),
        )
    return found
