"""Protocols ``session`` and ``speaker``: each unit, or each of a few groups of units, is held out in turn."""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Mapping
from typing import Literal

from m3ser.corpora.balance import deal
from m3ser.corpora.pool import Draft, Pool
from m3ser.corpora.selection import Request, divide, draft, tracked, units_of, windows
from m3ser.errors import DataError

__all__ = ["FEW_UNITS", "GROUPS", "LEAST_UNITS", "Unit", "draft_units", "held_out", "named_units"]

Unit = Literal["speaker", "session"]

FEW_UNITS = 12
"""Up to so many speakers, or sessions, each is held out alone; more are held out in groups."""

GROUPS = 5
"""So many."""

LEAST_UNITS = 3
"""One to train on, one to select on, one to test on."""

_LONGEST_NAME = 3  # units that are spelled out


def draft_units(request: Request, unit: Unit) -> Draft:
    """Leave one speaker (or session) out, or one group of them.

    The groups are alike in classes, genders and corpora (:func:`~m3ser.corpora.balance.deal`). Every utterance that
    names its unit is tested exactly once. Selection is on a share of the other units, in IEMOCAP under ``session`` one
    of the four other sessions: its two speakers talk to each other, and so go together.
    """
    units = named_units(request.pool, unit)
    alive = {position for positions in units.values() for position in positions}
    divisions = [
        divide(
            request,
            unit,
            name,
            test={position for member in members for position in units[member]},
            alive=alive,
            choices=(
                {position for member in chosen for position in units[member]}
                for chosen in windows(
                    request.pool,
                    {member: positions for member, positions in units.items() if member not in members},
                    request.validation,
                    *(request.seed, unit, "validation"),
                    first=number,
                )
            ),
        )
        for number, (name, members) in enumerate(
            tracked(request, held_out(request, unit, units, request.folds).items())
        )
    ]
    unnamed = len(request.pool) - len(alive)
    return draft(request, divisions, left_out={f"names no {unit}": unnamed} if unnamed else {})


def named_units(pool: Pool, unit: Unit) -> dict[str, list[int]]:
    """Speaker (or session) -> positions.

    Raises:
        DataError: there are fewer than three.
    """
    units = units_of(pool.speakers if unit == "speaker" else pool.sessions)
    if not units:
        raise DataError(f"needs {unit}s, and no utterance names one")
    if len(units) < LEAST_UNITS:
        raise DataError(
            f"needs {LEAST_UNITS} {unit}s or more, to train, select and test on different ones; found {len(units)}"
        )
    return units


def held_out(
    request: Request, unit: Unit, units: Mapping[str, list[int]], folds: int | None
) -> dict[str, tuple[str, ...]]:
    """Name of a fold -> the units that it holds out; each unit is in one.

    Raises:
        DataError: there are more folds than units.
    """
    if folds is None:
        folds = len(units) if len(units) <= FEW_UNITS else GROUPS
    if folds > len(units):
        raise DataError(f"cannot make {folds} folds of {len(units)} {unit}s")
    if folds == len(units):
        return {f"{unit} {name}": (name,) for name in units}
    group_of = deal({name: _counts(request.pool, units[name]) for name in units}, folds, request.seed, unit)
    groups = [tuple(name for name in units if group_of[name] == number) for number in range(folds)]
    return {
        f"{unit} {'+'.join(group)}" if len(group) <= _LONGEST_NAME else f"{unit} group {number} of {folds}": group
        for number, group in enumerate(groups, 1)
    }


def _counts(pool: Pool, positions: list[int]) -> dict[Hashable, int]:
    """What groups of units are to be alike in."""
    counts: Counter[Hashable] = Counter()
    counts.update(("class", pool.classes[position]) for position in positions)
    people = {(pool.genders[position], pool.speakers[position]) for position in positions}
    counts.update(("gender", gender) for gender, _ in people)
    counts.update({("corpus", pool.corpora[position]) for position in positions})
    return dict(sorted(counts.items(), key=str))
