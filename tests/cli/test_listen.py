"""``m3ser listen``, with a recording in place of a microphone."""

from __future__ import annotations

import json
from collections.abc import Callable, Generator, Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result

from m3ser.audio.microphone import Gap
from m3ser.cli import listen as verb
from m3ser.errors import AudioDeviceError
from m3ser.schema import Segment

Run = Callable[..., Result]


@pytest.fixture
def silero() -> None:
    pytest.importorskip("faster_whisper", reason="hears with Silero (the asr extra)")


@pytest.mark.usefixtures("silero")
def test_a_clip_is_heard_as_if_it_were_spoken_now(m3ser: Run, demo_clips: Path) -> None:
    clip = demo_clips / "1001_DFA_ANG_XX.wav"
    result = m3ser("listen", "--file", str(clip), "--at-once", "--no-text", "--json")
    assert result.exit_code == 0, result.output
    lines = [json.loads(line) for line in result.stdout.splitlines()]
    assert [line["final"] for line in lines] == [False] * (len(lines) - 1) + [True]
    assert len(lines) > 2
    assert (lines[-1]["label"], lines[-1]["text"]) == ("angry", None)
    plain = m3ser("listen", "--file", str(clip), "--at-once", "--no-text")
    assert plain.stdout.count("\n") == 1
    assert "angry" in plain.stdout


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--at-once"], "--at-once is for a recording"),
        (["--file", "a.wav", "--device", "1"], "--file and --device are two things"),
        (["--no-text", "--transcriber", "moonshine"], "has nothing to do with --no-text"),
    ],
)
def test_what_contradicts_itself_is_refused(m3ser: Run, options: list[str], message: str) -> None:
    result = m3ser("listen", *options)
    assert result.exit_code == 2
    assert message in result.stderr


@pytest.mark.usefixtures("silero")
def test_no_microphone_is_one_sentence(m3ser: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    def listen(device: Any) -> Iterator[Any]:
        assert device == 3
        raise AudioDeviceError("No microphone can be opened.")
        yield

    monkeypatch.setattr("m3ser.audio.microphone.listen", listen)
    result = m3ser("listen", "--no-text", "--device", "3")
    assert result.exit_code == 1
    assert "No microphone can be opened." in result.stderr
    assert "listening" not in result.stderr
    assert result.stdout == ""


class FakeStream:
    """Answers every chunk with a segment that starts at its value."""

    def __init__(self) -> None:
        self.skipped: list[float] = []

    def push(self, chunk: float) -> list[Segment]:
        return [Segment(chunk, chunk + 1, "sad", {"sad": 1.0})]

    def skip(self, seconds: float) -> list[Segment]:
        self.skipped.append(seconds)
        return []

    def finish(self) -> list[Segment]:
        return [Segment(99, 100, "sad", {"sad": 1.0})]


def test_ctrl_c_ends_it_with_what_was_being_said(capsys: pytest.CaptureFixture[str]) -> None:
    def chunks() -> Iterator[Any]:
        yield 1.0
        yield Gap(2.5)
        yield 7.0
        raise KeyboardInterrupt

    stream: Any = FakeStream()
    assert [segment.start for segment in verb.heard(stream, chunks())] == [1.0, 7.0, 99]
    assert stream.skipped == [2.5]
    assert "2.5 s of sound were lost" in capsys.readouterr().err


def test_that_somebody_listens_is_said_once_there_is_sound(capsys: pytest.CaptureFixture[str]) -> None:
    closed = []

    def chunks() -> Generator[Any, None, None]:
        try:
            yield from (1.0, 2.0, 3.0)
        finally:
            closed.append(True)

    announced = verb._announced(chunks())
    assert capsys.readouterr().err == ""
    assert [next(announced), next(announced)] == [1.0, 2.0]
    assert capsys.readouterr().err == "m3ser: listening; Ctrl-C ends it.\n"
    announced.close()
    assert closed
