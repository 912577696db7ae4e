from __future__ import annotations

import io
import json
import sys

import pytest

from m3ser.cli.terminal import bar, json_line, percent, printable


@pytest.mark.parametrize(
    ("raw", "shown"),
    [
        ("plain name.wav", "plain name.wav"),
        ("Grüße 你好 🙂.wav", "Grüße 你好 🙂.wav"),
        ("two\nlines\r.wav", r"two\nlines\r.wav"),
        ("\x1b[31mred\x07.wav", r"\x1b[31mred\x07.wav"),
        ("byte\udcff.wav", r"byte\udcff.wav"),
        ("line\u2028separator", r"line\u2028separator"),
    ],
)
def test_printable_keeps_print_and_spells_out_the_rest(raw: str, shown: str) -> None:
    assert printable(raw) == shown


@pytest.mark.parametrize(
    ("share", "unicode", "ascii_"),
    [
        (0.0, "", ""),
        (1.0, "█" * 10, "#" * 10),
        (0.5, "█" * 5, "#" * 5),
        (0.26, "██▋", "###"),
        (0.01, "▏", ""),
        (0.999, "█" * 10, "#" * 10),
    ],
)
def test_bar_is_as_long_as_the_share(share: float, unicode: str, ascii_: str) -> None:
    assert bar(share, 10, ascii_only=False) == unicode
    assert bar(share, 10, ascii_only=True) == ascii_


def test_percent_is_always_six_columns() -> None:
    assert [percent(share) for share in (0.0, 0.0712, 1.0)] == ["  0.0%", "  7.1%", "100.0%"]


@pytest.mark.parametrize("encoding", ["utf-8", "UTF8", "ascii", "cp1252", "utf-16"])
@pytest.mark.parametrize("name", ["plain.wav", "Grüße 你好 🙂.wav", "byte\udcff.wav", "two\nlines.wav"])
def test_a_json_line_survives_every_stream(monkeypatch: pytest.MonkeyPatch, encoding: str, name: str) -> None:
    raw = io.BytesIO()
    stream = io.TextIOWrapper(raw, encoding=encoding)
    monkeypatch.setattr(sys, "stdout", stream)
    json_line({"file": name})
    stream.flush()
    line = raw.getvalue().decode(encoding)
    assert line.count("\n") == 1
    assert json.loads(line) == {"file": name}


def test_json_on_a_utf8_stream_is_not_escaped(monkeypatch: pytest.MonkeyPatch) -> None:
    raw = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(raw, encoding="utf-8"))
    json_line({"text": "Grüße"})
    assert raw.getvalue().decode("utf-8") == '{"text": "Grüße"}\n'
