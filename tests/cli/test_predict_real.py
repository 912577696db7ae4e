"""``m3ser predict`` with the real model, as a process of its own."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

Run = Callable[..., Any]

LOADED = """
import sys
from m3ser.cli.app import main
try: main()
except SystemExit as end: assert not end.code, end.code
sys.stderr.write(" ".join(sys.modules))
"""


def test_predict_loads_no_torch(starter: Path, demo_clip: Path) -> None:
    command = [sys.executable, "-c", LOADED, "predict", "--model", str(starter), str(demo_clip), "--text", "No!"]
    result = subprocess.run(command, capture_output=True, text=True, check=True, timeout=120)
    modules = set(result.stderr.split())
    assert "m3ser.inference" in modules
    assert modules.isdisjoint({"torch", "transformers", "sklearn", "scipy", "huggingface_hub", "moonshine_voice"})


def test_the_command_says_what_the_library_says(starter: Path, demo_clip: Path, process: Run) -> None:
    from m3ser import inference

    arguments = ["predict", "--json", "--model", str(starter), str(demo_clip), "--text", "Don't forget a jacket."]
    result = process(*arguments)
    assert (result.returncode, result.stderr) == (0, b"")
    expected = inference.load(starter).predict(str(demo_clip), text="Don't forget a jacket.").to_dict()
    scores = expected.pop("scores")
    found = json.loads(result.stdout)
    assert found.pop("scores") == pytest.approx(scores, abs=1e-5)
    assert found == expected


def test_a_pipe_is_heard_like_the_file(starter: Path, demo_clip: Path, process: Run) -> None:
    options = ["predict", "--json", "--no-text", "--model", str(starter)]
    from_file = json.loads(process(*options, str(demo_clip)).stdout)
    from_pipe = json.loads(process(*options, "-", input=demo_clip.read_bytes()).stdout)
    assert from_pipe == {**from_file, "file": "-"}


def test_words_alone(starter: Path, process: Run) -> None:
    result = process("predict", "--json", "--model", str(starter), "--text", "I am so happy for you!")
    record = json.loads(result.stdout)
    assert (record["file"], record["duration"], record["text_source"]) == (None, None, "given")


def test_words_that_are_none_are_a_failure(starter: Path, process: Run) -> None:
    result = process("predict", "--model", str(starter), "--text", "[laughter]")
    assert (result.returncode, result.stdout) == (1, b"")
    assert len(result.stderr.splitlines()) == 1


@pytest.mark.slow
def test_words_are_transcribed_where_that_can_be_done(starter: Path, demo_clip: Path, process: Run) -> None:
    pytest.importorskip("moonshine_voice", reason="needs the asr extra")
    result = process("predict", "--json", "--model", str(starter), str(demo_clip))
    assert (result.returncode, result.stderr) == (0, b"")
    record = json.loads(result.stdout)
    assert record["text_source"] == "transcribed"
    assert "jacket" in record["text"]


def test_words_in_another_language_are_shown_as_not_used(starter: Path, demo_clip: Path, process: Run) -> None:
    arguments = ["predict", "--model", str(starter), str(demo_clip), "--text", "Das ist mir doch egal."]
    shown = " ".join(process(*arguments).stdout.decode().split())
    assert '"Das ist mir doch egal." (not used)' in shown
    assert "it seems to be German" in shown
    found = json.loads(process(*arguments, "--json").stdout)
    voice = json.loads(process("predict", "--model", str(starter), str(demo_clip), "--no-text", "--json").stdout)
    assert (found["text"], found["text_source"], found["language"]) == ("Das ist mir doch egal.", "none", "de")
    assert found["scores"] == pytest.approx(voice["scores"], abs=1e-5)
    assert {"note", "language"}.isdisjoint(voice)
    alone = process("predict", "--text", "Das ist mir doch egal.", "--language", "de")
    assert alone.returncode == 1
    assert alone.stderr.count(b"\n") == 1
