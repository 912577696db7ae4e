"""Annotation on a Ray cluster of two workers, which the tests begin and end: on loopback, without a dashboard."""

from __future__ import annotations

import importlib.util
import json
import logging
import pickle
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from m3ser.errors import BundleError, UsageError
from m3ser.inference import Request
from m3ser.inference.annotation import Annotation, Progress, annotate, on_ray
from m3ser.inference.annotation.worker import Setup
from m3ser.inference.catalogue import find_bundle
from m3ser.inference.cluster import ray_cluster
from m3ser.profile import Profile

# Not importorskip: a cluster listens on loopback alone only where Ray was not imported before.
pytestmark = pytest.mark.skipif(importlib.util.find_spec("ray") is None, reason="needs the ray extra")

FATAL = '''
import os, signal
from m3ser.errors import TranscriptionError
from m3ser.text.asr import Transcript


class Fatal:
    """Kills the process that has it listen to a recording of 0.5 s; of 0.6 s, fails."""

    name = "fatal"

    def transcribe(self, waveform):
        if len(waveform) == 8000:
            os.kill(os.getpid(), signal.SIGKILL)
        if len(waveform) == 9600:
            raise TranscriptionError("Nothing was heard.")
        return Transcript("no", (), (), "en", self.name)
'''

LISTENING = "0A"  # a state in Linux's table of sockets


@pytest.fixture(scope="module")
def importable(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A folder that this process and those of the cluster import from."""
    folder = tmp_path_factory.mktemp("importable")
    (folder / "ray_listeners.py").write_text(FATAL)
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(folder))
        source = Path(on_ray.__file__).parents[3]
        patch.setenv("PYTHONPATH", f"{folder}:{source}")
        yield folder


@pytest.fixture(scope="module")
def cluster(importable: Path) -> Iterator[int]:
    """A cluster of two cores, which annotate finds joined."""
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("RAY_ADDRESS", raising=False)
        with ray_cluster(None, cores=2, feature="This test") as cores:
            yield cores


@pytest.fixture
def tell(tiny_folder: Path, tmp_path: Path) -> Callable[..., Annotation]:
    """Annotates with the tiny model, by the voice alone unless told otherwise."""

    def call(sources: Any, out: str, **options: Any) -> Annotation:
        options = {"model": tiny_folder, "text": None, "workers": 2, **options}
        return annotate(sources, tmp_path / out, **options)

    return call


def processes_of_ray() -> list[Path]:
    """Those that work for this test's cluster, and their children."""
    here = {}
    for status in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = status.read_text().rpartition(")")[2].split()
        except OSError:
            continue
        here[int(status.parent.name)] = int(fields[1])
    found = [int(Path("/proc/self").resolve().name)]
    for process in found:
        found += [child for child, parent in here.items() if parent == process]
    return [Path("/proc") / str(process) for process in found[1:]]


def listening_beyond_loopback(processes: list[Path]) -> list[str]:
    """Addresses that these processes are reached at from other machines."""
    sockets = set()
    for process in processes:
        for handle in (process / "fd").glob("*"):
            try:
                sockets.add(str(handle.readlink()))
            except OSError:
                continue
    beyond = []
    for table in ("tcp", "tcp6"):
        for line in Path(f"/proc/net/{table}").read_text().splitlines()[1:]:
            _, address, _, state, *rest = line.split()
            loopback = address.startswith(("0100007F:", "0000000000000000FFFF00000100007F:"))
            if state == LISTENING and not loopback and f"socket:[{rest[5]}]" in sockets:
                beyond.append(address)
    return beyond


@pytest.mark.slow
def test_the_table_is_that_of_this_machine(
    cluster: int, tell: Callable[..., Annotation], recordings: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert cluster == 2
    monkeypatch.setattr(on_ray, "_WAVE", 3)  # several waves
    folder = recordings(60)
    (folder / "030.wav").write_text("junk")
    (folder / "031.wav").unlink()
    (folder / "031.wav").symlink_to("nowhere.wav")
    monkeypatch.chdir(folder.parent)  # names that are not absolute mean the same in all processes
    here = tell(folder.name, "here.csv")
    seen: list[int] = []
    loaded: set[str] = set()

    beyond: list[str] = []
    ended = threading.Event()

    def look() -> None:
        while not ended.wait(0.05):  # a worker that loads the model is there for a moment alone
            processes = processes_of_ray()
            beyond.extend(listening_beyond_loopback(processes))
            loaded.update(name for process in processes for name in mapped(process))

    looking = threading.Thread(target=look)
    looking.start()
    try:
        there = tell(folder.name, "there.csv", engine="ray", progress=lambda progress: seen.append(progress.finished))
    finally:
        ended.set()
        looking.join()
    assert beyond == []
    assert there.out.read_bytes() == here.out.read_bytes()
    assert there.failures is not None
    assert here.failures is not None
    assert there.failures.read_bytes() == here.failures.read_bytes()
    assert (there.done, there.failed, there.answered) == (58, 2, 60)
    assert seen == sorted(seen)
    assert len(set(seen)) >= 4
    assert any("onnxruntime" in name for name in loaded)
    assert not any("torch" in name for name in loaded)


def mapped(process: Path) -> set[str]:
    """Libraries that a process has loaded."""
    try:
        return {line.split()[-1] for line in (process / "maps").read_text().splitlines() if line.endswith(".so")}
    except OSError:
        return set()


@pytest.mark.slow
def test_either_engine_goes_on_with_what_the_other_began(
    cluster: int, tell: Callable[..., Annotation], recordings: Callable[..., Path], tmp_path: Path
) -> None:
    folder = recordings(80)

    def interrupt(progress: Progress) -> None:
        if progress.finished >= 32:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        tell(folder, "out.jsonl", engine="ray", progress=interrupt)
    assert not (tmp_path / "out.jsonl").exists()
    found = tell(folder, "out.jsonl", workers=1)
    assert (found.done, found.failed) == (80, 0)
    assert 0 < found.answered <= 80 - 32
    recordings(84)
    assert tell(folder, "out.jsonl", engine="ray").answered == 4
    assert found.out.read_bytes() == tell(folder, "whole.jsonl").out.read_bytes()


@pytest.mark.slow
def test_what_ends_a_worker_fails_alone(
    cluster: int,
    tell: Callable[..., Annotation],
    recordings: Callable[..., Path],
    caplog: pytest.LogCaptureFixture,
) -> None:
    from ray_listeners import Fatal  # type: ignore[import-not-found]

    folder = recordings(13)  # of 0.3 to 0.9 s: two of 0.5 s and of 0.6 s each
    with caplog.at_level(logging.WARNING, "m3ser.inference"):
        found = tell(folder, "out.csv", engine="ray", text="auto", transcriber=Fatal())
    assert (found.done, found.failed) == (11, 2)
    assert found.failures is not None
    assert [line.split(",") for line in found.failures.read_text().splitlines()[1:]] == [
        [str(folder / name), "The worker that had this alone ended (by signal SIGKILL)."]
        for name in ("002.wav", "009.wav")
    ]
    assert {name for name in ("003.wav", "010.wav") for message in caplog.messages if name in message} == {
        "003.wav",
        "010.wav",
    }


@pytest.mark.slow
def test_what_another_machine_has_not_is_said(
    cluster: int, tiny_folder: Path, recordings: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(on_ray.socket, "gethostname", lambda: "node7")
    brief = replace(on_ray._brief(Setup(find_bundle(tiny_folder), ("CPUExecutionProvider",), None, 60)), node="other")
    folder = recordings(2)
    task = [(1, Request(str(folder / "000.wav"), text=None)), (2, Request(str(folder / "gone.wav"), text=None))]
    actor = on_ray._Answerer(brief)
    try:
        (said,) = actor({"task": [pickle.dumps(task)]})["said"]
    finally:
        assert actor._crew is not None
        actor._crew.close()
        logging.getLogger("m3ser").removeHandler(actor._warnings)
        logging.getLogger("m3ser").propagate = True
    heard = next(on_ray._heard(json.loads(said)))
    assert sorted(answer["key"] for answer in heard) == [1, 2]
    (error,) = [answer["error"] for answer in heard if "error" in answer]
    assert error == (
        f"'{folder / 'gone.wav'}' does not exist on machine 'node7'; on a cluster, recordings have to be where each of "
        "its machines finds them by the same name."
    )


@pytest.fixture
def brief(tiny_folder: Path) -> Any:
    """What actors are told of the tiny model."""
    bundle = find_bundle(tiny_folder)
    return on_ray._Brief(
        model=str(bundle.folder),
        digest=bundle.digest(),
        providers=("CPUExecutionProvider",),
        transcriber=None,
        max_seconds=60.0,
        folder="/",
        node="1",
    )


def test_a_machine_with_another_model_or_version_is_told_apart(brief: Any, write_tiny: Callable[..., Path]) -> None:
    assert brief.setup().bundle.manifest.full_name == "tiny@3"
    with pytest.raises(BundleError, match=r"is not the one here that it is where annotate was called"):
        replace(brief, model=str(write_tiny(version="4"))).setup()
    profile = Profile(name="a", encoder="0" * 64, model="tiny@3", utterances=1, seconds=1.0, mean=(0.0,))
    with pytest.raises(UsageError, match=r"^Model 'tiny@3' takes no profiles"):
        replace(brief, profile=profile).setup()
    with pytest.raises(BundleError, match=r"^m3ser is .* here; expected 99, as where annotate was called"):
        replace(brief, version="99").setup()


def test_an_unknown_engine_is_refused(tell: Callable[..., Annotation], recordings: Callable[..., Path]) -> None:
    with pytest.raises(UsageError, match=r"^There is no engine 'spark'; known are local and ray\.$"):
        tell(recordings(1), "out.csv", engine="spark")


def test_nothing_of_ray_is_imported_for_this_machine() -> None:
    code = "import sys, m3ser.inference.annotation, m3ser.cli.app; print('ray' in sys.modules)"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "False"
