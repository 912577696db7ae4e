"""What a report contains, chapter by chapter, whatever it is written as."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

from m3ser.evaluation.report import figures, tables, words
from m3ser.evaluation.report.figures import Drawing
from m3ser.evaluation.report.results import Judged, Results
from m3ser.evaluation.report.tables import Table

__all__ = ["Block", "Chapter", "Code", "Drawings", "Folded", "Picture", "about_run", "opening"]

_FEW_ROWS = 6
"""A table that is longer is folded away until somebody opens it."""


@dataclass(frozen=True)
class Code:
    """Text that is to be typed, or that a program reads, as it is."""

    text: str


@dataclass(frozen=True)
class Drawings:
    """Drawings that stand beside each other.

    Attributes:
        draw: makes them; only a page with drawings calls it.
    """

    draw: Callable[[], tuple[Drawing, ...]]


@dataclass(frozen=True)
class Picture:
    """A drawing that is a file beside the text; for Markdown, since a page has all drawings inside.

    Attributes:
        file: its name.
        alt: what it shows, for those who do not see it.
    """

    file: str
    alt: str


@dataclass(frozen=True)
class Folded:
    """What few readers want to see.

    Attributes:
        summary: what it is.
        content: that which is folded away.
    """

    summary: str
    content: Table | Code


Block: TypeAlias = "str | Table | Code | Drawings | Picture | Folded"
"""A piece of a chapter; a string is a paragraph."""


@dataclass(frozen=True)
class Chapter:
    """A chapter.

    Attributes:
        title: its heading.
        blocks: from top to bottom.
    """

    title: str
    blocks: tuple[Block, ...]


def opening(results: Results) -> list[Chapter]:
    """All runs side by side."""
    several = len(results.runs) > 1 or len(results.runs[0].run.conditions) > 1
    blocks: list[Block] = [tables.results_table(results)]
    if several:
        blocks.append(Drawings(lambda: (figures.draw_comparison(results.runs),)))
    chapters = [Chapter("Scores", tuple(blocks))]
    if len(results.runs) > 1:
        told: list[Block] = list(words.comparison_sentences(results))
        if results.comparisons:
            told.append(tables.comparison_table(results.comparisons))
        chapters.append(Chapter(f"Differences from {results.runs[0].name}", tuple(told)))
    return chapters


def about_run(one: Judged) -> list[Chapter]:
    """One run in detail."""
    return [chapter for chapter in _about(one) if chapter.blocks]


def _about(one: Judged) -> list[Chapter]:
    judged = [
        Chapter("Classes", _classes(one)),
        Chapter(
            "How sure, and how often right",
            (
                Drawings(lambda: (figures.draw_reliability(one, one.condition),)),
                tables.calibration_table(one),
            ),
        ),
        Chapter("Speakers and other groups", _groups(one)),
    ]
    asked = one.run.asked
    made = _training(one) if asked is None else [Chapter("Data", (words.evaluation_table(one.run, asked),))]
    return [*judged, *made, Chapter("How to make it again", _again(one))]


def _training(one: Judged) -> list[Chapter]:
    run = one.run
    audit = tables.audit_table(run)
    return [
        Chapter(
            "Training, and what was chosen on what",
            (
                words.selection_sentence(run),
                Drawings(lambda: figures.draw_learning(one)),
                _short_or_folded(tables.selection_table(run), "Each training: the epoch kept and the temperatures"),
            ),
        ),
        Chapter(
            "Leakage audit",
            (words.audit_sentence(run, found=audit is not None), *(() if audit is None else (audit,))),
        ),
        Chapter(
            "Data",
            (words.data_table(run), _short_or_folded(tables.folds_table(run), "Each fold: its parts and classes")),
        ),
    ]


def _classes(one: Judged) -> tuple[Block, ...]:
    conditions = one.run.conditions
    return (
        Drawings(lambda: tuple(figures.draw_confusion(one, condition) for condition in conditions)),
        tables.classes_table(one, one.condition),
        *(
            Folded(f"Each class, given {tables.given(condition)}", tables.classes_table(one, condition))
            for condition in conditions[1:]
        ),
        *(
            Folded(
                f"Confusion matrix, given {tables.given(condition)}: the numbers",
                tables.confusion_table(one, condition),
            )
            for condition in conditions
        ),
    )


def _groups(one: Judged) -> tuple[Block, ...]:
    blocks: list[Block] = []
    if one.speakers:
        blocks += [
            Drawings(lambda: (figures.draw_speakers(one),)),
            Folded("Each speaker: the numbers", tables.speakers_table(one)),
        ]
    elif one.run.predictions.utterances:
        blocks.append("Not of every utterance it is known who speaks it, so there are no scores of speakers.")
    return (*blocks, *(tables.groups_table(one, column) for column in one.groups))


def _again(one: Judged) -> tuple[Block, ...]:
    made = words.commands(one.run)
    return (
        *((Code("\n".join(made)),) if made else ("The command is not on record.",)),
        words.provenance_table(one.run),
        *((Folded("The recipe, resolved", Code(one.run.recipe_text.rstrip("\n"))),) if one.run.recipe_text else ()),
    )


def _short_or_folded(table: Table, summary: str) -> Block:
    return table if len(table.rows) <= _FEW_ROWS else Folded(summary, table)
