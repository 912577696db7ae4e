from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from m3ser.errors import UsageError
from m3ser.evaluation import compare_with
from m3ser.evaluation.report import judge_runs, read_run


def test_scores_are_those_of_the_predictions(runs: dict[str, Path]) -> None:
    run = read_run(runs["first"])
    seen: list[None] = []
    (one,) = judge_runs([run], resamples=200, progress=lambda: seen.append(None)).runs
    assert len(seen) == 1
    both = run.predictions.where(condition="both")
    assert one.condition == "both"
    assert one.own.unweighted_accuracy == both.evaluate(resamples=1).unweighted_accuracy
    assert one.own.intervals == both.evaluate(resamples=200).intervals
    assert one.utterances == {"both": 48, "audio": 48, "text": 48}
    assert one.own.utterances == 96
    seeds = [both.where(seed=seed).evaluate(resamples=1).unweighted_accuracy for seed in (0, 1)]
    deviation = one.deviations["both"]
    assert deviation is not None
    assert deviation["unweighted_accuracy"] == pytest.approx(np.std(seeds, ddof=1))


def test_each_speaker_by_itself_the_hardest_first(runs: dict[str, Path]) -> None:
    run = read_run(runs["first"])
    (one,) = judge_runs([run], resamples=1).runs
    assert len(one.speakers) == 6
    scores = [speaker.unweighted_accuracy for speaker in one.speakers]
    assert scores == sorted(scores)
    both = run.predictions.where(condition="both")
    for speaker in one.speakers:
        alone = both.where(mask=np.array([name == speaker.name for name in both.speakers])).evaluate(resamples=1)
        assert speaker.utterances == 8
        assert speaker.unweighted_accuracy == pytest.approx(alone.unweighted_accuracy)
        assert speaker.weighted_accuracy == pytest.approx(alone.weighted_accuracy)
    assert [group.name for group in one.groups["gender"]] == ["female", "male"]
    assert sum(group.utterances for group in one.groups["gender"]) == 48


def test_speakers_that_are_not_all_known_are_no_groups(runs: dict[str, Path]) -> None:
    run = read_run(runs["first"])
    first = run.predictions.conditions.index("both")
    speakers = list(run.predictions.speakers)
    speakers[first] = ""
    hidden = dataclasses.replace(run, predictions=dataclasses.replace(run.predictions, speakers=tuple(speakers)))
    (one,) = judge_runs([hidden], resamples=1).runs
    assert one.speakers == ()
    assert one.own.speakers is None


def test_others_are_compared_with_the_first_where_that_can_be(runs: dict[str, Path]) -> None:
    found = [read_run(runs[name]) for name in ("first", "better", "voice", "paper")]
    results = judge_runs(found, resamples=300, seed=1)
    assert [one.name for one in results.runs] == ["first", "better", "voice", "published"]
    tables = {one.name: one.run.predictions.where(condition=one.condition) for one in results.runs}
    expected = compare_with(
        tables["first"], {n: tables[n] for n in ("better", "voice")}, name="first", resamples=300, seed=1
    )
    assert [one.to_dict() for one in results.comparisons] == [one.to_dict() for one in expected]
    assert list(results.not_compared) == ["published"]
    assert "24 are in both, 24 only in first" in results.not_compared["published"]
    read = json.loads(json.dumps(results.to_dict(), allow_nan=False))
    assert read["runs"][0]["conditions"]["both"]["deviation_over_seeds"]["unweighted_accuracy"] > 0
    assert read["runs"][3]["optimistic"] == "optimistic: as published"
    assert read["runs"][3]["conditions"]["both"]["deviation_over_seeds"] is None


def test_runs_of_one_name_are_told_apart(tmp_path: Path, write_run: Callable[..., Path]) -> None:
    places = [write_run(tmp_path / name, fold=fold) for name, fold in (("a/x", 1), ("b/x", 1), ("c", 2))]
    names = [one.name for one in judge_runs([read_run(place) for place in places], resamples=1).runs]
    assert names == [f"made-up ({places[0]})", f"made-up ({places[1]})", "made-up (c)"]


def test_bad_use(runs: dict[str, Path]) -> None:
    with pytest.raises(UsageError, match="at least one run"):
        judge_runs([])
    run = read_run(runs["first"])
    with pytest.raises(UsageError, match="more than once"):
        judge_runs([run, run])
