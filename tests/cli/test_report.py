from __future__ import annotations

import json
import runpy
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("sklearn", reason="needs the train extra")
pytest.importorskip("matplotlib", reason="needs the train extra")

Run = Callable[..., Any]
WRITERS = runpy.run_path(str(Path(__file__).parents[1] / "evaluation" / "report" / "run_folders.py"))


@pytest.fixture
def runs(tmp_path: Path) -> tuple[Path, Path, Path]:
    """A cross-validation, a better one, and a single run as published."""
    write = WRITERS["write_crossval"]
    paper = WRITERS["write_run"](tmp_path / "paper", name="published", protocol="paper", validation=False)
    return write(tmp_path / "poor", name="poor", rate=0.5), write(tmp_path / "good", name="good", rate=0.95), paper


def test_a_report_goes_beside_its_run(m3ser: Run, runs: tuple[Path, ...]) -> None:
    result = m3ser("report", str(runs[0]), "--resamples", "100")
    assert result.exit_code == 0
    assert result.stdout.startswith("poor (both): UA ")
    assert "(balanced accuracy), WA " in result.stdout
    assert result.stdout.count("\n") == 3
    files = [runs[0] / "report.html", runs[0] / "report.md"]
    assert result.stderr == f"m3ser: written: {files[0]}, {files[1]}.\n"
    assert all(file.is_file() for file in files)
    # A report is no part of the run: the next one reads the same.
    again = m3ser("report", str(runs[0]), "--resamples", "100")
    assert again.stdout == result.stdout


@pytest.mark.slow
def test_several_runs_go_where_the_first_one_is(m3ser: Run, runs: tuple[Path, ...], tmp_path: Path) -> None:
    result = m3ser("report", *map(str, runs), "--resamples", "100", "--title", "Table 1")
    assert result.exit_code == 0
    assert "good is better than poor by " in result.stdout
    assert "protocol paper, optimistic: as published" in result.stdout
    assert "published is not compared: poor and published were not tested on the same utterances" in result.stdout
    assert "<title>Table 1</title>" in (tmp_path / "report.html").read_text(encoding="utf-8")


def test_one_file_and_json(m3ser: Run, runs: tuple[Path, ...], tmp_path: Path) -> None:
    out = tmp_path / "new" / "table.md"
    result = m3ser("report", *map(str, runs[:2]), "--out", str(out), "--json", "--resamples", "100")
    assert result.exit_code == 0
    found = json.loads(result.stdout)
    assert found["files"] == [str(out)]
    assert [one["name"] for one in found["runs"]] == ["poor", "good"]
    assert found["comparisons"][0]["second"] == "good"
    assert sorted(file.name for file in out.parent.iterdir()) == ["table.md"]


def test_bad_use(m3ser: Run, runs: tuple[Path, ...], tmp_path: Path) -> None:
    unfinished = shutil.copytree(runs[0], tmp_path / "unfinished")
    (unfinished / "scores.json").unlink()
    shutil.rmtree(unfinished / "seed1" / "fold1")
    for arguments, code, complaint in (
        ([tmp_path / "nowhere"], 1, "is not the folder of a run: not there"),
        ([unfinished], 1, "seed1/fold1 are missing"),
        ([runs[0], runs[0]], 2, "is given more than once"),
        ([runs[0], "--out", tmp_path / "report.pdf"], 2, "to a folder, or as .html or .md"),
    ):
        result = m3ser("report", *map(str, arguments))
        assert result.exit_code == code
        assert complaint in result.stderr
        assert result.stderr.count("\n") == 1
        assert result.stdout == ""


def test_a_bundle_judged_on_a_manifest_beside_a_training(
    m3ser: Run, runs: tuple[Path, ...], starter: Path, demo_clips: Path, tmp_path: Path
) -> None:
    judged = tmp_path / "judged"
    manifest = demo_clips / "manifest.csv"
    assert m3ser("evaluate", "starter", str(manifest), "--condition", "text", "--out", str(judged)).exit_code == 0
    scores = json.loads((judged / "scores.json").read_text(encoding="utf-8"))
    alone = m3ser("report", str(judged), "--resamples", "50", "--json")
    assert alone.exit_code == 0, alone.stderr
    (run,) = json.loads(alone.stdout)["runs"]
    assert (run["name"], run["protocol"]) == ("starter@5", "judged on manifest.csv")
    own = scores["conditions"]["text"]["unweighted_accuracy"]
    assert run["conditions"]["text"]["unweighted_accuracy"] == own
    beside = m3ser("report", str(runs[0]), str(judged), "--resamples", "50", "--out", str(tmp_path / "both.md"))
    assert beside.exit_code == 0, beside.stderr
    assert f"starter@5 (text): UA {own:.2%}" in beside.stdout
    assert "| starter@5 | the words alone |" in (tmp_path / "both.md").read_text(encoding="utf-8")
