from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from m3ser.bundle import AudioPart, FileRecord, FusionPart, Manifest, TextPart
from m3ser.models import SYSTEMS

Run = Callable[..., Any]

MANIFEST = Manifest(
    name="tiny",
    version="7",
    description="Hears little.",
    architecture="3m-ser-ln",
    scheme="iemocap4",
    labels=("angry", "happy", "sad", "neutral"),
    audio=AudioPart(graph="audio.onnx", front_end="whisper80", dim=8),
    text=TextPart(graph="text.onnx", tokenizer="tokenizer.json", max_tokens=16, dim=8, language="en"),
    fusion=FusionPart(graph="fusion.onnx"),
    precision="fp32",
    licence="CC-BY-NC-SA-4.0",
    files={name: FileRecord(sha256="0" * 64, bytes=750_000) for name in ("audio.onnx", "text.onnx")},
)


@pytest.fixture
def tiny(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """The folder of the one bundle that is listed in this test."""
    listed = SimpleNamespace(name="tiny", folder=tmp_path, manifest=MANIFEST)
    monkeypatch.setattr("m3ser.inference.list_bundles", lambda: [listed])
    return tmp_path


def test_bundles_are_told_with_what_a_user_chooses_by(m3ser: Run, tiny: Path) -> None:
    result = m3ser("models", env={"COLUMNS": "100"})
    assert (result.exit_code, result.stderr) == (0, "")
    bundles = result.stdout.partition("\n\n")[0]
    for shown in ("version 7", "Hears little.", "3m-ser-ln", "angry, happy, sad, neutral", "CC-BY-NC-SA-4.0", "1.5 MB"):
        assert shown in bundles


def test_published_systems_are_told_with_their_tier(m3ser: Run, tiny: Path) -> None:
    systems = m3ser("models", env={"COLUMNS": "100"}).stdout.partition("\n\n")[2]
    for name, system in SYSTEMS.items():
        assert f"  {name} " in systems
        assert system.tier in systems


def test_no_bundle_is_said(m3ser: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("m3ser.inference.list_bundles", list)
    assert m3ser("models").stdout.splitlines()[1].strip() == "none"


def test_json_tells_kind_and_facts(m3ser: Run, tiny: Path) -> None:
    records = [json.loads(line) for line in m3ser("models", "--json").stdout.splitlines()]
    assert records[0] == {
        "kind": "bundle",
        "name": "tiny",
        "version": "7",
        "description": "Hears little.",
        "architecture": "3m-ser-ln",
        "labels": ["angry", "happy", "sad", "neutral"],
        "language": "en",
        "heads": {},
        "bytes": 1_500_000,
        "licence": "CC-BY-NC-SA-4.0",
        "folder": str(tiny),
    }
    assert [record["name"] for record in records[1:]] == list(SYSTEMS)
    assert {record["kind"] for record in records[1:]} == {"system"}


def test_the_bundled_model_is_listed(m3ser: Run, starter: Path) -> None:
    records = [json.loads(line) for line in m3ser("models", "--json").stdout.splitlines()]
    (bundle,) = [record for record in records if record["name"] == "starter"]
    assert bundle["folder"] == str(starter)
    assert 1_000_000 < bundle["bytes"] <= 40_000_000
