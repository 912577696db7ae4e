"""The experiments with the starter model side by side, from the records that their standing evaluations kept.

A record is what :func:`m3ser.training.standing.run.evaluate_standing` returns; here it is JSON and no more, so that a
page can be written again where nothing can be trained.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from m3ser.evaluation.report.content import Block, Chapter, Code
from m3ser.evaluation.report.markdown import chapters_markdown
from m3ser.evaluation.report.tables import Table
from m3ser.page import Cell

__all__ = ["experiments_page", "standing_page", "standing_tables"]

Record = Mapping[str, Any]
_UNKNOWN = "\N{EN DASH}"
_CHOICE = "choice"
_STANDING = "Unseen speakers, unseen corpora, other recordings"

_PREFACE = (
    "Every experiment is a recipe in recipes/starter, trained and asked the same questions by the same command; those "
    "that failed are here, too. UA: unweighted accuracy = balanced accuracy, of four classes; chance is 25%. In "
    "brackets 95% intervals by bootstrap over speakers, of words alone over sentences; few speakers make them too "
    "narrow.",
    "Choice: the validation part of the recipe's own split, whose speakers and sentences are in no training part. "
    "Recipes are chosen by it alone; it chooses epochs and temperatures as well, and is therefore a little optimistic. "
    "Everything else is of folds: (a) (c) (d) (e) (f) are of one training for each of five groups of speakers, which "
    "serves all corpora at once; (b) is of one training for each corpus that is left out; corpora that a "
    "recipe never trains with are asked of the model of its own split, and its mean is of what there is.",
    "Pairs are paired (semi-synthetic): real voices with sentences of GoEmotions that they never said, in fixed shares "
    "whatever a recipe trains with. Their own words are RAVDESS's two sentences, which are in no training's words. "
    "Statements are made-up sentences of the list that a recipe with plain pairs trains with, of its validation part: "
    "they flatter such a recipe. A voice is emotional where it is not neutral; its score is that of the voice alone.",
    "Profiles (h) are made of unlabelled recordings of the speaker or corpus of the one that is judged, which is not "
    "among them unless that is said. Said so: the profile says which share of its recordings is neutral.",
)


def experiments_page(records: Sequence[Record], *, command: str) -> str:
    """All experiments, in the order that they were begun, as Markdown.

    Args:
        records: one or more.
        command: what makes them.
    """
    ordered = sorted(records, key=lambda record: record["begun"])
    opening: list[Block] = [*_PREFACE, Code(command), _changes(ordered)]
    chapters = [Chapter("How to read it", tuple(opening))]
    chapters += [
        Chapter(title, (_side_by_side(ordered, group, columns),))
        for title, group, columns in _TABLES
        if any(group in record["groups"] for record in ordered)
    ]
    lines = [(record["recipe"], group, why) for record in ordered for group, why in record["failed"].items()]
    if lines:
        table = Table("What could not be computed", ("experiment", "group", "why"), tuple(lines), frozenset({1, 2}))
        chapters.append(Chapter("Failed", (table,)))
    return chapters_markdown("Experiments with the starter model", chapters)


def standing_page(record: Record) -> str:
    """One experiment with every score that was kept, as Markdown."""
    chapters = [
        Chapter(group, (_everything(found["scores"]), f"{found['seconds']:.0f} seconds, trainings included."))
        for group, found in record["groups"].items()
    ]
    if record["failed"]:
        lines = tuple(record["failed"].items())
        chapters.append(Chapter("Failed", (Table("Groups", ("group", "why"), lines, frozenset({1})),)))
    return chapters_markdown(f"Standing evaluation of {record['recipe']}", chapters)


def standing_tables(record: Record) -> str:
    """What one experiment came to on speakers and corpora that it had never met, as Markdown for a model card."""
    chapters = [
        Chapter(title, (_side_by_side([record], group, columns),))
        for title, group, columns in _TABLES
        if group in record["groups"] and group != _CHOICE
    ]
    return chapters_markdown(_STANDING, chapters, level=2)


Column = tuple[str, Callable[[Record], Cell]]


def _at(*path: str, show: Callable[[Any], Cell]) -> Callable[[Record], Cell]:
    """What `show` makes of the value at `path` of a group's scores."""

    def cell(scores: Record) -> Cell:
        value: Any = scores
        for key in path:
            if not isinstance(value, Mapping) or value.get(key) is None:
                return _UNKNOWN
            value = value[key]
        return show(value)

    return cell


def _ua(scores: Record) -> str:
    return _share(scores["ua"], scores["ua_interval"])


def _f1(scores: Record) -> str:
    return _share(scores["macro_f1"], scores["macro_f1_interval"])


def _ece(scores: Record) -> str:
    return _share(scores["ece"], None)


def _flips(found: Record) -> str:
    return _share(found["rate"], found["interval"])


def _change(found: Record) -> str:
    low, high = found["interval"]
    return f"{100 * found['ua']:+.1f} ({100 * low:+.1f} to {100 * high:+.1f})"


def _plain(share: float) -> str:
    return _share(share, None)


def _points(share: float) -> str:
    return f"{-100 * share:+.1f}"


def _share(value: float, interval: Sequence[float] | None) -> str:
    between = "" if interval is None else f" ({100 * interval[0]:.1f} to {100 * interval[1]:.1f})"
    return f"{100 * value:.1f}%{between}"


_CORPORA = ("ravdess", "emodb", "emovo", "nemo")
_DEGRADED = (
    "noise at 20 dB",
    "noise at 10 dB",
    "noise at 5 dB",
    "telephone band",
    "MP3 at 32 kbit/s",
    "12 dB louder",
    "12 dB softer",
    "reverberation",
)
_PROFILES = (
    "the speaker",
    "30 of the speaker",
    "10 of the speaker",
    "10 of the speaker, itself among them",
    "10 of the speaker, said to be 70% neutral",
    "10 of the speaker, 70% neutral",
    "10 of the speaker, 70% neutral and said so",
    "10 of the speaker, all neutral",
    "10 of the speaker, all neutral and said so",
    "the corpus",
    "30 of the corpus",
    "30 of the corpus, 70% neutral",
    "30 of the corpus, 70% neutral and said so",
)
_BY_CORPUS: tuple[Column, ...] = tuple((name, _at(name, show=_ua)) for name in _CORPORA)
_PAIRED: tuple[Column, ...] = (
    ("voice alone", _at("voice", show=_ua)),
    ("words alone", _at("words", show=_ua)),
    ("both", _at("both", show=_ua)),
    ("right answers turned by conflicting words", _at("flips", show=_flips)),
)
_TABLES: tuple[tuple[str, str, tuple[Column, ...]], ...] = (
    (
        "Choice: validation part",
        _CHOICE,
        (
            ("voice alone", _at("voice", "all", show=_ua)),
            ("voice alone, with a profile of 30 of the speaker", _at("30 of the speaker", "all", show=_ua)),
            *_PAIRED[1:],
            ("points UA by CREMA-D's sentences", _at("CREMA-D's words", "change", show=_change)),
            ("points UA by statements", _at("statements", "change", show=_change)),
        ),
    ),
    (
        "(a) (e) Unseen speakers, the voice alone",
        "speakers",
        (*_BY_CORPUS, ("all", _at("all", show=_ua)), ("ECE", _at("all", "ece", show=_plain))),
    ),
    (
        "(b) Unseen corpora, the voice alone",
        "corpora",
        (
            *_BY_CORPUS,
            ("mean", _at("mean", show=_plain)),
            ("ECE", _at("all", "ece", show=_plain)),
            ("points UA by RAVDESS's own words", _at("own words", "change", show=_change)),
        ),
    ),
    (
        "(c) Sentences alone: macro F1",
        "texts",
        (("GoEmotions", _at("goemotions", show=_f1)), ("MELD", _at("meld", show=_f1))),
    ),
    (
        "(d) Voice and words",
        "pairs",
        (
            *_PAIRED,
            (
                "the same, where the voice is emotional and scores above one half",
                _at("flips, clearly emotional", show=_flips),
            ),
            ("neutral words", _at("both, neutral", show=_ua)),
            ("half without words", _at("half without words", show=_ua)),
            ("half without voice", _at("half without voice", show=_ua)),
            ("words alone, for half without voice", _at("half without voice, words alone", show=_ua)),
            ("ECE of both", _at("both", show=_ece)),
            ("RAVDESS with its own words", _at("own words", "with the words", show=_ua)),
            ("points UA by them", _at("own words", "change", show=_change)),
        ),
    ),
    (
        "(f) Degraded recordings, the voice alone: points of UA",
        "robustness",
        (("clean, UA", _at("clean", show=_ua)), *((name, _at(name, "loss", show=_points)) for name in _DEGRADED)),
    ),
    (
        "(g) Size, time, memory",
        "costs",
        (
            ("bundle without heads, MB", _at("megabytes", show=lambda value: f"{value:.1f}")),
            ("times real time, words given", _at("times_real_time", show=lambda value: f"{value:.0f}")),
            ("times real time, transcribing", _at("transcribing", show=lambda value: f"{value:.0f}")),
            ("peak memory, MB", _at("peak_megabytes", show=lambda value: f"{value:.0f}")),
        ),
    ),
    *(
        (
            f"(h) Profiles, {what}, the voice alone: UA, mean of the corpora",
            "profiles",
            (
                ("no profile", _at(what, "the speaker", "mean without", show=_plain)),
                *((f"of {kind}", _at(what, kind, "mean", show=_plain)) for kind in _PROFILES),
                ("points by 30 of the speaker", _at(what, "30 of the speaker", "change", show=_change)),
                ("ECE without", _at(what, "none", "all", "ece", show=_plain)),
                ("ECE by 30 of the speaker", _at(what, "30 of the speaker", "all", "ece", show=_plain)),
            ),
        )
        for what in ("unseen corpora", "unseen speakers")
    ),
)


def _side_by_side(records: Sequence[Record], group: str, columns: Sequence[Column]) -> Table:
    rows = []
    for record in records:
        if group in record["groups"]:
            scores = record["groups"][group]["scores"]
            rows.append((record["recipe"], *(show(scores) for _, show in columns)))
    tested = next(record["groups"][group]["scores"] for record in records if group in record["groups"])
    return Table(_tested(tested), ("experiment", *(name for name, _ in columns)), tuple(rows))


def _tested(scores: Record) -> str:
    """On how much: the largest of what a group was asked."""
    counts = list(_counts(scores))
    if not counts:
        return "Measured"
    n, units = max(counts)
    return f"At most {n:,} answers of {units:,} speakers (of words alone: sentences) to one question"


def _counts(scores: Record) -> Iterator[tuple[int, int]]:
    for found in scores.values():
        if isinstance(found, Mapping) and "n" in found:
            yield found["n"], found["units"]
        elif isinstance(found, Mapping):
            yield from _counts(found)


def _changes(records: Sequence[Record]) -> Table:
    rows: list[tuple[Cell, ...]] = []
    for record in records:
        changed = ", ".join(f"{key} = {value}" for key, value in record["changes"].items())
        minutes = sum(found["seconds"] for found in record["groups"].values()) / 60
        rows.append((record["recipe"], changed or "nothing: the first starter", record["expected"], f"{minutes:.0f}"))
    columns = ("experiment", "what differs from the first starter", "what it showed", "minutes of the last call")
    return Table("The experiments, in their order", columns, tuple(rows), frozenset({1, 2}))


def _everything(scores: Record) -> Table:
    rows: list[tuple[Cell, ...]] = []

    def add(name: str, found: Any) -> None:
        if isinstance(found, Mapping) and "n" in found:
            units = _UNKNOWN if found["units"] is None else found["units"]
            rows.append((name, found["n"], units, _ua(found), _plain(found["wa"]), _f1(found), _ece(found)))
        elif isinstance(found, Mapping) and "interval" in found:
            interval = None if found["interval"] is None else [f"{100 * end:.1f}" for end in found["interval"]]
            value = 100 * next(value for value in found.values() if isinstance(value, float))
            shown = f"{value:.1f}" + ("" if interval is None else f" ({' to '.join(interval)})")
            rows.append((name, found.get("pairs", _UNKNOWN), *(_UNKNOWN,) * 4, shown))
        elif isinstance(found, Mapping):
            for key, below in found.items():
                add(f"{name}: {key}" if name else key, below)
        elif isinstance(found, float):
            rows.append((name, *(_UNKNOWN,) * 5, f"{found:.3f}"))

    add("", scores)
    columns = ("what", "n", "speakers or sentences", "UA", "WA", "macro F1", "ECE, or the value")
    return Table("Shares in percent, 95% intervals in brackets", columns, tuple(rows))
