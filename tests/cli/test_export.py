"""``m3ser export``: what the options mean, and what is printed."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

pytest.importorskip("torch")
pytest.importorskip("onnxscript")

from typer.testing import CliRunner

from m3ser.cli.app import app
from m3ser.training.exporting import checkpoint_export
from m3ser.training.exporting.parity import Difference, Parity

PARITY = Parity(
    source="'some.csv'",
    utterances=200,
    labelled=True,
    ua=0.7,
    fp32=Difference(1.5e-6, 1.0, 0.0),
    precision="int8",
    stored=Difference(0.042, 0.995, -0.25),
    kept=("text: node_linear_7",),
    layers=78,
    notes=("int8 was calibrated on 200 utterances of 'some.csv'.",),
)


@pytest.fixture
def exported(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    asked: dict[str, Any] = {}

    def export(folder: Path, out: Path, **options: Any) -> Any:
        asked.update(folder=folder, out=out, **options)
        files = {"a.onnx": SimpleNamespace(bytes=2_000_000), "b.onnx": SimpleNamespace(bytes=500_000)}
        return SimpleNamespace(bundle=SimpleNamespace(folder=out, manifest=SimpleNamespace(files=files)), parity=PARITY)

    monkeypatch.setattr(checkpoint_export, "export_checkpoint", export)
    return asked


@pytest.fixture
def run() -> Callable[..., Any]:
    return lambda *arguments: CliRunner().invoke(app, ["export", *arguments])


def test_the_report_is_printed(run: Any, exported: dict[str, Any]) -> None:
    result = run("run", "out", "--precision", "int8", "--calibrate", "c.csv", "--evaluate", "e.csv", "--licence", "MIT")
    assert result.exit_code == 0, result.output
    assert (exported["folder"], exported["out"]) == (Path("run"), Path("out"))
    assert (exported["precision"], exported["calibrate"], exported["evaluate"]) == (
        "int8",
        Path("c.csv"),
        Path("e.csv"),
    )
    assert exported["about"].licence == "MIT"
    assert "on 200 utterances of 'some.csv'; UA before: 70.00%" in result.stdout
    assert "| fp32 | 1.50e-06 | 100.00% | +0.00 points |" in result.stdout
    assert "| int8 | 4.20e-02 | 99.50% | -0.25 points |" in result.stdout
    assert "Of 78 layers of the encoders that can be int8, 1 of them stay in float32 (text: node_linear_7)" in (
        result.stdout
    )
    assert "(2.5 MB)" in result.stderr


def test_json_is_one_object(run: Any, exported: dict[str, Any]) -> None:
    result = run("run", "out", "--json")
    found = json.loads(result.stdout)
    assert found["bytes"] == 2_500_000
    assert found["parity"]["stored"] == {"max_logit_difference": 0.042, "agreement": 0.995, "ua_change": -0.25}
    assert found["parity"]["int8_layers"] == 77
    assert exported["precision"] == "fp32"


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--precision", "int4"], "--precision is 'int4'; expected one of fp32, fp16, int8, int8-weights"),
        (["--tolerance", "1", "--precision", "int8-weights"], "--tolerance is for --precision int8 alone"),
        (["--calibrate", "x.csv"], "--calibrate is for --precision int8 alone"),
        (["--full-range", "--precision", "fp16"], "--full-range is for --precision int8 alone"),
        (["--version", "1 beta"], "The version is '1 beta'; expected letters, digits"),
        (["--language", "en,Klingon"], "'Klingon' is no code of a language"),
    ],
)
def test_what_makes_no_sense_is_refused(run: Any, exported: dict[str, Any], options: list[str], words: str) -> None:
    result = run("run", "out", *options)
    assert result.exit_code == 2
    assert words in result.stderr
    assert not exported


def test_a_folder_without_a_training(run: Any, tmp_path: Path) -> None:
    result = run(str(tmp_path), str(tmp_path / "out"))
    assert result.exit_code == 1
    assert "is not finished" in result.stderr
    assert not (tmp_path / "out").exists()
