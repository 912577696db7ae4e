"""A Ray cluster: one that is there already, or one of this machine's cores for as long as it is needed."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from m3ser.errors import M3serError, UsageError, needing

__all__ = ["ray_cluster"]

_OWN_CLUSTER = {
    # Ray would call its makers.
    "RAY_USAGE_STATS_ENABLED": "0",
    # In spite of its name: whether other machines may join. Where not, Ray listens on loopback alone. It reads this
    # while it is imported.
    "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0",
    # Its parts in C++ write to stderr, beneath Python's logging.
    "RAY_BACKEND_LOG_LEVEL": "fatal",
    # Seconds until Ray Serve kills a proxy that is not ready yet; its 5 are too few on a machine that is busy.
    "RAY_SERVE_PROXY_READY_CHECK_TIMEOUT_S": "120",
}
_OBJECTS = 512 << 20
"""Bytes for what is on its way between processes of a cluster of our own; Ray's default is a third of the memory."""

_PATIENCE = 10.0
"""Seconds that a cluster is given to answer at its address."""


@contextmanager
def ray_cluster(address: str | None, *, cores: int, feature: str) -> Iterator[int]:
    """Be part of a cluster; of our own, which ends with this context, where there is no address.

    A cluster that the program has joined before is gone on with, and not left. One of our own listens on loopback
    alone, unless the program imported Ray before.

    Args:
        address: ``HOST:PORT`` of a cluster that this machine is part of, or "auto" to look for it; None: what the
            environment variable RAY_ADDRESS says, else (as with "local") a cluster of our own.
        cores: how many a cluster of our own has.
        feature: what it is for, as in :func:`m3ser.errors.needing`.

    Yields:
        How many cores the whole cluster has.

    Raises:
        MissingExtraError: the extra ``ray`` is not installed.
        UsageError: an address of Ray's client, by which only half of Ray can be reached.
        M3serError: there is no cluster at the address, or none can be begun.
    """
    address = address or os.environ.get("RAY_ADDRESS") or "local"
    if "://" in address:
        raise UsageError(
            f"Ray cluster '{address}' is named by way of a client; expected HOST:PORT of a cluster that this machine "
            "is part of (`ray start --address=HOST:PORT` makes it that), or auto."
        )
    own = address == "local"
    if own:
        for name, value in _OWN_CLUSTER.items():
            os.environ.setdefault(name, value)
    else:
        _knock(address)
    with needing("ray", feature):
        import ray
    joined = not ray.is_initialized()
    if joined:
        _join(address, cores if own else None)
    try:
        yield max(1, int(ray.cluster_resources().get("CPU", 1)))  # type: ignore[no-untyped-call]
    finally:
        if joined:
            ray.shutdown()


def _join(address: str, cores: int | None) -> None:
    import logging

    import ray

    own: dict[str, Any] = (
        {} if cores is None else {"num_cpus": cores, "object_store_memory": _OBJECTS, "include_dashboard": False}
    )
    try:
        ray.init(address, log_to_driver=False, logging_level=logging.ERROR, **own)
    except (OSError, RuntimeError, ValueError) as error:
        what = "A Ray cluster of this machine cannot be begun" if own else f"Ray cluster '{address}' cannot be joined"
        raise M3serError(f"{what}: {' '.join(str(error).split()).rstrip('.')}.") from error


def _knock(address: str) -> None:
    """Find out in seconds whether anything is at HOST:PORT; Ray itself tries for minutes.

    Raises:
        M3serError: nothing is.
    """
    host, _, port = address.rpartition(":")
    if not (host and port.isdigit()):
        return  # "auto", or what Ray says itself that it is none
    try:
        socket.create_connection((host, int(port)), timeout=_PATIENCE).close()
    except (OSError, OverflowError) as error:
        raise M3serError(f"No Ray cluster is at '{address}': {getattr(error, 'strerror', None) or error}.") from error
