"""The protocols: from a pool of utterances to the draft of its folds.

Each raises a DataError whose message is a clause that has the protocol as its subject ("needs speakers, ...").
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from functools import partial
from types import MappingProxyType

from m3ser.corpora.balance import spread
from m3ser.corpora.drawing import apportion, shuffled
from m3ser.corpora.durations import measure_durations
from m3ser.corpora.pool import Draft, Pool
from m3ser.corpora.script_folds import draft_session_script
from m3ser.corpora.selection import Request, class_notes, divide, draft, tracked, units_of, windows
from m3ser.corpora.unit_groups import draft_units
from m3ser.errors import DataError

__all__ = ["DRAFTERS", "OPTIMISTIC", "PAPER_SAMPLES"]

OPTIMISTIC = "optimistic: as published: speakers in both halves, best epoch chosen on the test set"
"""What every number from protocol ``paper`` is to be marked with."""

PAPER_SAMPLES = 30_960
"""At 16 kHz: two VGGish examples, 1.935 s. The published code leaves out what is shorter."""

_RATE = 16_000
_RANDOM_FOLDS = 5


def _paper(request: Request) -> Draft:
    """The published procedure: clips of two VGGish examples or more, at random 80/20, no validation part.

    The training part is rounded down: IEMOCAP's 4,661 clips give 933 to test on, as in the published confusion matrix.
    """
    pool = request.pool
    if any(utterance.audio is None for utterance in pool.utterances):
        raise DataError("needs recordings, and there are utterances of words alone")
    seconds = measure_durations(pool.utterances, progress=request.progress).seconds
    unknown = [pool.names[i] for i, length in enumerate(seconds) if length is None]
    if unknown:
        raise DataError(
            f"needs to know how long recordings are, and {len(unknown):,} cannot be measured ('{unknown[0]}' first)"
        )
    long = [i for i, length in enumerate(seconds) if round((length or 0.0) * _RATE) >= PAPER_SAMPLES]
    drawn = shuffled(long, request.seed, "paper", name=lambda i: pool.names[i])
    train = len(drawn) * 4 // 5
    parts: list[str | None] = [None] * len(pool)
    for rank, position in enumerate(drawn):
        parts[position] = "train" if rank < train else "test"
    _require_classes(pool, {"the one fold": parts}, parts=("train", "test"))
    short = len(pool) - len(long)
    left_out = {f"shorter than {PAPER_SAMPLES / _RATE:g} s (two VGGish examples)": short} if short else {}
    return Draft({"random 80/20": parts}, (OPTIMISTIC,), left_out)


def _random(request: Request) -> Draft:
    """As many folds as asked for, by utterance, alike in classes and genders; each utterance is tested once.

    Selection is on other speakers than those of training and test: each fold has some speakers who are only selected on
    in it, and whose utterances are tested in the other folds. Where speakers are not known, or too few,
    selection is on other utterances, and a note says so.
    """
    pool = request.pool
    folds = request.folds or _RANDOM_FOLDS
    counts = Counter(pool.classes)
    rare = sorted(label for label, count in counts.items() if count < folds)
    if rare:
        raise DataError(f"needs {folds} utterances of every class for {folds} folds; '{rare[0]}' has {counts[rare[0]]}")
    speakers = units_of(pool.speakers)
    known = len(speakers) > 1 and None not in pool.speakers
    selected = _selected_speakers(request, speakers, folds) if known else []
    barred = {
        position: [number for number, chosen in enumerate(selected) if pool.speakers[position] in chosen]
        for position in range(len(pool))
    }
    strata = list(zip(pool.classes, pool.genders, strict=True))
    fold_of = spread(range(len(pool)), pool.names, strata, folds, request.seed, "random", barred=barred)
    divisions = []
    for number in tracked(request, range(folds)):
        test = {position for position, own in fold_of.items() if own == number}
        choices: Iterator[Collection[int]]
        if selected:
            choices = iter([{position for name in selected[number] for position in speakers[name]}])
        else:
            choices = iter([_some_utterances(request, set(range(len(pool))) - test, number)])
        name = f"random {number + 1} of {folds}"
        divisions.append(divide(request, "random", name, test=test, alive=range(len(pool)), choices=choices))
    if selected:
        return draft(request, divisions, left_out={})
    if known:
        why = "too few speakers have every class"
    else:
        why = "some utterances name no speaker" if len(speakers) > 1 else "fewer than two speakers are known by name"
    note = f"validation is of other utterances, not of other speakers: {why}"
    return draft(request, divisions, note, left_out={})


def _selected_speakers(request: Request, speakers: Mapping[str, Sequence[int]], folds: int) -> list[list[str]]:
    """Of each fold, the speakers whom selection is on; nobody is in all. Empty where there is no such choice."""
    pool = request.pool
    # With half of the speakers at most (and half a speaker rounded down), the first two choices share none.
    share = min(request.validation, 0.5) - 1e-9
    choices = []
    for chosen in windows(pool, speakers, share, request.seed, "random", "validation"):
        others = {pool.classes[position] for name in speakers if name not in chosen for position in speakers[name]}
        if others == set(pool.classes):
            choices.append(chosen)
    picked = [choices[number % len(choices)] for number in range(folds)] if choices else []
    return [] if any(all(name in chosen for chosen in picked) for name in speakers) else picked


def _some_utterances(request: Request, positions: Collection[int], number: int) -> list[int]:
    pool = request.pool
    chosen = []
    for label in sorted(set(pool.classes)):
        inside = [position for position in sorted(positions) if pool.classes[position] == label]
        drawn = shuffled(inside, request.seed, "random", number, name=lambda position: pool.names[position])
        chosen += drawn[: max(1, apportion(len(drawn), (request.validation, 1 - request.validation))[0])]
    return chosen


def _corpus(request: Request) -> Draft:
    """Leave one corpus out; selection is on some speakers of the others."""
    pool = request.pool
    corpora = units_of([name or None for name in pool.corpora])
    if len(corpora) < 2:
        raise DataError(f"needs two corpora or more, to train and test on different ones; found {len(corpora)}")
    speakers = units_of(pool.speakers)
    alive = {position for positions in corpora.values() for position in positions}
    divisions = []
    for name, tested in tracked(request, corpora.items()):
        open_ = alive - set(tested)
        others = {who: kept for who, own in speakers.items() if (kept := [i for i in own if i in open_])}
        if len(others) < 2:
            raise DataError(f"needs two speakers or more outside of '{name}', to select on one; found {len(others)}")
        choices = (
            {position for who in chosen for position in others[who]}
            for chosen in windows(pool, others, request.validation, request.seed, "corpus", "validation")
        )
        divisions.append(divide(request, "corpus", f"corpus {name}", test=tested, alive=alive, choices=choices))
    unnamed = len(pool) - len(alive)
    return draft(request, divisions, left_out={"names no corpus": unnamed} if unnamed else {})


def _official(request: Request) -> Draft:
    """The corpus's own split, as its ``split`` column has it."""
    pool = request.pool
    parts = [utterance.split for utterance in pool.utterances]
    homeless = parts.count(None)
    if homeless == len(parts):
        raise DataError("needs an official split, and no utterance has a part of one")
    for part in ("train", "test"):
        if part not in parts:
            raise DataError(f"needs an official split with a {part} part, and this one has none")
    folds = {"official": parts}
    _require_classes(pool, folds, parts=("train",))
    notes = class_notes(pool, folds)
    if "validation" not in parts:
        notes = ("the official split has no validation part", *notes)
    return Draft(folds, notes, {"in no part of the official split": homeless} if homeless else {})


def _require_classes(pool: Pool, folds: Mapping[str, Sequence[str | None]], parts: Sequence[str]) -> None:
    wanted = set(pool.classes)
    for name, own in folds.items():
        for part in parts:
            found = {label for label, where in zip(pool.classes, own, strict=True) if where == part}
            if found != wanted:
                lacking = ", ".join(sorted(wanted - found))
                raise DataError(f"leaves nothing of class {lacking} in the {part} part of {name}")


DRAFTERS: Mapping[str, Callable[[Request], Draft]] = MappingProxyType(
    {
        "paper": _paper,
        "random": _random,
        "session": partial(draft_units, unit="session"),
        "speaker": partial(draft_units, unit="speaker"),
        "session+script": draft_session_script,
        "corpus": _corpus,
        "official": _official,
    }
)
"""Protocol -> what drafts its folds."""
