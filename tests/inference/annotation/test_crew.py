from __future__ import annotations

import errno
import logging
import os
import sys
from collections.abc import Callable, Iterator
from multiprocessing.context import SpawnProcess
from pathlib import Path
from typing import Any

import pytest
import soundfile

from m3ser.errors import DataError, M3serError, UsageError
from m3ser.inference import Request
from m3ser.inference.annotation import annotate, crew
from m3ser.inference.annotation.crew import answer_in_processes, processes_for, split
from m3ser.inference.annotation.worker import Setup, Task
from m3ser.inference.catalogue import find_bundle

LISTENERS = '''
import os, signal
from m3ser.errors import TranscriptionError
from m3ser.text.asr import Transcript


THREADS = os.environ.get("OMP_NUM_THREADS")


class Fatal:
    """Kills the process that has it hear 0.5 s; fails on 0.6 s; on 0.7 s, ends the process; on 0.8 s, has a bug."""

    name = "fatal"

    def transcribe(self, waveform):
        if len(waveform) == 8000:
            os.kill(os.getpid(), signal.SIGKILL)
        if len(waveform) == 9600:
            raise TranscriptionError("Nothing was heard.")
        if len(waveform) == 11200:
            os._exit(3)
        if len(waveform) == 12800:
            raise ValueError("no\\nsuch thing.")
        return Transcript("no", (), (), "en", self.name)


class Threads:
    """Hears how many threads libraries were told to use when this process began."""

    name = "threads"

    def transcribe(self, waveform):
        return Transcript(f"{THREADS} thread", (), (), "en", self.name)


class Homebound:
    """Cannot be made again in another process."""

    name = "homebound"

    def transcribe(self, waveform):
        raise AssertionError

    def __reduce__(self):
        return only_here, (os.getpid(),)


class Locked(Homebound):
    """Cannot leave this process."""

    def __reduce__(self):
        raise TypeError("cannot pickle 'lock' object")


def only_here(pid):
    if pid != os.getpid():
        raise LookupError("no such thing here")
'''


@pytest.fixture
def listeners(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Transcribers that other processes can import."""
    (tmp_path / "listeners.py").write_text(LISTENERS)
    monkeypatch.syspath_prepend(str(tmp_path))
    import listeners  # type: ignore[import-not-found]

    yield listeners
    sys.modules.pop("listeners")


def test_what_ends_a_worker_fails_alone(
    tiny_folder: Path,
    tmp_path: Path,
    recordings: Callable[..., Path],
    rows: Any,
    listeners: Any,
    caplog: pytest.LogCaptureFixture,
    capfd: pytest.CaptureFixture[str],
) -> None:
    folder = recordings(13)  # of 0.3 to 0.9 s: two of 0.5 s, of 0.6 s, of 0.7 s and of 0.8 s each
    with caplog.at_level(logging.WARNING, "m3ser.inference"):
        found = annotate(folder, tmp_path / "out.jsonl", model=tiny_folder, transcriber=listeners.Fatal(), workers=2)
    assert (found.done, found.failed, found.answered) == (7, 6, 13)
    assert found.failures is not None
    failures = [line.split(",") for line in found.failures.read_text().splitlines()[1:]]
    assert [Path(name).name for name, _ in failures] == [f"{number:03d}.wav" for number in (2, 4, 5, 9, 11, 12)]
    ends = ["by signal SIGKILL", "with exit code 3", "ValueError: no such thing"]
    assert [reason for _, reason in failures] == [f"The worker that had this alone ended ({how})." for how in ends * 2]
    assert "Traceback" not in capfd.readouterr().err
    silent = [Path(row["file"]).name for row in rows(found.out) if row["text_source"] == "none"]
    assert silent == ["003.wav", "010.wav"]
    # What was asked again may also warn again.
    assert {name for name in silent for m in caplog.messages if name in m and "Nothing was heard." in m} == {*silent}


@pytest.mark.slow
def test_workers_that_all_end_are_not_taken_for_bad_recordings(
    tiny_folder: Path, tmp_path: Path, sound: Any, listeners: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(crew, "_LOST_IN_A_ROW", 3)
    (tmp_path / "calls").mkdir()
    for number in range(20):
        soundfile.write(tmp_path / "calls" / f"{number}.wav", sound(0.5, seed=number), 16000)
    with pytest.raises(M3serError, match=r"One worker after the other ended \(by signal SIGKILL\)"):
        annotate(
            tmp_path / "calls", tmp_path / "out.jsonl", model=tiny_folder, transcriber=listeners.Fatal(), workers=2
        )
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


def test_libraries_in_workers_have_one_thread_from_their_beginning(
    tiny_folder: Path,
    tmp_path: Path,
    recordings: Callable[..., Path],
    rows: Any,
    listeners: Any,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    options: dict[str, Any] = {"model": tiny_folder, "transcriber": listeners.Threads(), "workers": 2}
    found = annotate(recordings(9), tmp_path / "out.jsonl", **options)
    assert {row["text"] for row in rows(found.out)} == {"1 thread"}
    assert "OMP_NUM_THREADS" not in os.environ


@pytest.mark.parametrize(
    ("kind", "error", "sentence"),
    [
        (
            "Locked",
            UsageError,
            r"The transcriber cannot be .* use workers=1 \(TypeError: cannot pickle 'lock' object\)\.",
        ),
        ("Homebound", M3serError, r"A worker could not begin: LookupError: no such thing here\."),
    ],
)
def test_workers_that_cannot_begin_are_one_sentence(
    tiny_folder: Path,
    tmp_path: Path,
    recordings: Callable[..., Path],
    listeners: Any,
    capfd: pytest.CaptureFixture[str],
    kind: str,
    error: type[M3serError],
    sentence: str,
) -> None:
    transcriber = getattr(listeners, kind)()
    with pytest.raises(error, match=f"^{sentence}$"):
        annotate(recordings(9), tmp_path / "out.jsonl", model=tiny_folder, transcriber=transcriber, workers=2)
    assert capfd.readouterr().err == ""


def test_a_system_that_has_no_process_left_is_one_sentence(
    tiny_folder: Path, tmp_path: Path, recordings: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(process: Any) -> None:
        raise OSError(errno.EAGAIN, "Resource temporarily unavailable")

    monkeypatch.setattr(SpawnProcess, "start", full)
    with pytest.raises(M3serError, match=r"could not begin: Resource temporarily unavailable; use fewer workers\."):
        annotate(recordings(9), tmp_path / "out.jsonl", model=tiny_folder, text=None, workers=2)


def test_answers_come_before_more_is_taken_from_the_list(tiny_folder: Path, recordings: Callable[..., Path]) -> None:
    files = sorted(recordings(9).iterdir())
    taken: list[int] = []

    def tasks() -> Iterator[Task]:
        for number, file in enumerate(files):
            if number == 5:
                raise DataError("The list is gone.")
            taken.append(number)
            yield [(number, Request(file, text=None))]

    answers = answer_in_processes(
        Setup(find_bundle(tiny_folder), ("CPUExecutionProvider",), None, 600), tasks(), workers=1
    )
    answered = []
    for number in range(3):
        answered += [answer["key"] for answer in next(answers)]
        # However slow this loop is, a worker has no more than its three.
        assert len(taken) == number + 3
    with pytest.raises(DataError, match="gone"):
        next(answers)
    assert answered == [0, 1, 2]


def test_tasks_are_cut_by_number_alone() -> None:
    items = [(number, None) for number in range(10)]
    assert [len(task) for task in split(iter(items), 4)] == [4, 4, 2]  # type: ignore[arg-type]
    assert list(split(iter(()), 4)) == []


def test_as_many_workers_as_there_is_something_to_do_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.sched_getaffinity", lambda _: set(range(6)), raising=False)
    assert [processes_for(waiting, None, 8) for waiting in (1, 63, 64, 10_000)] == [1, 1, 2, 6]
    assert [processes_for(waiting, 4, 8) for waiting in (1, 16, 10_000)] == [1, 2, 4]
