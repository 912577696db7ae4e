"""Rows: ``m3ser annotate``: files a second and memory, over many files and few, by several workers and by one."""

from __future__ import annotations

import atexit
import os
import shutil
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from m3ser.bench.rows import Ready, Row, Side, Sizes

if TYPE_CHECKING:
    from m3ser.inference.annotation import Progress

__all__ = ["annotated", "looped", "peak_memory", "rows", "steady"]

_FEW = 100
_SOME = 208  # of the thirteen clips each as often, and enough for the beginning and the end to count for little
_HEARD = 104  # files that are transcribed


def annotated(files: int, workers: int | None, *, transcribed: bool = False) -> Ready:
    """One annotation; the figure is files a second, as in :func:`steady`.

    Args:
        files: how many; links to the clips that come with the package, 2.2 s each on average.
        workers: processes; None: one per core.
        transcribed: their words too, by the default transcriber; else the voice alone.
    """
    from m3ser.bench.worker import THREADS
    from m3ser.cores import available_cores
    from m3ser.inference.annotation import annotate

    _require_transcriber(transcribed)
    # This process was told how many threads libraries may use; its workers are to decide on their own.
    for name in THREADS:
        os.environ.pop(name, None)
    folder = _clips(files)
    count = workers or available_cores()

    def run() -> float:
        heard: list[tuple[float, int]] = []

        def note(progress: Progress) -> None:
            if progress.stage == "annotating" and progress.finished:
                heard.append((time.perf_counter(), progress.finished))

        with tempfile.TemporaryDirectory() as out:
            text: Any = "auto" if transcribed else None
            annotate(folder, Path(out) / "out.csv", text=text, workers=count, progress=note)
        return steady(heard, skipped=2 * count)

    return Ready(run)


def steady(heard: Sequence[tuple[float, int]], *, skipped: int) -> float:
    """Files a second once all is under way, which a few files do not make up for.

    Args:
        heard: (time in seconds, files until then), after each few answers; at least two.
        skipped: of these, but no more than half of all: a worker's first answers come after its beginning.
    """
    (begin, before), (end, all_) = heard[min(skipped, (len(heard) - 1) // 2)], heard[-1]
    return (all_ - before) / (end - begin)


def looped(files: int, *, transcribed: bool = False) -> Ready:
    """What anybody writes first: ``recogniser.predict`` of one file after the other; the figure is files a second."""
    from m3ser import inference

    _require_transcriber(transcribed)
    paths = sorted(_clips(files).iterdir())
    recogniser = inference.load()
    options: dict[str, Any] = {} if transcribed else {"text": None}
    recogniser.predict(paths[0], **options)

    def run() -> float:
        began = time.perf_counter()
        for path in paths:
            recogniser.predict(path, **options)
        return files / (time.perf_counter() - began)

    return Ready(run)


def peak_memory(files: int) -> Ready:
    """The most memory, in bytes, that ``m3ser annotate --workers 1`` ever has: one process, with list and model."""
    from m3ser.bench.command import seconds_and_memory

    folder = _clips(files)

    def run() -> float:
        with tempfile.TemporaryDirectory() as out:
            command = [sys.executable, "-m", "m3ser", "annotate", str(folder), "--out", str(Path(out) / "out.csv")]
            return seconds_and_memory([*command, "--no-text", "--workers", "1"])[1]

    return Ready(run)


def _clips(files: int) -> Path:
    from m3ser.bench.material import link_clips

    folder = Path(tempfile.mkdtemp())
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    link_clips(folder, files)
    return folder


def _require_transcriber(transcribed: bool) -> None:
    from m3ser.errors import MissingExtraError
    from m3ser.text.asr import default_transcriber

    if transcribed and default_transcriber() is None:
        raise MissingExtraError("Transcribing", "asr")


_NO_LIMIT = "opening files and keeping answers are not arithmetic"
_LOOP = "a loop of recogniser.predict"
_INSTALL = 'pip install "m3ser[asr]"'


def rows(sizes: Sizes) -> tuple[Row, ...]:
    """Many files beside few, workers beside one, and annotate beside a plain loop."""
    many = sizes.files
    return (
        Row(
            name="annotate-files",
            what=f"m3ser annotate of {many:,} clips (2.2 s) beside {_FEW} of them, voice alone, a worker per core",
            ours=Side(f"{many:,} files", f"{__name__}:annotated", {"files": many, "workers": None}),
            peer=Side("100 only", f"{__name__}:annotated", {"files": _FEW, "workers": None}),
            unit="files/s",
            ratio="share",
            aim=0.9,
            no_limit=_NO_LIMIT,
        ),
        Row(
            name="annotate-memory",
            what=f"peak memory of m3ser annotate in one process: {many:,} clips beside {_FEW}, voice alone",
            ours=Side(f"{many:,} files", f"{__name__}:peak_memory", {"files": many}),
            peer=Side("100 only", f"{__name__}:peak_memory", {"files": _FEW}),
            unit="bytes",
            ratio="share",
            aim=1.1,
            no_limit="not a matter of speed",
            warm_up=False,
        ),
        Row(
            name="annotate-workers",
            what=f"m3ser annotate of {_SOME} clips, voice alone: two workers beside one",
            ours=Side("two workers", f"{__name__}:annotated", {"files": _SOME, "workers": 2}),
            peer=Side("one", f"{__name__}:annotated", {"files": _SOME, "workers": 1}),
            unit="files/s",
            no_limit=_NO_LIMIT,
        ),
        Row(
            name="annotate-loop",
            what=f"m3ser annotate of {_SOME} clips, voice alone, a worker per core, beside a plain loop",
            ours=Side("m3ser annotate", f"{__name__}:annotated", {"files": _SOME, "workers": None}),
            peer=Side(_LOOP, f"{__name__}:looped", {"files": _SOME}),
            unit="files/s",
            no_limit=_NO_LIMIT,
        ),
        Row(
            name="annotate-transcribed",
            what=f"m3ser annotate of {_HEARD} clips, transcribed by Moonshine, a worker per core, beside a plain loop",
            ours=Side(
                "m3ser annotate",
                f"{__name__}:annotated",
                {"files": _HEARD, "workers": None, "transcribed": True},
                install=_INSTALL,
            ),
            peer=Side(_LOOP, f"{__name__}:looped", {"files": _HEARD, "transcribed": True}, install=_INSTALL),
            unit="files/s",
            no_limit=_NO_LIMIT,
        ),
    )
