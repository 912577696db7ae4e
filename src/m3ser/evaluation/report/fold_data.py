"""What the parts of a fold hold, counted from its ``split.csv``.

The file is a manifest, which :mod:`m3ser.corpora` reads, checks and turns into utterances; here four of its columns are
counted as the file is passed through, and no recording has to be there.
"""

from __future__ import annotations

import csv
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from m3ser.errors import DataError
from m3ser.schema import EmotionScheme

__all__ = ["Part", "read_parts"]

_NEEDED = ("emotion", "split")
_PARTS = ("train", "validation", "test")


@dataclass(frozen=True)
class Part:
    """One part of a fold.

    Attributes:
        utterances: how many it has.
        speakers: how many different ones speak them; None where that is not known of all.
        classes: class -> how many utterances are of it, in the scheme's order.
        corpora: names of the corpora that they are from.
    """

    utterances: int
    speakers: int | None
    classes: Mapping[str, int]
    corpora: tuple[str, ...]


def read_parts(path: Path, scheme: EmotionScheme) -> tuple[Mapping[str, Part], str]:
    """Count a split.

    Returns:
        Part by its name, in the order train, validation, test, without those that are empty; and the file's comment.

    Raises:
        DataError: the file cannot be read, or is no split.
    """
    classes: dict[str, Counter[str]] = {name: Counter() for name in _PARTS}
    speakers: dict[str, set[str]] = {name: set() for name in _PARTS}
    corpora: dict[str, dict[str, None]] = {name: {} for name in _PARTS}
    comment: list[str] = []
    try:
        # Transcripts may hold anything; none of what is counted here does.
        with path.open(encoding="utf-8-sig", errors="replace", newline="") as file:
            place = file.tell()
            while (line := file.readline()).startswith("#"):
                comment.append(line[1:].strip())
                place = file.tell()
            file.seek(place)
            for row in _rows(csv.DictReader(file, restval=""), path):
                part = row["split"]
                if part not in classes:
                    raise DataError(f"Split '{path}' has a part '{part}'; expected one of {', '.join(_PARTS)}.")
                classes[part][scheme.class_of(row["emotion"]) or row["emotion"]] += 1
                speakers[part].add(row.get("speaker") or "")
                if row.get("corpus"):
                    corpora[part][row["corpus"]] = None
    except OSError as error:
        raise DataError(f"Split '{path}' cannot be read: {error.strerror or error}.") from error
    except csv.Error as error:
        raise DataError(f"Split '{path}' is damaged: not CSV ({error}).") from error
    found = {
        name: Part(
            utterances=counts.total(),
            speakers=None if "" in speakers[name] else len(speakers[name]),
            classes={label: counts[label] for label in (*scheme.classes, *sorted(set(counts) - set(scheme.classes)))},
            corpora=tuple(corpora[name]),
        )
        for name, counts in classes.items()
        if counts
    }
    if not found:
        raise DataError(f"Split '{path}' lists no utterance; expected one at least.")
    return found, "\n".join(comment)


def _rows(reader: csv.DictReader[str], path: Path) -> csv.DictReader[str]:
    if lacking := [name for name in _NEEDED if name not in (reader.fieldnames or ())]:
        raise DataError(f"Split '{path}' is damaged: it has no column {', '.join(lacking)}.")
    return reader
