"""What a figure was measured on."""

from __future__ import annotations

import importlib.metadata
import os
import platform
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from m3ser import __version__
from m3ser.cores import available_cores

__all__ = ["Machine", "this_machine"]

_PACKAGES = ("numpy", "soxr", "soundfile", "onnxruntime", "torch", "transformers", "torchvggish", "moonshine-voice")


@dataclass(frozen=True)
class Machine:
    """Hardware and software.

    Attributes:
        processor: its name, as far as the system says.
        cores: that may be used.
        memory: bytes; None where the system does not say.
        system: operating system and architecture.
        python: version.
        packages: versions of what computes; None: not installed.
    """

    processor: str
    cores: int
    memory: int | None
    system: str
    python: str
    packages: dict[str, str | None]

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready values."""
        return {"kind": "machine", **asdict(self)}


def this_machine() -> Machine:
    """The machine that this runs on; nothing is imported to find out."""
    return Machine(
        processor=_processor(),
        cores=available_cores(),
        memory=_memory(),
        system=f"{platform.system()} {platform.machine()}",
        python=platform.python_version(),
        packages={"m3ser": __version__, **{name: _version(name) for name in _PACKAGES}},
    )


def _processor(cpuinfo: Path = Path("/proc/cpuinfo")) -> str:
    """The processor's name; several kinds of processor print it in different places."""
    facts: dict[str, str] = {}
    if cpuinfo.exists():
        for line in cpuinfo.read_text(encoding="utf-8", errors="replace").splitlines():
            key, _, value = line.partition(":")
            facts.setdefault(key.strip(), value.strip())
    name = facts.get("model name") or platform.processor() or platform.machine() or "unknown processor"
    # Some clouds hide the name; family and model still tell which one it is.
    if "cpu family" in facts and "model" in facts:
        name += f" (family {facts['cpu family']}, model {facts['model']})"
    return name


def _memory() -> int | None:
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, OSError, ValueError):  # Windows; systems without these names
        return None


def _version(package: str) -> str | None:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None
