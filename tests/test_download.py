"""Fetching files, against a server on loopback that misbehaves on demand."""

from __future__ import annotations

import hashlib
import socket
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from m3ser import download as download_module
from m3ser.download import cache_folder, download
from m3ser.errors import DownloadError

CONTENT = bytes(range(256)) * 1200  # 307,200 bytes
HALF = 150_000
SHA256 = hashlib.sha256(CONTENT).hexdigest()


class Site:
    """What the server does, and what it was asked.

    Attributes:
        content: the one file, under any name.
        ranges: the Range header of every request, None where it had none.
        cuts: after how many bytes of a body the connection is closed, one entry for each request; then no more.
        ignores_range: always send the whole file.
        status: answer every request with this error.
        silent: accept the request and never answer, until the test is over.
        shift: where a partial answer begins, counted from where it should.
    """

    def __init__(self) -> None:
        self.content = CONTENT
        self.ranges: list[str | None] = []
        self.cuts: list[int] = []
        self.ignores_range = False
        self.status: int | None = None
        self.silent = False
        self.shift = 0
        self.over = threading.Event()
        self.url = ""

    def handler(site) -> type[BaseHTTPRequestHandler]:  # noqa: N805 - `self` is the handler, below
        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                site.ranges.append(self.headers["Range"])
                if site.silent:
                    site.over.wait(30)
                    return
                if site.status is not None:
                    self.send_error(site.status)
                    return
                start = 0
                if self.headers["Range"] and not site.ignores_range:
                    start = int(self.headers["Range"].removeprefix("bytes=").rstrip("-")) + site.shift
                    if start >= len(site.content):
                        self.send_response(416)
                        self.send_header("Content-Range", f"bytes */{len(site.content)}")
                        self.send_header("Content-Length", "0")
                        self.end_headers()
                        return
                    self.send_response(206)
                    self.send_header("Content-Range", f"bytes {start}-{len(site.content) - 1}/{len(site.content)}")
                else:
                    self.send_response(200)
                body = site.content[start:]
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body[: site.cuts.pop(0)] if site.cuts else body)

            def log_message(self, *args: object) -> None:
                pass

        return Handler


@pytest.fixture
def site(monkeypatch: pytest.MonkeyPatch) -> Iterator[Site]:
    monkeypatch.setenv("no_proxy", "*")
    monkeypatch.setattr(download_module, "_PAUSE", 0.001)
    site = Site()
    with ThreadingHTTPServer(("127.0.0.1", 0), site.handler()) as server:
        server.daemon_threads = True
        site.url = f"http://127.0.0.1:{server.server_address[1]}/weights.bin"
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield site
        site.over.set()
        server.shutdown()
        thread.join()


def fetch(site: Site, target: Path, *, sha256: str = SHA256, attempts: int = 5, timeout: float = 10.0) -> Path:
    return download(site.url, target, sha256=sha256, attempts=attempts, timeout=timeout, progress=False)


def part_of(target: Path) -> Path:
    return target.with_name(target.name + ".part")


def test_the_right_file_arrives(site, tmp_path):
    target = tmp_path / "new" / "folder" / "weights.bin"
    assert fetch(site, target) == target
    assert target.read_bytes() == CONTENT
    assert not part_of(target).exists()
    assert site.ranges == [None]


def test_the_beginning_of_a_hash_is_enough(site, tmp_path):
    target = fetch(site, tmp_path / "weights.bin", sha256=SHA256[:8].upper())
    assert target.read_bytes() == CONTENT


def test_what_is_there_is_not_asked_for_again(site, tmp_path):
    fetch(site, tmp_path / "weights.bin")
    fetch(site, tmp_path / "weights.bin")
    assert len(site.ranges) == 1


def test_a_file_with_another_hash_does_not_appear(site, tmp_path):
    target = tmp_path / "weights.bin"
    with pytest.raises(DownloadError, match=f"not the file that was published: its SHA-256 is {SHA256}, expected 0bad"):
        fetch(site, target, sha256="0bad" + SHA256[4:])
    assert not target.exists()
    assert not part_of(target).exists()


def test_a_cut_transfer_goes_on_where_it_stopped(site, tmp_path):
    site.cuts = [HALF, 1000]
    target = fetch(site, tmp_path / "weights.bin")
    assert target.read_bytes() == CONTENT
    assert site.ranges == [None, f"bytes={HALF}-", f"bytes={HALF + 1000}-"]


def test_a_transfer_that_was_given_up_goes_on_in_the_next_call(site, tmp_path):
    target = tmp_path / "weights.bin"
    site.cuts = [HALF]
    with pytest.raises(DownloadError, match="broke off after 150,000 bytes"):
        fetch(site, target, attempts=1)
    assert not target.exists()
    assert part_of(target).read_bytes() == CONTENT[:HALF]
    fetch(site, target)
    assert target.read_bytes() == CONTENT
    assert site.ranges == [None, f"bytes={HALF}-"]


def test_a_server_that_ignores_ranges_is_read_from_the_beginning(site, tmp_path):
    site.cuts, site.ignores_range = [HALF], True
    target = fetch(site, tmp_path / "weights.bin")
    assert target.read_bytes() == CONTENT
    assert site.ranges == [None, f"bytes={HALF}-"]


def test_a_part_that_was_complete_is_only_checked(site, tmp_path):
    target = tmp_path / "weights.bin"
    part_of(target).write_bytes(CONTENT)
    fetch(site, target)
    assert target.read_bytes() == CONTENT


@pytest.mark.parametrize("stale", [b"x" * HALF, b"x" * (len(CONTENT) + 5)], ids=["shorter", "longer"])
def test_a_part_of_another_file_is_thrown_away(site, tmp_path, stale):
    target = tmp_path / "weights.bin"
    part_of(target).write_bytes(stale)
    fetch(site, target)
    assert target.read_bytes() == CONTENT
    assert site.ranges[-1] is None


def test_another_part_than_was_asked_for_is_not_used(site, tmp_path):
    site.cuts, site.shift = [HALF], 7
    target = fetch(site, tmp_path / "weights.bin")
    assert target.read_bytes() == CONTENT
    assert site.ranges == [None, f"bytes={HALF}-", None]


@pytest.mark.parametrize(("status", "words"), [(404, "404 Not Found"), (403, "403 Forbidden"), (500, "500 Internal")])
def test_an_answer_that_is_an_error_is_named(site, tmp_path, status, words):
    site.status = status
    with pytest.raises(DownloadError, match=f"{site.url} cannot be fetched: the server answered {words}"):
        fetch(site, tmp_path / "weights.bin")
    assert not (tmp_path / "weights.bin").exists()


def test_no_server_is_named(tmp_path, monkeypatch):
    monkeypatch.setenv("no_proxy", "*")
    with socket.socket() as free:  # bound, but nobody listens
        free.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{free.getsockname()[1]}/weights.bin"
        with pytest.raises(DownloadError, match="cannot be fetched: Connection refused"):
            download(url, tmp_path / "weights.bin", sha256=SHA256, progress=False)


def test_a_server_that_does_not_answer_is_given_up(site, tmp_path):
    site.silent = True
    with pytest.raises(DownloadError, match="cannot be fetched: no answer in time"):
        fetch(site, tmp_path / "weights.bin", timeout=0.2)


def test_only_http_is_fetched(tmp_path):
    (tmp_path / "source.bin").write_bytes(CONTENT)
    with pytest.raises(DownloadError, match="not an http or https address"):
        download((tmp_path / "source.bin").as_uri(), tmp_path / "weights.bin", sha256=SHA256)


def test_a_folder_that_cannot_be_written_is_named(site, tmp_path):
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(DownloadError, match="cannot be written"):
        fetch(site, tmp_path / "file" / "weights.bin")
    assert site.ranges == []


def test_several_at_once_fetch_once(site, tmp_path):
    target = tmp_path / "weights.bin"
    with ThreadPoolExecutor(4) as pool:
        results = list(pool.map(lambda _: fetch(site, target), range(4)))
    assert results == [target] * 4
    assert site.ranges == [None]


def test_progress_is_shown_on_stderr(site, tmp_path, capsys):
    download(site.url, tmp_path / "weights.bin", sha256=SHA256)
    out, err = capsys.readouterr()
    assert out == ""
    assert "weights.bin" in err
    assert "307.2" in err  # kilobytes


def test_where_files_are_kept(monkeypatch, tmp_path):
    monkeypatch.setenv("M3SER_CACHE", str(tmp_path / "own"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "shared"))
    assert cache_folder() == tmp_path / "own"
    monkeypatch.delenv("M3SER_CACHE")
    assert cache_folder() == tmp_path / "shared" / "m3ser"
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("USERPROFILE", str(tmp_path))
    assert cache_folder() == tmp_path / ".cache" / "m3ser"
