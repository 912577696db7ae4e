from __future__ import annotations

from pathlib import Path

import pytest

from m3ser.errors import DataError
from m3ser.inference.annotation.journal import AnswerJournal
from m3ser.inference.annotation.listing import Listing, key_of
from m3ser.inference.annotation.sources import Item


def test_records_are_found_again_by_their_place(tmp_path: Path) -> None:
    path = tmp_path / "answers.jsonl"
    with AnswerJournal(path) as journal:
        places = journal.append([{"key": 2**64 - 1, "error": "ü\udcff"}, {"key": 2}])
        places += journal.append([{"key": 3}])
        assert [journal.read(place)["key"] for place in reversed(places)] == [3, 2, 2**64 - 1]
    with AnswerJournal(path) as journal:
        assert [(place, record["key"]) for place, record in journal.records()] == list(
            zip(places, [2**64 - 1, 2, 3], strict=True)
        )
        assert journal.read(places[0])["error"] == "ü\udcff"


@pytest.mark.parametrize("torn", [b'{"key": 3, "res', b'{"key": 3}', b"x" * 200_000, b"\0\0\0"])
def test_what_a_kill_cut_off_is_dropped(tmp_path: Path, torn: bytes) -> None:
    path = tmp_path / "answers.jsonl"
    path.write_bytes(b'{"key": 1}\n{"key": 2}\n' + torn)
    with AnswerJournal(path) as journal:
        assert [record["key"] for _, record in journal.records()] == [1, 2]
        journal.append([{"key": 4}])
    assert path.read_bytes() == b'{"key": 1}\n{"key": 2}\n{"key": 4}\n'


def test_nothing_but_a_torn_line(tmp_path: Path) -> None:
    path = tmp_path / "answers.jsonl"
    path.write_bytes(b'{"key"')
    with AnswerJournal(path) as journal:
        assert list(journal.records()) == []
    assert path.read_bytes() == b""


@pytest.mark.parametrize("line", [b"junk", b"[1]", b'{"key": "x"}', b"\xff"])
def test_a_journal_that_is_none(tmp_path: Path, line: bytes) -> None:
    path = tmp_path / "answers.jsonl"
    path.write_bytes(b'{"key": 1}\n' + line + b"\n")
    with AnswerJournal(path) as journal, pytest.raises(DataError, match="line 2, is not what was written there"):
        list(journal.records())


def test_a_journal_that_cannot_be_written(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="cannot be written: No such file or directory; what was done until now"):
        AnswerJournal(tmp_path / "none" / "answers.jsonl")


# The list


def listing(tmp_path: Path, *items: Item) -> Listing:
    return Listing(tmp_path / "list.jsonl", iter(items), words="auto")


A, B, C = (Item(name, f"/calls/{name}") for name in ("a.wav", "b.wav", "c.wav"))


def test_items_wait_in_their_order_until_they_are_settled(tmp_path: Path) -> None:
    found = listing(tmp_path, C, A, B)
    assert [item for _, item in found.pending()] == [C, A, B]
    assert found.settle(key_of(A, "auto"), 17, failed=False)
    assert found.settle(key_of(B, "auto"), 4, failed=True)
    assert not found.settle(key_of(Item("d", "/d"), "auto"), 5, failed=False)
    assert [item for _, item in found.pending()] == [C]
    assert list(found.settled_items(failed=False)) == [(A, 17)]
    assert list(found.settled_items(failed=True)) == [(B, 4)]
    assert (len(found), found.settled, found.failed, found.waiting) == (3, 2, 1, 1)
    found.retry_failed()
    assert [item for _, item in found.pending()] == [C, B]


def test_a_recording_that_is_named_twice_is_listed_once(tmp_path: Path) -> None:
    found = listing(tmp_path, A, B, Item("../calls/a.wav", "/calls/x/../a.wav"))
    assert [item for _, item in found.pending()] == [A, B]
    assert len(found) == 2


def test_rows_that_come_again_are_answered_once_and_listed_each_time(tmp_path: Path) -> None:
    first, again = (Item("a.wav", "/calls/a.wav", row=True, further={"id": n}) for n in (1, 2))
    found = listing(tmp_path, first, B, again)
    ((key, item), _) = found.pending()
    assert item == first
    found.settle(key, 7, failed=False)
    assert list(found.settled_items(failed=False)) == [(first, 7), (again, 7)]
    assert (len(found), found.settled, found.waiting) == (3, 2, 1)
    assert found.further == ("id",)


def test_stretches_and_given_words_are_told_apart_where_they_matter() -> None:
    part, words = Item("a.wav", "/calls/a.wav", start=1.0), Item("a.wav", "/calls/a.wav", text="No.")
    assert len({key_of(item, "auto") for item in (A, B, part, words)}) == 4
    assert key_of(words, "transcribed") == key_of(A, "transcribed")
    assert key_of(words, None) == key_of(A, None)
