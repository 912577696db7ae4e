from __future__ import annotations

import io
import re
import sys
import time

import pytest

from m3ser.cli import progress
from m3ser.cli.progress import LateProgress


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def make_terminal(monkeypatch: pytest.MonkeyPatch) -> Terminal:
    # Not a fixture: pytest puts its own stream in place between a test's set-up and the test.
    stream = Terminal()
    monkeypatch.setattr(sys, "stderr", stream)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "80")
    return stream


def test_nothing_is_shown_before_the_delay(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = make_terminal(monkeypatch)
    with LateProgress("recognising", 2) as bars:
        bars.advance()
        with bars.paused():
            pass
    assert terminal.getvalue() == ""


def test_the_bar_appears_counts_and_leaves(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = make_terminal(monkeypatch)
    monkeypatch.setattr(progress, "DELAY_SECONDS", 0.01)
    with LateProgress("recognising", 2) as bars:
        deadline = time.monotonic() + 10
        while not terminal.getvalue() and time.monotonic() < deadline:
            time.sleep(0.01)
        bars.advance()
        with bars.paused():
            before = terminal.getvalue()
            time.sleep(0.3)
            assert terminal.getvalue() == before, "the bar writes while something else does"
        bars.advance()
    written = terminal.getvalue()
    assert "recognising" in written
    assert "2/2" in written
    assert written.endswith("\x1b[2K"), "the bar stays on the screen"
    assert written.count("\x1b[?25l") == written.count("\x1b[?25h"), "the cursor stays hidden"


def test_no_terminal_no_bar(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(progress, "DELAY_SECONDS", 0.01)
    with LateProgress("recognising", 2) as bars:
        time.sleep(0.1)
        bars.advance()
        with bars.paused():
            pass
    assert capsys.readouterr().err == ""


def test_how_much_there_is_to_do_may_show_later(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = make_terminal(monkeypatch)
    monkeypatch.setattr(progress, "DELAY_SECONDS", 0.01)
    with LateProgress("reading", 0) as bars:
        deadline = time.monotonic() + 10
        while not terminal.getvalue() and time.monotonic() < deadline:
            time.sleep(0.01)
        bars.update(40, 4481)
    assert "40/4481" in terminal.getvalue()


def test_the_rate_is_shown_where_something_is_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = make_terminal(monkeypatch)
    monkeypatch.setattr(progress, "DELAY_SECONDS", 0.01)
    with LateProgress("transcribing", 10_000, unit="files") as bars:
        deadline = time.monotonic() + 10
        while "files/s" not in terminal.getvalue() and time.monotonic() < deadline:
            bars.advance()
            time.sleep(0.01)
    assert "files/s" in terminal.getvalue()


def test_work_that_shows_itself_has_no_second_bar(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = make_terminal(monkeypatch)
    monkeypatch.setattr(progress, "DELAY_SECONDS", 0.0)
    with LateProgress("judging", 2, shown=False) as bars:
        time.sleep(0.05)
        bars.advance()
    assert terminal.getvalue() == ""


def test_stages_and_notes_are_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = make_terminal(monkeypatch)
    monkeypatch.setattr(progress, "DELAY_SECONDS", 0.01)
    with LateProgress("listing", 0) as bars:
        bars.update(3000, None)
        deadline = time.monotonic() + 10
        while "3000/?" not in terminal.getvalue() and time.monotonic() < deadline:
            time.sleep(0.01)
        assert "3000/?" in terminal.getvalue()
        bars.update(40, 4481, what="annotating", note="0:59 left")
    assert "annotating" in terminal.getvalue()
    assert "40/4481" in terminal.getvalue()
    assert "0:59 left" in terminal.getvalue()


def test_how_long_it_will_take_is_shown_on_demand(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = make_terminal(monkeypatch)
    monkeypatch.setattr(progress, "DELAY_SECONDS", 0.01)
    with LateProgress("recognising", 0, unit="s", time_left=True) as bars:
        deadline = time.monotonic() + 10
        done = 0
        while (
            not (shown := re.search("left (?:\x1b\\[[0-9]+m)?0:0", terminal.getvalue())) and time.monotonic() < deadline
        ):
            done += 1
            bars.update(done, 10_000)
            time.sleep(0.01)
    assert shown
