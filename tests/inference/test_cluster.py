from __future__ import annotations

import socket
import sys

import pytest

from m3ser.errors import M3serError, MissingExtraError, UsageError
from m3ser.inference.cluster import ray_cluster


def test_a_client_s_address_is_refused() -> None:
    with (
        pytest.raises(UsageError, match=r"'ray://head:10001' is named by way of a client; expected HOST:PORT"),
        ray_cluster("ray://head:10001", cores=1, feature="this"),
    ):
        pass


def test_without_ray_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    monkeypatch.setenv("RAY_ADDRESS", "10.0.0.1:6379")  # so that the environment is not made ready for one of our own
    with (
        pytest.raises(MissingExtraError, match=r"^This needs the 'ray' extra"),
        ray_cluster(None, cores=1, feature="This"),
    ):
        pass


def test_where_no_cluster_is_it_is_said_at_once() -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        port = closed.getsockname()[1]
    with (
        pytest.raises(M3serError, match=rf"^No Ray cluster is at '127\.0\.0\.1:{port}': Connection refused\.$"),
        ray_cluster(f"127.0.0.1:{port}", cores=1, feature="This"),
    ):
        pass
