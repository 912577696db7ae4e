from __future__ import annotations

from pathlib import Path

import pytest

from m3ser.errors import DataError
from m3ser.files import Journal, appearing_whole, write_whole


def test_a_file_is_written_whole_or_not_at_all(tmp_path: Path) -> None:
    target = tmp_path / "new" / "page.html"
    assert write_whole(target, "text").read_text() == "text"
    assert [path.name for path in target.parent.iterdir()] == ["page.html"]
    (tmp_path / "file").write_text("")
    with pytest.raises(DataError, match=r"Page '.*page\.html' cannot be written: "):
        write_whole(tmp_path / "file" / "page.html", "text", "Page")


def test_what_fails_half_way_leaves_what_was_there(tmp_path: Path) -> None:
    target = tmp_path / "page.html"
    target.write_text("old")

    def fail_half_way() -> None:
        with appearing_whole(target) as draft:
            draft.write_text("half")
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail_half_way()
    assert target.read_text() == "old"
    assert [path.name for path in tmp_path.iterdir()] == ["page.html"]


def test_a_journal_is_gone_on_with(tmp_path: Path) -> None:
    path = tmp_path / "new" / "j.jsonl"
    with Journal(path) as journal:
        journal.append({"name": "one\udcff", "value": 0.1})
        assert path.read_bytes().endswith(b"0.1}\n")
    with Journal(path) as journal:
        assert journal.records == [{"name": "one\udcff", "value": 0.1}]
        journal.append({"name": "zwei ü"})
    assert Journal(path).records[1:] == [{"name": "zwei ü"}]


def test_a_journal_forgets_the_line_that_a_kill_cut_off(tmp_path: Path) -> None:
    path = tmp_path / "j.jsonl"
    path.write_bytes(b'{"n": 1}\n{"n": 2}\n{"n": ')
    with Journal(path) as journal:
        assert journal.records == [{"n": 1}, {"n": 2}]
        journal.append({"n": 3})
    assert path.read_bytes() == b'{"n": 1}\n{"n": 2}\n{"n": 3}\n'


def test_a_journal_without_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with Journal(None) as journal:
        journal.append({"n": 1})
    assert journal.records == [{"n": 1}]
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("line", [b"junk", b"[1]", b"\xff\xfe"])
def test_a_journal_that_is_none(tmp_path: Path, line: bytes) -> None:
    path = tmp_path / "j.jsonl"
    path.write_bytes(b'{"n": 1}\n' + line + b"\n")
    with pytest.raises(DataError, match=r"Notes '.*j\.jsonl', line 2, is no JSON object; delete the file\."):
        Journal(path, "Notes")


def test_a_journal_that_cannot_be_read_or_written(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(DataError, match=r"Notes '.*' cannot be read: "):
        Journal(tmp_path / "file" / "j.jsonl", "Notes")
    with Journal(tmp_path / "folder" / "j.jsonl", "Notes") as journal:
        (tmp_path / "folder").write_text("")
        with pytest.raises(DataError, match=r"Notes '.*' cannot be written: "):
            journal.append({"n": 1})
