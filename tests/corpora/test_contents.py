from __future__ import annotations

from pathlib import Path

from m3ser.corpora.contents import contents_of


def test_equal_bytes_are_equal_whatever_they_are_called(tmp_path: Path) -> None:
    paths = {name: tmp_path / name for name in ("a", "b", "c", "d")}
    for name, content in (("a", b"1234"), ("b", b"1234"), ("c", b"4321"), ("d", b"12345")):
        paths[name].write_bytes(content)
    contents = contents_of([*paths.values(), tmp_path / "gone"])
    assert contents[paths["a"]] == contents[paths["b"]]
    assert len(set(contents.values())) == 4
    assert contents[tmp_path / "gone"] == tmp_path / "gone"
