"""``m3ser corpora import``: from a copy of a corpus, or any labelled folder, to a manifest."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from m3ser.cli.progress import LateProgress
from m3ser.cli.terminal import complain, json_line, printable, stdout_console
from m3ser.errors import UsageError
from m3ser.schema import EMOTIONS, EmotionScheme, Utterance, get_scheme

if TYPE_CHECKING:
    from m3ser.corpora import Corpus, Progress

__all__ = ["import_corpus"]

ANY_FOLDER = "folder"
"""What stands for a corpus where sub-folders are the labels."""


def import_corpus(
    corpus: Annotated[
        str,
        typer.Argument(
            metavar="CORPUS",
            show_default=False,
            help="Its name (see m3ser corpora list), or folder: any folder whose sub-folders are named after emotions.",
        ),
    ],
    folder: Annotated[Path, typer.Argument(metavar="FOLDER", show_default=False, help="Where the copy lies.")],
    out: Annotated[Path, typer.Option("--out", metavar="FILE", help="The manifest to write: .csv, .jsonl or .ndjson.")],
    labels: Annotated[
        str | None,
        typer.Option("--labels", metavar="SOURCE", help="Of corpora with a choice, such as crema-d: perceived."),
    ] = None,
    scheme: Annotated[
        str | None,
        typer.Option("--scheme", metavar="NAME", help="Keep only what is a class of this emotion scheme (iemocap4)."),
    ] = None,
    label_map: Annotated[
        list[str] | None,
        typer.Option("--map", metavar="LABEL=EMOTION", help="Of folder: what sub-folders called LABEL hold."),
    ] = None,
    speaker_pattern: Annotated[
        str | None,
        typer.Option(
            "--speaker-pattern",
            metavar="REGEX",
            help="Of folder: what in a recording's path below FOLDER is the speaker, such as ([a-z]+)_[0-9]+.",
        ),
    ] = None,
    language: Annotated[
        str | None, typer.Option("--language", metavar="CODE", help="Of folder: what is spoken (BCP 47, such as en).")
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace FILE where it is there already.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print what was imported as one JSON object.")] = False,
) -> None:
    """Read a copy of a corpus and write it as a manifest.

    What is missing, damaged or unexpected in the copy is said on stderr, a sentence each, and does not stop the import;
    what of it cannot be used is left out, and counted. In a folder sorted by emotion, a text file beside a recording
    (clip.txt beside clip.wav) is what is said in it. The manifest appears whole or not at all.
    """
    from m3ser.corpora import write_manifest
    from m3ser.corpora.label_names import parse_label_map

    _check(corpus, out, labels, label_map, speaker_pattern, language, force=force)
    kept = None if scheme is None else get_scheme(scheme)
    names = parse_label_map(label_map or [])
    with LateProgress("reading", 0) as progress:
        found = _read(corpus, folder, labels, names, speaker_pattern, language, progress.update)
    utterances, left_out = _within(found, kept)
    for finding in found.findings:
        complain(finding)
    for reason, count in left_out.items():
        complain(f"left out: {reason} ({count:,}).")
    write_manifest(out, utterances, comment=_comment(found, labels))
    if as_json:
        json_line(
            {
                "corpus": found.info.name,
                "folder": str(found.folder),
                "manifest": str(out),
                "utterances": len(utterances),
                "speakers": len(_speakers(utterances)),
                "emotions": _counts(utterances),
                "left_out": left_out,
                "findings": list(found.findings),
            }
        )
    else:
        _print_summary(found, utterances, out)


def _check(
    corpus: str,
    out: Path,
    labels: str | None,
    label_map: list[str] | None,
    speaker_pattern: str | None,
    language: str | None,
    *,
    force: bool,
) -> None:
    """Raises UsageError for what contradicts itself, before a long import begins."""
    from m3ser.corpora import get_reader

    if out.suffix.lower() not in (".csv", ".jsonl", ".ndjson"):
        raise UsageError(f"Manifest '{out}' ends in '{out.suffix}'; expected .csv, .jsonl or .ndjson.")
    if out.exists() and not force:
        raise UsageError(f"'{out}' is there already; --force replaces it.")
    if corpus == ANY_FOLDER:
        if labels is not None:
            raise UsageError("--labels has nothing to do with a folder: its sub-folders are the labels.")
        return
    get_reader(corpus)
    given = {"--map": label_map, "--speaker-pattern": speaker_pattern, "--language": language}
    superfluous = [option for option, value in given.items() if value]
    if superfluous:
        raise UsageError(
            f"Corpus '{corpus}' says itself what {' and '.join(superfluous)} would; such options are for 'folder'."
        )


def _read(
    corpus: str,
    folder: Path,
    labels: str | None,
    label_map: Mapping[str, str],
    speaker_pattern: str | None,
    language: str | None,
    progress: Progress,
) -> Corpus:
    from m3ser.corpora import read_corpus, read_labelled_folder

    if corpus == ANY_FOLDER:
        return read_labelled_folder(
            folder, label_map=label_map, speaker_pattern=speaker_pattern, language=language, progress=progress
        )
    return read_corpus(corpus, folder, labels=labels, progress=progress)


def _within(corpus: Corpus, scheme: EmotionScheme | None) -> tuple[list[Utterance], dict[str, int]]:
    """The utterances that are a class of `scheme`, and why others are left out -> how many."""
    left_out = dict(corpus.left_out)
    if scheme is None:
        return list(corpus.utterances), left_out
    strangers = Counter(u.emotion for u in corpus.utterances if scheme.class_of(u.emotion) is None)
    left_out |= {f"{emotion}, no class of {scheme.name}": count for emotion, count in sorted(strangers.items())}
    return [u for u in corpus.utterances if scheme.class_of(u.emotion) is not None], left_out


def _comment(corpus: Corpus, labels: str | None) -> str:
    """What the manifest says about itself: whose work it lists, and on which terms."""
    info = corpus.info
    lines = [info.title, f"licence: {info.licence}"]
    if info.citation:
        lines.append(f"citation: {info.citation}")
    if info.label_sources:
        lines.append(f"labels: {labels or info.label_sources[0]}")
    return "\n".join(lines)


def _counts(utterances: list[Utterance]) -> dict[str, int]:
    """Utterances of each emotion that occurs, in m3ser's order."""
    counts = Counter(utterance.emotion for utterance in utterances)
    return {emotion: counts[emotion] for emotion in EMOTIONS if counts[emotion]}


def _speakers(utterances: list[Utterance]) -> set[str]:
    return {utterance.speaker for utterance in utterances if utterance.speaker is not None}


def _print_summary(corpus: Corpus, utterances: list[Utterance], out: Path) -> None:
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    table.add_column("emotion")
    table.add_column("utterances", justify="right")
    table.add_column("speakers", justify="right")
    for emotion, count in _counts(utterances).items():
        speakers = _speakers([u for u in utterances if u.emotion == emotion])
        table.add_row(emotion, f"{count:,}", f"{len(speakers):,}" if speakers else "-")
    speakers = _speakers(utterances)
    table.add_row("all", f"{len(utterances):,}", f"{len(speakers):,}" if speakers else "-", style="bold")
    console = stdout_console()
    console.print(Text(f"{printable(corpus.info.title)} -> {printable(str(out))}"), overflow="fold")
    console.print(table)
