"""The corpora that m3ser can read, by name."""

from __future__ import annotations

import os
from collections.abc import Mapping
from types import MappingProxyType
from typing import cast

from m3ser.corpora import (
    crema_d,
    emodb,
    emovo,
    esd,
    goemotions,
    iemocap,
    jl_corpus,
    meld,
    msp_improv,
    msp_podcast,
    nemo,
    ravdess,
    savee,
    tess,
    urdu,
)
from m3ser.corpora.corpus import Corpus, LabelledReader, Progress, Reader
from m3ser.errors import UsageError

__all__ = ["READERS", "get_reader", "read_corpus"]

_MODULES: tuple[Reader, ...] = (
    crema_d,
    emodb,
    emovo,
    esd,
    goemotions,
    iemocap,
    jl_corpus,
    meld,
    msp_improv,
    msp_podcast,
    nemo,
    ravdess,
    savee,
    tess,
    urdu,
)

READERS: Mapping[str, Reader] = MappingProxyType({module.INFO.name: module for module in _MODULES})
"""Name -> the module that reads that corpus: ``READERS["emodb"].read(folder)``, ``READERS["emodb"].INFO``."""


def get_reader(name: str) -> Reader:
    """The reader of the corpus called `name`.

    Raises:
        UsageError: there is none; lists the known names.
    """
    try:
        return READERS[name]
    except KeyError:
        raise UsageError(f"There is no corpus reader '{name}'; known are {', '.join(READERS)}.") from None


def read_corpus(
    name: str, folder: str | os.PathLike[str], *, labels: str | None = None, progress: Progress | None = None
) -> Corpus:
    """Read a copy of the corpus called `name`.

    Args:
        name: a key of :data:`READERS`.
        folder: where the copy lies.
        labels: what the labels are taken from, where the corpus has a choice (``INFO.label_sources``).
        progress: told how far the reading is.

    Raises:
        UsageError: there is no such corpus, or it has no choice of labels, or not this one.
        DataError: the folder is not a copy of it.
        MissingExtraError: the recordings are in a format (m4a, say) whose decoder is not installed.
    """
    reader = get_reader(name)
    if labels is None:
        return reader.read(folder, progress=progress)
    sources = reader.INFO.label_sources
    if labels not in sources:
        choice = f"it has {' and '.join(sources)}" if sources else "its labels are of one kind only"
        raise UsageError(f"Corpus '{name}' has no '{labels}' labels: {choice}.")
    return cast(LabelledReader, reader).read(folder, labels=labels, progress=progress)
