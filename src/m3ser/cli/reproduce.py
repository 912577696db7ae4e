"""``m3ser reproduce``: a whole table, from the corpus to the report."""

from __future__ import annotations

import json
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from m3ser.cli.complexity import complexity_text
from m3ser.cli.progress import LateProgress
from m3ser.cli.reproduce_starter import reproduce_starter
from m3ser.cli.reproducible import TABLE_1, ZOO, Reproducible
from m3ser.cli.research_options import DEFAULT_CACHE, Cache, Seeds, Settings, seeds_of
from m3ser.cli.terminal import complain, json_line
from m3ser.errors import DataError, needing

if TYPE_CHECKING:
    from m3ser.evaluation.report.costs import Costs
    from m3ser.training.crossval import CrossValidation
    from m3ser.training.reproduce import Reproduced, Row

__all__ = ["reproduce"]

reproduce = typer.Typer(
    name="reproduce",
    help="Make a whole table again, from the corpus to the report.",
    no_args_is_help=True,
    rich_markup_mode=None,
)
reproduce.command("starter")(reproduce_starter)

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
    recipes are those in recipes/iemocap; those of other systems are run where --system names them. An interrupted table
    goes on where it was. Needs the train extra.
    """
    given = [f"data.corpora.iemocap={json.dumps(str(iemocap.absolute()))}", *(settings or ())]
    _run(TABLE_1, out, protocols or (), systems or (), given, seeds, workers, cache, as_json=as_json)


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
    _run(ZOO, out, corpora or (), systems or (), given, seeds, workers, cache, as_json=as_json)


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


def _run(
    table: Reproducible,
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
    if not systems:
        rows = tuple(row for row in rows if row.recipe.model.system not in table.others)
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


_RESULTS, _COSTS, _PICTURE = "results.md", "costs.json", "results.png"


def _write(table: Reproducible, rows: Sequence[Row], made: Reproduced, out: Path, command: str) -> Mapping[str, Any]:
    """A report of each group, and the standings over all of them."""
    from m3ser.evaluation.report import read_run, write_report
    from m3ser.evaluation.report.standing_figure import draw_standings
    from m3ser.evaluation.report.standings import by_score, standings
    from m3ser.files import write_whole

    groups = {}
    with LateProgress("reporting", 3 * len(made.finished)) as progress:
        for group in dict.fromkeys(group for group, _ in made.finished):
            own = [row for row in rows if (row.group, row.name) in made.finished and row.group == group]
            # What the others are compared with: the paper's best system, where it is among them.
            own.sort(key=lambda row: row.recipe.model.system != _BASELINE)
            runs = []
            for row in own:
                runs.append(read_run(out / group / row.name))
                progress.advance()
            title = f"{table.title}: {group}"
            groups[group] = write_report(runs, out / group, title=title, progress=progress.advance).results
    order = list(dict.fromkeys(row.name for row in rows))
    costs = None
    if table.compares:
        order = by_score(groups)
        costs = _costs(rows, order, out / _COSTS)
        write_whole(out / _PICTURE, draw_standings(groups, order))
    text = standings(
        groups,
        title=table.title,
        order=order,
        preface=table.preface,
        reading=table.reading,
        commands=[command],
        failed=made.failed,
        costs=costs,
        picture=_PICTURE if table.compares else "",
    )
    write_whole(out / _RESULTS, text)
    return {
        "results": {group: one.to_dict() for group, one in groups.items()},
        **({} if costs is None else {"costs": asdict(costs)}),
        "failed": [{"group": group, "system": name, "error": why} for (group, name), why in made.failed.items()],
    }


def _costs(rows: Sequence[Row], systems: Sequence[str], file: Path) -> Costs:
    """What `systems` cost, as `file` has it; measured where it has something else.

    All of them at once, or times would be of different hours. Deleting the file has them measured anew.
    """
    from m3ser.evaluation.report.costs import Costs
    from m3ser.files import write_whole
    from m3ser.training.costing import REPEATS, measure_costs
    from m3ser.training.progress import quiet_libraries

    if file.is_file():
        known = Costs.from_json(file.read_text(encoding="utf-8"), f"'{file}'")
        if {one.system for one in known.systems} >= set(systems):
            return known.of(systems)
    recipes = {row.name: row.recipe for row in reversed(rows)}
    with quiet_libraries(), LateProgress("measuring", len(systems) + REPEATS) as progress:
        costs = measure_costs([(name, recipes[name]) for name in systems], progress=progress.advance)
    write_whole(file, costs.to_json())
    return costs


_BASELINE = "3m-ser-ln"
