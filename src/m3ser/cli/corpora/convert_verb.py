"""``m3ser corpora convert``: from another tool's list of utterances to a manifest, or back."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Annotated

import typer

from m3ser.cli.progress import LateProgress
from m3ser.cli.terminal import complain, json_line, printable
from m3ser.errors import UsageError
from m3ser.schema import EMOTIONS

__all__ = ["convert"]


def convert(
    source: Annotated[
        Path, typer.Argument(metavar="SOURCE", show_default=False, help="The list to read: a file or folder.")
    ],
    destination: Annotated[
        Path,
        typer.Argument(
            metavar="DEST",
            show_default=False,
            help="What to write: a manifest (.csv, .jsonl or .ndjson), or as --to has it.",
        ),
    ],
    source_format: Annotated[
        str | None,
        typer.Option(
            "--from",
            metavar="FORMAT",
            show_default=False,
            help="Of SOURCE: m3ser, emobox, audformat, audiofolder, speechbrain or kaldi. Default: whichever it is.",
        ),
    ] = None,
    target_format: Annotated[
        str, typer.Option("--to", metavar="FORMAT", help="Of DEST: m3ser, emobox, audformat or audiofolder.")
    ] = "m3ser",
    label_map: Annotated[
        list[str] | None,
        typer.Option("--label", metavar="LABEL=EMOTION", help="What SOURCE means by LABEL, where m3ser does not know."),
    ] = None,
    audio_root: Annotated[
        Path | None,
        typer.Option(
            "--audio-root",
            metavar="FOLDER",
            show_default=False,
            help="Where paths of recordings in SOURCE begin, {data_root} and the like included. Default: the nearest "
            "folder, from SOURCE upwards, that holds some of them.",
        ),
    ] = None,
    tables: Annotated[
        list[str] | None,
        typer.Option("--table", metavar="NAME", help="Of audformat: a table whose labels are meant. Default: all."),
    ] = None,
    force: Annotated[
        bool, typer.Option("--force", help="Replace DEST where it is a file that is there already.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print what was converted as one JSON object.")] = False,
) -> None:
    """Convert between manifests and other tools' lists of utterances.

    Formats: m3ser (a manifest), emobox (EmoBox's .jsonl, or a dataset's folder with folds), audformat (a database),
    audiofolder (Hugging Face datasets: metadata.csv or .jsonl beside recordings, or folders named after emotions),
    speechbrain (.json or .csv; read alone) and kaldi (a data folder with utt2emo; read alone).

    Speakers, parts of a split, times, texts and languages come along; what else a row says becomes further columns.
    What a format has no place for is said on stderr. Audio stays where it is; audiofolder alone gets copies. DEST
    appears whole or not at all. Recordings are not opened unless DEST needs to know their lengths: see m3ser corpora
    validate.
    """
    from m3ser.corpora.interchange import FORMATS, export_manifest, format_of, import_manifest
    from m3ser.corpora.label_names import parse_label_map

    _check(destination, target_format, force=force)
    notes: list[str] = []
    known = format_of(source) if source_format is None else None
    name = source_format if known is None else known.name
    found = import_manifest(
        source,
        name,
        labels=parse_label_map(label_map or []),
        audio_root=audio_root,
        tables=tables or (),
        note=notes.append,
    )
    with LateProgress("writing", 0) as progress:
        export_manifest(found, destination, target_format, note=notes.append, progress=progress.update)
    for sentence in notes:
        complain(sentence)
    counts = Counter(utterance.emotion for utterance in found.utterances)
    if as_json:
        json_line(
            {
                "source": str(source),
                "from": name,
                "destination": str(destination),
                "to": FORMATS[target_format].name,
                "utterances": len(found.utterances),
                "speakers": len({u.speaker for u in found.utterances if u.speaker is not None}),
                "emotions": {emotion: counts[emotion] for emotion in EMOTIONS if counts[emotion]},
                "notes": notes,
            }
        )
    else:
        typer.echo(
            f"{len(found.utterances):,} utterances: {printable(str(source))} ({name}) -> {printable(str(destination))} "
            f"({target_format})"
        )


def _check(destination: Path, target_format: str, *, force: bool) -> None:
    """Raises UsageError for what cannot be written, before anything is read."""
    from m3ser.corpora.interchange import FORMATS

    known = FORMATS.get(target_format)
    if known is None or not known.can_write:
        writable = ", ".join(name for name, other in FORMATS.items() if other.can_write)
        raise UsageError(f"'{target_format}' is no format to write; expected one of {writable}.")
    if target_format == "m3ser" and destination.suffix.lower() not in (".csv", ".jsonl", ".ndjson"):
        raise UsageError(f"Manifest '{destination}' ends in '{destination.suffix}'; expected .csv, .jsonl or .ndjson.")
    if destination.is_file() and not force:
        raise UsageError(f"'{destination}' is there already; --force replaces it.")
    if destination.is_dir() and any(destination.iterdir()):
        raise UsageError(f"Folder '{destination}' is not empty; name a new one.")
