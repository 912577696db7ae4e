from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from m3ser import __version__
from m3ser.corpora import Fold, Split, make_split, read_folds, read_manifest, split_comment, with_fold_columns
from m3ser.corpora.manifest import write_manifest
from m3ser.errors import DataError, UsageError
from m3ser.schema import IEMOCAP4, Utterance

Voices = Callable[..., list[Utterance]]


@pytest.fixture
def split(voices: Voices) -> Split:
    return make_split(voices(emotions=("angry", "sad", "bored")), "speaker", seed=0)


@pytest.mark.parametrize("suffix", [".csv", ".jsonl"])
def test_folds_come_back_from_a_manifest(tmp_path: Path, split: Split, suffix: str) -> None:
    path = write_manifest(tmp_path / f"split{suffix}", with_fold_columns(split))
    again = read_folds(read_manifest(path, check_audio=False).utterances)
    assert [fold.parts for fold in again.folds] == [fold.parts for fold in split.folds]
    assert [fold.name for fold in again.folds] == [f"fold{number}" for number in range(1, 6)]
    assert (again.protocol, again.seed, again.notes, dict(again.left_out)) == ("own", 0, (), {})


def test_an_empty_field_leaves_out(tmp_path: Path, voices: Voices) -> None:
    utterances = voices(speakers=2)
    parts = (("train", "test") * 7 + (None, None), (None,) + ("test", "train") * 7 + (None,))
    split = Split("own", 0, tuple(utterances), tuple(Fold(f"f{i}", own) for i, own in enumerate(parts)))
    path = write_manifest(tmp_path / "split.csv", with_fold_columns(split))
    read = read_manifest(path, check_audio=False).utterances
    assert len(read) == 15
    assert [fold.parts for fold in read_folds(read).folds] == [own[:15] for own in parts]


def test_one_fold_is_the_ordinary_column(tmp_path: Path, split: Split) -> None:
    rows = with_fold_columns(split, fold=2)
    assert rows == split.fold(1)
    path = write_manifest(tmp_path / "split.csv", rows)
    (fold,) = read_folds(read_manifest(path, check_audio=False).utterances).folds
    assert fold == Fold("split", split.folds[1].parts)


def test_earlier_folds_are_replaced(split: Split) -> None:
    again = replace(split, utterances=with_fold_columns(split), folds=split.folds[:2])
    columns = {name for u in with_fold_columns(again) for name in u.extra if name.startswith("fold")}
    assert columns == {"fold1", "fold2"}
    assert not any(name.startswith("fold") for u in with_fold_columns(again, 1) for name in u.extra)


@pytest.mark.parametrize("fold", [0, 6, -1])
def test_a_fold_that_is_not_there_is_refused(split: Split, fold: int) -> None:
    with pytest.raises(UsageError, match=f"There is no fold {fold}; protocol 'speaker' made 5, from 1"):
        with_fold_columns(split, fold)


def test_the_comment_tells_how_the_split_was_made(voices: Voices) -> None:
    split = make_split(
        voices(emotions=("angry", "sad", "happy", "neutral", "bored")), "speaker", seed=3, scheme=IEMOCAP4
    )
    comment = split_comment(split, earlier="RAVDESS\nsplit: protocol random, seed 0\nlicence: CC-BY-NC-SA-4.0")
    lines = comment.splitlines()
    assert lines[:3] == [
        "RAVDESS",
        "licence: CC-BY-NC-SA-4.0",
        f"split: protocol speaker, seed 3, scheme iemocap4, m3ser {__version__}",
    ]
    assert lines[3:5] == ["split: left out: 'bored' is not in iemocap4 (10)", "split: fold1 tests speaker acted/0"]
    assert len(lines) == 9
    one = split_comment(split, 2).splitlines()
    assert "seed 3, scheme iemocap4, fold 2 of 5, m3ser" in one[0]
    assert one[-1] == "split: fold2 tests speaker acted/1"


def own(voices: Voices, column: str = "fold") -> list[Utterance]:
    utterances = voices(speakers=4)
    return [replace(u, extra={**u.extra, column: ("10", "9", "2", "")[i % 4]}) for i, u in enumerate(utterances)]


@pytest.mark.parametrize(("column", "asked"), [("fold", None), ("fold", "fold"), ("part of five", "part of five")])
def test_own_folds_in_one_column(voices: Voices, column: str, asked: str | None) -> None:
    utterances = own(voices, column)
    split = read_folds(utterances, asked)
    assert [fold.name for fold in split.folds] == [f"{column} {value}" for value in (2, 9, 10)]
    for fold, value in zip(split.folds, ("2", "9", "10"), strict=True):
        for utterance, part in zip(utterances, fold.parts, strict=True):
            found = utterance.extra[column]
            assert part == (None if not found else "test" if found == value else "train")
    assert split.left_out == {"in no fold": 8}
    assert split.notes == ("3 of 3 folds have no validation part",)


def test_a_column_of_parts_is_one_fold(voices: Voices) -> None:
    utterances = [replace(u, extra={"half": "train" if i % 2 else "test"}) for i, u in enumerate(voices())]
    (fold,) = read_folds(utterances, "half").folds
    assert fold.parts[:2] == ("test", "train")
    split = [replace(u, split="train" if i % 2 else "test", extra={"fold1": "x"}) for i, u in enumerate(voices())]
    assert read_folds(split, "split").folds[0].parts == fold.parts


def test_a_scheme_leaves_out(voices: Voices) -> None:
    utterances = [
        replace(u, split="train" if i % 2 else "test") for i, u in enumerate(voices(emotions=("bored", "sad")))
    ]
    split = read_folds(utterances, scheme=IEMOCAP4)
    assert split.left_out == {"emotion is not in iemocap4": 10}
    assert {u.emotion for u in split.fold(0)} == {"sad"}


@pytest.mark.parametrize(
    ("extra", "column", "message"),
    [
        ({}, None, "no folds to read: expected columns fold1, fold2, ..., or split, or fold"),
        ({}, "mine", "There is no column 'mine' to read folds from"),
        (
            {"fold1": "tset"},
            None,
            "Column 'fold1' has 'tset' among its values; expected train, validation, test, or empty",
        ),
        ({"fold1": "train"}, None, "Fold 'fold1' has no test part"),
        ({"fold": "1"}, None, "Column 'fold' has 1 different value; expected two or more"),
        ({"mine": ""}, "mine", "Column 'mine' has 0 different values"),
    ],
)
def test_folds_that_cannot_be_are_refused(voices: Voices, extra: dict[str, str], column: str, message: str) -> None:
    utterances = [replace(u, extra=extra) for u in voices()]
    with pytest.raises(DataError, match=message):
        read_folds(utterances, column)
