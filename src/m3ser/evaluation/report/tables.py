"""The tables of a report as data; :mod:`~m3ser.evaluation.report.page` and ``markdown`` write them."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from m3ser.evaluation.comparison import Comparison
from m3ser.evaluation.confidence import Interval
from m3ser.evaluation.report.results import GroupScore, Judged, Results
from m3ser.evaluation.report.runs import Run
from m3ser.page import Cell

__all__ = [
    "Table",
    "audit_table",
    "calibration_table",
    "classes_table",
    "comparison_table",
    "confusion_table",
    "folds_table",
    "given",
    "groups_table",
    "results_table",
    "selection_table",
    "share",
    "speakers_table",
]

UA = "UA (unweighted accuracy = balanced accuracy)"
WA = "WA (weighted accuracy = accuracy)"

_GIVEN = {
    "both": "voice and words",
    "audio": "the voice alone",
    "text": "the words alone",
    "both-transcribed": "voice and transcribed words",
    "text-transcribed": "the transcribed words alone",
}


@dataclass(frozen=True)
class Table:
    """A table.

    Attributes:
        caption: what it tells, and how it is to be read.
        columns: their headings.
        rows: as many cells each. The lines of a cell after its first belong to it as remarks.
        prose: positions of the columns that hold running text; everything else but the first is set to the right.
        shading: for each row and column how dark a cell is, 0 to 1; None: none is.
    """

    caption: str
    columns: tuple[str, ...]
    rows: tuple[tuple[Cell, ...], ...]
    prose: frozenset[int] = frozenset()
    shading: tuple[tuple[float | None, ...], ...] | None = None


def results_table(results: Results) -> Table:
    """UA and WA of every run under every condition: the shape of the paper's Table 1, with what a score rests on."""
    rows = [_result(one, condition) for one in results.runs for condition in one.run.conditions]
    level = next((f"{100 * i.level:g}% " for one in results.runs for i in one.own.intervals.values()), "")
    remarks = [f"below a score: its {level}interval over speakers"] * bool(level)
    remarks += ["sd: between seeds"] * any(one.deviations[one.condition] for one in results.runs)
    remarks = [*remarks, "several folds and seeds: pooled"]
    columns = ("run", "given", UA, WA, "tested on", "trained", "protocol")
    expected = any(one.run.expected for one in results.runs)
    return Table(
        caption=f"Scores ({'; '.join(remarks)})",
        columns=(*columns, "expected by the recipe") if expected else columns,
        rows=tuple(row if expected else row[:-1] for row in rows),
        prose=frozenset({1, 4, 5, 6, 7} if expected else {1, 4, 5, 6}),
    )


def _result(one: Judged, condition: str) -> tuple[Cell, ...]:
    run, scores = one.run, one.scores[condition]
    deviations = one.deviations[condition]
    cells = []
    for name, value in (
        ("unweighted_accuracy", scores.unweighted_accuracy),
        ("weighted_accuracy", scores.weighted_accuracy),
    ):
        lines = [share(value)]
        if name in scores.intervals:
            lines.append(_between(scores.intervals[name]))
        elif name == "unweighted_accuracy":
            lines.append(scores.intervals_note.replace("none:", "no interval:"))
        if deviations is not None:
            lines.append(f"sd {100 * deviations[name]:.2f}")
        cells.append("\n".join(line for line in lines if line))
    return (
        one.name,
        given(condition),
        *cells,
        "\n".join([_count(one.utterances[condition], "utterance"), *_people(scores.speakers)]),
        f"{_count(len(run.folds), 'fold')}\n{_count(len(run.seeds), 'seed')}" if run.asked is None else "elsewhere",
        "\n".join(run.marks),
        (run.expected or None) if condition == one.condition else None,
    )


def comparison_table(comparisons: Sequence[Comparison]) -> Table:
    """How each run differs from the first."""
    corrected = max(one.runs for one in comparisons) > 1
    rows: list[tuple[Cell, ...]] = []
    for one in comparisons:
        differences = [one.differences[name] for name in ("unweighted_accuracy", "weighted_accuracy")]
        cells = [f"{100 * d.value:+.2f}\n{_between(d.interval, sign='+')}\np {_p(d.p_adjusted)}" for d in differences]
        only = (one.first_only, one.second_only, _p(one.mcnemar_p_adjusted))
        rows.append((one.second, one.first, *cells, *only))
    drawn = comparisons[0].resampled
    return Table(
        caption=f"Differences in points, with 95% intervals and p-values of a paired bootstrap over {drawn}"
        f"{'; p-values corrected for the number of runs (Holm)' * corrected}",
        columns=("run", "against", "UA", "WA", "right: the first alone", "right: this run alone", "McNemar's exact p"),
        rows=tuple(rows),
        prose=frozenset({1}),
    )


def classes_table(one: Judged, condition: str) -> Table:
    """What the model makes of each class."""
    scores = one.scores[condition]
    rows: list[tuple[Cell, ...]] = []
    for place, label in enumerate(scores.labels):
        recall, precision = scores.recall[place], scores.precision[place]
        counts = scores.confusion[place]
        predicted = sum(row[place] for row in scores.confusion)
        # F1 of a class that occurs and is never predicted is 0: nothing of it was found.
        f1 = 2 * counts[place] / (sum(counts) + predicted) if sum(counts) + predicted else math.nan
        rows.append((label, share(recall), share(precision), share(f1), area(scores.auc[place]), sum(counts)))
    mean = (share(scores.unweighted_accuracy), None, share(scores.macro_f1), area(scores.macro_auc))
    rows.append(("mean over classes", *mean, scores.utterances))
    return Table(
        caption=f"Each class, given {given(condition)}; AUC: of the class against the rest",
        columns=("class", "recall", "precision", "F1", "AUC", "predictions"),
        rows=tuple(rows),
    )


def calibration_table(one: Judged) -> Table:
    """How sure the model is under each condition, and how often right."""
    rows = []
    for condition, scores in one.scores.items():
        curve = one.reliability[condition]
        some = curve.counts > 0
        sure = float((curve.counts[some] * curve.confidence[some]).sum() / curve.counts.sum())
        error, brier = share(scores.expected_calibration_error), f"{scores.brier_score:.3f}"
        rows.append((given(condition), share(sure), share(scores.weighted_accuracy), error, brier))
    return Table(
        caption="How sure the model is, and how often right; ECE: expected calibration error in "
        f"{len(one.reliability[one.condition].counts)} bins, 0 is perfect; Brier score: 0 to 2, 0 is perfect",
        columns=("given", "sure on average", "right", "ECE", "Brier score"),
        rows=tuple(rows),
    )


def confusion_table(one: Judged, condition: str) -> Table:
    """How often each class is taken for each."""
    scores = one.scores[condition]
    shading = [(None, *(count / max(sum(row), 1) for count in row)) for row in scores.confusion]
    return Table(
        caption=f"Confusion matrix, given {given(condition)}: rows are the truth",
        columns=("truth", *scores.labels),
        rows=tuple((label, *row) for label, row in zip(scores.labels, scores.confusion, strict=True)),
        shading=tuple(shading),
    )


def speakers_table(one: Judged) -> Table:
    """Every speaker's own scores, the hardest first."""
    return _scores_of_groups("speaker", one.speakers, "Each speaker, the hardest first")


def groups_table(one: Judged, column: str) -> Table:
    """The scores of each value of a column of the predictions."""
    captions = {"relation": "By what the words say about the emotion of the voice"}
    return _scores_of_groups(column, one.groups[column], captions.get(column, f"By {column}"))


def _scores_of_groups(what: str, groups: Iterable[GroupScore], caption: str) -> Table:
    return Table(
        caption=f"{caption}; UA over the classes that there are",
        columns=(what, "UA", "WA", "utterances"),
        rows=tuple(
            (one.name, share(one.unweighted_accuracy), share(one.weighted_accuracy), one.utterances) for one in groups
        ),
    )


def folds_table(run: Run) -> Table:
    """What every part of every fold holds."""
    labels = dict.fromkeys(label for fold in run.folds for part in fold.parts.values() for label in part.classes)
    rows = [
        (
            f"{fold.fold}: {fold.fold_name}",
            name,
            part.utterances,
            part.speakers,
            *(part.classes.get(label, 0) for label in labels),
        )
        for fold in run.folds
        for name, part in fold.parts.items()
    ]
    return Table(
        caption="Utterances, speakers and classes of each fold",
        columns=("fold", "part", "utterances", "speakers", *labels),
        rows=tuple(rows),
        prose=frozenset({1}),
    )


def selection_table(run: Run) -> Table:
    """Which epoch of each training was kept, and the temperatures of its probabilities."""
    conditions = [name for name in run.conditions if any(name in one.temperatures for one in run.trainings)]
    rows = []
    for one in run.trainings:
        epochs = max((float(record["epoch"]) for record in one.history), default=None)
        chosen = one.chosen(run.conditions[0])
        temperatures = [one.temperatures.get(name) for name in conditions]
        rows.append((f"fold {one.fold}", one.seed, _epoch(chosen), _epoch(epochs), one.selected_on, *temperatures))
    return Table(
        caption="The epoch that was kept of each training"
        f"{', and the temperatures that its probabilities were calibrated with' * bool(conditions)}",
        columns=(
            *("training", "seed", "epoch kept", "epochs", "chosen on"),
            *(f"temperature: {given(name)}" for name in conditions),
        ),
        rows=tuple(rows),
        prose=frozenset({4}),
    )


def audit_table(run: Run) -> Table | None:
    """What parts of the folds share, counted by kind and place; None where the audits found nothing."""
    kinds: Counter[tuple[str, str]] = Counter()
    folds: dict[tuple[str, str], set[int]] = {}
    examples: dict[tuple[str, str], str] = {}
    for fold in run.folds:
        for line in fold.audit:
            head, _, example = line.partition(": ")
            kind, _, parts = head.partition(" in ")
            key = kind, parts.partition(" (")[0]
            kinds[key] += 1
            folds.setdefault(key, set()).add(fold.fold)
            examples.setdefault(key, example)
    if not kinds:
        return None
    return Table(
        caption="What the parts share, over all folds",
        columns=("kind", "in", "findings", "folds", "such as"),
        rows=tuple(
            (kind, parts, count, len(folds[kind, parts]), examples[kind, parts])
            for (kind, parts), count in sorted(kinds.items())
        ),
        prose=frozenset({1, 4}),
    )


def given(condition: str) -> str:
    """What a model is given under a condition, in words."""
    return _GIVEN.get(condition, condition)


def share(value: float) -> str:
    """A share in per cent; a dash where it is not defined."""
    return "\N{EN DASH}" if math.isnan(value) else f"{100 * value:.2f}%"


def area(value: float) -> str:
    """An area under a curve; a dash where it is not defined."""
    return "\N{EN DASH}" if math.isnan(value) else f"{value:.3f}"


def _count(number: int, what: str) -> str:
    return f"{number:,} {what}{'s' * (number != 1)}"


def _people(speakers: int | None) -> list[str]:
    return [] if speakers is None else [_count(speakers, "speaker")]


def _between(interval: Interval, *, sign: str = "") -> str:
    return f"{100 * interval.low:{sign}.2f} to {100 * interval.high:{sign}.2f}"


def _p(value: float) -> str:
    return "< 0.001" if value < 0.001 else f"{value:.3f}"


def _epoch(value: float | None) -> str | None:
    return None if value is None else f"{value:g}"
