from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

Run = Callable[..., Any]


@pytest.fixture
def clips(demo_clips: Path) -> str:
    return str(demo_clips / "manifest.csv")


def test_a_table(m3ser: Run, clips: str) -> None:
    result = m3ser("corpora", "stats", clips)
    assert result.exit_code == 0, result.output
    for word in ("angry", "happy", "sad", "neutral", "utterances", "median"):
        assert word in result.stdout


def test_json_has_it_all(m3ser: Run, clips: str, demo_rows: list[dict[str, str]]) -> None:
    record = json.loads(m3ser("corpora", "stats", clips, "--json", "--scheme", "iemocap4").stdout)
    assert record["whole"]["utterances"] == len(demo_rows)


def test_a_page(m3ser: Run, clips: str, tmp_path: Path) -> None:
    page = tmp_path / "page.html"
    assert m3ser("corpora", "stats", clips, "--plot", str(page)).exit_code == 0
    assert "<svg" in page.read_text(encoding="utf-8")


def test_what_cannot_be_drawn_is_bad_use(m3ser: Run, clips: str, tmp_path: Path) -> None:
    result = m3ser("corpora", "stats", clips, "--plot", str(tmp_path / "page.gif"))
    assert result.exit_code == 2
    assert "expected .html or .png" in result.stderr


def test_an_empty_manifest_is_said_to_be_empty(m3ser: Run, tmp_path: Path) -> None:
    (tmp_path / "m.csv").write_text("audio,emotion\n")
    result = m3ser("corpora", "stats", str(tmp_path / "m.csv"))
    assert result.exit_code == 1
    assert "lists no utterance" in result.stderr
