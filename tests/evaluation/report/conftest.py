"""Run folders made by hand; see ``run_folders.py`` beside this file."""

from __future__ import annotations

import runpy
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("sklearn", reason="needs the train extra")
pytest.importorskip("yaml", reason="needs the train extra")

WRITERS = runpy.run_path(str(Path(__file__).with_name("run_folders.py")))


@pytest.fixture(scope="session")
def write_run() -> Callable[..., Path]:
    writer: Callable[..., Path] = WRITERS["write_run"]
    return writer


@pytest.fixture(scope="session")
def write_crossval() -> Callable[..., Path]:
    writer: Callable[..., Path] = WRITERS["write_crossval"]
    return writer


@pytest.fixture(scope="session")
def runs(tmp_path_factory: pytest.TempPathFactory, write_crossval: Any, write_run: Any) -> dict[str, Path]:
    """A cross-validation, a better one of the same, one of the voice alone, a published one and a paired one."""
    root = tmp_path_factory.mktemp("runs")
    return {
        "first": write_crossval(root / "first", name="first", expected="UA 70%, by the paper"),
        "better": write_crossval(root / "better", name="better", rate=0.97),
        "voice": write_crossval(root / "voice", name="voice", conditions=("audio",), seeds=(3,)),
        "paper": write_run(root / "paper", name="published", protocol="paper", validation=False),
        "paired": write_run(
            root / "paired",
            name="paired",
            kind="paired",
            fold=2,
            comment="paired (semi-synthetic): seed 0, made-up voices and words",
        ),
    }
