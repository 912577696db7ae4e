from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from m3ser.errors import DataError, UsageError
from m3ser.evaluation import PredictionTable, concatenate, evaluate, read_predictions, write_predictions

LABELS = ("angry", "happy", "sad")


def table(rows: int = 4, **changes: Any) -> PredictionTable:
    """Rows "u0", "u1", ... by speakers "a" and "b" in turn; row i is truly class i % 3 and taken for it."""
    truth = np.arange(rows) % 3
    values: dict[str, Any] = {
        "labels": LABELS,
        "utterances": tuple(f"u{i}" for i in range(rows)),
        "speakers": tuple("ab"[i % 2] for i in range(rows)),
        "folds": ("fold1",) * rows,
        "seeds": np.zeros(rows, dtype=np.int64),
        "conditions": ("both",) * rows,
        "truth": truth,
        "probabilities": np.full((rows, 3), 0.2) + 0.4 * np.eye(3)[truth],
    }
    return PredictionTable(**{**values, **changes})


def same(one: PredictionTable, other: PredictionTable) -> None:
    for name in ("labels", "utterances", "speakers", "folds", "conditions", "extra"):
        assert getattr(one, name) == getattr(other, name)
    for name in ("seeds", "truth", "probabilities"):
        mine, theirs = getattr(one, name), getattr(other, name)
        assert mine.dtype == theirs.dtype
        np.testing.assert_array_equal(mine, theirs)


text = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=8)


@given(
    names=st.lists(text.filter(bool), min_size=1, max_size=5, unique=True),
    odd=text,
    weights=arrays(np.float64, (5, 3), elements=st.floats(1e-9, 1.0)),
    seed=st.integers(-(2**63), 2**63 - 1),
)
def test_what_is_written_reads_back_the_same(
    tmp_path_factory: pytest.TempPathFactory, names: list[str], odd: str, weights: np.ndarray, seed: int
) -> None:
    rows = len(names)
    probabilities = weights[:rows] / weights[:rows].sum(axis=1, keepdims=True)
    one = table(
        rows,
        utterances=names,
        speakers=(odd,) * rows,
        folds=(odd,) * rows,
        seeds=np.full(rows, seed),
        probabilities=probabilities,
        extra={"relation": (odd,) * rows},
    )
    path = write_predictions(tmp_path_factory.mktemp("run") / "predictions.csv", one, comment=odd)
    same(read_predictions(path), one)


def test_names_that_are_no_utf8_come_back_as_they_were(tmp_path: Path) -> None:
    one = table(1, utterances=("caf\udce9.wav",))
    path = write_predictions(tmp_path / "predictions.csv", one)
    assert b"caf\xe9.wav" in path.read_bytes()
    same(read_predictions(path), one)


def test_the_file_says_what_it_is(tmp_path: Path) -> None:
    one = table(2, extra={"corpus": ("emodb", "emodb")})
    path = write_predictions(tmp_path / "new" / "predictions.csv", one, comment="3m-ser,\nseed 0")
    assert path.read_text(encoding="utf-8").splitlines() == [
        "# 3m-ser, seed 0",
        "utterance,speaker,fold,seed,condition,truth,label,p_angry,p_happy,p_sad,corpus",
        "u0,a,fold1,0,both,angry,angry,0.6000000000000001,0.2,0.2,emodb",
        "u1,b,fold1,0,both,happy,happy,0.2,0.6000000000000001,0.2,emodb",
    ]
    assert [file.name for file in path.parent.iterdir()] == ["predictions.csv"]


def test_the_order_of_the_columns_is_free_and_a_spreadsheet_may_have_saved_it(tmp_path: Path) -> None:
    path = write_predictions(tmp_path / "predictions.csv", table(3))
    with path.open(encoding="utf-8", newline="") as file:
        rows = [list(reversed(row)) for row in csv.reader(file)]
    with path.open("w", encoding="utf-8-sig", newline="") as file:
        csv.writer(file, lineterminator="\r\n").writerows(rows)
    found = read_predictions(path)
    assert found.labels == LABELS[::-1]
    assert [found.labels[column] for column in found.truth] == ["angry", "happy", "sad"]
    assert [found.labels[column] for column in found.guesses] == ["angry", "happy", "sad"]


def test_more_rows_than_are_read_in_one_go(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("m3ser.evaluation.prediction_files._ROWS_AT_ONCE", 3)
    path = write_predictions(tmp_path / "predictions.csv", table(8))
    same(read_predictions(path), table(8))
    path.write_text(path.read_text(encoding="utf-8").replace("u7,b", "u0,b"), encoding="utf-8")
    with pytest.raises(DataError, match=r"line 9: utterance 'u0' \(seed 0, both, fold1\) is on line 2 already"):
        read_predictions(path)


@pytest.mark.parametrize(
    ("line", "found", "problem"),
    [
        ("u1,b,fold1,0,both,happy,happy,0.2,0.6", "line 3", "9 fields; expected 10"),
        ("u1,b,fold1,0,both,bored,happy,0.2,0.6,0.2", "line 3", "the truth is 'bored'; expected one of angry, happy"),
        ("u1,b,fold1,0,both,happy,,0.2,0.6,0.2", "line 3", "the label is ''"),
        ("u1,b,fold1,0,both,happy,sad,0.2,0.6,0.2", "line 3", "the label is 'sad', but 'happy' has the highest"),
        ("u1,b,fold1,one,both,happy,happy,0.2,0.6,0.2", "line 3", "the seed is 'one'; expected an integer"),
        (f"u1,b,fold1,{2**63},both,happy,happy,0.2,0.6,0.2", "line 3", "the seed is '9223372036854775808'"),
        ("u1,b,fold1,0,both,happy,happy,0.2,x,0.2", "line 3", "the probabilities are 0.2, x, 0.2; expected numbers"),
        ("u1,b,fold1,0,both,happy,happy,0.2,nan,0.2", "line 3", "the probabilities are 0.2, nan, 0.2"),
        ("u1,b,fold1,0,both,happy,happy,0.2,0.9,0.2", "line 3", "that sum to 1"),
        ("u1,b,fold1,0,both,happy,happy,-0.2,1.0,0.2", "line 3", r"in \[0, 1\]"),
        (",b,fold1,0,both,happy,happy,0.2,0.6,0.2", "line 3", "the utterance is empty"),
        ("u1,b,fold1,0,,happy,happy,0.2,0.6,0.2", "line 3", "the condition is empty"),
        ('u1,"b"x,fold1,0,both,happy,happy,0.2,0.6,0.2', "line 3", "not CSV"),
        ('u1,b,fold1,0,both,happy,happy,0.2,0.6,"0.2', "line 3", "not CSV"),
        ("u0,b,fold1,0,both,happy,happy,0.2,0.6,0.2", "line 3", "is on line 2 already"),
    ],
)
def test_a_faulty_line_is_named(tmp_path: Path, line: str, found: str, problem: str) -> None:
    path = tmp_path / "predictions.csv"
    path.write_text(
        "utterance,speaker,fold,seed,condition,truth,label,p_angry,p_happy,p_sad\n"
        f"u0,a,fold1,0,both,angry,angry,0.6,0.2,0.2\n{line}\n",
        encoding="utf-8",
    )
    with pytest.raises(DataError, match=f"predictions.csv', {found}: .*{problem}"):
        read_predictions(path)


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        ("", "line 1: empty; expected a line with the columns utterance"),
        ("# only a comment\n", "empty"),
        ("utterance,speaker\n", "line 1: no column 'fold', 'seed', 'condition', 'truth', 'label', 'p_angry and so on'"),
        ("# c\nutterance,utterance\n", "line 2: the columns 'utterance' are there more than once"),
        ("utterance,speaker,fold,seed,condition,truth,label,p_a,\n", "line 1: a column has no name"),
        ("utterance,speaker,fold,seed,condition,truth,label,p_\n", "line 1: the column 'p_' names no class"),
        ("utterance,speaker,fold,seed,condition,truth,label,p_angry\n", "hold no row below the names of the columns"),
    ],
)
def test_a_file_of_another_kind_is_refused(tmp_path: Path, content: str, problem: str) -> None:
    path = tmp_path / "predictions.csv"
    path.write_text(content, encoding="utf-8")
    with pytest.raises(DataError, match=problem):
        read_predictions(path)


def test_a_file_that_cannot_be_read_or_written(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"nowhere.csv' cannot be read: No such file"):
        read_predictions(tmp_path / "nowhere.csv")
    with pytest.raises(DataError, match="cannot be read: Is a directory"):
        read_predictions(tmp_path)
    with pytest.raises(DataError, match="cannot be written"):
        write_predictions(tmp_path, table())
    (tmp_path / "file").write_text("", encoding="utf-8")
    with pytest.raises(DataError, match="cannot be written"):
        write_predictions(tmp_path / "file" / "predictions.csv", table())
    with pytest.raises(UsageError, match="no predictions to write"):
        write_predictions(tmp_path / "predictions.csv", table(0, probabilities=np.zeros((0, 3))))


def test_what_cannot_be_written_leaves_the_old_file_as_it_was(tmp_path: Path) -> None:
    path = write_predictions(tmp_path / "predictions.csv", table(2))
    before = path.read_bytes()
    with pytest.raises(DataError, match="cannot be written"):
        write_predictions(path, table(1, utterances=("\ud800",)))  # no character, and no byte either
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"labels": ("angry", "happy", "angry")}, "labels that are all different"),
        ({"labels": ()}, "at least one"),
        ({"labels": ("angry", "", "sad")}, "at least one"),
        ({"labels": ("angry", "happy")}, r"need probabilities of shape \(4, 2\); found \(4, 3\)"),
        ({"speakers": ("a",)}, r"4 utterances need speakers of shape \(4,\); found \(1,\)"),
        ({"seeds": np.zeros(3, int)}, "need seeds of shape"),
        ({"seeds": np.zeros(4)}, "seeds of predictions have to be integers; found float64"),
        ({"truth": np.array([0, 1, 2, 3])}, "True classes have to be integers from 0 to 2"),
        ({"probabilities": np.ones((4, 3))}, "sum to 1"),
        ({"extra": {"p_angry": ("",) * 4}}, "cannot be called 'p_angry'"),
        ({"extra": {"seed": ("",) * 4}}, "cannot be called 'seed'"),
        ({"extra": {"corpus": ("",) * 3}}, "need corpus of shape"),
    ],
)
def test_a_table_that_makes_no_sense_is_refused(changes: dict[str, Any], problem: str) -> None:
    with pytest.raises(UsageError, match=problem):
        table(**changes)


def test_where_keeps_what_meets_everything() -> None:
    one = table(
        6,
        seeds=np.array([0, 0, 0, 1, 1, 1]),
        conditions=("both", "audio", "both:asr") * 2,
        folds=("fold1", "fold1", "fold2") * 2,
        extra={"corpus": tuple("uvwxyz")},
    )
    assert one.where(condition="both").utterances == ("u0", "u3")
    assert one.where(condition="both", seed=1).extra == {"corpus": ("x",)}
    assert one.where(fold="fold2").seeds.tolist() == [0, 1]
    assert one.where(mask=one.truth == 1, seed=0).utterances == ("u1",)
    assert len(one.where(condition="text")) == 0
    same(one.where(), one)
    for mask in (np.ones(6), np.ones(5, bool)):
        with pytest.raises(UsageError, match="mask of 6 rows"):
            one.where(mask=mask)


def test_tables_are_joined_in_order() -> None:
    first, second = table(2, extra={"corpus": ("x", "y")}), table(2, folds=("fold2",) * 2, seeds=np.ones(2, int))
    both = concatenate([first, second])
    assert both.utterances == ("u0", "u1", "u0", "u1")
    assert both.extra == {"corpus": ("x", "y", "", "")}
    same(both.where(fold="fold1"), first)
    np.testing.assert_array_equal(both.where(seed=1).probabilities, second.probabilities)


def test_tables_that_do_not_belong_together() -> None:
    with pytest.raises(UsageError, match="found none"):
        concatenate([])
    with pytest.raises(DataError, match=r"Two rows of the predictions are of utterance 'u0' \(seed 0, both, fold1\)"):
        concatenate([table(), table(1)])
    with pytest.raises(DataError, match="do not belong together"):
        concatenate([table(), table(labels=("angry", "happy", "bored"))])


def test_evaluation_is_that_of_the_room() -> None:
    pytest.importorskip("sklearn", reason="needs the train extra")
    one = table(30)
    found = one.evaluate(resamples=50, seed=3)
    expected = evaluate(
        one.truth, one.probabilities, labels=LABELS, speakers=np.array(one.speakers), resamples=50, seed=3
    )
    assert found.to_dict() == expected.to_dict()
    assert found.speakers == 2


def test_a_speaker_who_is_not_known_leaves_no_interval() -> None:
    pytest.importorskip("sklearn", reason="needs the train extra")
    found = table(4, speakers=("a", "b", "", "a")).evaluate()
    assert found.speakers is None
    assert found.intervals == {}


def test_conditions_are_not_mixed_up_in_one_score() -> None:
    with pytest.raises(UsageError, match="Predictions of 'both', 'audio' are no one result"):
        table(2, conditions=("both", "audio")).evaluate()
