"""From other tools' lists to manifests, and back."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TypeAlias

from m3ser.corpora.corpus import Progress
from m3ser.corpora.interchange.contract import Row, Source, Target
from m3ser.corpora.interchange.formats import FORMATS, MANIFEST, format_of, get_format
from m3ser.corpora.interchange.places import recordings_below
from m3ser.corpora.interchange.rows import utterances_of
from m3ser.corpora.manifest import Manifest, read_manifest, write_manifest
from m3ser.errors import DataError, UsageError

__all__ = ["Note", "export_manifest", "import_manifest"]

Note: TypeAlias = Callable[[str], None]
"""Told, a sentence at a time, what could not be carried over as it was."""

_LOGGER = logging.getLogger(__name__)


def import_manifest(
    source: str | os.PathLike[str],
    format: str | None = None,  # noqa: A002 - what the option is called
    *,
    labels: Mapping[str, str] | None = None,
    audio_root: str | os.PathLike[str] | None = None,
    tables: Sequence[str] = (),
    note: Note | None = None,
) -> Manifest:
    """Read another tool's list of utterances (or a manifest of m3ser's).

    Recordings are not looked into, and need not be there. What m3ser has no column for is kept in ``extra``, and so is
    the label as it stands there ("label"), where m3ser calls the emotion otherwise.

    Args:
        source: a file or folder.
        format: one of :data:`FORMATS`; None: whichever it is.
        labels: label -> one of :data:`~m3ser.schema.EMOTIONS`; goes before the names that are known.
        audio_root: where the recordings' paths begin; None: in the nearest folder, from the source upwards, that holds
            some of them.
        tables: of audformat databases: whose labels are meant; none: those of all.
        note: told what is to be said besides; None: it is logged as warnings.

    Returns:
        A manifest whose path is that of `source`.

    Raises:
        DataError: it cannot be read, or has faults (all are listed, a line each), or its format is not clear.
        UsageError: there is no such format, folder or table, or an option means nothing to the format.
        MissingExtraError: the format needs packages that are not installed.
    """
    path = Path(source)
    known = format_of(path) if format is None else get_format(format)
    if not path.exists():
        raise DataError(f"'{path}' is not there; expected {known.description}.")
    if tables and not known.has_tables:
        raise UsageError(f"{known.name} has no tables to choose from, as audformat databases do.")
    if known.read is None:
        if labels or audio_root is not None:
            raise UsageError(
                "A manifest of m3ser's own names emotions and recordings as they are: there is nothing to map."
            )
        return read_manifest(path, check_audio=False)
    notes: list[str] = []
    root = None if audio_root is None else Path(audio_root)
    reading = known.read(Source(path, root, tables))
    names = [row.audio for row in reading.rows if isinstance(row, Row)]
    place = recordings_below(reading.folder, names, root, notes)
    utterances = utterances_of(reading, labels or {}, place, notes)
    for sentence in (*reading.notes, *notes):
        (note or _LOGGER.warning)(sentence)
    return Manifest(path, reading.comment, utterances)


def export_manifest(
    manifest: Manifest,
    destination: str | os.PathLike[str],
    format: str = MANIFEST,  # noqa: A002 - what the option is called
    *,
    note: Note | None = None,
    progress: Progress | None = None,
) -> Path:
    """Write a manifest for another tool (or as one of m3ser's); it appears whole or not at all.

    Args:
        manifest: as read by :func:`import_manifest` or :func:`~m3ser.corpora.read_manifest`.
        destination: a file (m3ser, or emobox's .jsonl), which is replaced, or else a folder that is new or empty.
        format: one of those among :data:`FORMATS` that can be written.
        note: told what the format cannot hold; None: it is logged as warnings.
        progress: told how far the writing is, where recordings are read or copied.

    Returns:
        `destination`.

    Raises:
        UsageError: there is no such format, it cannot be written, or `destination` is not what it is written to.
        DataError: the format cannot hold these utterances, recordings it needs are missing, or writing fails.
        MissingExtraError: the format needs packages that are not installed.
    """
    path = Path(destination)
    known = get_format(format)
    if known.name == MANIFEST:
        return write_manifest(path, manifest.utterances, comment=manifest.comment)
    if known.write is None:
        writable = ", ".join(name for name, other in FORMATS.items() if other.can_write)
        raise UsageError(f"m3ser reads {known.name} and does not write it; it writes {writable}.")
    spoken = [utterance for utterance in manifest.utterances if utterance.audio is not None]
    notes: list[str] = []
    silent = len(manifest.utterances) - len(spoken)
    if not spoken:
        raise DataError(f"'{manifest.path}' has no recordings; {known.name} lists nothing else.")
    if silent:
        notes.append(f"{silent:,} utterances without a recording were left out: {known.name} lists recordings.")
    # "Known to be nothing" and "not known" are the same in a manifest, and have to be here.
    rows = [replace(u, extra={name: value for name, value in u.extra.items() if value != ""}) for u in spoken]
    known.write(rows, Target(path, manifest.comment, notes, progress))
    for sentence in notes:
        (note or _LOGGER.warning)(sentence)
    return path
