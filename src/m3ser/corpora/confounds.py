"""Confounds: what else than the voice and the words tells the emotion, so that a model can learn that instead.

Two measures for each thing that is known of the utterances (speaker, script, length, ...), both of which are near their
zero on a corpus where everybody says everything in every emotion:

* the *association* with the emotion: Cramér's V with the bias correction of Bergsma (2013), "A bias-correction for
  Cramér's V and Tschuprow's T", Journal of the Korean Statistical Society 42. 0: none; 1: it tells the emotion. Without
  the correction, many speakers of few utterances each would look like a strong one.
* the *guess*: the UA (balanced accuracy) on the test parts of somebody who has seen the training part, and is told
  nothing but this thing. It shows what a split lets through: what tells the emotion but is never the same in two parts
  cannot be used, and the guess is at chance. It may lie below: of a speaker who says everything equally often, what is
  tested is what training has less of.

Nothing here is a violation of a protocol. A script or a length may truly go with an emotion; who reads a score should
know how much of it comes without listening.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from statistics import quantiles
from typing import Any

from m3ser.corpora.folders import listed
from m3ser.corpora.folds import Split
from m3ser.corpora.manifest import SPLITS
from m3ser.errors import UsageError
from m3ser.schema import Utterance

__all__ = ["STRONG_ASSOCIATION", "STRONG_GUESS", "Confound", "Confounds", "find_confounds"]

STRONG_ASSOCIATION = 0.3
"""Bias-corrected Cramér's V from which something is said to tell the emotion."""

STRONG_GUESS = 0.2
"""The same for the guess, as the share of the way from chance to a UA of 1."""

# Standard errors beyond which neither is chance. Several things are looked at, in all kinds of corpora.
_SURE = 3.0
_BINS, _LEAST_IN_BIN = 10, 20
# How improbable it must be that a speaker (of all of them) has one emotion alone by chance, to be mentioned.
_IMPROBABLE = 0.01

_KNOWN: Mapping[str, Callable[[Utterance], str | None]] = {
    "speaker": lambda u: u.speaker,
    "session": lambda u: u.session,
    "script": lambda u: u.script,
    "gender": lambda u: u.extra.get("gender"),
    "language": lambda u: u.language,
    "corpus": lambda u: u.extra.get("corpus"),
    "format": lambda u: None if u.audio is None else u.audio.suffix.lower() or None,
}
_LENGTH = "length"


@dataclass(frozen=True)
class Confound:
    """How far one thing tells the emotion.

    Attributes:
        variable: "speaker", "session", "script", "gender", "language", "corpus", "format" (the recording's extension)
            or "length" (tenths of the utterances, from short to long).
        values: how many different ones there are.
        known: of how many utterances it is known.
        association: bias-corrected Cramér's V with the emotion over all of these, 0 to 1.
        guess: UA over all folds' test parts together, 0 to 1, of who knows this alone.
        chance: the UA of who knows nothing.
        strong: one of the two is large (:data:`STRONG_ASSOCIATION`, :data:`STRONG_GUESS`), and not by chance.
    """

    variable: str
    values: int
    known: int
    association: float
    guess: float
    chance: float
    strong: bool

    def __str__(self) -> str:
        return (
            f"The {self.variable} tells much of the emotion (association {self.association:.2f} of 1); "
            f"who knows it alone reaches a UA of {self.guess:.1%} on test (chance {self.chance:.1%})."
        )


@dataclass(frozen=True)
class Confounds:
    """What was found.

    Attributes:
        variables: all that could be looked at: those of two values or more.
        notes: what a reader of a score should know, a sentence each; none where there is nothing of the kind.
    """

    variables: tuple[Confound, ...]
    notes: tuple[str, ...]

    def to_dict(self) -> dict[str, Any]:
        """As JSON-ready values."""
        return {"variables": [asdict(one) for one in self.variables], "notes": list(self.notes)}


def find_confounds(split: Split, seconds: Sequence[float | None] | None = None) -> Confounds:
    """Look for what else tells the emotion, and for classes that a part lacks or has of one speaker alone.

    Utterances of which something is not known count neither for nor against it: for them the guess is at chance.

    Args:
        split: its scheme, if it has one, says what the classes are; utterances that are in no fold are passed over.
        seconds: how long each utterance is (:func:`~m3ser.corpora.measure_durations`); None: lengths are not looked at.

    Raises:
        UsageError: there are not as many durations as utterances.
    """
    if seconds is not None and len(seconds) != len(split.utterances):
        raise UsageError(f"{len(split.utterances)} utterances need as many durations; found {len(seconds)}.")
    classes = [u.emotion if split.scheme is None else split.scheme.class_of(u.emotion) for u in split.utterances]
    used = [i for i in range(len(classes)) if any(fold.parts[i] for fold in split.folds)]
    emotions = [classes[i] or "" for i in used]
    parts = [[fold.parts[i] for i in used] for fold in split.folds]
    values = {name: [value(split.utterances[i]) or None for i in used] for name, value in _KNOWN.items()}
    if seconds is not None:
        values[_LENGTH] = _tenths([seconds[i] for i in used])
    values = {name: column for name, column in values.items() if len({*column} - {None}) > 1}
    if len(set(emotions)) < 2:
        values = {}  # nothing to tell
    variables = tuple(_confound(name, column, emotions, parts) for name, column in values.items())
    alone = [note for name in values if name != _LENGTH for note in _of_one_emotion(name, values[name], emotions)]
    speakers = [split.utterances[i].speaker for i in used]
    in_folds: defaultdict[str, list[str]] = defaultdict(list)
    for number, fold in enumerate(parts, 1):
        for note in _lacking(emotions, fold, speakers):
            in_folds[note].append(f"fold{number}")
    ends = {note: "" if len(parts) == 1 else f" ({listed(folds)})" for note, folds in in_folds.items()}
    strong = [str(one) for one in variables if one.strong]
    return Confounds(variables, (*strong, *alone, *(f"{note}{end}." for note, end in ends.items())))


def _confound(
    name: str, column: Sequence[str | None], emotions: Sequence[str], folds: Sequence[Sequence[str | None]]
) -> Confound:
    table = Counter((value, emotion) for value, emotion in zip(column, emotions, strict=True) if value is not None)
    association, surprise = _cramers_v(table)
    hits: defaultdict[str, float] = defaultdict(float)
    tested: Counter[str] = Counter()
    for parts in folds:
        _guess(column, emotions, parts, hits, tested)
    chance = 1 / len(set(emotions))
    guess = sum(hits[emotion] / count for emotion, count in tested.items()) / len(tested) if tested else chance
    error = math.sqrt(sum(chance * (1 - chance) / count for count in tested.values())) / max(1, len(tested))
    strong = (association >= STRONG_ASSOCIATION and surprise > _SURE) or (
        guess - chance >= STRONG_GUESS * (1 - chance) and guess - chance > _SURE * error
    )
    return Confound(name, len({*column} - {None}), table.total(), association, guess, chance, strong)


def _cramers_v(table: Mapping[tuple[str, str], int]) -> tuple[float, float]:
    """Bias-corrected Cramér's V of counts, and how many standard errors their chi-squared lies above independence."""
    rows: Counter[str] = Counter()
    columns: Counter[str] = Counter()
    for (row, column), count in table.items():
        rows[row] += count
        columns[column] += count
    total = rows.total()
    if len(rows) < 2 or len(columns) < 2:
        return 0.0, 0.0
    # Phi squared without going through the empty cells, which are most of them where there are many rows.
    phi2 = sum(count * count / (rows[row] * columns[column]) for (row, column), count in table.items()) - 1.0
    freedom = (len(rows) - 1) * (len(columns) - 1)
    # Wilson and Hilferty (1931): the cube root of chi-squared is close to normal.
    spread = 2 / (9 * freedom)
    surprise = ((max(0.0, phi2) * total / freedom) ** (1 / 3) - (1 - spread)) / math.sqrt(spread)
    phi2 = max(0.0, phi2 - freedom / (total - 1))
    levels = min(size - (size - 1) ** 2 / (total - 1) for size in (len(rows), len(columns))) - 1
    # Where each row has one utterance nothing can be said.
    return (min(1.0, math.sqrt(phi2 / levels)) if levels > 1e-9 else 0.0), surprise


def _guess(
    column: Sequence[str | None],
    emotions: Sequence[str],
    parts: Sequence[str | None],
    hits: defaultdict[str, float],
    tested: Counter[str],
) -> None:
    """Adds a fold's test utterances to `tested`, and to `hits` the shares of them that are guessed right, by emotion.

    Guessed is the emotion whose share of the training part this value is the largest of, which is best for UA; where
    several are equal, each with the same probability. A value that is new is guessed at among all emotions.
    """
    frequency = Counter(emotion for emotion, part in zip(emotions, parts, strict=True) if part == "train")
    seen: defaultdict[str, Counter[str]] = defaultdict(Counter)
    for value, emotion, part in zip(column, emotions, parts, strict=True):
        if part == "train" and value is not None:
            seen[value][emotion] += 1
    guesses: dict[str | None, set[str]] = {}
    for value, counts in seen.items():
        share = {emotion: count / frequency[emotion] for emotion, count in counts.items()}
        guesses[value] = {emotion for emotion in share if share[emotion] > max(share.values()) * (1 - 1e-9)}
    anything = set(emotions)
    for value, emotion, part in zip(column, emotions, parts, strict=True):
        if part == "test":
            tested[emotion] += 1
            guessed = guesses.get(value, anything)
            if emotion in guessed:
                hits[emotion] += 1 / len(guessed)


def _tenths(seconds: Sequence[float | None]) -> list[str | None]:
    """In which tenth of all each length is; fewer parts where there are few utterances, none with fewer than 40."""
    known = [length for length in seconds if length is not None]
    bins = min(_BINS, len(known) // _LEAST_IN_BIN)
    if bins < 2:
        return [None] * len(seconds)
    edges = quantiles(known, n=bins)
    return [None if length is None else str(bisect_right(edges, length)) for length in seconds]


def _of_one_emotion(name: str, column: Sequence[str | None], emotions: Sequence[str]) -> Iterator[str]:
    """A sentence on the speakers (say) who have one emotion alone, where that is no chance."""
    counts: defaultdict[str, Counter[str]] = defaultdict(Counter)
    for value, emotion in zip(column, emotions, strict=True):
        if value is not None:
            counts[value][emotion] += 1
    shares = Counter(emotions)
    found = []
    for value, own in sorted(counts.items(), key=lambda one: (-one[1].total(), one[0])):
        emotion, count = next(iter(own.items()))
        if len(own) == 1 and len(counts) * (shares[emotion] / len(emotions)) ** count < _IMPROBABLE:
            found.append(f"{value} has only {emotion} ({count:,})")
    if found:
        yield f"{len(found):,} of {len(counts):,} values of {name} have a single emotion: {listed(found)}."


def _lacking(emotions: Sequence[str], parts: Sequence[str | None], speakers: Sequence[str | None]) -> Iterator[str]:
    """Sentences, without their full stops, on the classes of a fold's parts."""
    counts: defaultdict[str, Counter[str]] = defaultdict(Counter)
    voices: defaultdict[str, set[str | None]] = defaultdict(set)
    for emotion, part, speaker in zip(emotions, parts, speakers, strict=True):
        if part is not None:
            counts[part][emotion] += 1
            if part == "train":
                voices[emotion].add(speaker)
    everywhere = sorted(set().union(*counts.values()))
    for part in SPLITS:
        lacking = [emotion for emotion in everywhere if part in counts and emotion not in counts[part]]
        if lacking:
            yield f"There is no {' and no '.join(lacking)} in {part}, but in other parts"
    if len(set().union(*voices.values()) - {None}) > 1:
        for emotion, who in sorted(voices.items()):
            if len(who) == 1 and None not in who and counts["train"][emotion] > 1:
                yield f"All {counts['train'][emotion]:,} {emotion} in train are spoken by {next(iter(who))} alone"
