"""What works with the core dependencies alone, and what the rest asks for: every extra's packages are hidden here."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

EXTRAS = [
    "accelerate",
    "av",
    "ctranslate2",
    "datasets",
    "faster_whisper",
    "matplotlib",
    "moonshine_voice",
    "onnx",
    "onnxscript",
    "pandas",
    "pyarrow",
    "safetensors",
    "scipy",
    "sklearn",
    "torch",
    "torchvggish",
    "transformers",
    "yaml",
]

RUN = f"""
import sys

class AllBut:
    def __init__(self, finder):
        self.finder = finder

    def find_spec(self, name, path=None, target=None):
        return None if name.partition(".")[0] in {EXTRAS!r} else self.finder.find_spec(name, path, target)

sys.meta_path[:] = [AllBut(finder) for finder in sys.meta_path if hasattr(finder, "find_spec")]
import m3ser.cli.app
m3ser.cli.app.main()
"""


def m3ser(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-c", RUN, *arguments], capture_output=True, text=True, check=False)


@pytest.mark.parametrize("arguments", [("--help",), ("--version",), ("models",), ("train", "--help")])
def test_starts(arguments: tuple[str, ...]) -> None:
    found = m3ser(*arguments)
    assert (found.returncode, found.stderr) == (0, "")


def test_predicts_from_voice_and_given_words(demo_clip: Path) -> None:
    found = m3ser("predict", str(demo_clip), "--text", "Don't forget a jacket.", "--json")
    assert (found.returncode, found.stderr) == (0, "")
    assert json.loads(found.stdout)["text_source"] == "given"


def test_uses_the_voice_alone_and_says_what_to_install(demo_clip: Path) -> None:
    found = m3ser("predict", str(demo_clip), "--json")
    assert found.returncode == 0
    assert json.loads(found.stdout)["text_source"] == "none"
    assert found.stderr.count("\n") == 1
    assert 'pip install "m3ser[asr]"' in found.stderr


def test_annotates_into_csv_and_says_what_parquet_needs(demo_clip: Path, tmp_path: Path) -> None:
    found = m3ser("annotate", str(demo_clip), "--out", str(tmp_path / "out.csv"), "--no-text")
    assert (found.returncode, found.stderr) == (0, "")
    assert (tmp_path / "out.csv").read_text(encoding="utf-8").count("\n") == 2
    found = m3ser("annotate", str(demo_clip), "--out", str(tmp_path / "words.csv"))
    assert found.returncode == 0
    assert found.stderr.startswith("m3ser: note: nothing here turns speech into text")
    found = m3ser("annotate", str(demo_clip), "--out", str(tmp_path / "out.parquet"))
    assert found.returncode == 1
    assert found.stderr.count("\n") == 1
    assert 'pip install "m3ser[parquet]"' in found.stderr


def test_says_what_training_needs(repository: Path, tmp_path: Path) -> None:
    found = m3ser("train", str(repository / "recipes" / "starter" / "starter.yaml"), "--out", str(tmp_path))
    assert found.returncode == 1
    assert found.stderr == "m3ser: Training needs the 'train' extra: pip install \"m3ser[train]\".\n"


def test_says_what_a_transcriber_needs(demo_clip: Path) -> None:
    found = m3ser("predict", str(demo_clip), "--transcriber", "moonshine")
    assert found.returncode == 1
    assert found.stderr.count("\n") == 1
    assert 'pip install "m3ser[asr]"' in found.stderr
