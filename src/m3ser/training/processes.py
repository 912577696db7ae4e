"""Which of several processes that train together this one is, as torchrun and ``accelerate launch`` tell it."""

from __future__ import annotations

import os

__all__ = ["is_first_process", "process_count"]


def process_count() -> int:
    """How many train together."""
    return int(os.environ.get("WORLD_SIZE", "1"))


def is_first_process() -> bool:
    """Whether this is the one that writes files, and speaks for all."""
    return os.environ.get("RANK", "0") == "0"
