from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from m3ser.corpora.similarity import group_near_duplicates, near_duplicates, words_of


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("I don't know!", ("i", "dont", "know")),
        ("I don\N{RIGHT SINGLE QUOTATION MARK}t KNOW", ("i", "dont", "know")),
        ("Lubię czytać, przed snem.", ("lubię", "czytać", "przed", "snem")),
        ("Straße \N{LATIN SMALL LIGATURE FI}n", ("strasse", "fin")),
        ("[NAME], no [LAUGHTER] don't", ("no", "dont")),
        ("!?", ()),
    ],
)
def test_words(text: str, words: tuple[str, ...]) -> None:
    assert words_of(text) == words


def jaccard(a: list[str], b: list[str]) -> float:
    return len(set(a) & set(b)) / len(set(a) | set(b))


@given(
    st.lists(st.lists(st.sampled_from("abcdefghij"), max_size=9), max_size=12),
    st.sampled_from([0.5, 0.7, 0.75, 1.0]),
    st.integers(1, 5),
    st.randoms(use_true_random=False),
)
def test_finds_what_comparing_all_pairs_finds(texts, threshold, least_words, random) -> None:
    groups = [random.choice("xyz") for _ in texts]
    expected = {
        (i, j): jaccard(texts[i], texts[j])
        for j in range(len(texts))
        for i in range(j)
        if groups[i] != groups[j]
        and min(len(texts[i]), len(texts[j])) >= least_words
        and jaccard(texts[i], texts[j]) >= threshold - 1e-9
    }
    found = list(near_duplicates(texts, groups, threshold=threshold, least_words=least_words))
    assert len(found) == len(expected)
    assert {(i, j): pytest.approx(similarity) for i, j, similarity in found} == expected


def test_short_texts_are_passed_over() -> None:
    texts = [words_of("I don't know."), words_of("I don't know!")]
    assert list(near_duplicates(texts, "ab")) == []
    texts = [words_of("I really don't know."), words_of("I REALLY don't know!")]
    assert list(near_duplicates(texts, "ab")) == [(0, 1, 1.0)]
    assert list(near_duplicates(texts, "aa")) == []


@given(
    st.lists(st.lists(st.sampled_from("abcdefghij"), max_size=9), max_size=12),
    st.sampled_from([0.5, 0.7, 1.0]),
)
def test_groups_are_what_pairs_connect(texts, threshold) -> None:
    labels = group_near_duplicates(texts, threshold=threshold)
    expected = list(range(len(texts)))
    for _ in texts:  # as often as the longest chain may need
        for i, j, _ in near_duplicates(texts, range(len(texts)), threshold=threshold):
            expected[i] = expected[j] = min(expected[i], expected[j])
    assert labels == expected


def test_chains_are_one_group() -> None:
    texts = ["abcdefghij", "abcdefghik", "abcdefghlk"]
    assert group_near_duplicates([list(text) for text in texts], threshold=0.8) == [0, 0, 0]
    assert jaccard(list(texts[0]), list(texts[2])) < 0.8
    assert group_near_duplicates([list("abc"), list("abc")]) == [0, 1]
