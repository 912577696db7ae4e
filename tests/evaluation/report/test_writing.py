from __future__ import annotations

import base64
import re
import subprocess
import sys
import xml.etree.ElementTree as ET
from collections.abc import Callable
from pathlib import Path

import pytest

pytest.importorskip("matplotlib", reason="needs the train extra")

from m3ser.errors import MissingExtraError, UsageError
from m3ser.evaluation.report import judge_runs, read_run, report_files, write_report
from m3ser.evaluation.report.curves import curves_of
from m3ser.evaluation.report.figures import (
    draw_comparison,
    draw_confusion,
    draw_learning,
    draw_reliability,
    draw_speakers,
)

HOSTILE = "</td><script>alert(1)</script>$x$ | `a`"


@pytest.fixture(scope="module")
def pages(runs: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """The report of one run, and that of four, as page and as Markdown."""
    out = tmp_path_factory.mktemp("reports")
    found = [read_run(runs[name]) for name in ("first", "better", "paper", "paired")]
    seen: list[None] = []
    one = write_report(found[:1], out / "one", resamples=50)
    write_report(found, out / "all", title="Table 1", resamples=50, progress=lambda: seen.append(None))
    assert len(seen) == 8
    assert one.files == (out / "one" / "report.html", out / "one" / "report.md")
    return {
        f"{name} {kind}": (out / name / f"report.{kind}").read_text(encoding="utf-8")
        for name in ("one", "all")
        for kind in ("html", "md")
    }


@pytest.mark.parametrize("name", ["one html", "all html"])
def test_a_page_needs_nothing_from_anywhere(pages: dict[str, str], name: str) -> None:
    page = pages[name]
    assert page.startswith("<!DOCTYPE html>")
    assert not re.search(r"<script|<link|src=\"(?!data:)|href=\"(?!#)|url\(|@import", page)
    for data in re.findall(r"data:image/svg\+xml;base64,([A-Za-z0-9+/=]+)", page):
        svg = base64.b64decode(data).decode("utf-8")
        assert not re.search(r"href=\"(?!#)|<script|<!DOCTYPE|url\((?!#)", svg)
        ET.fromstring(svg)


def test_the_parts_of_a_page(pages: dict[str, str]) -> None:
    one, several = pages["one html"], pages["all html"]
    headings = re.findall(r"<h2>(.*?)</h2>", one)
    assert headings == [
        "Scores",
        "Classes",
        "How sure, and how often right",
        "Speakers and other groups",
        "Training, and what was chosen on what",
        "Leakage audit",
        "Data",
        "How to make it again",
    ]
    # Confusions under three conditions, reliability, speakers, two learning curves, all conditions side by side.
    images = re.findall(r"<img [^>]*alt=\"([^\"]+)\"", one)
    assert len(images) == 8
    assert one.count("<caption>") == one.count("<table>")
    assert "m3ser crossval made-up.yaml --out runs/made-up" in one
    assert "UA 70%, by the paper" in one
    assert re.findall(r"<h2>(.*?)</h2>", several) == [
        "Scores",
        "Differences from first",
        "first",
        "better",
        "published",
        "paired",
    ]
    assert several.count('role="note"') == 2
    for link in re.findall(r'href="#([^"]+)"', several):
        assert f'id="{link}"' in several
    assert "published is not compared with first" in several
    assert "<title>Table 1</title>" in several


def test_markdown_says_the_same(pages: dict[str, str]) -> None:
    text = pages["one md"]
    assert text.startswith("# Report: first\n")
    assert "[report.html](report.html)" in text
    rows = [line for line in text.splitlines() if line.startswith("| first | voice and words |")]
    assert len(rows) == 1
    assert "UA 70%, by the paper" in rows[0]
    for block in re.findall(r"(?:^\|.*\n)+", text, re.MULTILINE):
        assert len({len(re.findall(r"(?<!\\)\|", line)) for line in block.splitlines()}) == 1
    assert "> **published: optimistic: as published" in pages["all md"]
    for heading in re.findall(r"<h2>(.*?)</h2>", pages["one html"]):
        assert f"\n## {heading}\n" in text


def test_names_of_strangers_stay_names(tmp_path: Path, write_run: Callable[..., Path]) -> None:
    run = write_run(tmp_path / "run", name=f'"{HOSTILE}"', command=f"m3ser train '{HOSTILE}'")
    written = write_report([read_run(run)], tmp_path / "out", resamples=10)
    page, text = (file.read_text(encoding="utf-8") for file in written.files)
    assert "<script" not in page
    assert "&lt;script&gt;" in page
    title = text.splitlines()[0]
    assert title == r"# Report: \</td\>\<script\>alert(1)\</script\>$x$ \| \`a\`"


def test_the_same_runs_give_the_same_files(runs: dict[str, Path], tmp_path: Path) -> None:
    run = read_run(runs["voice"])
    one, other = (write_report([run], tmp_path / name, resamples=50).files for name in ("a", "b"))
    assert [file.read_bytes() for file in one] == [file.read_bytes() for file in other]


def test_where_it_is_written(tmp_path: Path) -> None:
    assert report_files(tmp_path) == (tmp_path / "report.html", tmp_path / "report.md")
    assert report_files(tmp_path / "new") == (tmp_path / "new" / "report.html", tmp_path / "new" / "report.md")
    assert report_files(tmp_path / "v1.2") == (tmp_path / "v1.2" / "report.html", tmp_path / "v1.2" / "report.md")
    assert report_files(tmp_path / "a.HTML") == (tmp_path / "a.HTML",)
    assert report_files(tmp_path / "a.md") == (tmp_path / "a.md",)
    for name in ("a.pdf", "there"):
        (tmp_path / "there").touch()
        with pytest.raises(UsageError, match=r"to a folder, or as \.html or \.md; found"):
            report_files(tmp_path / name)


def test_markdown_alone_draws_nothing(runs: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    run = read_run(runs["voice"])
    (file,) = write_report([run], tmp_path / "a.md", resamples=10).files
    assert "report.html" not in file.read_text(encoding="utf-8")
    with pytest.raises(MissingExtraError, match="Drawing a report needs the 'train' extra"):
        write_report([run], tmp_path / "new", resamples=10)
    assert not (tmp_path / "new").exists()


def test_drawings_are_told_in_words(runs: dict[str, Path]) -> None:
    results = judge_runs([read_run(runs["first"]), read_run(runs["better"])], resamples=50)
    one = results.runs[0]
    drawings = [
        draw_confusion(one, "both"),
        *draw_learning(one),
        draw_reliability(one, "both"),
        draw_speakers(one),
        draw_comparison(results.runs),
    ]
    for drawing in drawings:
        assert drawing.svg.startswith(b"<svg")
        assert b"prefers-color-scheme: dark" in drawing.svg
        assert drawing.alt
        assert drawing.caption
    confusion = drawings[0].svg.decode()
    for label in one.own.labels:
        assert f">{label}<" in confusion
    assert all(f"{count:,}" in confusion for row in one.own.confusion for count in row)
    assert f"{one.own.unweighted_accuracy:.2%}" in drawings[-1].alt


def test_many_speakers_are_not_named_one_by_one(runs: dict[str, Path]) -> None:
    import dataclasses

    (one,) = judge_runs([read_run(runs["first"])], resamples=1).runs
    many = tuple(dataclasses.replace(one.speakers[0], name=f"speaker {i}") for i in range(60))
    drawing = draw_speakers(dataclasses.replace(one, speakers=many))
    assert b"60 speakers, the hardest first" in drawing.svg
    assert b"speaker 59" not in drawing.svg


def test_curves_of_trainings_of_several_lengths(runs: dict[str, Path]) -> None:
    import dataclasses

    long, short = read_run(runs["first"]).trainings[:2]
    short = dataclasses.replace(short, history=tuple(one for one in short.history if one["epoch"] < 3))
    curve = curves_of([long, short], {"UA": "eval_both_ua", "nothing": "no such"})["UA"]
    assert curve.epochs.tolist() == [1.0, 2.0, 3.0]
    assert curve.mean.tolist() == pytest.approx([0.4, 0.6, 0.5])
    assert curve.deviation.tolist() == [0.0, 0.0, 0.0]
    assert curve.trainings == 2
    assert "nothing" not in curves_of([long], {"nothing": "no such"})


def test_a_run_without_history_has_no_curves(tmp_path: Path, write_run: Callable[..., Path]) -> None:
    run = write_run(tmp_path / "run")
    (run / "log.json").write_text("[]")
    (file,) = write_report([read_run(run)], tmp_path / "a.html", resamples=10).files
    assert "Loss of" not in file.read_text(encoding="utf-8")


def test_the_room_is_light() -> None:
    code = (
        "import sys, m3ser.evaluation.report; "
        "print(*[m for m in ('sklearn', 'scipy', 'torch', 'matplotlib', 'yaml') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == ""
