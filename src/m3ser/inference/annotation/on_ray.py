"""Who answers on a cluster: actors of Ray Data, on one core each.

An actor has a process of its own for the recogniser, as a worker on this machine is one (:mod:`.crew`): what ends it
fails alone and with the same sentence. What ends the actor itself, or its machine, is Ray's to repair: it gives what
the actor had to another one.

Ray Data reads a list that is whole. So that memory does not grow with the recordings, they are given to it in waves of
several minutes each, after which its actors begin anew.
"""

from __future__ import annotations

import json
import logging
import os
import pickle
import socket
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

from m3ser import __version__
from m3ser.errors import BundleError, M3serError
from m3ser.inference.annotation.crew import Crew, processes_for
from m3ser.inference.annotation.worker import Answer, Answers, Setup, Task
from m3ser.inference.catalogue import name_of
from m3ser.inference.cluster import ray_cluster
from m3ser.inference.loading import open_bundle
from m3ser.inference.requests import Request
from m3ser.profile import Profile
from m3ser.text.asr import Transcriber

__all__ = ["answer_on_ray"]

_SENT = 4
"""Tasks that an actor is sent together. More wait less; fewer are known, and kept, sooner."""

_WAVE = 512
"""Tasks of a wave, for each actor."""


def answer_on_ray(
    setup: Setup, tasks: Iterator[Task], *, waiting: int, workers: int | None, size: int, address: str | None
) -> Answers:
    """Answer tasks on a Ray cluster, as the answers come.

    Args:
        setup: what each actor makes its recogniser of. The bundle is looked up again by each of them.
        tasks: taken a wave at a time.
        waiting: how many items there are in all the tasks.
        workers: actors, of one core each; None: as many as the cluster has cores, as far as there is enough to do.
        size: items of a task.
        address: see :func:`m3ser.inference.cluster.ray_cluster`.

    Raises:
        MissingExtraError, UsageError, M3serError: see there; or an actor could not begin, or Ray gave up.
    """
    cores = processes_for(waiting, workers, size)
    with ray_cluster(address, cores=cores, feature="annotate with the engine ray") as found:
        actors = processes_for(waiting, workers or found, size)
        brief = _brief(setup)
        while wave := list(islice(tasks, _WAVE * actors)):
            yield from _answered(brief, wave, actors)


def _answered(brief: _Brief, wave: list[Task], actors: int) -> Answers:
    import ray
    from ray.data import ActorPoolStrategy, DataContext, from_items

    # After the import, which sets these levels.
    logging.getLogger("ray.data").setLevel(logging.ERROR)
    DataContext.get_current().enable_progress_bars = False
    blocks = -(-len(wave) // _SENT)
    rows = from_items([{"task": pickle.dumps(task)} for task in wave], override_num_blocks=blocks)
    answered = rows.map_batches(
        _Answerer,
        fn_constructor_args=(brief,),
        batch_size=None,
        compute=ActorPoolStrategy(size=min(actors, blocks)),
        num_cpus=1,
    )
    try:
        for batch in answered.iter_batches(batch_size=None, prefetch_batches=0):
            for said in batch["said"]:
                yield from _heard(json.loads(said))
    except ray.exceptions.RayError as error:
        raise M3serError(_gave_up(error)) from error


def _heard(said: dict[str, Any]) -> Iterator[list[Answer]]:
    for warning in said["warnings"]:
        logging.getLogger("m3ser.inference").warning("%s", warning)
    yield said["answers"]
    if said["broken"] is not None:
        raise M3serError(said["broken"])


def _gave_up(error: Exception) -> str:
    said = str(error)
    if "No module named 'm3ser'" in said:
        return "A machine of the Ray cluster has no m3ser; it has to be installed on each of them, in the same version."
    reason = " ".join(said.strip().rpartition("\n")[2].split()).rstrip(".")
    return f"Ray gave up ({reason}); what was answered until now is kept, and the same command goes on from there."


# What actors are told


@dataclass(frozen=True)
class _Brief:
    """What an actor on any machine has to know.

    Attributes:
        model: the bundle's name, where it comes with m3ser, else its folder.
        digest: SHA-256 of its bundle.json, which has those of all its other files.
        providers, transcriber, max_seconds: as in :class:`~m3ser.inference.annotation.worker.Setup`.
        folder: where names of recordings that are not absolute begin.
        node: Ray's id of the machine that asks.
        version: of m3ser there.
        profile: whose recordings they are.
    """

    model: str
    digest: str
    providers: tuple[str, ...]
    transcriber: Transcriber | str | None
    max_seconds: float
    folder: str
    node: str
    version: str = __version__
    profile: Profile | None = None

    def setup(self) -> Setup:
        """The setup on this machine.

        Raises:
            BundleError: it has another m3ser, or not this bundle.
            M3serError: see :func:`m3ser.inference.load`.
        """
        if __version__ != self.version:
            raise BundleError(f"m3ser is {__version__} here; expected {self.version}, as where annotate was called.")
        bundle = open_bundle(self.model, self.profile)
        if bundle.digest() != self.digest:
            raise BundleError(f"Bundle '{self.model}' is not the one here that it is where annotate was called.")
        return Setup(bundle, self.providers, self.transcriber, self.max_seconds)


def _brief(setup: Setup) -> _Brief:
    import ray

    return _Brief(
        name_of(setup.bundle),
        setup.bundle.digest(),
        setup.providers,
        setup.transcriber,
        setup.max_seconds,
        str(Path.cwd()),
        ray.get_runtime_context().get_node_id(),
        profile=setup.bundle.profile,
    )


# In an actor


class _Answerer:
    """What an actor of Ray Data is made of. It raises nothing: Ray would wrap it in pages."""

    def __init__(self, brief: _Brief) -> None:
        import ray

        self._brief = brief
        self._here = ray.get_runtime_context().get_node_id() == brief.node
        self._crew: Crew | None = None
        self._warnings = _Warnings()
        log = logging.getLogger("m3ser")
        log.addHandler(self._warnings)
        log.propagate = False
        with suppress(OSError):  # each recording then says by itself that it is not here
            os.chdir(brief.folder)

    def __call__(self, batch: dict[str, Any]) -> dict[str, list[bytes]]:
        tasks = [pickle.loads(task) for task in batch["task"]]  # noqa: S301  (what this program pickled)
        answers: list[Answer] = []
        broken = None
        try:
            self._crew = self._crew or Crew(self._brief.setup(), 1)
            for some in self._crew.answers(self._present(tasks, answers)):
                answers += some
        except M3serError as error:
            broken = str(error) if self._here else f"On machine '{socket.gethostname()}': {error}"
        said = {"answers": answers, "warnings": self._warnings.taken(), "broken": broken}
        return {"said": [json.dumps(said).encode("ascii")]}

    def _present(self, tasks: list[Task], answers: list[Answer]) -> Iterator[Task]:
        """The items of tasks whose recordings this machine has; to the others the answer is that it has them not."""
        for task in tasks:
            present = []
            for key, request in task:
                if self._here or _exists(request):
                    present.append((key, request))
                else:
                    answers.append({"key": key, "error": _missing(request)})
            if present:
                yield present


def _exists(request: Request) -> bool:
    return request.audio is None or os.path.exists(request.audio)  # type: ignore[arg-type]  # noqa: PTH110


def _missing(request: Request) -> str:
    return (
        f"'{request.file}' does not exist on machine '{socket.gethostname()}'; on a cluster, recordings have to be "
        "where each of its machines finds them by the same name."
    )


class _Warnings(logging.Handler):
    """Keeps what the library warns of, for whoever asked."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self._kept: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self._kept.append(record.getMessage())

    def taken(self) -> list[str]:
        """What was kept since the last time."""
        kept, self._kept = self._kept, []
        return kept
