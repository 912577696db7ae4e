from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import m3ser
from m3ser.errors import M3serError

Run = Callable[..., Any]

HEAVY = ("numpy", "onnxruntime", "soundfile", "soxr", "tokenizers", "torch", "transformers", "rich.console")


def loaded_modules(*arguments: str) -> set[str]:
    """The modules that one run of m3ser leaves loaded."""
    program = (
        "import sys\n"
        "from m3ser.cli.app import main\n"
        "try: main()\n"
        "except SystemExit: pass\n"
        "sys.stderr.write(' '.join(sys.modules))"
    )
    command = [sys.executable, "-c", program, *arguments]
    return set(subprocess.run(command, capture_output=True, text=True, check=True, timeout=120).stderr.split())


def test_version(m3ser_version: str, process: Run) -> None:
    result = process("--version")
    assert result.returncode == 0
    assert result.stdout.decode().split() == ["m3ser", m3ser_version]


@pytest.fixture
def m3ser_version() -> str:
    return m3ser.__version__


def test_help_lists_the_verbs(m3ser: Run) -> None:
    result = m3ser("--help")
    assert result.exit_code == 0
    for verb in ("predict", "demo", "models", "train"):
        assert f"\n  {verb} " in result.stdout
    assert "..." not in result.stdout.partition("Commands:")[2], "a verb's first sentence is too long for the list"


@pytest.mark.parametrize("arguments", [["--help"], ["--version"], ["predict", "--help"], ["predict"], ["nonsense"]])
def test_help_and_bad_use_load_nothing_heavy(arguments: list[str]) -> None:
    assert loaded_modules(*arguments).intersection(HEAVY) == set()


def test_unknown_verb_is_bad_use(m3ser: Run) -> None:
    result = m3ser("frobnicate")
    assert result.exit_code == 2
    assert result.stdout == ""
    assert "frobnicate" in result.stderr


def test_a_bug_keeps_its_traceback(m3ser: Run, fake: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def load(*args: Any, **options: Any) -> Any:
        raise ZeroDivisionError

    monkeypatch.setattr("m3ser.inference.load", load)
    with pytest.raises(ZeroDivisionError):
        m3ser("predict", "a.wav")


def test_an_error_shows_no_control_characters(m3ser: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    def load(*args: Any, **options: Any) -> Any:
        raise M3serError("'\x1b[2Jx\udcff' is not right:\nline 2\nline 3")

    monkeypatch.setattr("m3ser.inference.load", load)
    assert m3ser("predict", "a.wav").stderr == "m3ser: '\\x1b[2Jx\\udcff' is not right:\n  line 2\n  line 3\n"


def test_a_warning_of_the_library_is_one_line_too(fake_process: Run) -> None:
    result = fake_process("predict", "--json", "mumbled.wav")
    assert result.returncode == 0
    assert result.stderr == b"m3ser: mumbled.wav: the voice alone is used.\n"
    assert len(result.stdout.splitlines()) == 1


def test_strange_file_names_come_through(fake_process: Run) -> None:
    names = [b"with space.wav", "Grüße 你好.wav".encode(), b"byte\xff.wav", b"two\nlines.wav"]
    human = fake_process("predict", "--no-text", "--", *names)
    assert human.returncode == 0
    text = human.stdout.decode("utf-8")
    for shown in ("with space.wav", "Grüße 你好.wav", r"byte\udcff.wav", r"two\nlines.wav"):
        assert f"{shown}  2.27 s  angry\n" in text
    records = [json.loads(line) for line in fake_process("predict", "--json", "--", *names).stdout.splitlines()]
    assert [os.fsencode(record["file"]) for record in records] == names


def test_a_stream_that_is_not_utf8_gets_ascii(fake_process: Run) -> None:
    env = {"PYTHONIOENCODING": "ascii"}
    human = fake_process("predict", "Grüße.wav", "--text", "Grüß dich", env=env)
    assert human.returncode == 0
    text = human.stdout.decode("ascii")
    assert text.startswith(r"Gr\xfc\xdfe.wav  2.27 s  angry")
    assert "####" in text
    record = json.loads(fake_process("predict", "--json", "Grüße.wav", env=env).stdout.decode("ascii"))
    assert record["file"] == "Grüße.wav"


def test_colour_is_for_terminals_that_want_it(fake_process: Run) -> None:
    assert b"\x1b[" not in fake_process("predict", "a.wav").stdout
    assert b"\x1b[31m" in fake_process("predict", "a.wav", env={"FORCE_COLOR": "1", "TERM": "xterm"}).stdout
    uncoloured = fake_process("predict", "a.wav", env={"FORCE_COLOR": "1", "TERM": "xterm", "NO_COLOR": "1"}).stdout
    assert b"\x1b[31m" not in uncoloured


@pytest.mark.skipif(os.name != "posix", reason="pipes end otherwise there")
@pytest.mark.parametrize("options", [[], ["--json"]])
def test_a_reader_that_leaves_is_no_complaint(options: list[str]) -> None:
    command = [sys.executable, str(Path(__file__).with_name("fake_main.py")), "predict", *options]
    command += [f"{number}.wav" for number in range(2000)]  # more than a pipe holds
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        assert process.stdout.readline()
        process.stdout.close()
        complaints = process.stderr.read()
        assert process.wait(60) == 1
    assert complaints == b""


@pytest.mark.skipif(os.name != "posix", reason="needs a POSIX shell")
@pytest.mark.parametrize("options", ["", "--json"])
def test_a_closed_stdout_is_no_complaint(options: str) -> None:
    command = f'"{sys.executable}" "{Path(__file__).with_name("fake_main.py")}" predict a.wav {options} >&-'
    result = subprocess.run(["/bin/sh", "-c", command], capture_output=True, check=False, timeout=60)
    assert (result.returncode, result.stderr) == (0, b"")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
@pytest.mark.parametrize("options", [[], ["--json"]])
def test_a_full_disk_is_one_sentence(options: list[str]) -> None:
    command = [sys.executable, str(Path(__file__).with_name("fake_main.py")), "predict", "a.wav", *options]
    with Path("/dev/full").open("wb") as full:
        result = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, check=False, timeout=60)
    assert result.returncode == 1
    assert result.stderr.decode() == "m3ser: The output could not be written: No space left on device.\n"


@pytest.mark.skipif(os.name != "posix", reason="needs POSIX signals")
def test_an_interrupt_ends_quietly() -> None:
    command = [sys.executable, str(Path(__file__).with_name("fake_main.py")), "predict", "--json", "a.wav", "b.wav"]
    env = {**os.environ, "FAKE_SECONDS": "1"}
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=env) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        assert json.loads(process.stdout.readline())["file"] == "a.wav"
        time.sleep(0.1)
        process.send_signal(signal.SIGINT)
        assert process.wait(60) == 130
        assert process.stderr.read() == b"m3ser: interrupted.\n"
        assert process.stdout.read() == b""
