from __future__ import annotations

from pathlib import Path

import pytest

from m3ser.errors import DataError
from m3ser.files import appearing_whole, write_whole


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
