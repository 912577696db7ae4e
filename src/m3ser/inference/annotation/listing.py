"""The list of everything that is to be annotated, kept on disk, with what has become of each item so far."""

from __future__ import annotations

import json
import os
from array import array
from collections.abc import Callable, Iterable, Iterator
from hashlib import blake2b
from pathlib import Path
from typing import Any, Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from m3ser.errors import DataError
from m3ser.files import appearing_whole
from m3ser.inference.annotation.sources import Item
from m3ser.inference.requests import TRANSCRIBE, Request

__all__ = ["Listing", "Words", "key_of", "request_for"]

Words: TypeAlias = Literal["auto", "given", "transcribed"] | None
"""Where words come from; see :func:`m3ser.inference.annotate`."""

_WAITING, _DONE, _FAILED = 0, 1, 2


def key_of(item: Item, words: Words) -> int:
    """What tells items apart that are answered differently: recording, stretch, the model's words and their language.

    64 bits; two of a million items have the same one by chance once in thirty-seven million lists.
    """
    # The place and not the name, which means another recording in another folder.
    place = None if item.audio is None else os.path.abspath(item.audio)  # noqa: PTH100
    text = item.text if words in ("auto", "given") else None
    language = item.language(written=text is not None)
    known = [place, item.start or 0, item.end, text, *([] if language is None else [language])]
    told = json.dumps(known).encode("ascii")
    return int.from_bytes(blake2b(told, digest_size=8).digest(), "big")


def request_for(item: Item, words: Words, language: str | None) -> Request | str:
    """What the model is asked, or why it cannot be; `language` is that of words of which the manifest does not say."""
    if item.problem is not None:
        return item.problem
    text: Any = None
    if words in ("auto", "given"):
        text = item.text
    if text is None and words in ("auto", "transcribed"):
        text = TRANSCRIBE
    if item.audio is None and not isinstance(text, str):
        return "A row of text alone, whose words are not to be used; expected a recording."
    named = item.language(written=isinstance(text, str)) or language
    return Request(item.audio, text=text, start=item.start, end=item.end, language=named)


class Listing:
    """Items in their order, in a file; in memory there are about 30 bytes for each.

    Args:
        path: the file, written anew.
        items: what goes into it.
        words: where words come from.
        progress: told from time to time how many there are so far.

    Attributes:
        further: the names of the further columns of all manifests, in the order in which they come up.
        settled: how many rows are done or have failed.
        failed: how many of them have failed.

    Raises:
        UsageError, DataError: what `items` raises; or the file cannot be written.
    """

    def __init__(
        self, path: Path, items: Iterable[Item], *, words: Words, progress: Callable[[int], None] | None = None
    ) -> None:
        self._path = path
        keys = array("Q")
        rows = bytearray()
        further: dict[str, None] = {}
        with appearing_whole(path, "List") as draft, draft.open("wb") as file:
            for item in items:
                file.write(item.to_line())
                keys.append(key_of(item, words))
                rows.append(item.row)
                further.update(dict.fromkeys(item.further))
                if progress is not None and len(keys) % 1000 == 0:
                    progress(len(keys))
        self.further = tuple(further)
        known, first, inverse = np.unique(np.array(keys, dtype=np.uint64), return_index=True, return_inverse=True)
        self._keys: NDArray[np.uint64] = known
        self._of: NDArray[np.int32] = inverse.astype(np.int32)
        self._states = np.zeros(len(known), np.uint8)
        self._places = np.full(len(known), -1, np.int64)
        # The same recording by way of two folders or patterns is listed once, rows of a manifest as they are there.
        self._counts = np.frombuffer(rows, dtype=np.uint8).astype(np.bool_)
        self._counts[first] = True
        self._rows = np.bincount(self._of[self._counts], minlength=len(known)).astype(np.int32)
        # Kept along, and not counted each time: they are asked for after every few answers.
        self._length = int(self._rows.sum())
        self.settled = 0
        self.failed = 0

    def __len__(self) -> int:
        """How many rows the result is to have, failures included."""
        return self._length

    def settle(self, key: int, place: int, *, failed: bool) -> bool:
        """Note where the journal has the answer to the items of this key; False where there are none."""
        index = int(np.searchsorted(self._keys, np.uint64(key)))
        if index == len(self._keys) or int(self._keys[index]) != key:
            return False
        rows = int(self._rows[index])
        before = self._states[index]
        self.settled += rows if before == _WAITING else 0
        self.failed += rows * (int(failed) - int(before == _FAILED))
        self._places[index] = place
        self._states[index] = _FAILED if failed else _DONE
        return True

    def retry_failed(self) -> None:
        """What failed waits again."""
        self._states[self._states == _FAILED] = _WAITING
        self.settled -= self.failed
        self.failed = 0

    @property
    def waiting(self) -> int:
        """How many items are still to be answered, those that come again counted once."""
        return int((self._states == _WAITING).sum())

    def pending(self) -> Iterator[tuple[int, Item]]:
        """Keys and items that wait for an answer, in order, each once."""
        given = np.zeros(len(self._keys), np.bool_)
        for number, item in enumerate(self.items()):
            index = self._of[number]
            if self._states[index] == _WAITING and not given[index]:
                given[index] = True
                yield int(self._keys[index]), item

    def settled_items(self, *, failed: bool) -> Iterator[tuple[Item, int]]:
        """Items that are done, or those that failed, with the place of the answer in the journal; in order."""
        wanted = _FAILED if failed else _DONE
        for number, item in enumerate(self.items()):
            index = self._of[number]
            if self._counts[number] and self._states[index] == wanted:
                yield item, int(self._places[index])

    def items(self) -> Iterator[Item]:
        """Everything that is listed, in order.

        Raises:
            DataError: the list cannot be read any more.
        """
        try:
            with self._path.open("rb") as file:
                for line in file:
                    yield Item.from_line(line)
        except OSError as error:
            raise DataError(f"List '{self._path}' cannot be read: {error.strerror or error}.") from error
