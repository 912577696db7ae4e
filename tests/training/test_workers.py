"""Folds that are trained at the same time, by processes of their own."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("torch")

from typer.testing import CliRunner

from m3ser.cli.app import app
from m3ser.evaluation import read_predictions

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore")]


def test_folds_side_by_side_come_to_what_they_come_to_in_turn(tiny_recipe: Path, tmp_path: Path) -> None:
    tables = {}
    for workers in ("1", "2"):
        out = tmp_path / workers
        arguments = ["crossval", str(tiny_recipe), "--out", str(out), "--cache", str(tmp_path / "cache")]
        arguments += ["--workers", workers, "--set", "training.epochs=2"]
        result = CliRunner().invoke(app, arguments, catch_exceptions=False)
        assert result.exit_code == 0, result.output
        tables[workers] = read_predictions(out / "predictions.csv")
    assert tables["1"].utterances == tables["2"].utterances
    np.testing.assert_allclose(tables["1"].probabilities, tables["2"].probabilities, atol=1e-3)


def children(pid: int) -> list[int]:
    return [int(one) for one in Path(f"/proc/{pid}/task/{pid}/children").read_text(encoding="ascii").split()]


def running(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


@pytest.mark.skipif(
    not Path(f"/proc/self/task/{os.getpid()}/children").exists(), reason="needs Linux's list of children"
)
def test_workers_end_with_a_parent_that_is_killed(tiny_recipe: Path, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "m3ser", "crossval", str(tiny_recipe), "--out", str(tmp_path / "cv")]
    command += ["--cache", str(tmp_path / "cache"), "--workers", "2", "--set", "training.epochs=100000"]
    parent = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    workers: list[int] = []
    try:
        started = time.monotonic()
        while len(list(tmp_path.glob("cv/seed0/fold*/checkpoints/checkpoint-*"))) < 2:
            assert parent.poll() is None, "it ended by itself"
            assert time.monotonic() - started < 240, "it never began"
            time.sleep(0.2)
        workers = children(parent.pid)
        assert len(workers) >= 2
        parent.send_signal(signal.SIGKILL)
        parent.wait(30)
        killed = time.monotonic()
        while any(map(running, workers)) and time.monotonic() - killed < 60:
            time.sleep(0.2)
        assert not [pid for pid in workers if running(pid)]
    finally:
        parent.kill()
        for pid in workers:
            if running(pid):
                os.kill(pid, signal.SIGKILL)
