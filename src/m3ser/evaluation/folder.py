"""The folder that an evaluation leaves behind, and goes on from.

====================  ================================================================================================
``asked.json``        what was asked: model, manifest, conditions, versions; written first
``transcripts.jsonl`` what a speech recogniser understood, a line for each recording, as they come
``answers.jsonl``     what the model said, a line for each utterance and condition, as they come; until all are there
``predictions.csv``   all of it as a table, as a run has it: ``m3ser compare`` reads it
``failures.csv``      what could not be used, and why; only where there is such
``scores.json``       the scores; written last
====================  ================================================================================================
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, suppress
from pathlib import Path
from types import TracebackType
from typing import Any

from m3ser.errors import DataError, UsageError
from m3ser.evaluation.prediction_files import read_predictions, write_predictions
from m3ser.evaluation.predictions import PredictionTable
from m3ser.files import Journal, write_whole

__all__ = ["EvaluationFolder"]

ASKED, TRANSCRIPTS, ANSWERS, PREDICTIONS, FAILURES, SCORES = (
    "asked.json",
    "transcripts.jsonl",
    "answers.jsonl",
    "predictions.csv",
    "failures.csv",
    "scores.json",
)


class EvaluationFolder(AbstractContextManager["EvaluationFolder"]):
    """Where an evaluation keeps what it has; see the top of this module.

    Args:
        folder: made where it is missing; None: everything stays in memory.
        asked: what is asked, as JSON-ready values, and the same in every attempt.
        resume: go on with the evaluation in `folder`, if there is one.

    Attributes:
        transcripts: a record for each recording.
        answers: a record for each utterance and condition.

    Raises:
        UsageError: the folder holds an evaluation or a run that is not to be gone on with, or is of something else.
        DataError: it cannot be read or written.
    """

    def __init__(self, folder: Path | None, asked: Mapping[str, Any], *, resume: bool = False) -> None:
        self.folder = folder
        if folder is None:
            self.transcripts, self.answers = Journal(None), Journal(None)
            return
        _claim(folder, asked, resume=resume)
        self.transcripts = Journal(folder / TRANSCRIPTS, "Transcripts")
        self.answers = Journal(folder / ANSWERS, "Answers")
        if (folder / PREDICTIONS).is_file():
            self._remember(read_predictions(folder / PREDICTIONS))

    def finish(
        self,
        table: PredictionTable,
        scores: Mapping[str, Any],
        *,
        comment: str = "",
    ) -> None:
        """Write the results.

        Args:
            table: all predictions.
            scores: what ``scores.json`` is to hold.
            comment: what is to be known of the data.

        Raises:
            DataError: something cannot be written.
        """
        self.close()
        if self.folder is None:
            return
        write_predictions(self.folder / PREDICTIONS, table, comment=comment)
        write_whole(self.folder / SCORES, json.dumps(scores, indent=2) + "\n")
        with suppress(OSError):  # the table has all of it
            (self.folder / ANSWERS).unlink()

    def keep_failures(self, failures: Sequence[tuple[str, str]]) -> None:
        """Write down what could not be used, in place of what an earlier attempt said.

        Args:
            failures: utterance, and why it could not be used.

        Raises:
            DataError: it cannot be written.
        """
        if self.folder is None:
            return
        if not failures:
            with suppress(OSError):
                (self.folder / FAILURES).unlink()
            return
        content = io.StringIO()
        writer = csv.writer(content, lineterminator="\n")
        writer.writerow(["utterance", "problem"])
        writer.writerows(failures)
        write_whole(self.folder / FAILURES, content.getvalue().encode("utf-8", "surrogateescape"), "Failures")

    def close(self) -> None:
        """Close the files; what was kept stays."""
        self.transcripts.close()
        self.answers.close()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _remember(self, table: PredictionTable) -> None:
        """Takes what a finished evaluation said as answered, so that only what failed is asked again."""
        rows = zip(table.utterances, table.conditions, table.probabilities.tolist(), strict=True)
        self.answers.records += [
            {"utterance": utterance, "condition": condition, "probabilities": shares}
            for utterance, condition, shares in rows
        ]


def _claim(folder: Path, asked: Mapping[str, Any], *, resume: bool) -> None:
    known = folder / ASKED
    if not known.is_file():
        if (folder / PREDICTIONS).exists():
            raise UsageError(f"'{folder}' already holds the predictions of a run; name another folder.")
        write_whole(known, json.dumps(asked, indent=2) + "\n")
        return
    if not resume:
        raise UsageError(f"'{folder}' already holds an evaluation; go on with it by --resume, or name another folder.")
    try:
        before = json.loads(known.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise DataError(f"'{known}' cannot be read: {error}.") from error
    wanted = json.loads(json.dumps(asked))
    if before != wanted:
        keys = [key for key in wanted if not isinstance(before, dict) or before.get(key) != wanted[key]]
        raise UsageError(
            f"The evaluation in '{folder}' is of something else (it differs in {', '.join(keys) or 'its keys'}); go on "
            "with it by the same command, or name another folder."
        )
