"""Folds as columns of a manifest, written and read.

One fold is the ordinary column ``split``. Several are columns ``fold1``, ``fold2``, ... with the same values: train,
validation, test, or empty where the fold leaves the utterance out. People's own folds may also be one column of any
name, whose value says in which fold the row is tested.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

from m3ser import __version__
from m3ser.corpora.folds import Fold, Split
from m3ser.corpora.manifest import SPLITS
from m3ser.errors import DataError, UsageError
from m3ser.schema import EmotionScheme, Utterance

__all__ = ["OWN", "is_fold_column", "read_folds", "split_comment", "with_fold_columns"]

OWN = "own"
"""What the protocol of a split is called that was read from a manifest."""

_FOLD_COLUMN = re.compile(r"fold[1-9]\d*")
_COMMENT = "split: "
_ONE_COLUMN = "fold"


def is_fold_column(name: str) -> bool:
    """Whether a column is called as one of several folds: fold1, fold2, ..."""
    return _FOLD_COLUMN.fullmatch(name) is not None


def with_fold_columns(split: Split, fold: int | None = None) -> tuple[Utterance, ...]:
    """The utterances of a split, ready for :func:`~m3ser.corpora.manifest.write_manifest`.

    Utterances that are in no fold (or not in the one that is asked for) are left out; earlier fold columns are
    replaced.

    Args:
        split: of one fold or several.
        fold: which alone to write, from 1, as column ``split``; None: all.

    Raises:
        UsageError: there is no such fold.
    """
    count = len(split.folds)
    if fold is not None and not 1 <= fold <= count:
        raise UsageError(f"There is no fold {fold}; protocol '{split.protocol}' made {count}, from 1.")
    if fold is not None or count == 1:
        return tuple(replace(u, extra=_without_folds(u.extra)) for u in split.fold((fold or 1) - 1))
    rows = []
    for i, utterance in enumerate(split.utterances):
        parts = {f"fold{number}": own.parts[i] for number, own in enumerate(split.folds, 1)}
        if any(parts.values()):
            columns = {name: part or "" for name, part in parts.items()}
            rows.append(replace(utterance, split=None, extra={**_without_folds(utterance.extra), **columns}))
    return tuple(rows)


def split_comment(split: Split, fold: int | None = None, *, earlier: str = "") -> str:
    """What a manifest with these folds is to say about itself: protocol, seed, scheme, version, notes, names of folds.

    Args:
        split: the folds.
        fold: which alone is written, from 1; None: all.
        earlier: what the manifest said before, which is kept, but for an earlier split's lines.
    """
    scheme = "none (each emotion a class)" if split.scheme is None else split.scheme.name
    chosen = "" if fold is None else f", fold {fold} of {len(split.folds)}"
    lines = [f"protocol {split.protocol}, seed {split.seed}, scheme {scheme}{chosen}, m3ser {__version__}"]
    lines += split.notes
    lines += [f"left out: {reason} ({count:,})" for reason, count in split.left_out.items()]
    lines += [
        f"fold{number} tests {own.name}" for number, own in enumerate(split.folds, 1) if fold is None or number == fold
    ]
    kept = [line for line in earlier.splitlines() if not line.startswith(_COMMENT)]
    # A name is a corpus's own and may hold anything; a line of the comment stays one line.
    return "\n".join([*kept, *(_COMMENT + " ".join(line.split()) for line in lines)])


def read_folds(
    utterances: Iterable[Utterance], column: str | None = None, *, scheme: EmotionScheme | None = None
) -> Split:
    """The folds that came with a manifest.

    Args:
        utterances: as read from it.
        column: ``split``, ``fold3``, or another one of train, validation and test: that fold alone. A column of other
            values: they say in which fold a row is tested; the others are trained on, and there is no validation part.
            None: columns ``fold1``, ``fold2``, ... where they are there, else ``split``, else a column ``fold``.
        scheme: utterances of emotions that it leaves out are in no fold.

    Raises:
        DataError: there is no such column, it has values that it cannot have, or a fold has nothing to train on or
            nothing to test on; names the column.
    """
    utterances = tuple(utterances)
    # From what all rows have together, for an empty field is one that a row does not have.
    there = dict.fromkeys(name for utterance in utterances for name in utterance.extra)
    numbered = sorted(filter(is_fold_column, there), key=lambda name: int(name.removeprefix("fold")))
    if column is not None:
        if column != "split" and column not in there:
            raise DataError(f"There is no column '{column}' to read folds from.")
        folds = _read_one(utterances, column)
    elif numbered:
        folds = [_part_column(utterances, name) for name in numbered]
    elif any(utterance.split for utterance in utterances):
        folds = _read_one(utterances, "split")
    elif _ONE_COLUMN in there:
        folds = _read_one(utterances, _ONE_COLUMN)
    else:
        raise DataError(
            "There are no folds to read: expected columns fold1, fold2, ..., or split, or fold; "
            "'m3ser corpora split' writes them."
        )
    left_out: dict[str, int] = {}
    if scheme is not None:
        outside = [scheme.class_of(utterance.emotion) is None for utterance in utterances]
        folds = [
            replace(fold, parts=tuple(None if out else part for part, out in zip(fold.parts, outside, strict=True)))
            for fold in folds
        ]
        if any(outside):
            left_out[f"emotion is not in {scheme.name}"] = sum(outside)
    for fold in folds:
        for part in ("train", "test"):
            if part not in fold.parts:
                raise DataError(f"Fold '{fold.name}' has no {part} part.")
    unused = sum(not any(fold.parts[i] for fold in folds) for i in range(len(utterances))) - sum(left_out.values())
    if unused:
        left_out["in no fold"] = unused
    unselected = [fold.name for fold in folds if "validation" not in fold.parts]
    notes = (f"{len(unselected)} of {len(folds)} folds have no validation part",) if unselected else ()
    return Split(OWN, 0, utterances, tuple(folds), left_out, notes, scheme)


def _without_folds(extra: Mapping[str, str]) -> dict[str, str]:
    return {name: value for name, value in extra.items() if not is_fold_column(name)}


def _read_one(utterances: Sequence[Utterance], column: str) -> list[Fold]:
    if column == "split" or is_fold_column(column):
        return [_part_column(utterances, column)]
    values = [utterance.extra.get(column) or None for utterance in utterances]
    if {value for value in values if value is not None} <= set(SPLITS) and any(values):
        return [_part_column(utterances, column)]
    names = sorted({value for value in values if value is not None}, key=_natural)
    if len(names) < 2:
        raise DataError(
            f"Column '{column}' has {len(names)} different value{'' if len(names) == 1 else 's'}; "
            "expected two or more, each of which is a fold to test."
        )
    return [
        Fold(
            f"{column} {name}",
            tuple(None if value is None else "test" if value == name else "train" for value in values),
        )
        for name in names
    ]


def _part_column(utterances: Sequence[Utterance], column: str) -> Fold:
    values = [(u.split if column == "split" else u.extra.get(column)) or None for u in utterances]
    strange = [value for value in values if value is not None and value not in SPLITS]
    if strange:
        raise DataError(
            f"Column '{column}' has '{strange[0]}' among its values; expected {', '.join(SPLITS)}, or empty."
        )
    return Fold(column, tuple(values))


def _natural(value: str) -> tuple[tuple[bool, int, str], ...]:
    """So that fold 10 comes after fold 9."""
    return tuple(
        (not piece.isdecimal(), int(piece) if piece.isdecimal() else 0, piece)
        for piece in re.split(r"(\d+)", value)
        if piece
    )
