"""Which recordings hold the same bytes, whatever they are called."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Hashable, Iterable
from hashlib import blake2b
from pathlib import Path

__all__ = ["contents_of"]

_CHUNK = 1 << 20


def contents_of(paths: Iterable[Path]) -> dict[Path, Hashable]:
    """Recording -> something that is equal for recordings of equal content.

    Only those that are as large as another are read: files of different sizes cannot be equal. A recording that cannot
    be read is equal to itself alone.
    """
    contents: dict[Path, Hashable] = {}
    by_size: defaultdict[int, list[Path]] = defaultdict(list)
    for path in dict.fromkeys(paths):
        contents[path] = path
        try:
            by_size[path.stat().st_size].append(path)
        except OSError:
            continue
    for size, group in by_size.items():
        if len(group) > 1:
            contents.update({path: (size, digest) for path in group if (digest := _digest(path)) is not None})
    return contents


def _digest(path: Path) -> bytes | None:
    digest = blake2b()
    try:
        with path.open("rb") as file:
            while chunk := file.read(_CHUNK):
                digest.update(chunk)
    except OSError:
        return None
    return digest.digest()
