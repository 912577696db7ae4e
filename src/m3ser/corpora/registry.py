"""The corpora that m3ser can read, by name."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from m3ser.corpora import crema_d, emodb, emovo, goemotions, meld, nemo, ravdess
from m3ser.corpora.corpus import Reader
from m3ser.errors import UsageError

__all__ = ["READERS", "get_reader"]

_MODULES: tuple[Reader, ...] = (crema_d, emodb, emovo, goemotions, meld, nemo, ravdess)

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
