"""``m3ser reproduce``: a whole table, from the corpus to the report."""

from __future__ import annotations

import json
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from m3ser.cli.complexity import complexity_text
from m3ser.cli.research_options import DEFAULT_CACHE, Cache, Seeds, Settings, seeds_of
from m3ser.cli.terminal import complain, json_line
from m3ser.errors import DataError, needing

if TYPE_CHECKING:
    from m3ser.training.crossval import CrossValidation
    from m3ser.training.reproduce import Reproduced, Row

__all__ = ["reproduce"]

reproduce = typer.Typer(
    name="reproduce",
    help="Make a whole table again, from the corpus to the report.",
    no_args_is_help=True,
    rich_markup_mode=None,
)

Systems = Annotated[
    list[str] | None,
    typer.Option("--system", metavar="NAME", help="This one alone; may be repeated.", show_default=False),
]
Workers = Annotated[int, typer.Option("--workers", metavar="N", min=1, help="Folds that are trained at the same time.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print all scores as one JSON object.")]
_OUT_HELP = "Where all runs, their reports and results.md go; what is finished there is not run again."


@reproduce.command()
def table1(
    iemocap: Annotated[
        Path,
        typer.Option("--iemocap", metavar="FOLDER", help="IEMOCAP: the folder with Session1 to Session5."),
    ],
    out: Annotated[Path, typer.Option("--out", metavar="FOLDER", help=_OUT_HELP)] = Path("runs/table1"),
    protocols: Annotated[
        list[str] | None,
        typer.Option(
            "--protocol",
            metavar="NAME",
            help="paper (as published), session, speaker or session+script; may be repeated. Left out: all four.",
            show_default=False,
        ),
    ] = None,
    systems: Systems = None,
    seeds: Seeds = "0",
    workers: Workers = 1,
    settings: Settings = None,
    cache: Cache = DEFAULT_CACHE,
    as_json: AsJson = False,
) -> None:
    """Table 1 of the 3M-SER paper: SERVER, its baselines and 3M-SER on IEMOCAP.

    Every system is trained and judged as published (protocol paper: optimistic) and by honest protocols beside it. The
    recipes are those in recipes/iemocap. An interrupted table goes on where it was. Needs the train extra.
    """
    given = [f"data.corpora.iemocap={json.dumps(str(iemocap.absolute()))}", *(settings or ())]
    _run(_TABLE_1, out, protocols or (), systems or (), given, seeds, workers, cache, as_json=as_json)


@reproduce.command()
def zoo(
    data: Annotated[
        Path,
        typer.Option("--data", metavar="FOLDER", help="It holds speech/ravdess, speech/emodb and text/goemotions."),
    ],
    out: Annotated[Path, typer.Option("--out", metavar="FOLDER", help=_OUT_HELP)] = Path("runs/zoo"),
    corpora: Annotated[
        list[str] | None,
        typer.Option(
            "--corpus",
            metavar="NAME",
            help="ravdess, emodb or paired; may be repeated. Left out: all.",
            show_default=False,
        ),
    ] = None,
    systems: Systems = None,
    seeds: Seeds = "0-4",
    workers: Workers = 1,
    settings: Settings = None,
    cache: Cache = DEFAULT_CACHE,
    as_json: AsJson = False,
) -> None:
    """All systems on RAVDESS, EmoDB and a paired corpus, on the same data, folds and inputs.

    Frozen Whisper-tiny.en and MiniLM in place of the published encoders; speakers are always unseen. The recipes are
    those in recipes/zoo; docs/results.md is what this command wrote. An interrupted comparison goes on where it was.
    Needs the train and dev extras.
    """
    given = [f"data.root={json.dumps(str(data.absolute()))}", *(settings or ())]
    _run(_ZOO, out, corpora or (), systems or (), given, seeds, workers, cache, as_json=as_json)


@reproduce.command()
def table2(
    out: Annotated[Path, typer.Option("--out", metavar="FOLDER", help="Where table2.md goes.")] = Path("runs/table2"),
    tokens: Annotated[int, typer.Option("--tokens", metavar="N", help="Tokens of the utterance.")] = 20,
    seconds: Annotated[float, typer.Option("--seconds", metavar="S", help="Seconds of the utterance.")] = 3.0,
    as_json: AsJson = False,
) -> None:
    """Table 2 of the 3M-SER paper: parameters and FLOPs, beside what it printed.

    What m3ser complexity prints, as a file. Nothing is downloaded or trained. Needs the train extra.
    """
    with needing("train", "Counting a model's operations"):
        from m3ser.models.complexity import PRINTED, explain, measure
    from m3ser.files import write_whole

    measured = [measure(name, tokens=tokens, seconds=seconds) for name in PRINTED]
    text = complexity_text(measured, explain(measured))
    written = out / "table2.md"
    write_whole(
        written, f"# Table 2 of the 3M-SER paper, anew\n\nMade by `m3ser reproduce table2`.\n\n```\n{text}\n```\n"
    )
    if as_json:
        json_line({"systems": [one.to_dict() for one in measured], "notes": list(explain(measured))})
    else:
        typer.echo(text)
    complain(f"written: {written}.")


@dataclass(frozen=True)
class _Table:
    """A table that can be made.

    Attributes:
        recipes: the folder of its recipes.
        title: heading of its results.
        preface: what a reader of them has to know first, a paragraph each.
        command: what makes it; `group` is its option that chooses among the groups of recipes.
    """

    recipes: str
    title: str
    preface: tuple[str, ...]
    command: str
    group: str


_TABLE_1 = _Table(
    recipes="iemocap",
    title="Table 1 of the 3M-SER paper, anew",
    preface=(
        "The paper prints UA and WA under each other's names; here they have the field's meaning, and what a recipe "
        "expects has been exchanged accordingly. Protocol paper is the published procedure, faults and all: "
        "utterances at random, so that speakers are in both halves, clips with fewer than two VGGish examples left "
        "out, and the best epoch chosen on the test set. Its numbers are optimistic. Under the other protocols the "
        "epoch is chosen on speakers of neither part; session+script keeps repeated sentences apart as well.",
    ),
    command="m3ser reproduce table1 --iemocap FOLDER",
    group="--protocol",
)
_ZOO = _Table(
    recipes="zoo",
    title="All systems on open corpora, on the same inputs",
    preface=(
        "Frozen Whisper-tiny.en states (blocks 2 and 3 of 4, mean and deviation over 0.96 s) stand for VGGish, "
        "frozen MiniLM states for BERT. Every speaker is tested by models that never heard them; the epoch is "
        "chosen on yet other speakers. The recipes are the same for all systems and were not tuned here, but they "
        "are the starter's: its blocks and dropout were chosen on some of these speakers, which favours no system "
        "over another and may flatter all. RAVDESS has two sentences and EmoDB ten, each spoken in every emotion: "
        "there the words cannot help, and a system that looks at them alone is at chance (25% UA).",
        "The paired corpus is semi-synthetic: real voices with written sentences that nobody said in them. It shows "
        "how a system weighs voice against words, and nothing about any real corpus. There the truth is the voice's "
        "emotion for 'voice and words', and a sentence's own for 'words alone'.",
    ),
    command="m3ser reproduce zoo --data FOLDER",
    group="--corpus",
)


def _run(
    table: _Table,
    out: Path,
    groups: Sequence[str],
    systems: Sequence[str],
    overrides: Sequence[str],
    seeds: str,
    workers: int,
    cache: Path,
    *,
    as_json: bool,
) -> None:
    chosen = seeds_of(seeds)
    with needing("train", "Reproducing a table"):
        from m3ser.training.progress import quiet_libraries
        from m3ser.training.reproduce import reproduce as run_all
        from m3ser.training.reproduce import rows_of

    rows = rows_of(table.recipes, groups=groups, systems=systems, overrides=overrides)
    done = 0

    def said(row: Row, found: CrossValidation) -> None:
        nonlocal done
        done += 1
        scores = next(reversed(found.scores["conditions"].values()))["pooled"]
        complain(
            f"{done} of {len(rows)} finished: {row.name} on {row.group}, UA {scores['unweighted_accuracy']:.2%}, "
            f"WA {scores['weighted_accuracy']:.2%}."
        )

    with quiet_libraries():
        made = run_all(rows, out, seeds=chosen, cache=cache, workers=workers, on_row=said)
    for (group, name), reason in made.failed.items():
        complain(f"{name} on {group}: {reason}")
    if not made.finished:
        raise DataError("No row of the table could be run.")
    # The first override is the corpus, which the command names as a folder of the reader's own.
    chosen_by = (("--system", systems), (table.group, groups), ("--seeds", [seeds]), ("--set", overrides[1:]))
    command = " ".join(
        [table.command, *(f"{option} {shlex.quote(value)}" for option, values in chosen_by for value in values)]
    )
    record = _write(table, rows, made, out, command)
    if as_json:
        json_line(record)
    else:
        typer.echo((out / _RESULTS).read_text(encoding="utf-8"))
    complain(f"written: {out / _RESULTS}, and report.html in each folder beside it.")
    if made.failed:
        raise typer.Exit(1)


_RESULTS = "results.md"


def _write(table: _Table, rows: Sequence[Row], made: Reproduced, out: Path, command: str) -> Mapping[str, Any]:
    """A report of each group, and the standings over all of them."""
    from m3ser.evaluation.report import read_run, write_report
    from m3ser.evaluation.report.standings import standings
    from m3ser.files import write_whole

    groups = {}
    for group in dict.fromkeys(group for group, _ in made.finished):
        own = [row for row in rows if (row.group, row.name) in made.finished and row.group == group]
        # What the others are compared with: the paper's best system, where it is among them.
        own.sort(key=lambda row: row.recipe.model.system != _BASELINE)
        runs = [read_run(out / group / row.name) for row in own]
        groups[group] = write_report(runs, out / group, title=f"{table.title}: {group}").results
    text = standings(
        groups,
        title=table.title,
        order=list(dict.fromkeys(row.name for row in rows)),
        preface=table.preface,
        commands=[command],
        failed=made.failed,
    )
    write_whole(out / _RESULTS, text)
    return {
        "results": {group: one.to_dict() for group, one in groups.items()},
        "failed": [{"group": group, "system": name, "error": why} for (group, name), why in made.failed.items()],
    }


_BASELINE = "3m-ser-ln"
