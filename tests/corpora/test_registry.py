"""Reading a corpus by its name, with a choice of labels and with progress."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path

import pytest

from m3ser.corpora import READERS, read_corpus
from m3ser.errors import UsageError
from m3ser.schema import IEMOCAP4

Tree = Callable[[Iterable[str]], Path]


def test_progress_is_told_after_every_recording(tree: Tree) -> None:
    told: list[tuple[int, int]] = []
    root = tree(["wav/03a01Fa.wav", "wav/03a01Nc.wav", "wav/03a01Wa.wav"])
    corpus = read_corpus("emodb", root, progress=lambda done, total: told.append((done, total)))
    assert len(corpus.utterances) == 3
    assert told == [(1, 3), (2, 3), (3, 3)]


def test_labels_where_there_is_no_choice(tree: Tree) -> None:
    root = tree(["wav/03a01Fa.wav"])
    with pytest.raises(UsageError, match="'emodb' has no 'perceived' labels: its labels are of one kind only"):
        read_corpus("emodb", root, labels="perceived")


def test_labels_that_a_corpus_does_not_have(tree: Tree) -> None:
    with pytest.raises(UsageError, match="'crema-d' has no 'felt' labels: it has intended and perceived"):
        read_corpus("crema-d", tree(["1001_IEO_ANG_HI.wav"]), labels="felt")


@pytest.mark.parametrize(
    "name",
    ["crema-d", "emodb", "emovo", "esd", "goemotions", "jl-corpus", "nemo", "ravdess", "savee", "tess", "urdu"],
)
def test_how_to_get_a_corpus_and_how_much_it_holds(name: str) -> None:
    info = READERS[name].INFO
    assert info.access
    assert set(info.counts) == set(info.labels)
    if name == "goemotions":  # many comments have several labels, so that no class can be counted by them
        assert sum(info.counts.values()) > info.utterances
        assert info.class_counts(IEMOCAP4) == {}
    else:
        assert sum(info.counts.values()) == info.utterances
        assert all(info.class_counts(IEMOCAP4).values())
