"""Rows: ``m3ser predict`` as a process of its own: how soon it answers, and how much memory it ever takes."""

from __future__ import annotations

import atexit
import os
import shutil
import subprocess
import sys
import tempfile
import time
from importlib.util import find_spec
from pathlib import Path

from m3ser.bench.rows import Ready, Row, Side

__all__ = ["ROWS", "cold_answer", "imports", "peak_memory", "seconds_and_memory"]

_CLIP = "1013_ITH_ANG_XX.wav"  # the longest one
_HOUR, _MINUTE = 3600.0, 60.0


def cold_answer() -> Ready:
    """``m3ser predict`` of one clip with given text."""
    from m3ser.bench.material import clips

    clip = next(clip for clip in clips() if clip.path.name == _CLIP)
    command = [*_PREDICT, str(clip.path), "--text", clip.text, "--json"]
    return Ready(lambda: seconds_and_memory(command)[0])


def imports(modules: tuple[str, ...] | list[str]) -> Ready:
    """An interpreter that imports `modules` and ends."""
    for module in modules:
        if find_spec(module) is None:
            raise ModuleNotFoundError(f"No module named '{module}'", name=module)
    return Ready(lambda: seconds_and_memory([sys.executable, "-c", f"import {', '.join(modules)}"])[0])


def peak_memory(seconds: float) -> Ready:
    """The most memory that ``m3ser predict`` ever has, in bytes, with given text and a stereo FLAC file at 48 kHz.

    Args:
        seconds: of the file.
    """
    from m3ser.bench.material import write_recording

    folder = tempfile.mkdtemp()
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    file = Path(folder) / "speech.flac"
    write_recording(file, seconds)
    command = [*_PREDICT, str(file), "--text", "I think so.", "--max-seconds", f"{seconds:g}", "--json"]
    return Ready(lambda: seconds_and_memory(command)[1])


def seconds_and_memory(command: list[str]) -> tuple[float, float]:
    """Wall time of a whole process, and the largest resident set, in bytes, of it or of any process that it ended."""
    if not hasattr(os, "wait4"):
        raise NotImplementedError("this system does not say how much memory a process had")
    began = time.perf_counter()
    # Standard input is not its own: a worker's holds the questions that it is asked.
    process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)  # noqa: S603
    _, status, usage = os.wait4(process.pid, 0)
    seconds = time.perf_counter() - began
    process.returncode = os.waitstatus_to_exitcode(status)  # Popen would wait for it in vain
    if process.returncode:
        raise subprocess.CalledProcessError(process.returncode, command)
    return seconds, usage.ru_maxrss * (1 if sys.platform == "darwin" else 1024)


_PREDICT = (sys.executable, "-m", "m3ser", "predict")

ROWS = (
    Row(
        name="cold-start",
        what="cold m3ser predict of a 2.9 s clip, text given, as a whole process",
        ours=Side("m3ser predict", f"{__name__}:cold_answer"),
        peer=Side(
            "import torch, transformers",
            f"{__name__}:imports",
            {"modules": ["torch", "transformers"]},
            install='pip install "m3ser[train]"',
        ),
        ratio="share",
        aim=0.5,
        no_limit="not arithmetic: reading and linking code",
    ),
    Row(
        name="memory-hour",
        what="peak memory of m3ser predict, text given: a file of an hour beside one of a minute (48 kHz stereo FLAC)",
        ours=Side("one hour", f"{__name__}:peak_memory", {"seconds": _HOUR}),
        peer=Side("one minute", f"{__name__}:peak_memory", {"seconds": _MINUTE}),
        unit="bytes",
        ratio="share",
        aim=1.25,
        no_limit="not a matter of speed",
        warm_up=False,
    ),
)
"""Cold start and memory."""
