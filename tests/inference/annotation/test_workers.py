from __future__ import annotations

import logging
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import soundfile

from m3ser.errors import M3serError
from m3ser.inference.annotation import annotate, workers
from m3ser.inference.annotation.workers import processes_for, split

LISTENERS = '''
import os, signal
from m3ser.errors import TranscriptionError
from m3ser.text.asr import Transcript


class Fatal:
    """Kills the process that has it listen to a recording of 0.5 s; of 0.6 s, fails; of 0.7 s, has a bug."""

    name = "fatal"

    def transcribe(self, waveform):
        if len(waveform) == 8000:
            os.kill(os.getpid(), signal.SIGKILL)
        if len(waveform) == 9600:
            raise TranscriptionError("Nothing was heard.")
        if len(waveform) == 11200:
            os._exit(3)
        return Transcript("no", (), (), "en", self.name)
'''


@pytest.fixture
def fatal(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """A transcriber that other processes can import."""
    (tmp_path / "listeners.py").write_text(LISTENERS)
    monkeypatch.syspath_prepend(str(tmp_path))
    import listeners  # type: ignore[import-not-found]

    yield listeners.Fatal()
    sys.modules.pop("listeners")


def test_what_ends_a_worker_fails_alone(
    tiny_folder: Path,
    tmp_path: Path,
    recordings: Callable[..., Path],
    rows: Any,
    fatal: Any,
    caplog: pytest.LogCaptureFixture,
) -> None:
    folder = recordings(13)  # of 0.3 to 0.9 s: two of 0.5 s, of 0.6 s and of 0.7 s each
    with caplog.at_level(logging.WARNING, "m3ser.inference"):
        found = annotate(folder, tmp_path / "out.jsonl", model=tiny_folder, transcriber=fatal, workers=2)
    assert (found.done, found.failed, found.answered) == (9, 4, 13)
    assert found.failures is not None
    failures = [line.split(",") for line in found.failures.read_text().splitlines()[1:]]
    killed, left = "The worker that had this alone ended (by signal SIGKILL).", "(with exit code 3)."
    assert [Path(name).name for name, _ in failures] == ["002.wav", "004.wav", "009.wav", "011.wav"]
    assert [reason for _, reason in failures[::2]] == [killed] * 2
    assert all(reason.endswith(left) for _, reason in failures[1::2])
    silent = [Path(row["file"]).name for row in rows(found.out) if row["text_source"] == "none"]
    assert silent == ["003.wav", "010.wav"]
    # What was asked again may also warn again.
    assert {name for name in silent for m in caplog.messages if name in m and "Nothing was heard." in m} == {*silent}


@pytest.mark.slow
def test_workers_that_all_end_are_not_taken_for_bad_recordings(
    tiny_folder: Path, tmp_path: Path, sound: Any, fatal: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(workers, "_LOST_IN_A_ROW", 3)
    (tmp_path / "calls").mkdir()
    for number in range(20):
        soundfile.write(tmp_path / "calls" / f"{number}.wav", sound(0.5, seed=number), 16000)
    with pytest.raises(M3serError, match=r"One worker after the other ended \(by signal SIGKILL\)"):
        annotate(tmp_path / "calls", tmp_path / "out.jsonl", model=tiny_folder, transcriber=fatal, workers=2)
    assert not (tmp_path / "out.jsonl").exists()


def test_a_program_that_is_imported_by_its_workers_is_told_how_to_guard_itself(
    tiny_folder: Path, tmp_path: Path, recordings: Callable[..., Path]
) -> None:
    import subprocess

    program = tmp_path / "program.py"
    program.write_text(
        f"import m3ser\nm3ser.annotate({str(recordings(20))!r}, {str(tmp_path / 'out.csv')!r}, "
        f"model={str(tiny_folder)!r}, text=None, workers=2)\n"
    )
    done = subprocess.run([sys.executable, str(program)], capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 1
    assert 'call it under `if __name__ == "__main__":`, or with workers=1.' in done.stderr
    assert "A worker ended while it began" in done.stderr


def test_tasks_are_cut_by_number_alone() -> None:
    items = [(number, None) for number in range(10)]
    assert [len(task) for task in split(iter(items), 4)] == [4, 4, 2]  # type: ignore[arg-type]
    assert list(split(iter(()), 4)) == []


def test_as_many_workers_as_there_is_something_to_do_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.sched_getaffinity", lambda _: set(range(6)), raising=False)
    assert [processes_for(waiting, None, 8) for waiting in (1, 63, 64, 10_000)] == [1, 1, 2, 6]
    assert [processes_for(waiting, 4, 8) for waiting in (1, 16, 10_000)] == [1, 2, 4]
