"""What every test may ask for: the corpora at hand, where they are, and the clips that come with the package."""

from __future__ import annotations

import csv
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

REPOSITORY = Path(__file__).resolve().parents[1]


@pytest.fixture(scope="session")
def repository() -> Path:
    """The root of the checkout."""
    return REPOSITORY


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Real labelled corpora beside the checkout; most machines have none, and the test is skipped there."""
    folder = REPOSITORY.parent / "shared" / "data"
    if not folder.is_dir():
        pytest.skip("needs the emotional-speech corpora beside the checkout (../shared/data), which this machine lacks")
    return folder


@pytest.fixture(scope="session")
def demo_clips() -> Path:
    """The folder of real clips (CREMA-D, 16 kHz mono WAV) that come with the package."""
    return REPOSITORY / "src" / "m3ser" / "bundled" / "clips"


@pytest.fixture(scope="session")
def demo_clip(demo_clips: Path) -> Path:
    """One real clip of 2.3 s, spoken angrily: "Don't forget a jacket."."""
    return demo_clips / "1001_DFA_ANG_XX.wav"


@pytest.fixture(scope="session")
def demo_rows(demo_clips: Path) -> list[dict[str, str]]:
    """The rows of the clips' manifest: audio, emotion, text, speaker, language."""
    with (demo_clips / "manifest.csv").open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


@pytest.fixture(scope="session")
def iemocap_tree(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Any]:
    """Writes a made-up IEMOCAP: iemocap_tree(sessions=2) has .root and .turns; see iemocap_tree.write_iemocap."""
    from iemocap_tree import write_iemocap

    return lambda **options: write_iemocap(tmp_path_factory.mktemp("iemocap"), **options)
