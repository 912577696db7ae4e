"""Fetching published files: resumed where the connection broke, checked by hash, never half there.

Bytes arrive in ``NAME.part`` beside the file; the file itself appears only when its hash is right.
"""

from __future__ import annotations

import hashlib
import http.client
import os
import re
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from email.message import Message
from pathlib import Path
from urllib.parse import urlsplit

from filelock import FileLock

from m3ser.errors import DownloadError

__all__ = ["cache_folder", "download"]

_BLOCK = 1 << 20  # bytes read at a time
_PAUSE = 0.5  # seconds before the first new attempt; doubled for each further one

Advance = Callable[[int, "int | None"], None]


def cache_folder() -> Path:
    """Where fetched files are kept: ``$M3SER_CACHE``, else ``$XDG_CACHE_HOME/m3ser``, else ``~/.cache/m3ser``."""
    if own := os.environ.get("M3SER_CACHE"):
        return Path(own).expanduser()
    if shared := os.environ.get("XDG_CACHE_HOME"):
        return Path(shared).expanduser() / "m3ser"
    return Path.home() / ".cache" / "m3ser"


def download(
    url: str,
    destination: str | os.PathLike[str],
    *,
    sha256: str,
    timeout: float = 30.0,
    attempts: int = 5,
    progress: bool = True,
) -> Path:
    """Fetch `url` into the file `destination`; nothing is asked of the server where that file is already there.

    A transfer that is cut is taken up again where it stopped (HTTP Range), in this call and, through the ``.part``
    file, in later ones. Of several processes that ask for the same file at once, one fetches it.

    Args:
        url: http or https.
        destination: the file; its folder is made where it is missing.
        sha256: its hash in hexadecimal, or the beginning of it where no more was published.
        timeout: seconds without an answer or a byte after which the connection counts as cut.
        attempts: how often the transfer is started, the first time included.
        progress: show a progress bar on stderr.

    Returns:
        `destination`.

    Raises:
        DownloadError: the server cannot be reached, refuses, breaks off too often or sends another file than the one
            published; or the file cannot be written.
    """
    destination = Path(destination)
    if destination.is_file():
        return destination
    if urlsplit(url).scheme not in ("http", "https"):
        raise DownloadError(f"{url} is not an http or https address.")
    part = destination.with_name(destination.name + ".part")
    try:
        destination.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(destination.with_name(destination.name + ".lock")):
            if not destination.is_file():  # another process may have brought it while this one waited
                with _progress_bar(destination.name, visible=progress) as advance:
                    _fetch_checked(
                        url, part, sha256=sha256.lower(), timeout=timeout, attempts=attempts, advance=advance
                    )
                part.replace(destination)
    except OSError as error:
        raise DownloadError(f"{destination} cannot be written: {error.strerror or error}.") from error
    return destination


def _fetch_checked(url: str, part: Path, *, sha256: str, timeout: float, attempts: int, advance: Advance) -> None:
    """Fill `part` with what `url` holds, and remove it again if that is not the file with this hash."""
    resumed = _size(part) > 0
    _fetch(url, part, timeout=timeout, attempts=attempts, advance=advance)
    found = _sha256(part)
    if not found.startswith(sha256) and resumed:
        # The beginning may be that of another file, left by an earlier call.
        part.unlink()
        _fetch(url, part, timeout=timeout, attempts=attempts, advance=advance)
        found = _sha256(part)
    if not found.startswith(sha256):
        part.unlink()
        raise DownloadError(f"{url} is not the file that was published: its SHA-256 is {found}, expected {sha256}.")


def _fetch(url: str, part: Path, *, timeout: float, attempts: int, advance: Advance) -> None:
    """Append to `part` until all of `url` is there."""
    for attempt in range(attempts):
        if attempt:
            time.sleep(_PAUSE * 2 ** (attempt - 1))
        broken = _transfer(url, part, timeout=timeout, advance=advance)
        if broken is None:
            return
    raise DownloadError(
        f"{url} broke off after {_size(part):,} bytes ({broken}), also at the last of {attempts} attempts; "
        "what has arrived is kept, and the next call goes on from there."
    )


def _transfer(url: str, part: Path, *, timeout: float, advance: Advance) -> str | None:
    """Ask once for what `part` lacks, and append it.

    Returns:
        None when `part` is complete; else why the transfer was cut, and is worth taking up again.
    """
    have = _size(part)
    headers = {"User-Agent": "m3ser"} | ({"Range": f"bytes={have}-"} if have else {})
    request = urllib.request.Request(url, headers=headers)  # noqa: S310 - the scheme was checked
    try:
        response = urllib.request.urlopen(request, timeout=timeout)  # noqa: S310
    except urllib.error.HTTPError as error:
        with error:
            if error.code != http.HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE or not have:
                raise DownloadError(
                    f"{url} cannot be fetched: the server answered {error.code} {error.reason}."
                ) from error
            if _content_range(error.headers, r"bytes \*/(\d+)") == have:
                return None  # there is no more: all of it had arrived
        part.unlink()
        return "the server no longer has the rest of the file"
    except (OSError, http.client.HTTPException) as error:
        raise DownloadError(f"{url} cannot be fetched: {_reason(error)}.") from error
    with response:
        if response.status != http.HTTPStatus.PARTIAL_CONTENT:
            have = 0  # the server sends everything, whatever was asked for
        elif _content_range(response.headers, r"bytes (\d+)-") != have:
            part.unlink()
            return "the server sent another part of the file than was asked for"
        length = response.headers["Content-Length"]
        expected = None if length is None else have + int(length)
        with part.open("ab" if have else "wb") as file:
            while True:
                try:
                    block = response.read1(_BLOCK)
                except (OSError, http.client.HTTPException) as error:
                    return _reason(error)
                if not block:
                    break
                file.write(block)
                have += len(block)
                advance(have, expected)
    return None if expected is None or have >= expected else "the connection was closed"


def _reason(error: Exception) -> str:
    """What went wrong, in the words of the innermost cause."""
    cause = error.reason if isinstance(error, urllib.error.URLError) else error
    if isinstance(cause, TimeoutError):
        return "no answer in time"
    return (isinstance(cause, OSError) and cause.strerror) or str(cause) or type(cause).__name__


def _content_range(headers: Message, pattern: str) -> int | None:
    """The number that `pattern` finds in the Content-Range of an answer."""
    match = re.match(pattern, headers["Content-Range"] or "")
    return int(match[1]) if match else None


def _size(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0


def _sha256(path: Path) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(_BLOCK):
            digest.update(block)
    return digest.hexdigest()


@contextmanager
def _progress_bar(name: str, *, visible: bool) -> Iterator[Advance]:
    """A bar on stderr; yields the function to call with (bytes that are there, bytes in all or None)."""
    from rich.console import Console
    from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn, TransferSpeedColumn

    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        DownloadColumn(),
        TransferSpeedColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=Console(stderr=True), disable=not visible) as bar:
        task = bar.add_task(name, total=None)

        def advance(have: int, expected: int | None) -> None:
            bar.update(task, completed=have, total=expected)

        yield advance
