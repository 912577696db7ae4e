"""Around a test part: whom to select on, and who is left to train on."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import TypeVar

from m3ser.corpora.balance import rotation
from m3ser.corpora.conflicts import NEW_IN_TEST, OF_PEOPLE, Conflicts
from m3ser.corpora.corpus import Progress
from m3ser.corpora.leakage import PROTOCOLS
from m3ser.corpora.pool import Draft, Pool
from m3ser.errors import DataError

__all__ = ["Division", "Request", "class_notes", "divide", "draft", "tracked", "units_of", "windows"]

_T = TypeVar("_T")

_TRIES = 12
"""Choices of a validation part that are looked at, where the first ones lack a class."""

_FEW = 0.75
"""Where a fold uses less than this share of what it does not test, a note says so."""


@dataclass(frozen=True)
class Request:
    """What is to be divided.

    Attributes:
        pool: the utterances; all positions below are in it.
        conflicts: what they share.
        seed: of every draw.
        folds: how many, or None for the protocol's own number.
        validation: share of the speakers, or sessions, not tested.
        progress: told how many folds are drafted (or recordings measured), and of how many.
    """

    pool: Pool
    conflicts: Conflicts
    seed: int
    folds: int | None
    validation: float
    progress: Progress | None = None


@dataclass(frozen=True)
class Division:
    """One fold.

    Attributes:
        name: what is tested.
        parts: of each utterance of the pool.
        shares_words: training and validation could not be kept apart in words without losing most of one.
    """

    name: str
    parts: tuple[str | None, ...]
    shares_words: bool

    @property
    def kept(self) -> float:
        """The share of the utterances that are not tested which is trained or selected on."""
        tested = self.parts.count("test")
        used = len(self.parts) - tested - self.parts.count(None)
        return used / max(1, len(self.parts) - tested)


def units_of(labels: Sequence[str | None]) -> dict[str, list[int]]:
    """Label (a speaker, a session) -> positions; in the order of the labels."""
    units: dict[str, list[int]] = {}
    for position, label in enumerate(labels):
        if label is not None:
            units.setdefault(label, []).append(position)
    return dict(sorted(units.items()))


def windows(
    pool: Pool, units: Mapping[str, Collection[int]], share: float, *key: object, first: int = 0
) -> list[list[str]]:
    """Choices of the units (speakers, sessions) to select on, in a seeded order.

    Each has `share` of the units of every corpus, at least one and at most all but one of them (none of a corpus that
    has one unit only, unless all are like that), and the genders of each corpus in about their shares.

    Args:
        pool: the utterances.
        units: name -> its positions.
        share: in (0, 1).
        key: of the draw.
        first: which choice to begin with. Choices 0, 1, 2 ... share no unit until all have had their turn.
    """
    groups: dict[str, dict[str, str]] = {}
    for name, positions in units.items():
        some = next(iter(positions))
        genders = {pool.genders[position] for position in positions}
        groups.setdefault(pool.corpora[some], {})[name] = genders.pop() if len(genders) == 1 else ""
    if all(len(names) < 2 for names in groups.values()):
        groups = {"": {name: gender for names in groups.values() for name, gender in names.items()}}
    orders = [rotation(names, *key, corpus) for corpus, names in groups.items() if len(names) > 1]
    sizes = [min(max(1, round(share * len(order))), len(order) - 1) for order in orders]
    turns = max((-(-len(order) // size) for order, size in zip(orders, sizes, strict=True)), default=0)
    return [
        [order[(turn * size + i) % len(order)] for order, size in zip(orders, sizes, strict=True) for i in range(size)]
        for turn in range(first, first + turns)
    ]


def tracked(request: Request, items: Iterable[_T]) -> Iterator[_T]:
    """`items` one by one, whoever waits being told of each that is finished."""
    items = list(items)
    for done, item in enumerate(items, 1):
        yield item
        if request.progress is not None:
            request.progress(done, len(items))


def divide(
    request: Request,
    protocol: str,
    name: str,
    *,
    test: Collection[int],
    alive: Collection[int],
    choices: Iterable[Collection[int]],
) -> Division:
    """A fold around its test part.

    Whatever shares with the test part what `protocol` keeps apart is in no part. Of `choices`, that part is selected on
    which is the first to leave no class without utterances, in it or in training; else the one that lacks fewest.
    Between training and validation, whoever shares a speaker or session with validation is not trained on; of single
    utterances that are shared (words, recordings), those of validation go, unless most of it would, or a class;
    then those of training, with the same proviso; and where neither can be, they stay.

    Args:
        request: what is to be divided.
        protocol: says what is kept apart.
        name: of the fold.
        test: positions.
        alive: positions that the protocol can place at all.
        choices: positions that may be selected on, best first.

    Raises:
        DataError: a class is left without anything to train on, or nothing is left to select on; a clause whose subject
            is the protocol.
    """
    kinds = PROTOCOLS[protocol]
    open_ = set(alive) - set(test) - request.conflicts.touching(test, kinds)
    wanted = _classes(request, alive)
    best: tuple[int, set[int], set[int], bool] | None = None
    for choice in islice(choices, _TRIES):
        train, validation, shares = _apart(request, protocol, open_, set(choice) & open_)
        lacking = 1000 * len(wanted - _classes(request, train)) + len(wanted - _classes(request, validation))
        if best is None or lacking < best[0]:
            best = (lacking, train, validation, shares)
        if lacking == 0:
            break
    train, validation, shares = best[1:] if best else (open_, set(), False)
    untrained = sorted(wanted - _classes(request, train))
    if untrained:
        raise DataError(f"leaves nothing of class {', '.join(untrained)} to train on in fold '{name}'")
    if not validation:
        raise DataError(f"leaves nothing to select on in fold '{name}'")
    parts: list[str | None] = [None] * len(request.pool)
    for part, positions in (("train", train), ("validation", validation), ("test", test)):
        for position in positions:
            parts[position] = part
    return Division(name, tuple(parts), shares)


def draft(request: Request, divisions: Sequence[Division], *notes: str, left_out: Mapping[str, int]) -> Draft:
    """The divisions as the folds of a draft, with what is to be said of them."""
    folds = {division.name: division.parts for division in divisions}
    kept = [division.kept for division in divisions]
    span = " to ".join(dict.fromkeys(f"{100 * share:.0f}%" for share in (min(kept), max(kept))))
    few = f"{span} of the utterances not tested are used: the others share with them what is kept apart"
    shared = [division.name for division in divisions if division.shares_words]
    words = (f"training and validation share words or scripts in {_counted(shared, len(folds))}",) if shared else ()
    few_notes = (few,) if min(kept) < _FEW else ()
    return Draft(folds, (*notes, *few_notes, *words, *class_notes(request.pool, folds)), left_out)


def class_notes(pool: Pool, folds: Mapping[str, Sequence[str | None]]) -> tuple[str, ...]:
    """A sentence for validation and for test, where some fold lacks a class there."""
    wanted = set(pool.classes)
    notes = []
    for part in ("validation", "test"):
        lacking = []
        for name, parts in folds.items():
            inside = {label for label, own in zip(pool.classes, parts, strict=True) if own == part}
            if inside and inside != wanted:
                lacking.append(name)
        if lacking:
            notes.append(f"the {part} part lacks a class in {_counted(lacking, len(folds))}")
    return tuple(notes)


def _counted(names: Sequence[str], total: int) -> str:
    first = f"'{names[0]}'" if len(names) == 1 else f"'{names[0]}' first"
    return f"{len(names)} of {total} folds ({first})" if total > 1 else "the one fold"


def _classes(request: Request, positions: Iterable[int]) -> set[str]:
    return {request.pool.classes[position] for position in positions}


def _apart(request: Request, protocol: str, open_: set[int], validation: set[int]) -> tuple[set[int], set[int], bool]:
    """Training, validation, and whether they had to be left sharing something."""
    kinds = PROTOCOLS[protocol]
    touching = request.conflicts.touching
    train = open_ - validation - touching(validation, kinds & OF_PEOPLE)
    rest = kinds - OF_PEOPLE - NEW_IN_TEST
    of_validation = validation & touching(train, rest)
    if not of_validation:
        return train, validation, False
    if _spares(request, validation, of_validation):
        return train, validation - of_validation, False
    of_train = train & touching(validation, rest)
    if _spares(request, train, of_train):
        return train - of_train, validation, False
    return train, validation, True


def _spares(request: Request, part: set[int], lost: set[int]) -> bool:
    """Whether `part` can do without: it keeps half of its utterances, and something of every class that it has."""
    if 2 * len(lost) > len(part):
        return False
    before = Counter(request.pool.classes[position] for position in part)
    before.subtract(request.pool.classes[position] for position in lost)
    return min(before.values()) > 0
