from __future__ import annotations

import json
import math
import sys
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

pytest.importorskip("sklearn", reason="needs the train extra")
stats = pytest.importorskip("scipy.stats", reason="needs the train extra")

from m3ser.errors import DataError, MissingExtraError, UsageError  # noqa: E402
from m3ser.evaluation import (  # noqa: E402
    PredictionTable,
    compare,
    compare_with,
    concatenate,
    holm,
    macro_f1,
    unweighted_accuracy,
    weighted_accuracy,
)

LABELS = ("angry", "happy", "sad", "neutral")
METRICS = {"unweighted_accuracy": unweighted_accuracy, "weighted_accuracy": weighted_accuracy, "macro_f1": macro_f1}
Ints = NDArray[np.int64]


def run(truth: Ints, guesses: Ints, speakers: Ints | None = None, *, seed: int = 0, **changes: Any) -> PredictionTable:
    """A run that takes utterance i, truly `truth[i]`, for `guesses[i]`."""
    rows = len(truth)
    values: dict[str, Any] = {
        "labels": LABELS,
        "utterances": tuple(f"u{i}" for i in range(rows)),
        "speakers": ("",) * rows if speakers is None else tuple(f"s{s}" for s in speakers),
        "folds": ("fold1",) * rows,
        "seeds": np.full(rows, seed),
        "conditions": ("both",) * rows,
        "truth": truth,
        "probabilities": np.full((rows, 4), 0.1) + 0.6 * np.eye(4)[guesses],
    }
    return PredictionTable(**{**values, **changes})


def guessed(truth: Ints, rate: NDArray[np.float64] | float, generator: np.random.Generator) -> Ints:
    wrong = (truth + generator.integers(1, 4, len(truth))) % 4
    return np.where(generator.random(len(truth)) < rate, truth, wrong)


def two_runs(*, speakers: int, each: int, gain: float, seed: int, seeds: int = 1) -> tuple[PredictionTable, ...]:
    """Two runs whose hit rates vary by speaker; the second one's lie `gain` above, on average."""
    generator = np.random.default_rng(seed)
    who = np.repeat(np.arange(speakers), each)
    truth = generator.integers(0, 4, len(who))
    base = np.clip(generator.normal(0.6, 0.1, speakers), 0.05, 0.95)[who]
    better = np.clip(base + gain + generator.normal(0, 0.1, speakers)[who], 0.02, 0.98)
    return tuple(
        concatenate(run(truth, guessed(truth, rate, generator), who, seed=s) for s in range(seeds))
        for rate in (base, better)
    )


def hand_worked() -> tuple[PredictionTable, PredictionTable]:
    """100 utterances: both right on 50, the first alone on 5, the second alone on 15, neither on 30."""
    truth = np.zeros(100, dtype=np.int64)
    first, second = np.ones(100, dtype=np.int64), np.ones(100, dtype=np.int64)
    first[:55] = 0
    second[:50] = second[55:70] = 0
    return run(truth, first), run(truth, second)


def test_mcnemar_against_a_hand_worked_table() -> None:
    found = compare(*hand_worked(), resamples=100)
    assert (found.first_only, found.second_only) == (5, 15)
    # Twice the chance of at most 5 heads in 20 tosses: 2 (1 + 20 + 190 + 1140 + 4845 + 15504) / 2^20.
    assert found.mcnemar_p == pytest.approx(2 * 21700 / 2**20)
    assert found.mcnemar_p == pytest.approx(2 * sum(math.comb(20, k) for k in range(6)) / 2**20)
    wa = found.differences["weighted_accuracy"]
    assert (wa.first, wa.second, wa.value) == (0.55, 0.65, pytest.approx(0.10))


def test_mcnemar_with_many_disagreements_agrees_with_the_approximation_for_large_numbers() -> None:
    truth = np.zeros(5000, dtype=np.int64)
    first, second = truth.copy(), truth.copy()
    first[:1050] = 1
    second[1050:2000] = 1
    found = compare(run(truth, first), run(truth, second), resamples=20)
    assert (found.first_only, found.second_only) == (950, 1050)
    corrected = (abs(950 - 1050) - 1) ** 2 / 2000
    assert found.mcnemar_p == pytest.approx(stats.chi2.sf(corrected, df=1), rel=0.01)


def test_scores_are_those_of_the_metrics() -> None:
    first, second = two_runs(speakers=6, each=20, gain=0.1, seed=1, seeds=3)
    found = compare(first, second, resamples=20)
    for name, metric in METRICS.items():
        one = found.differences[name]
        assert one.first == pytest.approx(metric(first.truth, first.guesses))
        assert one.second == pytest.approx(metric(second.truth, second.guesses))
        assert one.value == one.second - one.first


def test_mean_over_seeds_is_the_mean_of_their_scores() -> None:
    first, second = two_runs(speakers=6, each=20, gain=0.1, seed=1, seeds=3)
    found = compare(first, second, resamples=20).differences
    for name in ("unweighted_accuracy", "weighted_accuracy"):
        apart = [METRICS[name](part.truth, part.guesses) for part in (second.where(seed=s) for s in range(3))]
        assert found[name].second == pytest.approx(np.mean(apart))


@pytest.mark.slow
def test_the_bootstrap_against_drawing_speakers_one_by_one() -> None:
    first, second = two_runs(speakers=8, each=12, gain=0.1, seed=2)
    found = compare(first, second, resamples=6000)
    assert found.resampled == "speakers"

    generator = np.random.default_rng(7)
    who = np.array(first.speakers)
    of = {name: np.flatnonzero(who == name) for name in np.unique(who)}
    drawn: dict[str, list[float]] = {name: [] for name in METRICS}
    for _ in range(400):
        rows = np.concatenate([of[name] for name in generator.choice(list(of), len(of))])
        for name, metric in METRICS.items():
            drawn[name].append(
                metric(second.truth[rows], second.guesses[rows]) - metric(first.truth[rows], first.guesses[rows])
            )
    for name, values in drawn.items():
        one = found.differences[name]
        np.testing.assert_allclose(
            [one.interval.low, one.interval.high], np.quantile(values, [0.025, 0.975]), atol=0.03
        )
        tail = 2 * min(np.mean(np.array(values) <= 0), np.mean(np.array(values) >= 0))
        assert one.p_value == pytest.approx(tail, abs=0.04)


def test_the_bootstrap_over_utterances_against_scipy() -> None:
    first, second = hand_worked()
    found = compare(first, second, resamples=10_000)
    assert (found.resampled, found.speakers) == ("utterances", None)
    assert "speakers are not known" in found.note
    right = [(one.guesses == one.truth).astype(float) for one in (first, second)]
    peer = stats.bootstrap(
        right,
        lambda a, b, axis: b.mean(axis=axis) - a.mean(axis=axis),
        paired=True,
        vectorized=True,
        method="percentile",
        n_resamples=10_000,
        rng=np.random.default_rng(3),
    )
    interval = found.differences["weighted_accuracy"].interval
    np.testing.assert_allclose([interval.low, interval.high], peer.confidence_interval, atol=0.011)  # steps of 0.01


def test_seeds_are_drawn_with_the_speakers() -> None:
    first, second = two_runs(speakers=9, each=10, gain=0.1, seed=4, seeds=4)
    found = compare(first, second, resamples=6000)
    assert found.by_seed
    assert found.seeds == ((0, 1, 2, 3), (0, 1, 2, 3))
    assert "seeds" not in found.note

    generator = np.random.default_rng(9)
    who, seeds = np.array([int(name[1:]) for name in first.speakers]), first.seeds
    right = (second.guesses == second.truth).astype(float) - (first.guesses == first.truth)
    values = []
    for _ in range(3000):
        weight = generator.multinomial(9, np.full(9, 1 / 9))[who] * generator.multinomial(4, np.full(4, 0.25))[seeds]
        values.append((weight * right).sum() / weight.sum())
    interval = found.differences["weighted_accuracy"].interval
    np.testing.assert_allclose([interval.low, interval.high], np.quantile(values, [0.025, 0.975]), atol=0.012)

    lucky = second.where(mask=second.seeds != 0), second.where(seed=0)
    changed = concatenate([lucky[0], run(lucky[1].truth, lucky[1].truth, np.repeat(np.arange(9), 10))])
    wide = compare(first, changed, resamples=2000).differences["weighted_accuracy"].interval
    assert wide.high - wide.low > interval.high - interval.low  # a seed far from the others makes the outcome less sure


def test_other_seeds_are_averaged_utterance_by_utterance() -> None:
    first, _ = two_runs(speakers=9, each=10, gain=0.1, seed=4)
    _, second = two_runs(speakers=9, each=10, gain=0.1, seed=4, seeds=3)
    _, lone = two_runs(speakers=9, each=10, gain=0.1, seed=4)
    second = concatenate(
        run(lone.truth, second.where(seed=s).guesses, np.repeat(np.arange(9), 10), seed=s + 5) for s in range(3)
    )
    found = compare(first, second, resamples=2000)
    assert not found.by_seed
    assert found.seeds == ((0,), (5, 6, 7))
    assert found.to_dict()["paired_by"] == "utterance"
    share = np.mean([second.where(seed=s).guesses == first.truth for s in (5, 6, 7)], axis=0)
    alone = first.guesses == first.truth
    assert (found.first_only, found.second_only) == ((alone > share).sum(), (alone < share).sum())
    assert found.mcnemar_p == pytest.approx(
        stats.binomtest(found.first_only, found.first_only + found.second_only).pvalue
    )
    assert found.differences["weighted_accuracy"].second == pytest.approx(share.mean())


def test_seeds_that_tested_other_utterances_each() -> None:
    """As where every seed draws its own test part: the pairs are what counts, and a draw may hold nothing."""
    first, second = two_runs(speakers=2, each=10, gain=0.1, seed=4, seeds=2)
    kept = [one.where(mask=(one.seeds == 0) == (np.array(one.speakers) == "s0")) for one in (first, second)]
    found = compare(*kept, resamples=500)
    assert found.utterances == 20
    assert found.differences["weighted_accuracy"].first == pytest.approx((kept[0].guesses == kept[0].truth).mean())
    with pytest.raises(DataError, match=r"B has 10 predictions for an utterance and seed that A has none for"):
        compare(
            kept[0],
            concatenate([kept[1], second.where(mask=(second.seeds == 0) & ~_in(second, kept[1]))]),
            names=("A", "B"),
        )


def _in(table: PredictionTable, other: PredictionTable) -> NDArray[np.bool_]:
    cells = set(zip(other.utterances, other.seeds.tolist(), strict=True))
    return np.array([cell in cells for cell in zip(table.utterances, table.seeds.tolist(), strict=True)])


def test_order_of_rows_and_of_classes_does_not_matter() -> None:
    first, second = two_runs(speakers=5, each=10, gain=0.1, seed=5, seeds=2)
    order = np.random.default_rng(0).permutation(len(second))
    columns = np.array([2, 0, 3, 1])
    mixed = PredictionTable(
        labels=tuple(LABELS[c] for c in columns),
        utterances=tuple(second.utterances[i] for i in order),
        speakers=("",) * len(second),
        folds=("other",) * len(second),
        seeds=second.seeds[order],
        conditions=("audio",) * len(second),
        truth=np.argsort(columns)[second.truth[order]],
        probabilities=second.probabilities[order][:, columns],
    )
    assert compare(first, mixed, resamples=200).to_dict() == compare(first, second, resamples=200).to_dict()
    reverse = compare(mixed, first, resamples=200)
    assert reverse.differences["macro_f1"].first == compare(first, second, resamples=20).differences["macro_f1"].second


def test_a_run_does_not_differ_from_itself() -> None:
    first, _ = two_runs(speakers=12, each=10, gain=0.1, seed=6, seeds=2)
    found = compare(first, first, resamples=500)
    for one in found.differences.values():
        assert (one.value, one.interval.low, one.interval.high, one.p_value) == (0, 0, 0, 1)
    assert (found.first_only, found.second_only, found.mcnemar_p) == (0, 0, 1.0)
    assert "No difference" in found.sentence()


def test_false_alarms_are_as_rare_as_they_should_be_and_real_differences_are_found() -> None:
    alarms = [compare(*two_runs(speakers=24, each=10, gain=0.0, seed=s), resamples=400) for s in range(150)]
    assert 0.01 <= np.mean([one.differences["unweighted_accuracy"].p_value < 0.05 for one in alarms]) <= 0.11
    hits = [compare(*two_runs(speakers=24, each=20, gain=0.15, seed=s), resamples=400) for s in range(20)]
    assert np.mean([one.differences["unweighted_accuracy"].p_value < 0.05 for one in hits]) >= 0.9


def test_with_independent_seeds_false_alarms_stay_rare() -> None:
    """Trainings come out better or worse by chance; with speakers alone drawn that would pass for a finding."""
    alarms = []
    for trial in range(100):
        generator = np.random.default_rng(trial)
        who = np.repeat(np.arange(20), 10)
        truth = generator.integers(0, 4, len(who))
        runs = [
            concatenate(
                run(truth, guessed(truth, generator.normal(0.6, 0.05), generator), who, seed=5 * r + s)
                for s in range(5)
            )
            for r in range(2)
        ]
        alarms.append(compare(*runs, resamples=300).differences["weighted_accuracy"].p_value < 0.05)
    assert np.mean(alarms) <= 0.14


def test_the_same_seed_gives_the_same_result() -> None:
    runs = two_runs(speakers=6, each=10, gain=0.1, seed=7)
    assert compare(*runs, seed=1, resamples=300).to_dict() == compare(*runs, seed=1, resamples=300).to_dict()
    assert compare(*runs, seed=2, resamples=300).to_dict() != compare(*runs, seed=1, resamples=300).to_dict()


def test_draws_in_blocks_are_as_good_as_in_one(monkeypatch: pytest.MonkeyPatch) -> None:
    runs = two_runs(speakers=6, each=10, gain=0.1, seed=7)
    whole = compare(*runs, resamples=3000).differences["weighted_accuracy"].interval
    monkeypatch.setattr("m3ser.evaluation.comparison._CELLS_AT_ONCE", 4000)
    parts = compare(*runs, resamples=3000).differences["weighted_accuracy"].interval
    assert (parts.low, parts.high) == pytest.approx((whole.low, whole.high), abs=0.01)


def test_holm_against_hand_worked_values() -> None:
    # Sorted: 0.005 x 4, 0.01 x 3, 0.03 x 2, 0.04 x 1; none smaller than the one before.
    np.testing.assert_allclose(holm([0.01, 0.04, 0.03, 0.005]), [0.03, 0.06, 0.06, 0.02])
    np.testing.assert_allclose(holm([0.9, 0.6]), [1.0, 1.0])
    np.testing.assert_allclose(holm([0.04]), [0.04])


def test_several_runs_are_corrected_for_their_number() -> None:
    first, second = two_runs(speakers=15, each=20, gain=0.05, seed=8)
    _, third = two_runs(speakers=15, each=20, gain=0.2, seed=8)
    found = compare_with(first, {"second": second, "third": third}, name="base", resamples=1000)
    assert [(one.first, one.second, one.runs) for one in found] == [("base", "second", 2), ("base", "third", 2)]
    for name in METRICS:
        raw = [one.differences[name].p_value for one in found]
        np.testing.assert_allclose([one.differences[name].p_adjusted for one in found], holm(raw))
    np.testing.assert_allclose([one.mcnemar_p_adjusted for one in found], holm([one.mcnemar_p for one in found]))
    assert "corrected for 2 comparisons" in found[0].sentence()
    (alone,) = compare_with(first, {"second": second}, resamples=1000)
    assert alone.runs == 1
    assert alone.differences["macro_f1"].p_adjusted == alone.differences["macro_f1"].p_value


def test_the_sentence_says_who_is_better_and_how_sure_that_is() -> None:
    first, second = two_runs(speakers=24, each=50, gain=0.15, seed=9)
    found = compare(first, second, names=("A", "B"))
    one = found.differences["unweighted_accuracy"]
    assert found.sentence() == (
        f"B is better than A by {100 * one.value:.1f} points UA (95% {100 * one.interval.low:.1f} to "
        f"{100 * one.interval.high:.1f}), p < 0.001, on 1,200 utterances of 24 speakers."
    )
    reverse = compare(second, first, names=("B", "A")).sentence()
    assert reverse.startswith(f"A is worse than B by {100 * one.value:.1f} points UA (95% ")
    assert "(95% -" not in reverse


@pytest.mark.parametrize(
    ("speakers", "note"), [(1, "there is one speaker"), (5, "only 5 speakers"), (24, "one training each")]
)
def test_what_the_numbers_do_not_cover_is_said(speakers: int, note: str) -> None:
    found = compare(*two_runs(speakers=speakers, each=10, gain=0.1, seed=10), resamples=100)
    assert note in found.note
    assert found.resampled == ("utterances" if speakers == 1 else "speakers")


def test_the_record_is_json() -> None:
    found = compare(*two_runs(speakers=4, each=10, gain=0.1, seed=11), resamples=50, names=("A", "B"))
    record = json.loads(json.dumps(found.to_dict()))
    assert record["differences"]["unweighted_accuracy"]["difference"] == pytest.approx(
        record["differences"]["unweighted_accuracy"]["second"] - record["differences"]["unweighted_accuracy"]["first"]
    )
    assert record["mcnemar"]["test"] == "exact binomial"
    assert (record["first"], record["second"], record["paired_by"]) == ("A", "B", "utterance and seed")


TRUTH = np.array([0, 1, 2, 3])


@pytest.mark.parametrize(
    ("other", "problem"),
    [
        (
            run(TRUTH[:3], TRUTH[:3], utterances=("u0", "x", "y")),
            r"not tested on the same utterances: 1 are in both, 3 only in A \(such as 'u1'\) and 2 only in B "
            r"\(such as 'x'\)",
        ),
        (run(TRUTH[:3], TRUTH[:3]), r"3 are in both, 1 only in A \(such as 'u3'\)\."),
        (
            run(TRUTH[[0, 1, 1, 2]], TRUTH),
            "A and B do not agree on what 2 of 4 utterances truly are: 'u2' is sad, or happy",
        ),
        (run(TRUTH, TRUTH, labels=("angry", "happy", "sad", "bored")), "A tells angry.* B angry, happy, sad, bored"),
        (
            run(np.tile(TRUTH, 2), np.tile(TRUTH, 2), utterances=("u0", "u1", "u2", "u3") * 2),
            "In B utterance 'u0' was tested 2 times with seed 0",
        ),
        (run(TRUTH, TRUTH, np.array([0, 1, 2, 9])), "do not agree on who speaks 'u3': s3, or s9"),
        (
            concatenate([run(TRUTH, TRUTH, seed=1), run(TRUTH[:1], TRUTH[:1], seed=2)]),
            r"B has 5 predictions for 4 utterances with 2 seeds; .* every seed \(8\)",
        ),
    ],
)
def test_runs_that_cannot_be_compared_are_refused(other: PredictionTable, problem: str) -> None:
    with pytest.raises(DataError, match=problem):
        compare(run(TRUTH, TRUTH, np.arange(4)), other, names=("A", "B"))


def test_rows_of_one_run_that_contradict_each_other_are_refused() -> None:
    odd = concatenate([run(TRUTH, TRUTH), run(TRUTH[::-1], TRUTH, seed=1)])
    with pytest.raises(DataError, match="The rows of A do not agree on what 4 of 4 utterances truly are"):
        compare(odd, odd, names=("A", "B"))


def test_bad_use() -> None:
    one = run(TRUTH, TRUTH)
    with pytest.raises(UsageError, match="at least one resample; found 0"):
        compare(one, one, resamples=0)
    with pytest.raises(UsageError, match="B has predictions under both, audio; a comparison needs exactly one"):
        compare(one, run(TRUTH, TRUTH, conditions=("both", "audio") * 2), names=("A", "B"))
    with pytest.raises(UsageError, match="A has predictions under no condition"):
        compare(one.where(seed=7), one, names=("A", "B"))


def test_without_scipy_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "scipy.stats", None)
    with pytest.raises(MissingExtraError, match="Comparing runs needs the 'train' extra"):
        compare(run(TRUTH, TRUTH), run(TRUTH, TRUTH))
