"""Counting a manifest: exact on a small one, and nothing guessed."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from m3ser.corpora import Statistics, measure_durations, statistics_page, statistics_png, summarise
from m3ser.corpora.stats_view import charts, shortened
from m3ser.schema import IEMOCAP4, Utterance


def utterances() -> list[Utterance]:
    def one(name: str, emotion: str, text: str | None, speaker: str | None, seconds: str, gender: str) -> Utterance:
        extra = {"corpus": "made", "gender": gender, "duration": seconds}
        return Utterance(Path(f"{name}.wav"), emotion, text=text, speaker=speaker, language="en", extra=extra)

    return [
        one("a", "angry", "no", "s1", "1.0", "female"),
        one("b", "angry", "not at all", "s2", "2.0", "male"),
        one("c", "excited", None, "s2", "3.0", "male"),
        one("d", "calm", "oh well", None, "4.0", "male"),
    ]


@pytest.fixture
def statistics() -> Statistics:
    rows = utterances()
    return summarise(rows, measure_durations(rows).seconds)


def test_the_whole_is_counted(statistics: Statistics) -> None:
    whole = statistics.whole
    assert (whole.utterances, whole.speakers, whole.with_text) == (4, 2, 3)
    assert whole.seconds is not None
    assert (whole.seconds.count, whole.seconds.total, whole.seconds.median) == (4, 10.0, 2.5)
    assert whole.words is not None
    assert (whole.words.count, whole.words.minimum, whole.words.maximum) == (3, 1, 3)


def test_groups_are_counted_and_what_is_not_known_is_named(statistics: Statistics) -> None:
    emotions = {group.value: group.utterances for group in statistics.groups["emotion"]}
    assert emotions == {"angry": 2, "excited": 1, "calm": 1}
    speakers = {group.value: group.utterances for group in statistics.groups["speaker"]}
    assert speakers == {"s1": 1, "s2": 2, None: 1}
    assert {group.value: group.utterances for group in statistics.groups["gender"]} == {"female": 1, "male": 3}


def test_a_scheme_counts_classes() -> None:
    rows = utterances()
    found = summarise(rows, measure_durations(rows).seconds, scheme=IEMOCAP4)
    counted = {group.value: group.utterances for group in found.groups["emotion"]}
    assert (counted["angry"], counted["happy"]) == (2, 1)


def test_lengths_come_from_start_and_end_the_manifest_or_the_header(demo_clip: Path) -> None:
    rows = [
        Utterance(Path("x.wav"), "sad", start=1.0, end=2.5),
        Utterance(Path("x.wav"), "sad", extra={"duration": "3.25"}),
        Utterance(demo_clip, "sad"),
        Utterance(Path("nowhere.wav"), "sad"),
        Utterance(None, "sad", text="words alone"),
    ]
    found = measure_durations(rows)
    assert found.seconds[:2] == (1.5, 3.25)
    assert found.seconds[2] == pytest.approx(2.27, abs=0.01)
    assert found.seconds[3:] == (None, None)
    assert len(found.findings) == 1


def test_the_page_has_every_speaker_and_says_what_a_paired_corpus_is(statistics: Statistics) -> None:
    page = statistics_page(statistics, title="<made>.csv", comment="paired (semi-synthetic): voices of made")
    assert "&lt;made&gt;.csv" in page
    assert "paired (semi-synthetic)" in page
    for word in ("s1", "s2", "angry", "excited", "calm"):
        assert word in page


def test_many_folds_are_one_drawing_of_what_they_test() -> None:
    rows = [
        replace(u, extra={**u.extra, **{f"fold{n}": "test" if i == n % 4 else "train" for n in range(1, 6)}})
        for i, u in enumerate(utterances())
    ]
    found = summarise(rows, measure_durations(rows).seconds)
    drawn = {chart.title: chart for chart in charts(found)}
    assert not {"fold1", "fold2"} & set(drawn)
    folds = drawn["Tested in each fold"]
    assert folds.labels == ("fold1", "fold2", "fold3", "fold4", "fold5")
    assert folds.values == (1.0,) * 5
    assert folds.rows.cells[:2] == (("fold1, train", 3, 2, 1, 1, 1), ("fold1, test", 1, 1, 1, 0, 0))
    few = [replace(u, extra={**u.extra, "fold4": "", "fold5": ""}) for u in rows]
    assert "fold3" in {chart.title for chart in charts(summarise(few, [None] * 4))}


def test_a_long_comment_is_shortened_in_the_middle() -> None:
    lines = [f"line {number}" for number in range(20)]
    assert shortened("\n".join(lines[:8])) == lines[:8]
    assert shortened("\n".join(lines)) == [*lines[:6], "(13 more lines)", "line 19"]


def test_the_picture_is_one(statistics: Statistics) -> None:
    pytest.importorskip("matplotlib")
    assert statistics_png(statistics, title="made.csv").startswith(b"\x89PNG")
