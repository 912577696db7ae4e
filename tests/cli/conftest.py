"""What the command line's tests share: a recogniser that needs no model, and m3ser as a process of its own."""

from __future__ import annotations

import os
import runpy
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from m3ser.cli.app import app

FAKE_MAIN = Path(__file__).with_name("fake_main.py")
PLAIN = {"COLUMNS": "80", "NO_COLOR": "", "FORCE_COLOR": "", "PYTHONUTF8": "0", "PYTHONIOENCODING": "utf-8"}


@pytest.fixture
def fake(monkeypatch: pytest.MonkeyPatch) -> Any:
    """The recogniser that ``m3ser.inference.load`` gives in this test."""
    recogniser = runpy.run_path(str(FAKE_MAIN))["FakeRecogniser"]()
    monkeypatch.setattr("m3ser.inference.load", recogniser.load)
    return recogniser


@pytest.fixture
def m3ser() -> Callable[..., Any]:
    """Runs ``m3ser`` in this process: m3ser("predict", "clip.wav") has .exit_code, .stdout and .stderr."""

    def run(*arguments: str, env: dict[str, str] | None = None, stdin: bytes | None = None) -> Any:
        result = CliRunner().invoke(app, arguments, input=stdin, env={**PLAIN, **(env or {})})
        if result.exception is not None and not isinstance(result.exception, SystemExit):
            raise result.exception
        return result

    return run


def _run(command: list[str], arguments: tuple[str | bytes, ...], **options: Any) -> subprocess.CompletedProcess[bytes]:
    env = {**os.environ, **PLAIN, **options.pop("env", {})}
    return subprocess.run([*command, *arguments], env=env, timeout=120, capture_output=True, check=False, **options)


@pytest.fixture
def fake_process() -> Callable[..., subprocess.CompletedProcess[bytes]]:
    """Runs ``m3ser`` as a process of its own, with the fake recogniser in it."""
    return lambda *arguments, **options: _run([sys.executable, str(FAKE_MAIN)], arguments, **options)


@pytest.fixture
def process() -> Callable[..., subprocess.CompletedProcess[bytes]]:
    """Runs ``python -m m3ser`` as a process of its own."""
    return lambda *arguments, **options: _run([sys.executable, "-m", "m3ser"], arguments, **options)


@pytest.fixture(scope="session")
def starter(repository: Path) -> Path:
    """The bundled model's folder."""
    folder = repository / "src" / "m3ser" / "bundled" / "starter"
    if not (folder / "bundle.json").is_file():
        pytest.skip("needs the bundled model, which this checkout does not have yet")
    return folder
