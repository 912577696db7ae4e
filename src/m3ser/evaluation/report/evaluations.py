"""Reading what ``m3ser evaluate`` left behind: a model that was made elsewhere, judged on a manifest."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from m3ser.errors import DataError
from m3ser.evaluation.folder import ASKED, PREDICTIONS, SCORES
from m3ser.evaluation.report.files import read_mapping

__all__ = ["Asked", "is_evaluation", "read_asked"]


@dataclass(frozen=True)
class Asked:
    """What was asked in an evaluation, and what is on record beside its predictions.

    Attributes:
        model: its name, and its SHA-256.
        manifest: the file's name, and its SHA-256.
        part: which part of the manifest was judged; None: all of it.
        scheme: the emotion scheme that it was judged by.
        transcriber: what transcribed; None: nothing did.
        transcripts: word errors of the transcripts; None where they were not counted.
        failed: how many utterances could not be used.
        notes: what is to be known of the scores.
        facts: version, command, time, as far as they are on record.
    """

    model: tuple[str, str]
    manifest: tuple[str, str]
    part: str | None
    scheme: str
    transcriber: str | None
    transcripts: Mapping[str, Any] | None
    failed: int
    notes: tuple[str, ...]
    facts: Mapping[str, Any]

    @property
    def place(self) -> str:
        """What it was judged on, in words."""
        return f"judged on {self.manifest[0]}{'' if self.part is None else f', {self.part} part'}"


def is_evaluation(folder: Path) -> bool:
    """Whether ``m3ser evaluate`` made the folder."""
    return (folder / ASKED).is_file()


def read_asked(folder: Path) -> Asked:
    """Read the record of an evaluation.

    Raises:
        DataError: it is not finished, or a file of it is damaged.
    """
    asked = read_mapping(folder / ASKED)
    if not (folder / SCORES).is_file() or not (folder / PREDICTIONS).is_file():
        raise DataError(
            f"The evaluation in '{folder}' is not finished: it has no {SCORES}; the command that began it goes on with "
            "it (m3ser evaluate with --resume)."
        )
    scores = read_mapping(folder / SCORES)
    try:
        return Asked(
            model=(str(asked["model"]), str(asked["model_sha256"])),
            manifest=(str(asked["manifest"]), str(asked["manifest_sha256"])),
            part=None if asked["part"] is None else str(asked["part"]),
            scheme=str(asked["scheme"]),
            transcriber=None if asked["transcriber"] is None else str(asked["transcriber"]),
            transcripts=None if scores["transcripts"] is None else dict(scores["transcripts"]),
            failed=int(scores["failed"]),
            notes=tuple(map(str, scores["notes"])),
            facts={name: scores[name] for name in ("m3ser", "command", "finished") if name in scores},
        )
    except (KeyError, TypeError, ValueError) as error:
        raise DataError(f"'{folder / ASKED}' or its {SCORES} is damaged: {type(error).__name__} at {error}.") from error
