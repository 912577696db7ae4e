from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

Run = Callable[..., Any]

FAULTY = """audio,emotion,start,end
a.wav,angry,,
b.wav,furious,2,1
"""


def test_every_fault_is_named_with_its_line(m3ser: Run, tmp_path: Path) -> None:
    path = tmp_path / "m.csv"
    path.write_text(FAULTY)
    result = m3ser("corpora", "validate", str(path))
    assert result.exit_code == 1
    assert "line 2: audio 'a.wav' is not there" in result.stdout
    assert "line 3: emotion is 'furious'" in result.stdout
    assert "line 3: end is 1 s" in result.stdout
    assert "has 4 faults" in result.stderr
    as_json = m3ser("corpora", "validate", str(path), "--no-audio", "--json")
    lines = [json.loads(line) for line in as_json.stdout.splitlines()]
    assert [line.get("line") for line in lines] == [3, 3, None]
    assert [line.get("kind") for line in lines[:-1]] == ["column end", "column emotion"]
    assert lines[-1]["faults"] == 2
    assert lines[-1]["kinds"] == {"column end": 1, "column emotion": 1}


def test_a_right_one_is_called_right(m3ser: Run, demo_clips: Path) -> None:
    result = m3ser("corpora", "validate", str(demo_clips / "manifest.csv"))
    assert result.exit_code == 0
    assert "is right" in result.stdout


def test_thousands_of_faults_are_counted_and_the_first_of_each_kind_printed(m3ser: Run, tmp_path: Path) -> None:
    path = tmp_path / "m.csv"
    path.write_text("audio,emotion\n" + "a.wav,furious\n" * 1500 + "a.wav\n")
    result = m3ser("corpora", "validate", str(path), "--no-audio")
    assert result.exit_code == 1
    assert result.stdout.count("line ") == 101
    assert "line 1502: 1 fields; expected 2" in result.stdout
    assert "and 1,400 more (column emotion); --all prints them" in result.stdout
    assert "has 1,501 faults" in result.stderr
    assert m3ser("corpora", "validate", str(path), "--no-audio", "--all").stdout.count("line ") == 1501


def test_the_same_recording_twice_is_found(m3ser: Run, tmp_path: Path) -> None:
    path = tmp_path / "m.csv"
    path.write_text("audio,emotion\na.wav,angry\nb.wav,sad\na.wav,sad\n")
    result = m3ser("corpora", "validate", str(path), "--no-audio")
    assert result.exit_code == 1
    assert result.stdout == "line 4: audio 'a.wav' was listed before; expected each utterance once\n"
