from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from m3ser.errors import DataError, UsageError
from m3ser.inference.annotation.sources import Item, find_items


def names(*sources: Path | str) -> list[str | None]:
    return [item.file for item in find_items([str(source) for source in sources])]


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    for name in ("b/2.wav", "b/10.FLAC", "a.mp3", "b/c/x.opus", ".hidden.wav", "._a.wav", ".git/y.wav", "notes.txt"):
        path = tmp_path / "tree" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    return tmp_path / "tree"


def test_a_folder_is_read_in_the_order_of_its_names(tree: Path) -> None:
    assert names(tree) == [str(tree / name) for name in ("a.mp3", "b/10.FLAC", "b/2.wav", "b/c/x.opus")]


def test_names_are_as_the_folder_was_named(tree: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tree)
    assert names("b") == ["b/10.FLAC", "b/2.wav", "b/c/x.opus"]
    assert names(".")[0] == "./a.mp3"


def test_links_lead_to_recordings_but_not_in_circles(tree: Path) -> None:
    (tree / "b" / "loop").symlink_to(tree)
    (tree / "linked.wav").symlink_to(tree / "a.mp3")
    (tree / "nowhere.wav").symlink_to(tree / "gone.wav")
    (tree / "folder.wav").symlink_to(tree / "b")
    os.mkfifo(tree / "pipe.wav")
    found = [Path(name or "").name for name in names(tree)]
    assert found == ["a.mp3", "10.FLAC", "2.wav", "x.opus", "linked.wav", "nowhere.wav"]
    (tree.parent / "link").symlink_to(tree / "b")
    assert len(names(tree.parent / "link")) == 3


def test_a_folder_below_that_cannot_be_read_is_an_item_that_failed(tree: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # By a patch and not by permissions, which the superuser does not notice.
    real = os.scandir

    def scandir(path: str) -> object:
        if Path(path).name in ("c", "top"):
            raise PermissionError(13, "Permission denied")
        return real(path)

    monkeypatch.setattr(os, "scandir", scandir)
    last = list(find_items([str(tree)]))[-1]
    assert last.file == str(tree / "b" / "c")
    assert last.problem == f"Folder '{tree / 'b' / 'c'}' cannot be read: Permission denied."
    (tree / "top").mkdir()
    with pytest.raises(DataError, match=r"Folder '.*top' cannot be read: Permission denied\."):
        names(tree / "top")


def test_patterns_are_read_in_order(tree: Path) -> None:
    assert names(f"{tree}/**/*.[wo]*") == [str(tree / name) for name in ("b/2.wav", "b/c/x.opus")]
    assert names(f"{tree}/*") == [str(tree / "a.mp3"), str(tree / "notes.txt")]


def test_a_file_whose_name_looks_like_a_pattern(tmp_path: Path) -> None:
    (tmp_path / "call [1].wav").touch()
    assert names(tmp_path / "call [1].wav") == [str(tmp_path / "call [1].wav")]


def test_a_manifest_gives_words_stretches_and_its_other_columns(tmp_path: Path) -> None:
    path = tmp_path / "calls.csv"
    path.write_text("id,audio,text,start,end,emotion\n7,a/1.wav,No.,,2.5,whatever\n8,/b.wav,,0.5,,\n9,,Words.,,,\n")
    one, two, three = find_items([str(path)])
    further = {"id": "7", "end": 2.5, "emotion": "whatever"}
    assert one == Item("a/1.wav", f"{tmp_path}/a/1.wav", "No.", end=2.5, row=True, further=further)
    assert (two.file, two.audio, two.text, two.start, two.end) == ("/b.wav", "/b.wav", None, 0.5, None)
    assert (three.file, three.audio, three.text) == (None, None, "Words.")


def test_a_manifest_as_json_lines(tmp_path: Path) -> None:
    path = tmp_path / "calls.jsonl"
    path.write_text('{"meta": {"comment": "x"}}\n{"audio": "a.wav", "id": 7, "tags": ["x"], "start": 1}\n')
    (item,) = find_items([str(path)])
    assert (item.file, item.start, item.further) == ("a.wav", 1.0, {"id": 7, "tags": ["x"], "start": 1.0})


def test_faults_of_a_manifest_are_told_together(tmp_path: Path) -> None:
    path = tmp_path / "calls.csv"
    path.write_text("audio,start,end\na.wav,x,\nb.wav,2,1\nc.wav,,\n")
    with pytest.raises(DataError, match=r"(?s)has 2 faults:.*line 2: start is 'x'.*line 3: end is 1 s"):
        names(path)


@pytest.mark.parametrize(
    ("make", "error", "sentence"),
    [
        (lambda p: p / "none", UsageError, "'.*none' does not exist; expected a folder, a manifest"),
        (lambda p: p / "*.wav", UsageError, r"Nothing matches '.*\*\.wav'; expected recordings\."),
        (lambda p: p, DataError, r"Folder '.*' holds no recordings; expected at least one\."),
        (lambda p: p / "empty.csv", DataError, r"Manifest '.*empty\.csv' has no rows; expected at least one\."),
        (lambda p: p / "other.csv", DataError, r"columns name; expected at least audio or text"),
    ],
)
def test_what_holds_nothing_is_one_sentence(
    tmp_path: Path, make: Callable[[Path], Path], error: type[Exception], sentence: str
) -> None:
    (tmp_path / "empty.csv").write_text("audio,text\n")
    (tmp_path / "other.csv").write_text("name\nx\n")
    with pytest.raises(error, match=sentence):
        names(make(tmp_path))


def test_an_item_survives_its_line() -> None:
    item = Item("a\udcff.wav", "/x/a\udcff.wav", "é", 0.5, 2.5, True, {"id": 7, "start": 0.0}, "bad")
    line = item.to_line()
    assert line.isascii()
    assert line.count(b"\n") == 1
    assert Item.from_line(line) == item
    for short in (Item("a.wav", "a.wav"), Item(None, None, "words", row=True)):
        assert Item.from_line(short.to_line()) == short
