"""Plain statements; tests/corpora/test_pairing.py pairs with them."""

from __future__ import annotations

from collections import Counter

from m3ser.corpora import disjoint_sentences, plain_sentences
from m3ser.corpora.crema_d import SENTENCES
from m3ser.corpora.ravdess import STATEMENTS
from m3ser.corpora.similarity import words_of


def test_what_tests_plain_words_is_not_what_teaches_them() -> None:
    functional = {*words_of("a about by don't have i in is it it's my new of on that the this to what are i've")}
    taught = {word for one in plain_sentences() for word in words_of(one.text or "")}
    tested = {word for text in (*SENTENCES.values(), *STATEMENTS.values()) for word in words_of(text)}
    assert taught & tested <= functional


def test_enough_of_them_are_unlike_those_of_other_parts() -> None:
    kept, _ = disjoint_sentences(plain_sentences())
    parts = Counter(one.split for one in kept)
    assert parts["train"] > 1500
    assert min(parts["validation"], parts["test"]) > 200
    assert {one.emotion for one in kept} == {"neutral"}
