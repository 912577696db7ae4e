"""Systems of one's own: Python files, named by an environment variable, in which :func:`m3ser.models.register` is used.

``M3SER_MODELS`` names them, with the system's path separator between several. It belongs to whoever runs m3ser, and
nothing else makes m3ser run such a file: a recipe, a checkpoint or a bundle, which may come from anywhere, says the
name of a system and cannot say where its code is.
"""

from __future__ import annotations

import hashlib
import importlib.util
import os
import re
import sys
from pathlib import Path
from types import ModuleType

from m3ser.errors import M3serError, UsageError

__all__ = ["ENVIRONMENT", "fingerprints", "load_own_files"]

ENVIRONMENT = "M3SER_MODELS"

_loaded: dict[Path, ModuleType] = {}


def load_own_files() -> None:
    """Import the files that the environment variable names, each once in the life of the program.

    Raises:
        UsageError: one of them is not there, or cannot be imported.
        MissingExtraError: the `train` extra is not installed.
    """
    for path in _named():
        if path not in _loaded:
            _load(path)


def fingerprints() -> dict[str, str]:
    """Name of each file -> SHA-256 of what is in it; to be written beside what was made with them.

    Raises:
        UsageError: one of them cannot be read.
    """
    return {path.name: _fingerprint(path) for path in _named()}


def _fingerprint(path: Path) -> str:
    try:
        return hashlib.sha256(path.read_bytes()).hexdigest()
    except OSError as error:
        raise _unusable(path, f"cannot be read: {error.strerror or error}") from error


def _named() -> list[Path]:
    return [Path(one).resolve() for one in os.environ.get(ENVIRONMENT, "").split(os.pathsep) if one.strip()]


def _load(path: Path) -> None:
    if not path.is_file():
        raise _unusable(path, "is not there" if not path.exists() else "is not a file; a Python file was expected")
    # Two files may be called the same; a module is told from others by its name alone.
    name = f"m3ser_own_{re.sub(r'[^0-9a-zA-Z_]', '_', path.stem)}_{hashlib.sha256(str(path).encode()).hexdigest()[:8]}"
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise _unusable(path, "is no Python file (.py)")
    module = importlib.util.module_from_spec(spec)
    _loaded[path] = sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
    except BaseException as error:
        del _loaded[path], sys.modules[name]
        if isinstance(error, M3serError) or not isinstance(error, Exception):
            raise
        problem = " ".join(f"{type(error).__name__}: {error}".split())
        raise _unusable(path, f"cannot be imported: {problem.rstrip('.')}") from error


def _unusable(path: Path, problem: str) -> UsageError:
    return UsageError(f"'{path}', which {ENVIRONMENT} names, {problem}.")
