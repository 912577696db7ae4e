"""The files that visitors send, in a folder of their own: bounded in number of bytes, and deleted after minutes."""

from __future__ import annotations

import os
import shutil
import tempfile
import time
import weakref
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

__all__ = ["Uploads"]

KEPT_SECONDS = 900.0
"""So long a recording can be asked about again."""


class Uploads:
    """A new temporary folder, which goes when the process ends, or earlier with :meth:`close`. For any threads.

    Args:
        max_bytes: the largest file; the folder takes a few of them.
        clock: seconds since 1970, as files have them.
    """

    _FILES = 8  # of the largest size, together

    def __init__(self, max_bytes: int, *, clock: Callable[[], float] = time.time) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="m3ser-page-")).resolve()
        self.max_bytes = max_bytes
        self._clock = clock
        self._kept: set[Path] = set()
        self._remove = weakref.finalize(self, shutil.rmtree, self.folder, ignore_errors=True)

    @contextmanager
    def of_gradio(self) -> Iterator[None]:
        """While Gradio's page is built: it keeps its files here, and those that it brings along stay."""
        name = "GRADIO_TEMP_DIR"  # nothing else tells Gradio
        before = os.environ.get(name)
        os.environ[name] = str(self.folder)
        try:
            yield
        finally:
            if before is None:
                del os.environ[name]
            else:
                os.environ[name] = before
            self._kept = {path for path, _ in self._files()}

    def holds(self, path: object) -> bool:
        """Whether a path, as a request names it, leads to a place below the folder, through links as well."""
        if not isinstance(path, str) or "\0" in path or not Path(path).is_absolute():
            return False
        try:
            resolved = Path(path).resolve()
        except OSError:
            return False
        return resolved != self.folder and resolved.is_relative_to(self.folder)

    def read(self, path: str) -> bytes | None:
        """The contents of an uploaded file, as Gradio names it; None: it has been deleted, or never was one."""
        if not self.holds(path):
            return None
        with suppress(OSError):
            return Path(path).read_bytes()
        return None

    def has_room(self) -> bool:
        """Whether one more file of the largest size would be taken."""
        return sum(status.st_size for _, status in self._files()) <= (self._FILES - 1) * self.max_bytes

    def sweep(self) -> None:
        """Delete what is older than :data:`KEPT_SECONDS`, whatever became of the request that brought it."""
        oldest = self._clock() - KEPT_SECONDS
        for path, status in [*self._files()]:
            if status.st_mtime < oldest and path not in self._kept:
                self._delete(path)

    def close(self) -> None:
        """Delete the folder."""
        self._remove()

    def _files(self) -> Iterator[tuple[Path, os.stat_result]]:
        for folder, _, names in os.walk(self.folder):
            for name in names:
                path = Path(folder, name)
                with suppress(OSError):  # deleted meanwhile
                    yield path, path.stat()

    def _delete(self, path: Path) -> None:
        with suppress(OSError):  # somebody was faster, or there is another file
            path.unlink()
            if path.parent != self.folder:
                path.parent.rmdir()  # Gradio makes one for every file
