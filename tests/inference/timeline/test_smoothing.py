from __future__ import annotations

import numpy as np
import pytest

from m3ser.errors import UsageError
from m3ser.inference.timeline import smoothed
from m3ser.schema import Segment

LABELS = ("angry", "happy", "sad")


def segments(count: int, *, channel: int | None = None, seed: int = 0, gaps: tuple[int, ...] = ()) -> list[Segment]:
    rng = np.random.default_rng(seed)
    found, time = [], 0.0
    for i in range(count):
        time += 11.0 if i in gaps else 0.5
        scores = rng.dirichlet(np.ones(3))
        found.append(
            Segment(time, time + 2, LABELS[int(scores.argmax())], dict(zip(LABELS, scores, strict=True)), None, channel)
        )
        time += 2
    return found


def expected(given: list[Segment], neighbours: int, groups: list[int]) -> np.ndarray:
    """Written as the formula: a weighted mean of logarithms over all pairs of the same group."""
    logs = np.log([[one.scores[label] for label in LABELS] for one in given])
    places = np.arange(len(given))
    weights = np.clip(1 - abs(places[:, None] - places[None]) / (neighbours + 1), 0, None)
    weights *= np.asarray(groups)[:, None] == np.asarray(groups)[None]
    averages = np.exp(weights / weights.sum(axis=1, keepdims=True) @ logs)
    return np.asarray(averages / averages.sum(axis=1, keepdims=True))


def scores_of(found: list[Segment]) -> np.ndarray:
    return np.asarray([[one.scores[label] for label in LABELS] for one in found])


@pytest.mark.parametrize("neighbours", [1, 2, 5, 20])
def test_it_is_a_triangular_mean_of_logarithms(neighbours: int) -> None:
    given = segments(12)
    found = list(smoothed(given, neighbours))
    np.testing.assert_allclose(scores_of(found), expected(given, neighbours, [0] * 12), rtol=1e-9)
    assert [one.label for one in found] == [LABELS[i] for i in scores_of(found).argmax(axis=1)]
    assert [(one.start, one.end) for one in found] == [(one.start, one.end) for one in given]


def test_nothing_passes_a_long_silence() -> None:
    given = segments(9, gaps=(4, 7))
    found = list(smoothed(given, 3))
    np.testing.assert_allclose(scores_of(found), expected(given, 3, [0] * 4 + [1] * 3 + [2] * 2), rtol=1e-9)


def test_channels_are_smoothed_apart_and_keep_their_order() -> None:
    one, two = segments(6, channel=1), segments(6, channel=2, seed=1)
    mixed = [segment for pair in zip(one, two, strict=True) for segment in pair]
    found = list(smoothed(mixed, 2))
    assert [(s.channel, s.start) for s in found] == [(s.channel, s.start) for s in mixed]
    np.testing.assert_allclose(scores_of(found[::2]), expected(one, 2, [0] * 6), rtol=1e-9)
    np.testing.assert_allclose(scores_of(found[1::2]), expected(two, 2, [0] * 6), rtol=1e-9)


def test_segments_come_as_soon_as_their_neighbours_are_known() -> None:
    taken = []

    def source() -> object:
        for segment in segments(10):
            taken.append(segment)
            yield segment

    stream = smoothed(source(), 2)  # type: ignore[arg-type]
    next(stream)
    assert len(taken) == 3


def test_a_channel_that_falls_silent_holds_nothing_back() -> None:
    talks, silent = segments(40, channel=1), segments(1, channel=2)
    taken = []

    def source() -> object:
        for segment in [*silent, *talks]:
            taken.append(segment)
            yield segment

    first = next(smoothed(source(), 3))  # type: ignore[arg-type]
    assert first.channel == 2
    assert len(taken) < 10


def test_off_means_off() -> None:
    given = segments(5)
    assert list(smoothed(given, 0)) == given


@pytest.mark.parametrize("neighbours", [-1, 21])
def test_other_numbers_are_bad_use(neighbours: int) -> None:
    with pytest.raises(UsageError, match="expected 0 to 20"):
        smoothed([], neighbours)
