"""``m3ser corpora audit``: what the parts of a split share that they should not, and what else tells the emotion."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from m3ser.cli.progress import LateProgress
from m3ser.cli.terminal import complain, json_line, printable, stdout_console
from m3ser.errors import DataError
from m3ser.schema import get_scheme

if TYPE_CHECKING:
    from rich.console import Console

    from m3ser.corpora import Audit, Confounds, Overlap, Split

__all__ = ["audit"]

_SHOWN = 5
"""Findings of a kind that are printed, where not all are asked for."""

_MOST_FOLDS = 6
"""Folds that are printed one by one, where not all is asked for."""


@dataclass(frozen=True)
class _Finding:
    """An overlap, in which folds it is, and whether the protocol forbids it."""

    overlap: Overlap
    folds: tuple[str, ...]
    violation: bool


def audit(
    manifest: Annotated[
        Path,
        typer.Argument(
            metavar="SPLIT", show_default=False, help="A manifest with the column split, or fold1, fold2, ..."
        ),
    ],
    protocol: Annotated[
        str,
        typer.Option(
            "--protocol",
            metavar="NAME",
            help="What the split claims to be: paper, random, session, speaker, session+script or official.",
        ),
    ],
    fold_column: Annotated[
        str | None,
        typer.Option(
            "--fold-column",
            metavar="NAME",
            show_default=False,
            help="A column of your own that says in which fold each row is tested.",
        ),
    ] = None,
    scheme: Annotated[
        str | None,
        typer.Option("--scheme", metavar="NAME", help="Look at the classes of this emotion scheme alone (iemocap4)."),
    ] = None,
    fingerprints: Annotated[
        bool,
        typer.Option(
            "--fingerprints/--no-fingerprints",
            help="Listen to every recording, to find copies in other formats, rates and levels; without, equal bytes.",
        ),
    ] = True,
    show_all: Annotated[
        bool, typer.Option("--all", help="Print every finding, not the first few of each kind.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print everything as one JSON object.")] = False,
) -> None:
    """Look for leakage between the parts of a split, and for what else tells the emotion.

    Leakage: speakers, sessions, scripts, recordings (also re-encoded, resampled, louder or cut), and identical or
    near-identical transcripts on both sides; one recording under two labels. What the declared protocol forbids is a
    violation, and the exit code is then 1; all else that is shared is listed, too.

    What else: how closely the speaker, script, gender, language, corpus, format and length go with the emotion, and the
    UA on test of who knows nothing but that. These are notes, never violations.
    """
    from m3ser.corpora import audit as run_audit
    from m3ser.corpora import find_confounds, find_same_audio, measure_durations, protocol_rules

    protocol_rules(protocol)  # an unknown one is said before anything is listened to
    split = _read(manifest, fold_column, scheme)
    same = None
    if fingerprints:
        with LateProgress("listening", 0) as progress:
            same = find_same_audio(split.utterances, progress=progress.update)
    with LateProgress("measuring", 0) as progress:
        lengths = measure_durations(split.utterances, progress=progress.update)
    audits = [run_audit(split.fold(number), same_audio=same) for number in range(len(split.folds))]
    names = [f"fold{number}" for number in range(1, len(audits) + 1)]
    findings = _merged(audits, names, protocol)
    confounds = find_confounds(split, lengths.seconds)
    broken = sum(finding.violation for finding in findings)
    notes = list(dict.fromkeys(note for one in audits for note in one.notes))
    if same is None:
        notes.append("Recordings were compared byte for byte alone, not by fingerprint.")
    if as_json:
        json_line(_record(manifest, protocol, audits, names, findings, confounds, notes))
    else:
        _print(protocol, audits, names, findings, confounds, notes, show_all=show_all)
    if broken:
        complain(f"the split breaks protocol '{protocol}': {broken:,} violation{'s' * (broken != 1)}.")
        raise typer.Exit(1)


def _read(manifest: Path, fold_column: str | None, scheme: str | None) -> Split:
    from m3ser.corpora import read_folds, read_manifest

    kept = None if scheme is None else get_scheme(scheme)
    utterances = read_manifest(manifest, check_audio=False).utterances
    try:
        return read_folds(utterances, fold_column, scheme=kept)
    except DataError as error:
        raise DataError(f"Manifest '{manifest}' cannot be audited. {error}") from None


def _merged(audits: Sequence[Audit], names: Sequence[str], protocol: str) -> list[_Finding]:
    """The same finding in several folds is one; violations come first."""
    folds: dict[Overlap, list[str]] = {}
    forbidden: set[Overlap] = set()
    for name, one in zip(names, audits, strict=True):
        for overlap in one.overlaps:
            folds.setdefault(overlap, []).append(name)
        forbidden.update(one.violations(protocol))
    findings = [_Finding(overlap, tuple(where), overlap in forbidden) for overlap, where in folds.items()]
    return sorted(findings, key=lambda finding: not finding.violation)


def _record(
    manifest: Path,
    protocol: str,
    audits: Sequence[Audit],
    names: Sequence[str],
    findings: Sequence[_Finding],
    confounds: Confounds,
    notes: Sequence[str],
) -> dict[str, Any]:
    """Everything as JSON-ready values.

    ``{"split", "protocol", "broken", "folds": [{"fold", "utterances", "speakers"}], "findings": [{"kind", "parts",
    "what", "utterances", "similarity", "folds", "violation"}], "confounds": {"variables": [{"variable", "values",
    "known", "association", "guess", "chance", "strong"}], "notes": [...]}, "notes": [...]}``; per fold, utterances and
    speakers are given for each part.
    """
    return {
        "split": str(manifest),
        "protocol": protocol,
        "broken": any(finding.violation for finding in findings),
        "folds": [
            {"fold": name, "utterances": dict(one.utterances), "speakers": dict(one.speakers)}
            for name, one in zip(names, audits, strict=True)
        ],
        "findings": [
            {**asdict(finding.overlap), "folds": list(finding.folds), "violation": finding.violation}
            for finding in findings
        ],
        "confounds": confounds.to_dict(),
        "notes": list(notes),
    }


def _print(
    protocol: str,
    audits: Sequence[Audit],
    names: Sequence[str],
    findings: Sequence[_Finding],
    confounds: Confounds,
    notes: Sequence[str],
    *,
    show_all: bool,
) -> None:
    from rich.padding import Padding
    from rich.text import Text

    console = stdout_console()
    _print_folds(console, audits, names, show_all=show_all)
    for violation, title, style in (
        (True, f"Violations of protocol '{protocol}'", "bold red"),
        (False, "Shared, and allowed by it", "bold"),
    ):
        kinds: dict[str, list[_Finding]] = {}
        for finding in findings:
            if finding.violation is violation:
                kinds.setdefault(finding.overlap.kind, []).append(finding)
        if kinds or violation:
            console.print(Text(f"\n{title}{'' if kinds else ': none'}", style=style))
        for kind, some in kinds.items():
            console.print(f"{kind}: {len(some):,}")
            for finding in some if show_all else some[:_SHOWN]:
                within = "" if len(names) == 1 else f" [{_told(finding.folds, names)}]"
                said = str(finding.overlap).removeprefix(f"{kind} ")
                console.print(Padding(Text(f"{printable(said)}{within}"), (0, 0, 0, 2), expand=False))
            if not show_all and len(some) > _SHOWN:
                console.print(f"  and {len(some) - _SHOWN:,} more (--all lists them)", style="dim")
    _print_confounds(console, confounds)
    if notes:
        console.line()
    for note in notes:
        console.print(f"note: {printable(note)}", style="dim")


def _told(folds: Sequence[str], names: Sequence[str]) -> str:
    """Which folds of all these, shortly."""
    if len(folds) == len(names):
        return f"all {len(names):,} folds"
    return ", ".join(folds[:3]) + (f" and {len(folds) - 3:,} more" if len(folds) > 3 else "")


def _print_folds(console: Console, audits: Sequence[Audit], names: Sequence[str], *, show_all: bool) -> None:
    from rich.table import Table

    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    for heading in ("fold", "part", "utterances", "speakers"):
        table.add_column(heading, justify="left" if heading in ("fold", "part") else "right")
    if len(audits) > _MOST_FOLDS and not show_all:
        label = f"{len(audits):,} folds"
        for part in dict.fromkeys(part for one in audits for part in one.utterances):
            counts = [one.utterances.get(part, 0) for one in audits], [one.speakers.get(part, 0) for one in audits]
            table.add_row(label, part, *(_between(min(some), max(some)) for some in counts))
            label = ""
    else:
        for name, one in zip(names, audits, strict=True):
            for part, count in one.utterances.items():
                table.add_row(name, part, f"{count:,}", f"{one.speakers.get(part, 0):,}")
                name = ""
    console.print(table)


def _between(least: int, most: int) -> str:
    return f"{least:,}" if least == most else f"{least:,} to {most:,}"


def _print_confounds(console: Console, confounds: Confounds) -> None:
    from rich.table import Table
    from rich.text import Text

    strong = sum(one.strong for one in confounds.variables)
    if confounds.variables:
        console.print(Text(f"\nWhat else tells the emotion{'' if strong else ': nothing much'}", style="bold"))
        table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
        table.add_column("known alone")
        chance = confounds.variables[0].chance
        for heading in ("values", "association (0 to 1)", f"UA on test (chance {chance:.1%})"):
            table.add_column(heading, justify="right")
        for one in confounds.variables:
            cells = (one.variable, f"{one.values:,}", f"{one.association:.2f}", f"{one.guess:.1%}")
            table.add_row(*cells, style="bold yellow" if one.strong else "")
        console.print(table)
    for note in confounds.notes:
        console.print(f"note: {printable(note)}")
