from __future__ import annotations

import random
from pathlib import Path

from m3ser.corpora import identities
from m3ser.corpora.pool import Pool
from m3ser.schema import IEMOCAP4, Utterance


def test_an_identity_is_corpus_and_id_or_path_or_words() -> None:
    utterances = [
        Utterance(Path("a", "b", "x.wav"), "sad", extra={"corpus": "c", "id": "1"}),
        Utterance(Path("a", "b", "y.wav"), "sad", extra={"corpus": "c"}),
        Utterance(Path("a", "d", "y.wav"), "sad", start=1.5, end=2.0),
        Utterance(None, "sad", text="Hello."),
    ]
    assert identities(utterances) == ("c/1", "b/y.wav", "d/y.wav@1.500", "Hello.")


def test_a_composed_name_and_a_decomposed_one_are_the_same() -> None:
    (one,) = identities([Utterance(Path("caf\N{LATIN SMALL LETTER E WITH ACUTE}.wav"), "sad")])
    (other,) = identities([Utterance(Path("cafe\N{COMBINING ACUTE ACCENT}.wav"), "sad")])
    assert one == other


def test_no_two_are_alike_whatever_the_order() -> None:
    utterances = [Utterance(Path("x.wav"), "sad", text=text) for text in ("one", "two", "three", "one")]
    names = dict(zip(("one", "two", "three"), identities(utterances), strict=False))
    assert len(set(identities(utterances))) == 4
    for seed in range(5):
        mixed = random.Random(seed).sample(utterances, 4)
        found = {u.text: name for u, name in zip(mixed, identities(mixed), strict=True)}
        assert found["two"] == names["two"]
        assert found["three"] == names["three"]


def test_a_number_given_to_one_is_never_anothers_name() -> None:
    utterances = [Utterance(None, "sad", text=text) for text in ("a", "a", "a #2", "a #2")]
    assert len(set(identities(utterances))) == 4


def test_a_pool_is_sorted_and_knows_where_its_utterances_were() -> None:
    utterances = [
        Utterance(None, emotion, text=text) for emotion, text in (("sad", "b"), ("bored", "c"), ("excited", "a"))
    ]
    pool = Pool.of(utterances, IEMOCAP4)
    assert (pool.names, pool.classes, pool.positions) == (("a", "b"), ("happy", "sad"), (2, 0))
    assert pool.left_out == {"'bored' is not in iemocap4": 1}
    assert len(Pool.of(utterances, None)) == 3
