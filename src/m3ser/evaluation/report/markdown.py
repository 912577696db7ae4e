"""A report as Markdown (with tables as GitHub has them), without drawings."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from m3ser.evaluation.report.content import Block, Chapter, Code, Folded, Picture, about_run, opening
from m3ser.evaluation.report.results import Results
from m3ser.evaluation.report.tables import Table
from m3ser.evaluation.report.words import notices
from m3ser.page import Cell

__all__ = ["chapters_markdown", "report_markdown"]

_MEANS_SOMETHING = re.compile(r"[\\`*_\[\]<>|#~]")


def report_markdown(results: Results, *, title: str, page: str = "") -> str:
    """The text.

    Args:
        results: of one run or several.
        title: its heading.
        page: name of the file beside it that has the drawings; empty: there is none.
    """
    blocks = [f"# {_plain(title)}"]
    if page:
        blocks.append(f"The same with drawings: [{_plain(page)}]({page})")
    blocks += [f"> **{_plain(sentence)}**" for one in results.runs for sentence in notices(one)]
    blocks += _chapters(opening(results), level=2)
    for one in results.runs:
        alone = len(results.runs) == 1
        blocks += [] if alone else [f"## {_plain(one.name)}"]
        blocks += _chapters(about_run(one), level=2 if alone else 3)
    return "\n\n".join(blocks) + "\n"


def chapters_markdown(title: str, chapters: Sequence[Chapter], *, level: int = 1) -> str:
    """Any chapters under a heading: a text of their own (level 1), or a part of one."""
    return "\n\n".join([f"{'#' * level} {_plain(title)}", *_chapters(chapters, level=level + 1)]) + "\n"


def _chapters(chapters: Sequence[Chapter], *, level: int) -> Iterator[str]:
    for chapter in chapters:
        told = [text for block in chapter.blocks for text in _block(block)]
        if told:
            yield f"{'#' * level} {_plain(chapter.title)}"
            yield from told


def _block(block: Block) -> Iterator[str]:
    if isinstance(block, str):
        yield _plain(block)
    elif isinstance(block, Picture):
        yield f"![{_plain(block.alt)}]({block.file})"
    elif isinstance(block, Folded):
        if isinstance(block.content, Code):
            yield f"{_plain(block.summary)}:"
        yield from _block(block.content)
    elif isinstance(block, Code):
        # A fence that is longer than any row of backticks inside.
        fence = "`" * max(3, *(len(ticks) + 1 for ticks in re.findall("`+", block.text)), 3)
        yield f"{fence}\n{block.text}\n{fence}"
    elif isinstance(block, Table):
        yield f"{_plain(block.caption)}:"
        yield _table(block)


def _table(table: Table) -> str:
    left = {0, *table.prose}
    rules = ["---" if place in left else "---:" for place in range(len(table.columns))]
    lines = [[_plain(column) for column in table.columns], rules]
    lines += [[_plain(_text(cell)) for cell in row] for row in table.rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _text(cell: Cell) -> str:
    if isinstance(cell, str):
        return cell.replace("\n", ", ")
    return "" if cell is None else f"{cell:,.4f}" if isinstance(cell, float) else f"{cell:,}"


def _plain(text: str) -> str:
    """`text` on one line, and no character of it taken for Markdown or HTML."""
    return _MEANS_SOMETHING.sub(lambda match: f"\\{match[0]}", " ".join(text.split()))
