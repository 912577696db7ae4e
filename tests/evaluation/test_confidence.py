from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

pytest.importorskip("sklearn", reason="needs the train extra")

from m3ser.errors import DataError, UsageError
from m3ser.evaluation import Interval, confidence, macro_f1, speaker_bootstrap, unweighted_accuracy, weighted_accuracy

Answers = tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]


def answers(*, speakers: int, each: int, spread: float, seed: int) -> Answers:
    """Utterances of four classes; every speaker has a hit rate of its own, which varies by `spread` around 0.7."""
    generator = np.random.default_rng(seed)
    who = np.repeat(np.arange(speakers), each)
    rate = np.clip(generator.normal(0.7, spread, speakers), 0, 1)[who]
    truth = generator.integers(0, 4, len(who))
    wrong = (truth + generator.integers(1, 4, len(who))) % 4
    return truth, np.where(generator.random(len(who)) < rate, truth, wrong), who


def test_against_resampling_utterance_by_utterance() -> None:
    truth, predictions, who = answers(speakers=7, each=9, spread=0.2, seed=1)
    truth[who == 3] = 2  # some resamples lack classes
    found = speaker_bootstrap(truth, predictions, who, resamples=4000, seed=5)

    generator = np.random.default_rng(11)
    metrics = {"unweighted_accuracy": unweighted_accuracy, "weighted_accuracy": weighted_accuracy, "macro_f1": macro_f1}
    values: dict[str, list[float]] = {name: [] for name in metrics}
    for _ in range(300):
        rows = np.concatenate([np.flatnonzero(who == s) for s in generator.integers(0, 7, 7)])
        for name, metric in metrics.items():
            values[name].append(metric(truth[rows], predictions[rows]))
    for name, interval in found.items():
        np.testing.assert_allclose([interval.low, interval.high], np.quantile(values[name], [0.025, 0.975]), atol=0.04)


def test_each_resample_is_scored_as_the_metrics_score_it() -> None:
    truth, predictions, who = answers(speakers=5, each=3, spread=0.2, seed=2)
    truth[truth == 3] = 0  # predicted, never true
    counts = confidence._confusion_per_speaker(truth, predictions, who)
    drawn = np.random.default_rng(0).multinomial(5, np.full(5, 0.2), 50)
    scores = confidence.scores_of(np.tensordot(drawn.astype(float), counts, axes=1))
    for index, times in enumerate(drawn):
        rows = np.repeat(np.arange(len(who)), times[who])
        assert scores["unweighted_accuracy"][index] == pytest.approx(
            unweighted_accuracy(truth[rows], predictions[rows])
        )
        assert scores["weighted_accuracy"][index] == pytest.approx(weighted_accuracy(truth[rows], predictions[rows]))
        assert scores["macro_f1"][index] == pytest.approx(macro_f1(truth[rows], predictions[rows]))


def test_the_interval_holds_the_score_and_knows_its_level() -> None:
    truth, predictions, who = answers(speakers=30, each=20, spread=0.1, seed=3)
    wide = speaker_bootstrap(truth, predictions, who)["weighted_accuracy"]
    narrow = speaker_bootstrap(truth, predictions, who, level=0.5)["weighted_accuracy"]
    score = weighted_accuracy(truth, predictions)
    assert wide.low < narrow.low < score < narrow.high < wide.high
    assert (wide.level, narrow.level) == (0.95, 0.5)


def test_it_covers_the_truth_as_often_as_it_says() -> None:
    inside = 0
    for seed in range(200):
        truth, predictions, who = answers(speakers=25, each=8, spread=0.15, seed=seed)
        interval = speaker_bootstrap(truth, predictions, who, resamples=500, seed=seed)["weighted_accuracy"]
        inside += interval.low <= 0.695 <= interval.high  # the mean of the clipped hit rates
    assert 0.88 <= inside / 200 <= 0.99


def test_few_speakers_widen_it() -> None:
    truth, predictions, who = answers(speakers=60, each=10, spread=0.25, seed=4)
    by_speaker = speaker_bootstrap(truth, predictions, who)["weighted_accuracy"]
    by_utterance = speaker_bootstrap(truth, predictions, np.arange(600))["weighted_accuracy"]
    assert by_speaker.high - by_speaker.low > 1.3 * (by_utterance.high - by_utterance.low)


def test_the_seed_decides() -> None:
    truth, predictions, who = answers(speakers=9, each=10, spread=0.2, seed=5)
    assert speaker_bootstrap(truth, predictions, who) == speaker_bootstrap(truth, predictions, who, seed=0)
    assert speaker_bootstrap(truth, predictions, who) != speaker_bootstrap(truth, predictions, who, seed=1)


def test_drawing_in_several_goes(monkeypatch: pytest.MonkeyPatch) -> None:
    truth, predictions, who = answers(speakers=9, each=10, spread=0.2, seed=6)
    at_once = speaker_bootstrap(truth, predictions, who, resamples=1000)
    monkeypatch.setattr(confidence, "_DRAWS_AT_ONCE", 9 * 300)
    assert speaker_bootstrap(truth, predictions, who, resamples=1000) == at_once


def test_names_may_be_strings_and_perfect_answers_are_certain() -> None:
    truth = ["sad", "angry", "sad", "angry"]
    found = speaker_bootstrap(truth, truth, ["anna", "anna", "ben", "ben"], resamples=100)
    assert set(found.values()) == {Interval(1.0, 1.0, 0.95)}


def test_one_speaker() -> None:
    with pytest.raises(DataError, match=r"at least two speakers; found one \(anna\)"):
        speaker_bootstrap([0, 1], [0, 1], ["anna", "anna"])


@pytest.mark.parametrize("options", [{"level": 0.0}, {"level": 1.0}, {"level": float("nan")}, {"resamples": 0}])
def test_options_that_make_no_sense(options: dict[str, float]) -> None:
    with pytest.raises(UsageError, match=r"a level in \(0, 1\) and resamples"):
        speaker_bootstrap([0, 1], [0, 1], [0, 1], **options)  # type: ignore[arg-type]


def test_speakers_for_every_utterance() -> None:
    with pytest.raises(UsageError, match="found shapes"):
        speaker_bootstrap([0, 1], [0, 1], [0])
