"""A report as one HTML page that needs nothing else; see :mod:`m3ser.page`."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

from m3ser.evaluation.report.content import Block, Chapter, Code, Drawings, Folded, Picture, about_run, opening
from m3ser.evaluation.report.results import Judged, Results
from m3ser.evaluation.report.tables import Table
from m3ser.evaluation.report.words import headline, notices
from m3ser.page import (
    Cell,
    Html,
    details,
    facts,
    figure,
    heading,
    notice,
    page,
    paragraph,
    section,
    side_by_side,
    table,
)

__all__ = ["report_page"]

_SHORT = 24
"""Characters of running text that stay on one line."""


def report_page(results: Results, *, title: str) -> str:
    """The page.

    Args:
        results: of one run or several.
        title: its heading.

    Raises:
        MissingExtraError: matplotlib is not installed.
    """
    pieces: list[str] = [notice(sentence) for one in results.runs for sentence in notices(one)]
    alone = len(results.runs) == 1
    pieces.append(facts(headline(results.runs[0])) if alone else _contents(results.runs))
    pieces += [section(chapter.title, *_pieces(chapter)) for chapter in opening(results)]
    for number, one in enumerate(results.runs, 1):
        chapters = about_run(one)
        if alone:
            pieces += [section(chapter.title, *_pieces(chapter)) for chapter in chapters]
        else:
            pieces.append(_run(number, one, chapters))
    return page(title, pieces)


def _contents(runs: Sequence[Judged]) -> Html:
    """Links to the runs below."""
    links = "".join(f'<li><a href="#run-{number}">{escape(one.name)}</a></li>' for number, one in enumerate(runs, 1))
    return Html(f'<nav aria-label="Runs in this report"><p>In detail:</p>\n<ul>{links}</ul></nav>')


def _run(number: int, one: Judged, chapters: Sequence[Chapter]) -> Html:
    inside = [facts(headline(one))]
    for chapter in chapters:
        inside += [heading(chapter.title, level=3), *_pieces(chapter)]
    return Html(f'<div id="run-{number}">\n{section(one.name, *inside)}\n</div>')


def _pieces(chapter: Chapter) -> list[Html]:
    return [_piece(block) for block in chapter.blocks]


def _piece(block: Block) -> Html:
    if isinstance(block, str):
        return paragraph(block)
    if isinstance(block, Drawings):
        drawn = [figure(one.svg, alt=one.alt, caption=one.caption) for one in block.draw()]
        return side_by_side(*drawn) if len(drawn) > 1 else Html("".join(drawn))
    if isinstance(block, Picture):
        return paragraph(block.alt)
    if isinstance(block, Folded):
        return details(block.summary, _piece(block.content))
    return _code(block) if isinstance(block, Code) else _table(block)


def _code(block: Code) -> Html:
    return Html(f'<pre tabindex="0"><code>{escape(block.text)}</code></pre>')


def _table(given: Table) -> Html:
    return table(
        given.columns,
        [[_cell(cell, prose=place in given.prose) for place, cell in enumerate(row)] for row in given.rows],
        caption=given.caption,
        numeric=set(range(1, len(given.columns))) - given.prose,
        shading=given.shading,
    )


def _cell(cell: Cell, *, prose: bool) -> Cell:
    """The first line of a cell, with its remarks small below it; running text may break anywhere."""
    if not isinstance(cell, str):
        return cell
    first, _, rest = cell.partition("\n")
    remarks = "".join(f"<br><small>{escape(line)}</small>" for line in rest.splitlines())
    if prose and len(first) > _SHORT:
        return Html(f'<span class="prose">{escape(first)}{remarks}</span>')
    return Html(f"{escape(first)}{remarks}") if remarks else cell
