"""Where a result comes from: versions, git revision, machine, command."""

from __future__ import annotations

import importlib.metadata
import platform
import shlex
import subprocess
import sys
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import torch

import m3ser
from m3ser.models.own import fingerprints as own_models
from m3ser.training.processes import process_count

__all__ = ["command_line", "facts", "peak_memory", "processor"]

_PACKAGES = ("torch", "transformers", "accelerate", "datasets", "numpy", "scikit-learn", "soundfile", "soxr")


def facts() -> dict[str, Any]:
    """What is to be written beside every result, as JSON-ready values."""
    own = own_models()
    return {
        "m3ser": m3ser.__version__,
        "git": _revision(Path(m3ser.__file__).parent),
        "packages": {name: importlib.metadata.version(name) for name in _PACKAGES},
        "python": platform.python_version(),
        "system": f"{platform.system()} {platform.machine()}",
        "device": torch.cuda.get_device_name() if torch.cuda.is_available() else "cpu",
        "threads": torch.get_num_threads(),
        "processes": process_count(),
        **({"own_models": own} if own else {}),
        "command": command_line(),
        "finished": datetime.now(timezone.utc).isoformat(timespec="seconds"),
    }


def command_line() -> str:
    """The command that is running, as one would type it."""
    program = Path(sys.argv[0]).name
    return shlex.join([program if program != "__main__.py" else "python -m m3ser", *sys.argv[1:]])


def peak_memory() -> int | None:
    """The most memory that this process has had, in bytes; None where the system does not say."""
    try:
        import resource
    except ModuleNotFoundError:  # Windows
        return None
    peak: int = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


def processor() -> str:
    """What the processor calls itself, as far as the system says."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        lines = []
    named = (line.split(":", 1)[1].strip() for line in lines if line.startswith("model name"))
    return next(named, "") or platform.processor() or platform.machine()


def _revision(folder: Path) -> str | None:
    """The commit that the code is at, "+" behind it where files differ from it; None outside of a checkout."""
    try:
        _git(folder, "ls-files", "--error-unmatch", "__init__.py")  # or it is installed inside of another project's
        head = _git(folder, "rev-parse", "HEAD")
        changed = _git(folder, "status", "--porcelain", "--untracked-files=no")
    except (OSError, subprocess.CalledProcessError):
        return None
    return f"{head}{'+' if changed else ''}"


def _git(folder: Path, *arguments: str) -> str:
    found = subprocess.run(["git", "-C", str(folder), *arguments], capture_output=True, text=True, check=True)  # noqa: S603, S607
    return found.stdout.strip()
