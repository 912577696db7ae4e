"""The Trainer's checkpoints, as far as they can be gone on from."""

from __future__ import annotations

import json
import logging
import re
import shutil
from pathlib import Path
from typing import Any

__all__ = ["history_of", "newest_complete"]

_LOG = logging.getLogger(__name__)
_NAME = re.compile(r"checkpoint-(\d+)")
_STATE = "trainer_state.json"
# Written in this order; a run that is killed leaves the last ones out.
_NEEDED = ("model.safetensors", "optimizer.pt", "scheduler.pt", _STATE)


def newest_complete(folder: Path) -> Path | None:
    """The newest checkpoint that was written whole; None: there is none. What was cut short is removed, with a word."""
    found = sorted(
        ((int(match[1]), path) for path in folder.glob("checkpoint-*") if (match := _NAME.fullmatch(path.name))),
        reverse=True,
    )
    for _, path in found:
        if all((path / name).is_file() for name in _NEEDED) and history_of(path) is not None:
            return path
        _LOG.warning("A checkpoint was cut short, and the one before it is used: %s.", path)
        shutil.rmtree(path, ignore_errors=True)
    return None


def history_of(checkpoint: Path) -> dict[str, Any] | None:
    """The Trainer's state in a checkpoint; None where it is not whole."""
    try:
        state = json.loads((checkpoint / _STATE).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return state if isinstance(state, dict) else None
