"""What there is to see of a manifest's statistics, in words, rows and bars: what the page and the PNG both show."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from m3ser.corpora.stats import Distribution, Group, Statistics

__all__ = ["MOST_FOLDS", "Chart", "Rows", "charts", "lead", "name_of", "notes", "shortened", "telling"]

MOST_FOLDS = 3
"""Folds that are shown one by one; of more, only what they test is."""

_MOST_LINES = 8

_MOST_BARS = 40
"""Speakers that are drawn; all of them are in the table."""

UNKNOWN = "not known"
_OUTSIDE = "in no part"
_TITLES = {"speaker": "Speakers", "gender": "Genders", "language": "Languages", "corpus": "Corpora", "split": "Split"}
_ARTICLES = {"audio": "a recording", "text": "text"}


@dataclass(frozen=True)
class Rows:
    """A table.

    Attributes:
        caption: what it tells.
        columns: headings.
        cells: rows; numbers as numbers, None where there is no value.
        shading: how dark each cell is, 0 to 1; None: no shading.
    """

    caption: str
    columns: tuple[str, ...]
    cells: tuple[tuple[str | int | float | None, ...], ...]
    shading: tuple[tuple[float | None, ...], ...] | None = None


@dataclass(frozen=True)
class Chart:
    """A drawing, and the table behind it.

    Attributes:
        title: what it shows.
        labels: of the bars, or boxes.
        shown: the value of each in words.
        values: lengths of the bars; empty where boxes are drawn.
        boxes: 5, 25, 50, 75 and 95% points; empty where bars are drawn.
        unit: of the boxes' scale.
        alt: the drawing in words.
        rows: the numbers.
        note: what is not drawn; empty where all is.
    """

    title: str
    labels: tuple[str, ...]
    shown: tuple[str, ...]
    values: tuple[float, ...]
    boxes: tuple[tuple[float, float, float, float, float], ...]
    unit: str
    alt: str
    rows: Rows
    note: str = ""


def shortened(comment: str) -> list[str]:
    """The lines of a manifest's comment, without the middle of a long one (which has a line for each fold)."""
    lines = comment.splitlines()
    if len(lines) <= _MOST_LINES:
        return lines
    return [*lines[: _MOST_LINES - 2], f"({len(lines) - _MOST_LINES + 1:,} more lines)", lines[-1]]


def lead(statistics: Statistics) -> list[tuple[str, str]]:
    """The few numbers to see first; what is not known is not among them."""
    whole = statistics.whole
    pairs = [("utterances", f"{whole.utterances:,}")]
    if whole.speakers:
        pairs.append(("speakers", f"{whole.speakers:,}"))
    if whole.seconds is not None:
        pairs += [("hours", _hours(whole.seconds)), ("median length", f"{whole.seconds.median:.2f} s")]
    pairs.append(("with text", _known_share(whole.with_text, whole.utterances)))
    if whole.words is not None:
        pairs.append(("median words", f"{whole.words.median:g}"))
    for name, title in (("language", "languages"), ("corpus", "corpora")):
        values = [group.value for group in statistics.groups.get(name, ()) if group.value is not None]
        if values:
            pairs.append((title, ", ".join(values) if len(values) <= 3 else str(len(values))))
    return pairs


def notes(statistics: Statistics, findings: Sequence[str]) -> list[str]:
    """What was left out, what is not known, and why, a sentence each."""
    sentences = []
    if statistics.scheme is not None:
        merged = ", ".join(f"{emotion} counts as {name}" for emotion, name in statistics.scheme.merges.items())
        kept = f"Classes of {statistics.scheme.name}{f' ({merged})' if merged else ''}"
        lost = ", ".join(f"{name} {count:,}" for name, count in statistics.left_out.items())
        sentences.append(f"{kept}; left out: {lost or 'nothing'}.")
    return [*sentences, *_missing(statistics), *findings]


def _missing(statistics: Statistics) -> list[str]:
    """What is not known of some utterances, or of none, a sentence each."""
    total = statistics.whole.utterances
    sentences = []
    for name, count in statistics.missing.items():
        if name == "duration":
            recorded = total - statistics.missing.get("audio", 0)
            sentences.append(f"The length of {count:,} of {recorded:,} utterances with a recording is not known.")
        elif name == "words":
            texts = f"{count:,} of {statistics.whole.with_text:,} texts"
            sentences.append(f"Words cannot be counted in {texts}: no spaces stand between them.")
        else:
            what = _ARTICLES.get(name, f"a {name}")
            some = f"{count:,} of {total:,} utterances do not have {what}."
            sentences.append(f"No utterance has {what}." if count == total else some)
    return sentences


def charts(statistics: Statistics) -> list[Chart]:
    """Every drawing, in order: emotions, lengths, words, then the groups."""
    emotions = statistics.groups["emotion"]
    drawn = [_bars("Emotions", emotions, _emotion_rows(statistics), statistics)]
    for title, unit, spread in (
        ("Length by emotion", "s", lambda group: group.seconds),
        ("Words by emotion", "words", lambda group: group.words),
    ):
        chart = _boxes(title, unit, [*emotions, statistics.whole], spread)
        if chart is not None:
            drawn.append(chart)
    folds = [column for column in statistics.part_columns if column != "split"]
    together = len(folds) > MOST_FOLDS
    for column, groups in telling(statistics).items():
        if column != "emotion" and not (together and column in folds):
            title = _TITLES.get(column, column)
            drawn.append(_bars(title, groups, _group_rows(statistics, column), statistics, column=column))
    if together:
        drawn.append(_folds(folds, statistics))
    return drawn


def _folds(folds: Sequence[str], statistics: Statistics) -> Chart:
    """Many folds in one drawing: what each of them tests. The table has their parts."""
    emotions = tuple(statistics.whole.emotions)
    cells: list[tuple[str | int, ...]] = [
        (f"{fold}, {name_of(group, fold)}", group.utterances, group.speakers, *group.emotions.values())
        for fold in folds
        for group in statistics.groups[fold]
    ]
    tested = [sum(group.utterances for group in statistics.groups[fold] if group.value == "test") for fold in folds]
    shown = tuple(f"{count:,} ({100 * count / max(statistics.whole.utterances, 1):.1f}%)" for count in tested)
    head = ("fold and part", "utterances", "speakers", *emotions)
    alt = f"Bars, utterances that each fold tests: {_told(folds, shown)}"
    rows = Rows("Folds and their parts by emotion: utterances", head, tuple(cells))
    return Chart("Tested in each fold", tuple(folds), shown, tuple(map(float, tested)), (), "", alt, rows)


def telling(statistics: Statistics) -> dict[str, tuple[Group, ...]]:
    """The groups that tell more than the whole does: not those of a column with one value alone, known of all."""
    return {
        column: groups
        for column, groups in statistics.groups.items()
        if len(groups) > 1 or column in ("emotion", *statistics.part_columns)
    }


def _group_rows(statistics: Statistics, column: str) -> Rows:
    """The groups of a column against the emotions; the darkest cell of a row is its most frequent emotion."""
    emotions = tuple(statistics.whole.emotions)
    head = (column, *([] if column == "speaker" else ["speakers"]), "utterances", *emotions, "hours", "median s")
    before = len(head) - len(emotions) - 2
    cells, shading = [], []
    for group in statistics.groups[column]:
        counts = (*([] if column == "speaker" else [group.speakers]), group.utterances)
        spread = group.seconds
        length = (None, None) if spread is None else (spread.total / 3600, spread.median)
        cells.append((name_of(group, column), *counts, *group.emotions.values(), *length))
        shares = [count / max(group.utterances, 1) for count in group.emotions.values()]
        shading.append((*[None] * before, *shares, None, None))
    title = _TITLES.get(column, column)
    caption = f"{title} by emotion: utterances, the darker the larger the share of the row"
    return Rows(caption, head, tuple(cells), tuple(shading))


def name_of(group: Group, column: str) -> str:
    """What a group is called where people read it."""
    if group.value is not None:
        return group.value
    return _OUTSIDE if column == "split" or column.startswith("fold") else UNKNOWN


def _known_share(count: int, total: int) -> str:
    """Of how many something is known: "all", "none", "61%"."""
    if count in (0, total):
        return "none" if count == 0 else "all"
    # Neither all nor none: 99.96% is not 100.
    return f"{min(max(100 * count / total, 0.1), 99.9):.1f}%"


def _emotion_rows(statistics: Statistics) -> Rows:
    head = ("emotion", "utterances", "share", "speakers", "hours", "median s", "5% s", "95% s", "median words")
    cells = []
    for group in statistics.groups["emotion"]:
        spread, words = group.seconds, group.words
        share = f"{100 * group.utterances / max(statistics.whole.utterances, 1):.1f}%"
        lengths = (None,) * 4 if spread is None else (spread.total / 3600, spread.median, spread.low, spread.high)
        cells.append(
            (
                *(group.value, group.utterances, share, group.speakers or None, *lengths),
                None if words is None else words.median,
            )
        )
    return Rows("Emotions", head, tuple(cells))


def _bars(title: str, groups: Sequence[Group], rows: Rows, statistics: Statistics, *, column: str = "emotion") -> Chart:
    total = max(statistics.whole.utterances, 1)
    drawn = groups
    note = ""
    if len(groups) > _MOST_BARS:
        drawn = sorted(groups, key=lambda group: -group.utterances)[:_MOST_BARS]
        note = f"Drawn are the {_MOST_BARS} with most utterances, of {len(groups):,}; the table has all."
    labels = tuple(name_of(group, column) for group in drawn)
    shown = tuple(f"{group.utterances:,} ({100 * group.utterances / total:.1f}%)" for group in drawn)
    values = tuple(float(group.utterances) for group in drawn)
    alt = f"Bars, {title.lower()}, utterances: {_told(labels, shown)}"
    return Chart(title, labels, shown, values, (), "", alt, rows, note)


def _boxes(
    title: str, unit: str, groups: Sequence[Group], spread: Callable[[Group], Distribution | None]
) -> Chart | None:
    found = [("all" if group.value is None else group.value, spread(group)) for group in groups]
    some = [(name, values) for name, values in found if values is not None]
    if not some:
        return None
    labels = tuple(name for name, _ in some)
    form = ".2f" if unit == "s" else ".4g"
    shown = tuple(f"median {values.median:{form}} {unit}" for _, values in some)
    head = ("emotion", "known of", "mean", "least", "5%", "25%", "median", "75%", "95%", "most")
    cells = tuple(
        (
            *(name, v.count, v.mean),
            *(v.minimum, v.low, v.lower, v.median, v.upper, v.high, v.maximum),
        )
        for name, v in some
    )
    rows = Rows(f"{title}, in {'seconds' if unit == 's' else unit}", head, cells)
    boxes = tuple((v.low, v.lower, v.median, v.upper, v.high) for _, v in some)
    alt = f"Boxes, {title.lower()}, 5% to 95% with quartiles: {_told(labels, shown)}"
    return Chart(title, labels, shown, (), boxes, unit, alt, rows)


def _told(labels: Sequence[str], shown: Sequence[str], *, most: int = 12) -> str:
    pairs = [f"{label} {text}" for label, text in zip(labels, shown, strict=True)]
    return "; ".join(pairs[:most]) + (f"; and {len(pairs) - most} more" if len(pairs) > most else "") + "."


def _hours(spread: Distribution) -> str:
    hours = spread.total / 3600
    return f"{hours:,.2f}" if hours < 100 else f"{hours:,.0f}"
