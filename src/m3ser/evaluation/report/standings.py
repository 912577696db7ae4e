"""The systems side by side on everything that they were judged on, as Markdown: the shape of the paper's Table 1.

What stands behind a line is in the report of its group; this is the page that one reads first.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from m3ser.evaluation.comparison import Comparison
from m3ser.evaluation.conflict import conflict_flips
from m3ser.evaluation.report.content import Block, Chapter, Code, Picture
from m3ser.evaluation.report.costs import Costs, costs_chapters
from m3ser.evaluation.report.markdown import chapters_markdown
from m3ser.evaluation.report.results import Judged, Results
from m3ser.evaluation.report.tables import Table, given, share
from m3ser.page import Cell

__all__ = ["by_score", "standings"]

_UNKNOWN = "\N{EN DASH}"


def standings(
    groups: Mapping[str, Results],
    *,
    title: str,
    order: Sequence[str],
    preface: Sequence[str] = (),
    reading: Sequence[str] = (),
    commands: Sequence[str] = (),
    failed: Mapping[tuple[str, str], str] | None = None,
    costs: Costs | None = None,
    picture: str = "",
) -> str:
    """Write the page.

    Args:
        groups: what was judged on (a protocol, a corpus) -> the runs there, the first one being what others are
            compared with. The runs' folders are called after their systems.
        title: the heading.
        order: the systems, as they are to be listed.
        preface: how it was made, a paragraph each.
        reading: what the ranking shows and does not show, a paragraph each.
        commands: what makes all of it again.
        failed: (group, system) -> why there is no result.
        costs: of the systems; None: they were not measured.
        picture: name of the file beside the page that draws the overview; empty: there is none.
    """
    opening: list[Block] = list(preface)
    if commands:
        opening.append(Code("\n".join(commands)))
    chapters = [Chapter("What the ranking shows, and what it does not", tuple(reading))] if reading else []
    chapters += [Chapter("How it was made", tuple(opening))] if opening else []
    overview: list[Block] = [_overview(groups, order)] * (len(groups) > 1)
    if picture:
        overview.append(Picture(picture, f"UA of {', '.join(order)} with 95% intervals, on {', '.join(groups)}"))
    chapters += [Chapter("Overview", tuple(overview))] if overview else []
    chapters += [] if costs is None else costs_chapters(costs)
    chapters += [Chapter(group, _group(results, order)) for group, results in groups.items()]
    if failed:
        lines = tuple((group, system, " ".join(reason.split())) for (group, system), reason in failed.items())
        table = Table("What could not be run", ("judged on", "system", "why"), lines, frozenset({1, 2}))
        chapters.append(Chapter("Not run", (table,)))
    return chapters_markdown(title, chapters)


def by_score(groups: Mapping[str, Results]) -> list[str]:
    """The systems by what they look at (both, the voice alone, the words alone), in each the best mean UA first."""
    found: dict[str, list[Judged]] = {}
    for results in groups.values():
        for one in results.runs:
            found.setdefault(_system(one), []).append(one)

    def place(system: str) -> tuple[int, float]:
        runs = found[system]
        mean = sum(one.own.unweighted_accuracy for one in runs) / len(runs)
        return _KINDS.index(runs[0].condition) if runs[0].condition in _KINDS else len(_KINDS), -mean

    return sorted(found, key=place)


_KINDS = ("both", "audio", "text")


def _system(one: Judged) -> str:
    return one.run.folder.name


def _overview(groups: Mapping[str, Results], order: Sequence[str]) -> Table:
    """A line for each system, and UA in a column for each group."""
    lines: list[tuple[Cell, ...]] = []
    for system in order:
        found = [next((one for one in results.runs if _system(one) == system), None) for results in groups.values()]
        looks_at = next((given(one.condition) for one in found if one is not None), _UNKNOWN)
        lines.append(
            (system, looks_at, *(_UNKNOWN if one is None else _score(one, "unweighted_accuracy") for one in found))
        )
    return Table(
        caption="UA of each system, given all that it looks at; in brackets the 95% interval over speakers",
        columns=("system", "given", *groups),
        rows=tuple(lines),
        prose=frozenset({1}),
    )


def _group(results: Results, order: Sequence[str]) -> tuple[Block, ...]:
    baseline, *_ = results.runs
    compared = {one.second: one for one in results.comparisons}
    paired = any(one.run.paired for one in results.runs)
    columns = ["system", "UA", "WA", "sd of UA", "UA, voice alone", "UA, words alone", "ECE"]
    columns += ["UA against " + _system(baseline)] * (len(results.runs) > 1)
    columns += ["right answers turned by conflicting words"] * paired
    lines: list[tuple[Cell, ...]] = []
    for one in sorted(results.runs, key=lambda one: order.index(_system(one))):
        line: list[Cell] = [_system(one), _score(one, "unweighted_accuracy"), _score(one, "weighted_accuracy")]
        deviation = one.deviations[one.condition]
        line.append(_UNKNOWN if deviation is None else f"{100 * deviation['unweighted_accuracy']:.2f}")
        for condition in ("audio", "text"):
            scores = one.scores.get(condition)
            line.append(_UNKNOWN if scores is None else share(scores.unweighted_accuracy))
        line.append(share(one.own.expected_calibration_error))
        if len(results.runs) > 1:
            line.append(_UNKNOWN if one.name not in compared else _difference(compared[one.name]))
        if paired:
            line.append(_flips(one))
        lines.append(tuple(line))
    caption = (
        "UA: unweighted accuracy = balanced accuracy; WA: weighted accuracy = accuracy; given all that a system looks "
        "at, all folds and seeds pooled, in brackets the 95% interval over speakers; sd: between seeds"
    )
    if len(results.runs) > 1:
        caption += "; differences in points, with the paired bootstrap's interval and Holm-corrected p-value"
    return (_tested(baseline), Table(caption, tuple(columns), tuple(lines)), *_notes(results, order))


def _tested(one: Judged) -> str:
    speakers = "" if one.own.speakers is None else f" of {one.own.speakers} speakers"
    folds, seeds = len(one.run.folds), len(one.run.seeds)
    return (
        f"Tested on {one.utterances[one.condition]:,} utterances{speakers}; {folds} fold{'s' * (folds != 1)}, "
        f"{seeds} seed{'s' * (seeds != 1)}; protocol {', '.join(one.run.marks)}."
    )


def _notes(results: Results, order: Sequence[str]) -> list[Block]:
    notes = dict.fromkeys(note for one in results.runs for note in one.run.notes)
    told: list[Block] = [f"Note: {note}." if not note.endswith(".") else f"Note: {note}" for note in notes]
    expected = {_system(one): one.run.expected for one in results.runs if one.run.expected}
    if expected:
        lines = tuple((name, expected[name]) for name in order if name in expected)
        told.append(Table("What the recipes expect", ("system", "expected"), lines, frozenset({1})))
    baseline, *_ = results.runs
    missing = [one for one in results.runs if one.name in results.not_compared]
    # One of a pair's two is tested once, however many pairs it is in.
    alone = [one for one in missing if baseline.run.paired and one.condition != baseline.condition]
    if alone:
        names = ", ".join(name for name in order if name in map(_system, alone))
        told.append(f"Not compared: {names}. They are tested on recordings or sentences alone, and not on pairs.")
    told += [f"{one.name} is not compared: {results.not_compared[one.name]}" for one in missing if one not in alone]
    return told


def _score(one: Judged, name: str) -> str:
    value = share(getattr(one.own, name))
    interval = one.own.intervals.get(name)
    return value if interval is None else f"{value} ({100 * interval.low:.2f} to {100 * interval.high:.2f})"


def _difference(found: Comparison) -> str:
    one = found.differences["unweighted_accuracy"]
    p = "p < 0.001" if one.p_adjusted < 0.001 else f"p = {one.p_adjusted:.3f}"
    return f"{100 * one.value:+.2f} ({100 * one.interval.low:+.2f} to {100 * one.interval.high:+.2f}; {p})"


def _flips(one: Judged) -> str:
    found = conflict_flips(one.run.predictions)
    if found is None:
        return _UNKNOWN
    interval = "" if found.interval is None else f" ({100 * found.interval[0]:.2f} to {100 * found.interval[1]:.2f})"
    return f"{share(found.rate)}{interval}"
