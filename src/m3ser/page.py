"""A page on its own: one HTML file that needs nothing from anywhere, made of a few plain pieces.

No script, no font, no image is loaded, so a page can be mailed, archived, and opened without a network; a content
security policy in its head holds that. It reads well on a telephone and in dark mode, and beside every drawing there
are words for those who cannot see it. Every string is escaped unless it is :class:`Html`, so that names from strangers'
files stay names::

    page("Results", [section("Scores", table(["model", "UA"], [["3m-ser", "80.66%"]], caption="Scores"))])

Pieces return :class:`Html`; :func:`page` puts them together. Only the standard library is used.
"""

from __future__ import annotations

import base64
import math
import re
from collections.abc import Collection, Iterable, Sequence
from html import escape
from typing import TypeAlias

from m3ser.errors import UsageError
from m3ser.page_style import STYLE

__all__ = [
    "NOT_TEXT",
    "Cell",
    "Html",
    "Spread",
    "bars",
    "details",
    "escaped",
    "facts",
    "figure",
    "heading",
    "notice",
    "page",
    "paragraph",
    "section",
    "side_by_side",
    "spreads",
    "table",
]


class Html(str):
    """Markup that goes into a page as it is; every other string is escaped."""

    __slots__ = ()


Cell: TypeAlias = "str | int | float | None"
"""What a table shows: text (or :class:`Html`) as it is, 1234 as 1,234, 0.5 as 0.50, None and NaN as a dash."""

Spread: TypeAlias = "tuple[float, float, float, float, float]"
"""How values spread, from low to high: 5%, 25%, 50%, 75% and 95% of them are at most this."""

_DASH = "\N{EN DASH}"
NOT_TEXT = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff\ufffe\uffff]")
"""What is no character of text: controls but tabs and line breaks, halves of pairs, and what Unicode says is none.

Spaces that do not break and joiners, which half of the world's scripts are written with, are text.
"""

_LONGEST_LABEL = 32
"""Characters of a label that a drawing has room for on a telephone; the table beside it has them all."""

_ROW = 40  # pixels: one bar with its label above it
_POLICY = "default-src 'none'; style-src 'unsafe-inline'; img-src data:"
_PNG = b"\x89PNG\r\n\x1a\n"


def page(title: str, pieces: Iterable[str], *, language: str = "en") -> str:
    """The whole HTML file.

    Args:
        title: heading of the page, and its name in the browser.
        pieces: from top to bottom.
        language: BCP 47 code of its words.
    """
    return (
        f'<!DOCTYPE html>\n<html lang="{escaped(language)}">\n<head>\n<meta charset="utf-8">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        '<meta name="color-scheme" content="light dark">\n'
        f"<title>{escaped(title)}</title>\n<style>\n{STYLE}</style>\n</head>\n<body>\n<main>\n"
        f"<h1>{escaped(title)}</h1>\n{_joined(pieces)}\n</main>\n</body>\n</html>\n"
    )


def escaped(text: str) -> str:
    """`text` as it may stand in content and in attributes; what is no character of text is shown as such."""
    return text if isinstance(text, Html) else escape(NOT_TEXT.sub("\N{REPLACEMENT CHARACTER}", text))


def heading(text: str, *, level: int = 2) -> Html:
    """A heading of level 2 (the largest below the page's own) to 6.

    Raises:
        UsageError: there is no such level.
    """
    if not 2 <= level <= 6:
        raise UsageError(f"A heading inside a page is of level 2 to 6; found {level}.")
    return Html(f"<h{level}>{escaped(text)}</h{level}>")


def paragraph(text: str) -> Html:
    """Running text; its line breaks are kept."""
    return Html(f"<p>{escaped(text)}</p>")


def notice(text: str) -> Html:
    """What nobody may overlook, in a frame."""
    return Html(f'<p class="notice" role="note">{escaped(text)}</p>')


def section(title: str, *pieces: str) -> Html:
    """A part of the page under a heading of its own."""
    return Html(f"<section>\n{heading(title)}\n{_joined(pieces)}\n</section>")


def side_by_side(*pieces: str) -> Html:
    """Pieces beside each other where there is room, under each other where there is none."""
    return Html('<div class="beside">\n' + "\n".join(f"<div>{escaped(piece)}</div>" for piece in pieces) + "\n</div>")


def details(summary: str, *pieces: str) -> Html:
    """Pieces that are folded away under `summary` until somebody opens them."""
    return Html(f"<details>\n<summary>{escaped(summary)}</summary>\n{_joined(pieces)}\n</details>")


def facts(pairs: Iterable[tuple[str, Cell]]) -> Html:
    """The few numbers to see first: each with its name, large."""
    items = "".join(f"<div><dt>{escaped(name)}</dt><dd>{_cell(value)}</dd></div>" for name, value in pairs)
    return Html(f'<dl class="facts">{items}</dl>')


def table(
    columns: Sequence[str],
    rows: Iterable[Sequence[Cell]],
    *,
    caption: str,
    numeric: Collection[int] | None = None,
    shading: Sequence[Sequence[float | None]] | None = None,
    foot: Sequence[Cell] | None = None,
) -> Html:
    """A table; the first cell of each row is its heading. On a narrow screen it scrolls by itself.

    Args:
        columns: headings.
        rows: cells, as many as there are columns.
        caption: what the table tells.
        numeric: positions of the columns that are set to the right; None: those that hold nothing but numbers.
        shading: for each row and column how dark the cell is, 0 to 1 (a heat map); None: as the page. The number is
            always in the cell as well: colour alone tells nothing to those who do not see it.
        foot: a last row, for sums.

    Raises:
        UsageError: a row, or its shading, is not as long as `columns`.
    """
    body = [*rows]
    for row in (*body, *(shading or ()), *([foot] if foot is not None else [])):
        if len(row) != len(columns):
            raise UsageError(f"A table of {len(columns)} columns got a row of {len(row)}.")
    if shading is not None and len(shading) != len(body):
        raise UsageError(f"A table of {len(body)} rows got shading for {len(shading)}.")
    if numeric is None:
        numeric = {place for place in range(len(columns)) if _all_numbers([row[place] for row in body])}

    def line(cells: Sequence[Cell], shades: Sequence[float | None]) -> str:
        drawn = []
        for place, (cell, shade) in enumerate(zip(cells, shades, strict=True)):
            classes = " ".join(["n"] * (place in numeric) + ["s"] * (shade is not None))
            attributes = f' class="{classes}"' if classes else ""
            if shade is not None:
                attributes += f' style="--s:{min(max(shade, 0.0), 1.0):.3f}"'
            tag = "td" if place else 'th scope="row"'
            drawn.append(f"<{tag}{attributes}>{_cell(cell)}</{tag.partition(' ')[0]}>")
        return f"<tr>{''.join(drawn)}</tr>\n"

    plain = [None] * len(columns)
    head = "".join(
        f'<th scope="col" class="{"n" if place in numeric else ""}">{escaped(name)}</th>'
        for place, name in enumerate(columns)
    )
    lines = "".join(line(row, shading[place] if shading else plain) for place, row in enumerate(body))
    last = f"<tfoot>\n{line(foot, plain)}</tfoot>\n" if foot is not None else ""
    return Html(
        f'<div class="scroll" role="region" tabindex="0" aria-label="{escaped(caption)}">\n<table>\n'
        f"<caption>{escaped(caption)}</caption>\n<thead>\n<tr>{head}</tr>\n</thead>\n"
        f"<tbody>\n{lines}</tbody>\n{last}</table>\n</div>"
    )


def bars(
    labels: Sequence[str],
    values: Sequence[float],
    *,
    alt: str,
    shown: Sequence[str] | None = None,
    longest: float | None = None,
) -> Html:
    """Bars, one under the other, as inline SVG that is as wide as there is room.

    Args:
        labels: what each bar stands for.
        values: how long it is, finite and 0 or more.
        alt: what the drawing tells, for those who do not see it.
        shown: the value in words; None: as in a table.
        longest: the value of a bar across the whole width; None: the largest one.

    Raises:
        UsageError: the lengths differ, or a value is none of that.
    """
    texts = [_text(value) for value in values] if shown is None else shown
    _check_rows(labels, [[value] for value in values], texts)
    whole = max(values, default=0.0) if longest is None else longest
    drawn = []
    for row, (label, value, text) in enumerate(zip(labels, values, texts, strict=True)):
        top = row * _ROW + 20
        width = 100 * min(value / whole, 1.0) if whole > 0 else 0.0
        drawn.append(
            f"{_row_label(row, label, text)}"
            f'<rect class="rail" x="0" y="{top}" width="100%" height="10" rx="3"/>'
            f'<rect class="bar" x="0" y="{top}" width="{width:.2f}%" height="10" rx="3"/></g>\n'
        )
    return _svg(drawn, len(drawn) * _ROW, alt)


def spreads(labels: Sequence[str], values: Sequence[Spread], *, alt: str, shown: Sequence[str], unit: str) -> Html:
    """How values spread, as boxes on one scale from 0: whiskers from 5% to 95%, the middle half, the median.

    Args:
        labels: what each box stands for.
        values: see :data:`Spread`; finite and 0 or more.
        alt: what the drawing tells, for those who do not see it.
        shown: each row's value in words.
        unit: of the scale.

    Raises:
        UsageError: the lengths differ, or a value is none of that.
    """
    _check_rows(labels, values, shown)
    step, whole = _scale(max((spread[-1] for spread in values), default=0.0))
    height = len(values) * _ROW
    drawn = [
        f'<line class="grid" x1="{100 * place / whole:.2f}%" x2="{100 * place / whole:.2f}%" y1="0" y2="{height}"/>\n'
        for place in _ticks(step, whole)
    ]
    for row, (label, spread, text) in enumerate(zip(labels, values, shown, strict=True)):
        low, lower, middle, upper, high = (100 * value / whole for value in spread)
        top = row * _ROW + 19
        drawn.append(
            f"{_row_label(row, label, text)}"
            f'<line class="whisker" x1="{low:.2f}%" x2="{high:.2f}%" y1="{top + 6}" y2="{top + 6}"/>'
            f'<rect class="bar" x="{lower:.2f}%" y="{top}" width="{max(upper - lower, 0.3):.2f}%" height="12" rx="2"/>'
            f'<line class="middle" x1="{middle:.2f}%" x2="{middle:.2f}%" y1="{top - 1}" y2="{top + 13}"/></g>\n'
        )
    for place in _ticks(step, whole):
        anchor = "start" if place == 0 else "end" if place >= whole - step / 2 else "middle"
        name = f"{place:g} {unit}" if place >= whole - step / 2 else f"{place:g}"
        drawn.append(
            f'<text class="tick" x="{100 * place / whole:.2f}%" y="{height + 14}" text-anchor="{anchor}">'
            f"{escaped(name)}</text>\n"
        )
    return _svg(drawn, height + 20, alt)


def figure(image: bytes | str, *, alt: str, caption: str = "") -> Html:
    """A drawing that is carried along inside the page.

    Args:
        image: a PNG, or an SVG as bytes or text. It is shown as an image, so that nothing in it can run.
        alt: what it shows, for those who do not see it.
        caption: below it.

    Raises:
        UsageError: it is neither.
    """
    data = image.encode("utf-8") if isinstance(image, str) else image
    if data.startswith(_PNG):
        kind = "image/png"
    elif data.lstrip()[:5] in (b"<?xml", b"<svg ") and b"<svg" in data[:2000]:
        kind = "image/svg+xml"
    else:
        raise UsageError(f"A page's figure has to be PNG or SVG; found {data[:8]!r}.")
    source = f"data:{kind};base64,{base64.b64encode(data).decode('ascii')}"
    below = f"<figcaption>{escaped(caption)}</figcaption>" if caption else ""
    return Html(f'<figure><img src="{source}" alt="{escaped(alt)}">{below}</figure>')


def _joined(pieces: Iterable[str]) -> str:
    return "\n".join(escaped(piece) for piece in pieces)


def _text(value: Cell) -> str:
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return _DASH
    if isinstance(value, str):
        return value
    return f"{value:,.2f}" if isinstance(value, float) else f"{value:,}"


def _cell(value: Cell) -> str:
    text = _text(value)
    return f'<span aria-label="none">{text}</span>' if text == _DASH else escaped(text)


def _all_numbers(cells: Sequence[Cell]) -> bool:
    return any(isinstance(cell, (int, float)) for cell in cells) and not any(isinstance(cell, str) for cell in cells)


def _check_rows(labels: Sequence[str], values: Sequence[Sequence[float]], shown: Sequence[str]) -> None:
    if not len(labels) == len(values) == len(shown):
        raise UsageError(f"A drawing got {len(labels)} labels, {len(values)} values and {len(shown)} texts.")
    for label, row in zip(labels, values, strict=True):
        if not all(math.isfinite(value) and value >= 0 for value in row):
            raise UsageError(f"A drawing takes finite values of 0 or more; found {[*row]} for '{label}'.")


def _svg(drawn: Sequence[str], height: int, alt: str) -> Html:
    # No viewBox: lengths are per cent of the width there is, and text keeps its size on a telephone.
    return Html(
        f'<svg xmlns="http://www.w3.org/2000/svg" width="100%" height="{height}" role="img" '
        f'aria-label="{escaped(alt)}">\n{"".join(drawn)}</svg>'
    )


def _row_label(row: int, label: str, text: str) -> str:
    """The beginning of a row's group: its label at the left, its value at the right, all of it when pointed at."""
    short = label if len(label) <= _LONGEST_LABEL else f"{label[: _LONGEST_LABEL - 1]}\N{HORIZONTAL ELLIPSIS}"
    base = row * _ROW + 14
    return (
        f'<g><title>{escaped(label)}: {escaped(text)}</title><text x="0" y="{base}">{escaped(short)}</text>'
        f'<text class="value" x="100%" y="{base}" text-anchor="end">{escaped(text)}</text>'
    )


def _scale(largest: float) -> tuple[float, float]:
    """A round step, and the end of a scale of four to ten of them that holds `largest`."""
    if largest <= 0:
        return 1.0, 1.0
    power = 10.0 ** math.floor(math.log10(largest / 4))
    step = power * max(factor for factor in (1, 2, 5) if power * factor <= largest / 4 * (1 + 1e-9))
    return step, step * math.ceil(largest / step - 1e-9)


def _ticks(step: float, whole: float) -> list[float]:
    count = round(whole / step)
    every = 2 if count > 6 else 1  # a telephone has no room for more
    return [step * place for place in range(0, count + 1, every)]
