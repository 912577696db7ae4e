"""The same application on Ray Serve: as many replicas as there is work for, on all machines of a cluster.

Each replica is a whole service on one core, with a model, decoders and a queue of its own; Ray's proxy gives a request
to one of them. The page is left out: what a browser asks of it has to reach the replica that it began with.
"""

from __future__ import annotations

import logging
import re
import signal
import socket
import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any

from m3ser.cores import available_cores
from m3ser.errors import M3serError, UsageError
from m3ser.inference.cluster import ray_cluster
from m3ser.inference.loading import open_bundle
from m3ser.serving.settings import ServiceSettings

__all__ = ["Replicas", "build", "serve_on_ray"]

_NAME = "m3ser"


@dataclass(frozen=True)
class Replicas:
    """How many replicas there are.

    Attributes:
        least, most: between these, as many as there is work for.
    """

    least: int
    most: int

    @classmethod
    def parse(cls, said: str | None) -> Replicas:
        """From "2" or "1-4"; None: one to one per core of this machine.

        Raises:
            UsageError: it is neither.
        """
        if said is None:
            return cls(1, available_cores())
        found = re.fullmatch(r"(\d{1,5})(?:-(\d{1,5}))?", said, re.ASCII)
        least, most = (0, 0) if found is None else (int(found[1]), int(found[2] or found[1]))
        if not 1 <= least <= most:
            raise UsageError(f"--replicas is '{said}'; expected a number, or two as in 1-4, the smaller one first.")
        return cls(least, most)


def build(settings: ServiceSettings, replicas: Replicas) -> Any:
    """The application for :func:`ray.serve.run`; every replica has its own.

    Args:
        settings: of each replica; decoders and lanes are one each.
        replicas: how many there are.
    """
    from ray import serve

    own = replace(settings, workers=1, lanes=1, page=False)

    # A function in a function: Ray sends it to replicas with what it needs.
    def application() -> Any:
        from m3ser.serving.app import create_app

        return create_app(own)

    return serve.deployment(
        name=_NAME,
        ray_actor_options={"num_cpus": 1},
        # Beyond its queue a replica answers 503 itself, and says when to come again; Ray's proxy would not say that.
        max_ongoing_requests=2 * settings.queue_size,
        graceful_shutdown_timeout_s=settings.stop_seconds,
        autoscaling_config={
            "min_replicas": replicas.least,
            "max_replicas": replicas.most,
            "target_ongoing_requests": settings.batch_size,
        },
    )(serve.ingress(application)()).bind()


def serve_on_ray(
    settings: ServiceSettings,
    replicas: Replicas,
    *,
    address: str | None,
    announce: Callable[[str], None] = lambda _: None,
) -> None:
    """Serve on a Ray cluster until SIGINT or SIGTERM; what was accepted is answered before it ends.

    Args:
        settings: see :func:`build`; host and port are those of Ray's proxy on this machine.
        replicas: how many there are.
        address: see :func:`m3ser.inference.cluster.ray_cluster`.
        announce: told the address once it answers there.

    Raises:
        MissingExtraError: the extra ``ray`` is not installed.
        UsageError, M3serError: see :func:`~m3ser.inference.cluster.ray_cluster`; or the model does not take a profile,
            or the application did not start.
    """
    if settings.port == 0:
        raise UsageError("port is 0; Ray Serve takes none that it chooses itself, so expected 1 to 65535.")
    _require_free(settings)
    _require_fitting_profiles(settings)
    stop = threading.Event()
    with ray_cluster(address, cores=replicas.most, feature="m3ser serve with the engine ray"):
        from ray import serve
        from ray.exceptions import RayError

        # After Ray's own, which end the process where it is.
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, lambda *_: stop.set())
        logging.getLogger("ray.serve").setLevel(logging.ERROR)
        try:
            try:
                # Its patience for the proxy is a minute, too little on a machine that is busy; run() has another one.
                with suppress(TimeoutError):
                    serve.start(
                        proxy_location="HeadOnly",
                        http_options={"host": settings.host, "port": settings.port},
                        logging_config={"log_level": "ERROR", "enable_access_log": False},
                    )
                serve.run(build(settings, replicas), name=_NAME, route_prefix="/")
            except (RayError, RuntimeError, TimeoutError) as error:
                raise M3serError(_why(error)) from error
            announce(f"http://{settings.host}:{settings.port}")
            stop.wait()
            with suppress(RuntimeError):  # it was taken away by somebody else
                serve.delete(_NAME)
        finally:
            serve.shutdown()  # type: ignore[no-untyped-call]


def _require_free(settings: ServiceSettings) -> None:
    """Say at once that a port is taken; Ray tries again and again.

    Raises:
        M3serError: it is.
    """
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as trial:
        trial.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            trial.bind((settings.host, settings.port))
        except OSError as error:
            raise M3serError(
                f"Cannot listen on {settings.host} port {settings.port} ({error.strerror}); --port chooses another one."
            ) from error


def _require_fitting_profiles(settings: ServiceSettings) -> None:
    """Say at once that the model does not take a profile; Ray does not tell why its replicas did not start.

    Raises:
        UsageError: it does not.
    """
    if settings.profile is not None or settings.profiles:
        bundle = open_bundle(settings.model, settings.profile)
        for profile in settings.profiles:
            bundle.check_profile(profile)


def _why(error: Exception) -> str:
    said = " ".join(str(error).split())
    return f"The service did not start on Ray: {said[:300].rstrip('.')}."
