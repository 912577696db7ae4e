from __future__ import annotations

import random
from collections import Counter, defaultdict
from collections.abc import Callable, Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from m3ser.corpora import SPLITS, Corpus, audit, split_by_speaker
from m3ser.errors import DataError, UsageError
from m3ser.schema import Utterance

Voices = Callable[..., list[Utterance]]


def speakers_of(utterances: Sequence[Utterance]) -> dict[tuple[str, str | None], set[str]]:
    """(corpus, part) -> speakers."""
    speakers: defaultdict[tuple[str, str | None], set[str]] = defaultdict(set)
    for utterance in utterances:
        assert utterance.speaker is not None
        speakers[utterance.extra.get("corpus", ""), utterance.split].add(utterance.speaker)
    return speakers


@settings(deadline=None, max_examples=50)
@given(st.integers(3, 30), st.integers(3, 8), st.integers(0, 1000), st.floats(0.05, 0.45), st.floats(0.05, 0.45))
def test_parts_never_share_a_speaker_and_every_corpus_is_in_all(voices, large, small, seed, validation, test) -> None:
    shares = (1 - validation - test, validation, test)
    both = voices("large", speakers=large, sentences=1) + voices("small", speakers=small, sentences=1)
    speakers = speakers_of(split_by_speaker(both, shares=shares, seed=seed))
    for corpus, number in (("large", large), ("small", small)):
        parts = [speakers[corpus, part] for part in SPLITS]
        assert all(parts)
        assert sum(map(len, parts)) == len(set().union(*parts)) == number
        for part, share in zip(parts, shares, strict=True):
            assert abs(len(part) - number * share) < 2


def test_genders_are_balanced_where_known(voices: Voices) -> None:
    utterances = split_by_speaker(voices(speakers=20), seed=3)
    genders = {u.speaker: u.extra["gender"] for u in utterances}
    for (_, part), speakers in speakers_of(utterances).items():
        counts = Counter(genders[speaker] for speaker in speakers)
        assert counts["female"] == counts["male"], part


def test_a_test_and_a_validation_speaker_alone_are_of_different_genders(voices: Voices) -> None:
    firsts = set()
    for seed in range(20):
        utterances = split_by_speaker(voices(speakers=6), seed=seed)
        gender = {u.split: u.extra["gender"] for u in utterances}
        assert gender["test"] != gender["validation"]
        firsts.add(gender["test"])
    assert firsts == {"female", "male"}


def test_order_does_not_matter_and_is_kept(voices: Voices) -> None:
    utterances = voices("a", speakers=7) + voices("b", speakers=5)
    mixed = random.Random(0).sample(utterances, len(utterances))
    split = split_by_speaker(mixed, seed=1)
    assert [u.audio for u in split] == [u.audio for u in mixed]
    assert {u.audio: u.split for u in split} == {u.audio: u.split for u in split_by_speaker(utterances, seed=1)}


def test_seeds_differ(voices: Voices) -> None:
    utterances = voices(speakers=12)
    assert len({tuple(u.split for u in split_by_speaker(utterances, seed=seed)) for seed in range(10)}) > 5


def test_one_corpus_does_not_move_another(voices: Voices) -> None:
    alone = split_by_speaker(voices("a", speakers=7), seed=1)
    together = split_by_speaker(voices("b", speakers=5) + voices("a", speakers=7), seed=1)
    assert together[-len(alone) :] == alone


def test_too_few_speakers_are_refused(voices: Voices) -> None:
    with pytest.raises(DataError, match="apart in three parts: duo has 2; expected 3 or more"):
        split_by_speaker(voices("trio", speakers=3) + voices("duo", speakers=2), seed=0)


def test_an_utterance_without_a_speaker_is_refused() -> None:
    with pytest.raises(DataError, match="'Hello' names no speaker"):
        split_by_speaker([Utterance(None, "happy", text="Hello")], seed=0)


@pytest.mark.parametrize("shares", [(0.5, 0.5, 0.0), (0.5, 0.2, 0.2), (0.8, 0.2), (0.7, 0.4, -0.1)])
def test_impossible_shares_are_refused(voices: Voices, shares: tuple[float, float, float]) -> None:
    with pytest.raises(UsageError, match="expected three above 0 that sum to 1"):
        split_by_speaker(voices(), shares=shares, seed=0)


def test_real_corpora(real: Callable[[str], Corpus]) -> None:
    utterances = [u for name in ("emodb", "ravdess", "emovo", "nemo") for u in real(name).utterances]
    split = split_by_speaker(utterances, seed=0)
    speakers = speakers_of(split)
    counts = {
        name: tuple(len(speakers[name, part]) for part in SPLITS) for name in ("emodb", "ravdess", "emovo", "nemo")
    }
    assert counts == {"emodb": (6, 2, 2), "ravdess": (14, 5, 5), "emovo": (4, 1, 1), "nemo": (5, 2, 2)}
    # The same on every machine, today and later.
    assert speakers["emodb", "test"] == {"emodb/11", "emodb/13"}
    assert speakers["nemo", "test"] == {"nemo/MK0", "nemo/WR0"}
    assert audit(split).violations("speaker") == ()
