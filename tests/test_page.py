"""Self-contained pages: nothing is fetched, nothing is run, nothing that a corpus says gets out of its place."""

from __future__ import annotations

import re
from html.parser import HTMLParser

from m3ser import page as pages

HOSTILE = "</td><script>alert(1)</script>&\"'"


class Tags(HTMLParser):
    """Collects the tags, and makes sure that they are closed in order."""

    VOID = frozenset({"meta", "br", "img", "link", "hr", "input", "col"})

    def __init__(self) -> None:
        super().__init__()
        self.seen: list[str] = []
        self.open: list[str] = []

    def handle_starttag(self, tag: str, attrs: object) -> None:
        self.seen.append(tag)
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: object) -> None:
        self.seen.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def everything(text: str) -> str:
    return pages.page(
        text,
        [
            pages.heading(text),
            pages.paragraph(text),
            pages.notice(text),
            pages.facts([(text, text)]),
            pages.section(text, pages.table([text, "n"], [[text, 1], ["all", 2]], caption=text)),
            pages.bars([text, "b"], [1.0, 0.0], alt=text, shown=["1", "0"]),
            pages.details(text, pages.paragraph(text)),
            pages.figure(b"\x89PNG\r\n\x1a\n", alt=text, caption=text),
        ],
    )


def test_a_page_is_well_formed_and_runs_nothing() -> None:
    html = everything(HOSTILE)
    parser = Tags()
    parser.feed(html)
    assert parser.open == []
    assert "script" not in parser.seen
    assert "<script" not in html


def test_a_page_fetches_nothing() -> None:
    html = everything("plain")
    addresses = set(re.findall(r"https?://[^\s\"'<)]+", html))
    assert addresses <= {"http://www.w3.org/2000/svg"}
    assert "@import" not in html
    assert not re.search(r"(src|href)=\"(?!data:|#)", html)


def test_it_can_be_read_by_everybody() -> None:
    html = everything("plain")
    assert '<html lang="en"' in html
    assert "viewport" in html
    assert "prefers-color-scheme" in html
    assert re.search(r"<svg[^>]*role=\"img\"", html)
    assert html.count("<caption") == 1
