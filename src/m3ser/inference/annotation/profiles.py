"""Which profile each item of an annotation is judged with, where each speaker (or the like) has one of their own."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Final

from pydantic import ValidationError

from m3ser.errors import DataError, UsageError
from m3ser.files import Journal
from m3ser.inference.annotation.sources import Item
from m3ser.inference.annotation.worker import Setup
from m3ser.inference.graphs import SessionSettings
from m3ser.inference.groups import learn_groups
from m3ser.inference.recogniser import Recogniser
from m3ser.inference.requests import Request
from m3ser.profile import Profile

__all__ = ["FOLDER", "Profiles"]

FOLDER: Final = "folder"
"""In place of a column: the folder that each recording lies in."""


class Profiles:
    """The profiles of an annotation, kept in its journal: what was answered and what will be is judged alike.

    A group that had too few utterances when it was first met has none for good.

    Args:
        by: the column of the manifests that tells the groups apart, or :data:`FOLDER`; None: there are no profiles.
        path: the file that they are kept in.
        neutral: share of neutral recordings in each group, about; None: emotions are about even.

    Raises:
        DataError: it cannot be read, or does not hold what was written there.
    """

    def __init__(self, by: str | None, path: Path, *, neutral: float | None = None) -> None:
        self._by = by
        self._neutral = neutral
        self._path = path
        self._found: dict[str, Profile | None] = {}
        if by is not None:
            with Journal(path, "Journal of profiles") as journal:
                self._found = dict(map(self._known, journal.records))

    def learn(self, items: Callable[[], Iterable[Item]], setup: Setup, tell: Callable[[int, int], None]) -> None:
        """Learn what is not known yet, and keep it.

        Args:
            items: gives everything that is to be annotated.
            setup: what the recogniser is made of.
            tell: told how many groups are done with, and of how many.

        Raises:
            UsageError: no item belongs to a group, or the model takes no profiles, or none with such a share.
            DataError: it cannot be kept.
        """
        if self._by is None:
            return
        setup.bundle.require_adaptable(self._neutral)
        if not any(self._group(item) for item in items()):
            raise UsageError(
                f"Nothing that is listed has a column '{self._by}'; expected a manifest with it, or '{FOLDER}' for the "
                "folder that each recording lies in."
            )

        def recordings() -> Iterator[tuple[str, Request]]:
            for item in items():
                if item.audio is not None and item.problem is None:
                    yield self._group(item), Request(item.audio, text=None, start=item.start, end=item.end)

        # All cores here: the workers are not there yet.
        recogniser = Recogniser(
            setup.bundle,
            settings=SessionSettings(providers=setup.providers),
            transcriber=None,
            max_seconds=setup.max_seconds,
        )
        with Journal(self._path, "Journal of profiles") as journal:

            def keep(group: str, profile: Profile | None) -> None:
                journal.append({"group": group, "profile": None if profile is None else profile.model_dump()})

            self._found = learn_groups(
                recogniser, recordings, neutral=self._neutral, known=self._found, learnt=keep, progress=tell
            )

    def of(self, item: Item) -> Profile | None:
        """The profile of an item's group, if any."""
        return self._found.get(self._group(item))

    @property
    def without(self) -> tuple[str, ...]:
        """The groups that have too few utterances to learn from."""
        return tuple(group for group, profile in self._found.items() if profile is None)

    def __len__(self) -> int:
        return len(self._found)

    def _group(self, item: Item) -> str:
        if self._by == FOLDER:
            return "" if item.audio is None else os.path.dirname(os.path.abspath(item.audio))  # noqa: PTH100, PTH120
        value = None if self._by is None else item.further.get(self._by)
        return "" if value is None else str(value)

    def _known(self, record: dict[str, object]) -> tuple[str, Profile | None]:
        try:
            kept = record["profile"]
            return str(record["group"]), None if kept is None else Profile.model_validate(kept)
        except (KeyError, ValidationError):
            raise DataError(
                f"Journal '{self._path}' holds something else than profiles; begin anew with --overwrite."
            ) from None
