from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import pytest

from m3ser.errors import MissingExtraError, UsageError
from m3ser.inference.annotation import tables
from m3ser.inference.annotation.sources import Item
from m3ser.inference.annotation.tables import check_format, failures_path, write_failures, write_results
from m3ser.schema import Prediction

LABELS = ("sad", "angry")


def result(text: str | None = None, duration: float | None = 1.25) -> dict[str, Any]:
    source = "none" if text is None else "given"
    scores = {"sad": 0.25, "angry": 0.75}
    return Prediction("angry", scores, duration, text, source, "tiny@3", "/somewhere/else.wav").to_dict()  # type: ignore[arg-type]


ROWS = [
    (Item("a.wav", "/x/a.wav"), result('He said "no",\r\nü')),
    (Item("b\udcff.wav", "/x/b\udcff.wav", further={"id": 7, "label": "sad", "start": 0.5}), result()),
    (Item(None, None, "words"), result("words", None)),
]
FURTHER = ("id", "label", "start")


def written(path: Path) -> Path:
    write_results(path, iter(ROWS), labels=LABELS, further=FURTHER)
    return path


def test_csv(tmp_path: Path) -> None:
    path = written(tmp_path / "out.csv")
    with path.open(encoding="utf-8", errors="surrogateescape", newline="") as file:
        head, *rows = list(csv.reader(file))
    assert head == [
        *("file", "duration", "label", "p_sad", "p_angry", "text", "text_source", "model"),
        *("id", "manifest_label", "start"),
    ]
    assert rows == [
        ["a.wav", "1.25", "angry", "0.25", "0.75", 'He said "no",\r\nü', "given", "tiny@3", "", "", ""],
        ["b\udcff.wav", "1.25", "angry", "0.25", "0.75", "", "none", "tiny@3", "7", "sad", "0.5"],
        ["", "", "angry", "0.25", "0.75", "words", "given", "tiny@3", "", "", ""],
    ]
    assert b"b\xff.wav" in path.read_bytes()


def test_json_lines_are_what_predict_prints(tmp_path: Path) -> None:
    one, two, three = written(tmp_path / "out.jsonl").read_bytes().splitlines()
    expected = Prediction("angry", {"sad": 0.25, "angry": 0.75}, 1.25, 'He said "no",\r\nü', "given", "tiny@3", "a.wav")
    assert one.decode("utf-8") == expected.to_json()
    assert two.isascii()
    assert json.loads(two) == {
        **result(),
        "file": "b\udcff.wav",
        "manifest": {"id": 7, "label": "sad", "start": 0.5},
    }
    assert json.loads(three) == {**result("words", None), "file": None}


def test_parquet_in_groups_of_rows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pq = pytest.importorskip("pyarrow.parquet")
    monkeypatch.setattr(tables, "_ROW_GROUP", 2)
    path = written(tmp_path / "out.parquet")
    assert pq.ParquetFile(path).num_row_groups == 2
    table = pq.read_table(path)
    assert {str(table.schema.field(name).type) for name in ("duration", "p_sad", "p_angry", "start")} == {"double"}
    assert table.column("file").to_pylist() == ["a.wav", "b\\xff.wav", None]
    assert table.column("id").to_pylist() == [None, "7", None]
    assert table.column("start").to_pylist() == [None, 0.5, None]
    assert table.column("text").to_pylist() == ['He said "no",\r\nü', None, "words"]


def test_parquet_without_further_columns_or_rows(tmp_path: Path) -> None:
    pq = pytest.importorskip("pyarrow.parquet")
    write_results(tmp_path / "out.parquet", iter(()), labels=LABELS, further=())
    assert pq.read_table(tmp_path / "out.parquet").num_rows == 0
    write_results(tmp_path / "out.parquet", iter(ROWS[:1]), labels=LABELS, further=())
    table = pq.read_table(tmp_path / "out.parquet")
    assert table.to_pylist()[0]["p_angry"] == 0.75
    assert str(table.schema.field("text").type) == "string"


def test_failures(tmp_path: Path) -> None:
    path = failures_path(tmp_path / "out.parquet")
    assert path == tmp_path / "out.failed.csv"
    write_failures(path, [(ROWS[1][0], "It is no audio.")], further=FURTHER)
    expected = b"file,id,label,start,reason\nb\xff.wav,7,sad,0.5,It is no audio.\n"
    assert path.read_bytes() == expected


def test_endings(monkeypatch: pytest.MonkeyPatch) -> None:
    check_format(Path("x.CSV"))
    with pytest.raises(UsageError, match=r"'x\.xlsx' ends in '\.xlsx'; expected \.parquet, \.csv or \.jsonl\."):
        check_format(Path("x.xlsx"))
    monkeypatch.setattr(tables, "find_spec", lambda name: None)
    check_format(Path("x.jsonl"))
    with pytest.raises(MissingExtraError, match=r"Writing 'x\.parquet' needs the 'parquet' extra"):
        check_format(Path("x.parquet"))
