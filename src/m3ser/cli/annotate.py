"""``m3ser annotate``: the emotions of thousands of recordings, as a table."""

from __future__ import annotations

import time
from collections import deque
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from m3ser.cli.model_options import AdaptBy, ModelName, Neutral, NoText, ProfileFile, TranscriberName, check_profiles
from m3ser.cli.predict import checked_language
from m3ser.cli.progress import LateProgress
from m3ser.cli.terminal import complain, json_line, printable
from m3ser.errors import UsageError

if TYPE_CHECKING:
    from m3ser.inference.annotation import Annotation, Progress

__all__ = ["annotate"]

SHOWN = 10
"""Failures that are also said on stderr."""

INTERRUPTED = 130
WINDOW = 30.0
"""Seconds that speeds are taken over."""


def annotate(
    sources: Annotated[
        list[str],
        typer.Argument(
            metavar="SOURCES",
            show_default=False,
            help="Folders (with all below them), manifests (.csv, .jsonl), patterns ('calls/**/*.wav') or recordings.",
        ),
    ],
    out: Annotated[
        Path,
        typer.Option(
            "--out", metavar="FILE", show_default=False, help="The table: .parquet (extra parquet), .csv or .jsonl."
        ),
    ],
    text: Annotated[
        str | None,
        typer.Option(
            "--text",
            metavar="SOURCE",
            show_default=False,
            help="Where the words come from: given (in the manifest) or transcribed (from the recordings). Left out: "
            "given where they are, else transcribed.",
        ),
    ] = None,
    no_text: NoText = False,
    model: ModelName = "starter",
    profile: ProfileFile = None,
    adapt_by: AdaptBy = None,
    neutral: Neutral = None,
    transcriber: TranscriberName = None,
    language: Annotated[
        str | None,
        typer.Option(
            "--language",
            metavar="CODE",
            show_default=False,
            help="Of the words, as in m3ser predict, where a manifest's column language does not name it.",
        ),
    ] = None,
    workers: Annotated[
        int | None,
        typer.Option(
            "--workers", metavar="N", min=1, help="Processes, of one thread each. Default: one per core, if need be."
        ),
    ] = None,
    engine: Annotated[
        str,
        typer.Option(
            "--engine", metavar="NAME", help="local: this machine; ray: a Ray cluster (extra ray), for many machines."
        ),
    ] = "local",
    ray_address: Annotated[
        str | None,
        typer.Option(
            "--ray-address",
            metavar="HOST:PORT",
            show_default=False,
            help="The cluster; this machine has to be part of it. Left out: what RAY_ADDRESS says, else one of this "
            "machine's cores, for as long as the command runs.",
        ),
    ] = None,
    retry_failed: Annotated[
        bool, typer.Option("--retry-failed", help="Try again what failed in an earlier run.")
    ] = False,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Begin anew, whatever is there already.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print what came of it as one JSON object.")] = False,
) -> None:
    """Recognise thousands of recordings, into a table.

    The rows are those of m3ser predict, in the order of the sources; a manifest's other columns are carried along. What
    cannot be used is listed with its reason beside the table, in NAME.failed.csv; the others are still answered, and
    the exit code is 1.

    The same command goes on where it was killed or interrupted, and later answers what is new. To that end
    NAME.journal stays beside the table; without it the table is complete, but can only be made anew. Recordings are
    known by their paths: one that was replaced is not answered again without --overwrite.

    With --adapt-by, each value of a manifest's column (or, for "folder", each folder) has a profile of its own, kept in
    the journal; where there are fewer than ten utterances, rows are judged as anybody's.

    In folders, hidden files and links to folders are passed over.

    On a Ray cluster every machine needs m3ser in the same version, and the recordings (and a model that is a folder)
    where this one has them: on a shared file system.
    """
    if ray_address is not None and engine != "ray":
        raise UsageError("--ray-address says where a Ray cluster is; give --engine ray along with it.")
    words = _words(text, no_text=no_text, transcriber=transcriber)
    language = checked_language(language, no_text=no_text)
    check_profiles(profile, adapt_by, neutral)

    from m3ser.inference.annotation import annotate as annotate_all
    from m3ser.text.asr import default_transcriber

    deaf = words in ("auto", "transcribed") and transcriber is None and default_transcriber() is None
    with LateProgress("listing", 0) as bar:
        show = _Show(bar, deaf=deaf)
        try:
            found = annotate_all(
                sources,
                out,
                model=model,
                text=words,
                transcriber=transcriber or "auto",
                workers=workers,
                overwrite=overwrite,
                retry_failed=retry_failed,
                progress=show,
                language=language,
                engine=engine,  # type: ignore[arg-type]
                ray_address=ray_address,
                profile=profile,
                adapt_by=adapt_by,
                neutral=neutral,
            )
        except KeyboardInterrupt:
            with bar.paused():
                complain(f"interrupted; {show.settled()}the same command goes on from there.")
            raise typer.Exit(INTERRUPTED) from None
    _report(found, as_json=as_json)
    if found.failed:
        raise typer.Exit(1)


def _words(
    text: str | None, *, no_text: bool, transcriber: str | None
) -> Literal["auto", "given", "transcribed"] | None:
    if text not in (None, "given", "transcribed"):
        raise UsageError(f"--text is '{text}'; expected given or transcribed.")
    if text is not None and no_text:
        raise UsageError("--text says where the words come from and --no-text says to use none; give one of them.")
    if transcriber is not None and (text == "given" or no_text):
        other = "--text given" if text == "given" else "--no-text"
        raise UsageError(f"--transcriber has nothing to do with {other}; give one of them.")
    return None if no_text else (text or "auto")  # type: ignore[return-value]


class _Show:
    """Shows how far an annotation is, and its first failures.

    Args:
        bar: where it is shown.
        deaf: whether to say that nothing here transcribes, once there is something to transcribe.
    """

    def __init__(self, bar: LateProgress, *, deaf: bool) -> None:
        self._bar = bar
        self._deaf = deaf
        self._last: Progress | None = None
        self._times: deque[tuple[float, int, float]] = deque()
        self._failures = 0

    def __call__(self, progress: Progress) -> None:
        self._last = progress
        if self._deaf and progress.stage == "annotating":
            self._deaf = False
            with self._bar.paused():
                complain(
                    "note: nothing here turns speech into text, so where no words are given the voice alone is used; "
                    'pip install "m3ser[asr]" adds a transcriber, --no-text leaves out this note.'
                )
        for sentence in progress.failures:
            self._failures += 1
            if self._failures <= SHOWN:
                with self._bar.paused():
                    complain(sentence)
        total = progress.total or None
        note = self._speed(progress) if progress.stage == "annotating" else ""
        self._bar.update(progress.finished, total, what=progress.stage, note=note)

    def settled(self) -> str:
        """How far it has come, as half a sentence; empty where that is not known."""
        if self._last is None or not self._last.total:
            return ""
        return f"{self._last.finished:,} of {self._last.total:,} are done and kept, and "

    def _speed(self, progress: Progress) -> str:
        """What is answered in a second, and how long the rest takes at that."""
        now = time.monotonic()
        times = self._times
        times.append((now, progress.finished, progress.audio_seconds))
        while len(times) > 2 and now - times[1][0] > WINDOW:
            times.popleft()
        passed, files = now - times[0][0], progress.finished - times[0][1]
        if passed < 1 or not files:
            return ""
        sound = progress.audio_seconds - times[0][2]
        left = (progress.total - progress.finished) * passed / files
        return f"{files / passed:.3g} files/s, {sound / passed:.3g} s audio/s, {_clock(left)} left"


def _clock(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}"


def _report(found: Annotation, *, as_json: bool) -> None:
    from m3ser.profile import FEW

    if found.dropped:
        complain(
            f"note: {found.dropped:,} earlier answers are to recordings that are no longer listed, and left out of the "
            "table."
        )
    if found.groups_without:
        complain(
            f"note: {found.groups_without:,} of {found.groups:,} have too few utterances to learn from (below {FEW}); "
            "judged as anybody's."
        )
    if found.failed:
        before = found.failed_before
        again = f", {before:,} of them before (--retry-failed tries these again)" if before else ""
        complain(f"{found.failed:,} could not be used{again}; the reasons are in {found.failures}.")
    if as_json:
        json_line(_record(found))
        return
    speed = ""
    if found.answered:
        seconds = max(found.seconds, 1e-9)
        speed = (
            f"; {found.answered:,} now, in {_clock(found.seconds)}: {found.answered / seconds:.1f} files and "
            f"{found.audio_seconds / seconds:.0f} s of sound a second"
        )
    typer.echo(f"{found.done:,} rows in {printable(str(found.out))}{speed}.")


def _record(found: Annotation) -> dict[str, Any]:
    return {
        "out": str(found.out),
        "failures": None if found.failures is None else str(found.failures),
        "done": found.done,
        "failed": found.failed,
        "answered": found.answered,
        "dropped": found.dropped,
        "seconds": round(found.seconds, 3),
        "audio_seconds": round(found.audio_seconds, 3),
        **({"groups": found.groups, "groups_without": found.groups_without} if found.groups else {}),
    }
