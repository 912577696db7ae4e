"""Utterances as EmoBox's metadata; :mod:`~m3ser.corpora.interchange.emobox` shows how it looks.

Paths of recordings are whole: EmoBox takes them from wherever it is started.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from m3ser.corpora.corpus import Progress
from m3ser.corpora.fold_columns import is_fold_column
from m3ser.corpora.interchange.contract import Target
from m3ser.corpora.interchange.emobox import LABEL_MAP, fold_file
from m3ser.corpora.interchange.places import folder_appearing_whole
from m3ser.corpora.manifest import COLUMNS
from m3ser.errors import AudioError, DataError, MissingExtraError, UsageError
from m3ser.files import appearing_whole
from m3ser.schema import EMOTIONS, Utterance

__all__ = ["write"]

_PARTS = {"train": "train", "validation": "valid", "test": "test"}
_OTHER_FILES = (".csv", ".json", ".ndjson")
_RENEWED = ("corpus", "duration", "sample_rate", "num_frame")
"""Extra columns whose content EmoBox's own fields have."""
_TAKEN = ("key", "dataset", "wav", "type", "task", "length", "emo", "channel", "start_time", "end_time")
"""EmoBox's other fields."""
_ELSEWHERE = ("audio", "emotion", "start", "end")
"""Columns that EmoBox has fields of its own for."""


def write(utterances: Sequence[Utterance], target: Target) -> None:
    """Write a dataset's folder, or one ``.jsonl`` file.

    Args:
        utterances: all of them with recordings.
        target: ends in ``.jsonl``, or is a new folder, whose name is the dataset's. The comment has no place there.

    Raises:
        UsageError: the target is neither, or a folder that is not empty.
        DataError: recordings cannot be read, whose rate and length belong here; or the files cannot be written.
    """
    single = target.path.suffix.lower() == ".jsonl"
    if target.path.suffix.lower() in _OTHER_FILES:
        raise UsageError(
            f"'{target.path}' ends in '{target.path.suffix}'; EmoBox's metadata is a folder, or a .jsonl file."
        )
    name = target.path.stem if single else target.path.absolute().name
    lines = _lines(utterances, name, target.progress)
    folds = _folds(utterances)
    if target.comment:
        target.notes.append("What the manifest says about itself has no place in EmoBox's metadata.")
    if single:
        if folds:
            target.notes.append(
                f"EmoBox reads folds from a folder: '{target.path.name}' has them as keys, which it passes over."
            )
        with appearing_whole(target.path, "EmoBox file") as draft:
            draft.write_text("".join(lines), encoding="utf-8", newline="\n")
        return
    unread = sorted({column for u in utterances for column in _own_columns(u)})
    if unread:
        target.notes.append(f"EmoBox passes over what it has no fields for: {', '.join(unread)}.")
    with folder_appearing_whole(target.path, "EmoBox folder") as draft:
        _write(draft / f"{name}.jsonl", lines)
        for number, parts in folds.items():
            for part, theirs in _PARTS.items():
                chosen = [line for line, own in zip(lines, parts, strict=True) if own == part]
                if chosen:
                    _write(draft / fold_file(name, theirs, number), chosen)
        used = {utterance.emotion for utterance in utterances}
        meanings = {emotion: emotion.capitalize() for emotion in EMOTIONS if emotion in used}
        _write(draft / LABEL_MAP, [json.dumps(meanings, indent=4) + "\n"])


def _write(path: Path, lines: Iterable[str]) -> None:
    path.parent.mkdir(exist_ok=True)
    path.write_text("".join(lines), encoding="utf-8", newline="\n")


def _folds(utterances: Sequence[Utterance]) -> dict[int, list[str | None]]:
    """Number of each fold -> the part of each utterance in it."""
    columns = {name for utterance in utterances for name in utterance.extra if is_fold_column(name)}
    if columns:
        numbers = sorted(int(name.removeprefix("fold")) for name in columns)
        return {number: [u.extra.get(f"fold{number}") for u in utterances] for number in numbers}
    return {1: [u.split for u in utterances]} if any(u.split for u in utterances) else {}


def _lines(utterances: Sequence[Utterance], name: str, progress: Progress | None) -> list[str]:
    recordings = dict.fromkeys(utterance.audio for utterance in utterances if utterance.audio is not None)
    measured: dict[Path, tuple[float, float]] = {}
    faults: list[str] = []
    for done, path in enumerate(recordings, start=1):
        found = _measure(path)
        if isinstance(found, str):
            faults.append(found)
        else:
            measured[path] = found
        if progress is not None:
            progress(done, len(recordings))
    if faults:
        count = "1 recording" if len(faults) == 1 else f"{len(faults):,} recordings"
        reason = f"EmoBox's metadata holds the rate and length of recordings, and {count} cannot be read:"
        raise DataError("\n  ".join([reason, *faults]))
    keys: defaultdict[str, int] = defaultdict(int)
    taken: set[str] = set()
    lines = []
    for utterance in utterances:
        assert utterance.audio is not None
        own = utterance.extra.get("id") or utterance.audio.stem
        key = own
        while key in taken:
            keys[own] += 1
            key = f"{own}-{keys[own] + 1}"
        taken.add(key)
        lines.append(_line(utterance, key, name, *measured[utterance.audio]))
    return lines


def _measure(path: Path) -> tuple[float, float] | str:
    """Rate in Hz and duration in seconds of a recording; or why they are not known."""
    from m3ser.audio import probe

    try:
        info = probe(path)
    except (AudioError, MissingExtraError) as error:
        return str(error)
    return (info.sample_rate, info.duration) if info.duration else f"'{path}' does not say how long it is."


def _line(utterance: Utterance, key: str, name: str, rate: float, duration: float) -> str:
    start = utterance.start or 0.0
    end = duration if utterance.end is None else utterance.end
    record: dict[str, Any] = {
        "key": key,
        "dataset": utterance.extra.get("corpus") or name,
        "wav": str(utterance.audio and utterance.audio.resolve()),
        "type": "raw",
        "sample_rate": rate,
        "num_frame": round((end - start) * rate),
        "task": "category",
        "length": end - start,
        "emo": utterance.emotion,
        "channel": 1,
    }
    if utterance.start is not None or utterance.end is not None:
        record |= {"start_time": start, "end_time": end}  # EmoBox looks at both or at neither
    record |= _own_columns(utterance)
    if utterance.extra.get("id") == key:
        del record["id"]
    return json.dumps(record, ensure_ascii=False) + "\n"


def _free(name: str) -> str:
    """An extra column's name, changed where a field is called so."""
    return f"{name}_" if name in _TAKEN else name


def _own_columns(utterance: Utterance) -> Mapping[str, Any]:
    """What EmoBox has no fields for."""
    values = {name: getattr(utterance, name) for name in COLUMNS if name not in _ELSEWHERE}
    values |= {_free(name): value for name, value in utterance.extra.items() if name not in _RENEWED}
    return {name: value for name, value in values.items() if value not in (None, "")}
