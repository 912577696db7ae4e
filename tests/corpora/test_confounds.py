"""What else tells the emotion: nothing in a balanced corpus, whatever was put there in a confounded one."""

from __future__ import annotations

import math
import random
from collections.abc import Callable
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from m3ser.corpora import Confound, Confounds, Corpus, find_confounds, make_split, measure_durations
from m3ser.corpora.confounds import _cramers_v
from m3ser.corpora.folds import Fold, Split
from m3ser.errors import UsageError
from m3ser.schema import IEMOCAP4, Utterance

Voices = Callable[..., list[Utterance]]


def variable(found: Confounds, name: str) -> Confound:
    (one,) = [one for one in found.variables if one.variable == name]
    return one


def random_parts(utterances: list[Utterance]) -> Split:
    chance = random.Random(0)
    parts = tuple(chance.choice(["train", "train", "test"]) for _ in utterances)
    return Split("own", 0, tuple(utterances), (Fold("split", parts),))


def test_a_balanced_corpus_is_quiet(voices: Voices) -> None:
    found = find_confounds(make_split(voices(speakers=8, sentences=10), "speaker", seed=0))
    assert {one.variable for one in found.variables} == {"speaker", "script", "gender"}
    assert [one.association for one in found.variables] == [0.0, 0.0, 0.0]
    assert all(one.guess == pytest.approx(one.chance) == 0.25 for one in found.variables)
    assert found.notes == ()


def test_speakers_who_are_each_of_one_emotion_are_told_and_named(voices: Voices) -> None:
    emotions = ("angry", "happy", "sad", "neutral")
    spoken = [replace(u, emotion=emotions[int((u.speaker or "/0").rpartition("/")[2]) % 4]) for u in voices(speakers=8)]
    found = find_confounds(random_parts(spoken * 3))
    speaker = variable(found, "speaker")
    assert speaker.association > 0.95
    assert speaker.guess == 1.0
    assert speaker.strong
    assert any("The speaker tells much of the emotion" in note for note in found.notes)
    (named,) = [note for note in found.notes if "values of speaker" in note]
    assert named.startswith("8 of 8 values of speaker have a single emotion: acted/0 has only angry (24)")


def test_what_tells_the_emotion_but_is_new_on_test_cannot_be_used(voices: Voices) -> None:
    emotions = ("angry", "happy", "sad", "neutral")
    spoken = [replace(u, emotion=emotions[int((u.speaker or "/0").rpartition("/")[2]) % 4]) for u in voices(speakers=8)]
    parts = tuple("train" if int((u.speaker or "/0").rpartition("/")[2]) < 4 else "test" for u in spoken)
    speaker = variable(find_confounds(Split("own", 0, tuple(spoken), (Fold("split", parts),))), "speaker")
    assert speaker.guess == 0.25
    assert speaker.association > 0.95


def test_lengths_that_differ_by_emotion_are_told(voices: Voices) -> None:
    spoken = voices(speakers=8, sentences=10)
    long = {"angry": 1.0, "happy": 2.0, "sad": 3.0, "neutral": 4.0}
    seconds = [long[u.emotion] + 0.001 * i for i, u in enumerate(spoken)]
    split = random_parts(spoken)
    length = variable(find_confounds(split, seconds), "length")
    assert length.strong
    assert length.guess > 0.8
    assert "length" not in {one.variable for one in find_confounds(split).variables}
    assert "length" not in {one.variable for one in find_confounds(split, [None] * len(spoken)).variables}
    with pytest.raises(UsageError, match="320 utterances need as many durations; found 1"):
        find_confounds(split, [1.0])


def test_emotions_that_a_part_lacks_or_has_of_one_speaker_are_said(voices: Voices) -> None:
    spoken = voices(speakers=3)
    kept = [u for u in spoken if u.emotion != "sad" or u.speaker == "acted/0"]
    parts = tuple({"acted/0": "train", "acted/1": "train", "acted/2": "test"}[u.speaker or ""] for u in kept)
    found = find_confounds(Split("own", 0, tuple(kept), (Fold("a", parts), Fold("b", (*parts[:-1], None)))))
    assert "There is no sad in test, but in other parts (fold1, fold2)." in found.notes
    assert "All 2 sad in train are spoken by acted/0 alone (fold1, fold2)." in found.notes


def test_a_scheme_says_what_the_classes_are(voices: Voices) -> None:
    spoken = voices(speakers=4, emotions=("happy", "excited", "angry", "bored"))
    # Excited speakers who are never happy tell nothing where both are one class.
    mixed = [
        replace(u, emotion="excited") if u.emotion == "happy" and u.extra["gender"] == "male" else u for u in spoken
    ]
    split = random_parts(mixed * 5)
    assert variable(find_confounds(split), "gender").association > 0.2
    merged = find_confounds(replace(split, scheme=IEMOCAP4, folds=tuple(_without(split, "bored"))))
    assert variable(merged, "gender").association == 0.0
    assert variable(merged, "gender").chance == 0.5
    assert variable(merged, "gender").known == 5 * 24


def _without(split: Split, emotion: str) -> list[Fold]:
    def part(u: Utterance, own: str | None) -> str | None:
        return None if u.emotion == emotion else own

    return [
        Fold(f.name, tuple(part(u, p) for u, p in zip(split.utterances, f.parts, strict=True))) for f in split.folds
    ]


def test_chance_is_not_told_from_few_utterances() -> None:
    few = [Utterance(None, e, text="x", speaker=s) for e, s in (("angry", "a"), ("sad", "b"), ("sad", "b"))]
    found = find_confounds(Split("own", 0, tuple(few), (Fold("split", ("train", "test", "train")),)))
    assert not any("values of speaker" in note or "tells much" in note for note in found.notes)


def test_one_emotion_alone_leaves_nothing_to_tell(voices: Voices) -> None:
    assert find_confounds(random_parts(voices(emotions=("angry",)))) == Confounds((), ())


def test_cramers_v_is_corrected_for_bias() -> None:
    # By hand: chi-squared 40 of 200, phi^2 0.2; phi^2 - 1/199; 2 - 1/199 - 1 levels above one.
    table = {("a", "x"): 72, ("a", "y"): 28, ("b", "x"): 28, ("b", "y"): 72}
    phi2 = 0.44**2
    assert _cramers_v(table)[0] == pytest.approx(math.sqrt((phi2 - 1 / 199) / (1 - 1 / 199)))
    independent = {(row, column): 10 for row in "abcd" for column in "xyz"}
    assert _cramers_v(independent)[0] == 0.0
    assert _cramers_v({(str(i), "xy"[i % 2]): 1 for i in range(50)})[0] == 0.0  # an utterance each: nothing can be said


@settings(deadline=None)
@given(st.dictionaries(st.tuples(st.sampled_from("abcdef"), st.sampled_from("xyz")), st.integers(1, 50), min_size=1))
def test_cramers_v_lies_between_its_ends(table: dict[tuple[str, str], int]) -> None:
    association, surprise = _cramers_v(table)
    assert 0.0 <= association <= 1.0
    assert math.isfinite(surprise)


def test_the_surprise_is_that_of_chi_squared() -> None:
    stats = pytest.importorskip("scipy.stats")
    table = {("a", "x"): 30, ("a", "y"): 18, ("b", "x"): 20, ("b", "y"): 32, ("c", "x"): 25, ("c", "y"): 25}
    counts = [[table[row, column] for column in "xy"] for row in "abc"]
    result = stats.chi2_contingency(counts, correction=False)
    assert stats.norm.sf(_cramers_v(table)[1]) == pytest.approx(result.pvalue, rel=0.05)


@pytest.mark.parametrize("name", ["ravdess", "emodb"])
def test_real_corpora_in_which_everybody_says_everything_are_quiet(real: Callable[[str], Corpus], name: str) -> None:
    utterances = real(name).utterances
    found = find_confounds(make_split(utterances, "speaker", seed=0), measure_durations(utterances).seconds)
    assert {one.variable for one in found.variables} == {"speaker", "script", "gender", "length"}
    assert not any(one.strong for one in found.variables)
    assert max(one.association for one in found.variables) < 0.25


def test_real_corpora_of_different_emotions_together_are_not(real: Callable[[str], Corpus]) -> None:
    both = (*real("emodb").utterances, *real("emovo").utterances)
    found = find_confounds(make_split(both, "speaker", seed=0))
    assert {one.variable for one in found.variables if one.strong} >= {"corpus", "language"}
