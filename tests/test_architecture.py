"""The house rules: which room may import which, what the user wing does without, and that public names are there."""

from __future__ import annotations

import ast
import importlib
import subprocess
import sys
from pathlib import Path

import pytest

COMMON = {"errors", "schema", "download", "batching", "bundle", "cores", "files", "page", "profile"}
BELOW = {
    "errors": set(),
    "schema": {"errors"},
    "download": {"errors"},
    "batching": set(),
    "cores": set(),
    "files": {"errors"},
    "page": {"errors", "page_style"},
    "page_style": set(),
    "bundle": {"errors", "schema", "bundle_parts", "profile"},
    "profile": {"errors", "files", "bundle_parts"},
    "bundle_parts": {"errors", "schema"},
    "audio": COMMON,
    "text": COMMON,
    "corpora": COMMON | {"audio", "text"},
    "evaluation": COMMON | {"text", "corpora"},
    "encoders": COMMON | {"audio", "text"},
    "models": COMMON | {"encoders"},
    "training": COMMON | {"audio", "text", "corpora", "evaluation", "encoders", "models"},
    "inference": COMMON | {"audio", "text", "corpora"},
    "client": {"errors", "schema", "audio"},
    "serving": COMMON | {"audio", "text", "inference"},
    "bench": COMMON | {"audio", "text", "encoders", "models", "training", "inference"},
    "cli": COMMON | {"audio", "text", "corpora", "evaluation", "models", "training", "inference", "serving", "bench"},
}
"""What each room stands on. `models` reaches the command line by its torch-free list of systems alone."""

SOURCE = Path(__file__).resolve().parents[1] / "src" / "m3ser"
HEAVY = ("torch", "transformers", "datasets", "sklearn", "scipy")


def modules() -> list[Path]:
    return sorted(SOURCE.rglob("*.py"))


def room_of(path: Path) -> str:
    return path.relative_to(SOURCE).parts[0].removesuffix(".py")


def imported_rooms(path: Path) -> set[str]:
    rooms = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        names = []
        if isinstance(node, ast.ImportFrom) and node.module:
            names = [f"{node.module}.{alias.name}" for alias in node.names]
            assert node.level == 0, f"{path}: imports are absolute here"
        elif isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        rooms |= {name.split(".")[1] for name in names if name.startswith("m3ser.")}
    return rooms - {"__version__"}


@pytest.mark.parametrize("path", modules(), ids=lambda path: str(path.relative_to(SOURCE)))
def test_imports_run_one_way(path: Path) -> None:
    room = room_of(path)
    if room in ("__init__", "__main__"):
        return
    allowed = BELOW[room] | {room}
    assert imported_rooms(path) <= allowed, f"{room} may import {sorted(allowed)} alone"


@pytest.mark.parametrize("path", modules(), ids=lambda path: str(path.relative_to(SOURCE)))
def test_files_can_be_read_in_one_go(path: Path) -> None:
    assert path.read_text(encoding="utf-8").count("\n") <= 410


@pytest.mark.parametrize("room", ["m3ser", *(f"m3ser.{room}" for room in BELOW if room != "cli")])
def test_public_names_are_there(room: str) -> None:
    if room.split(".")[-1] in ("encoders", "models", "training"):
        pytest.importorskip("torch")
    module = importlib.import_module(room)
    names = getattr(module, "__all__", None)
    assert names, f"{room} has no __all__"
    assert len(set(names)) == len(names)
    missing = [name for name in names if not hasattr(module, name)]
    assert not missing


@pytest.mark.parametrize(
    "room", ["audio", "text", "corpora", "inference", "bundle", "bench", "serving.app", "client", "cli.app"]
)
def test_user_wing_starts_without_the_research_wing(room: str) -> None:
    code = f"import sys, m3ser.{room}; print([m for m in {HEAVY!r} if m in sys.modules])"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "[]"


def test_importing_m3ser_loads_nothing_heavy() -> None:
    code = "import sys, m3ser; print([m for m in ('numpy', 'onnxruntime', 'pydantic', 'rich') if m in sys.modules])"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "[]"
