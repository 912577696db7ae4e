"""Protocol ``corpus``: one corpus is left out, and nothing is chosen by it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from m3ser.corpora import audit, make_split
from m3ser.errors import DataError, UsageError
from m3ser.schema import Utterance

Voices = Callable[..., list[Utterance]]


@pytest.fixture
def three(voices: Voices) -> list[Utterance]:
    return [*voices("one", speakers=5), *voices("two", speakers=10), *voices("three", speakers=2)]


def test_each_corpus_is_tested_whole_and_once(three: list[Utterance]) -> None:
    split = make_split(three, "corpus", seed=0)
    assert [fold.name for fold in split.folds] == ["corpus one", "corpus three", "corpus two"]
    for number, name in enumerate(("one", "three", "two")):
        tested = [u for u in split.fold(number) if u.split == "test"]
        assert tested == [replace(u, split="test") for u in three if u.extra["corpus"] == name]


def test_selection_is_on_speakers_of_every_corpus_that_is_trained_on(three: list[Utterance]) -> None:
    split = make_split(three, "corpus", seed=0)
    for number, name in enumerate(("one", "three", "two")):
        parts = {
            part: {(u.extra["corpus"], u.speaker) for u in split.fold(number) if u.split == part}
            for part in ("train", "validation")
        }
        assert parts["train"].isdisjoint(parts["validation"])
        for found in parts.values():
            assert {corpus for corpus, _ in found} == {"one", "two", "three"} - {name}


def test_the_audit_holds_it_and_finds_where_it_is_broken(three: list[Utterance]) -> None:
    split = make_split(three, "corpus", seed=0)
    for number in range(3):
        audit(split.fold(number)).require("corpus")
    # Sound by speakers; but the corpus that is tested is trained on as well.
    by_speaker = audit(make_split(three, "speaker", seed=0, folds=2).fold(0))
    assert not by_speaker.violations("speaker")
    assert {violation.kind for violation in by_speaker.violations("corpus")} == {"corpus"}


def test_what_names_no_corpus_is_left_out(three: list[Utterance]) -> None:
    nameless = [replace(u, extra={k: v for k, v in u.extra.items() if k != "corpus"}) for u in three[:3]]
    split = make_split([*nameless, *three[3:]], "corpus", seed=0)
    assert split.left_out["names no corpus"] == 3


def test_the_draw_is_seeded(three: list[Utterance]) -> None:
    def validated(seed: int) -> list[set[str | None]]:
        split = make_split(three, "corpus", seed=seed)
        return [{u.speaker for u in split.fold(i) if u.split == "validation"} for i in range(3)]

    assert validated(0) == validated(0)
    assert any(validated(0) != validated(seed) for seed in range(1, 4))


def test_one_corpus_alone_is_refused(voices: Voices) -> None:
    with pytest.raises(DataError, match=r"'corpus' needs two corpora or more.*would work: .*speaker"):
        make_split(voices(), "corpus", seed=0)


def test_it_takes_no_number_of_folds(three: list[Utterance]) -> None:
    with pytest.raises(UsageError, match="'corpus' is one fold a corpus by its nature"):
        make_split(three, "corpus", seed=0, folds=2)
