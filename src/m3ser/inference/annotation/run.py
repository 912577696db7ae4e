"""From recordings to a table of their emotions, and on from wherever it was interrupted.

What is known is kept beside the table, in ``results.parquet.journal/``; see :mod:`m3ser.inference.annotation.folder`.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import closing, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal, TypeAlias

from m3ser import __version__
from m3ser.errors import UsageError
from m3ser.inference.annotation.crew import (
    answer_here,
    answer_in_processes,
    processes_for,
    refuse_in_worker,
    split,
)
from m3ser.inference.annotation.folder import ANSWERS, LIST, PROFILES, begin, claimed
from m3ser.inference.annotation.journal import AnswerJournal
from m3ser.inference.annotation.listing import Listing, Words, request_for
from m3ser.inference.annotation.profiles import Profiles
from m3ser.inference.annotation.sources import find_items, has_manifest
from m3ser.inference.annotation.tables import check_format, failures_path, write_failures, write_results
from m3ser.inference.annotation.worker import Answer, Setup
from m3ser.inference.graphs import SessionSettings
from m3ser.inference.loading import MAX_SECONDS, open_bundle
from m3ser.inference.requests import Request
from m3ser.profile import Profile
from m3ser.text.asr import Transcriber, default_transcriber, get_transcriber
from m3ser.text.language_codes import language_code

__all__ = ["Annotation", "Progress", "annotate"]

Engine: TypeAlias = Literal["local", "ray"]
"""Who answers; see :func:`annotate`."""

_CHUNK = 8
"""Items that go through the model together; how they are cut does not depend on the number of workers."""


@dataclass(frozen=True)
class Annotation:
    """What an annotation came to.

    Attributes:
        out: the table.
        failures: the table of what failed; None: nothing did.
        done: rows of the table.
        failed: rows of the table of failures.
        failed_before: how many of these had failed in an earlier call already.
        answered: how many were answered or failed in this call; the rest was known before.
        seconds: how long this call took, in seconds.
        audio_seconds: of the recordings that it answered, in seconds.
        dropped: answers in the journal to what is no longer listed.
        transcriber: what transcribed; None: nothing did, or could.
        groups: how many speakers (or the like) there are, where each was to have a profile.
        groups_without: how many of them have none, for they have too few utterances.
    """

    out: Path
    failures: Path | None
    done: int
    failed: int
    failed_before: int
    answered: int
    seconds: float
    audio_seconds: float
    dropped: int
    transcriber: str | None
    groups: int = 0
    groups_without: int = 0


@dataclass(frozen=True)
class Progress:
    """How far an annotation is.

    Attributes:
        stage: "listing", "listening" (to learn profiles), "annotating" or "writing".
        finished: rows that are listed, answered or (not told one by one) written; of profiles, those that are learnt.
        total: rows there are; 0 while they are being listed; or profiles.
        audio_seconds: of sound that was answered in this call.
        failures: what has failed since the last time, a sentence each.
    """

    stage: Literal["listing", "listening", "annotating", "writing"]
    finished: int
    total: int
    audio_seconds: float = 0.0
    failures: tuple[str, ...] = ()


def annotate(
    sources: str | os.PathLike[str] | Iterable[str | os.PathLike[str]],
    out: str | os.PathLike[str],
    *,
    model: str | os.PathLike[str] = "starter",
    text: Words = "auto",
    transcriber: Transcriber | str | None = "auto",
    workers: int | None = None,
    providers: Sequence[str] = ("CPUExecutionProvider",),
    max_seconds: float = MAX_SECONDS,
    overwrite: bool = False,
    retry_failed: bool = False,
    progress: Callable[[Progress], None] | None = None,
    language: str | None = None,
    engine: Engine = "local",
    ray_address: str | None = None,
    profile: Profile | str | os.PathLike[str] | None = None,
    adapt_by: str | None = None,
    neutral: float | None = None,
) -> Annotation:
    """Recognise the emotions of any number of recordings, into a table. What is done is not done again.

    >>> import m3ser
    >>> if __name__ == "__main__":  # as for all programs that start further processes
    ...     found = m3ser.annotate("calls/", "emotions.parquet")  # doctest: +SKIP
    ...     print(found.done, found.failed)  # doctest: +SKIP
    9998 2

    Killed or interrupted, the same call goes on where it was; called again later, it answers what is new in ``calls/``.
    Answers are what :meth:`m3ser.Recogniser.predict` gives, within 1e-5, in the order of the sources, whatever the
    number of workers. They are known again by the place of the recording, the stretch of it, and the given words; a
    recording that was replaced by another one of the same name is not noticed.

    The table has the columns file, duration (seconds), label, ``p_...`` for each class, text, text_source and model;
    in JSON Lines a row is what ``m3ser predict --json`` prints. Where words were not used for their language, there is
    a column note behind these. A manifest's other columns are carried along (in
    JSON Lines as ``manifest``). What failed is in a table beside it, ``emotions.failed.csv``, with the reason.

    Args:
        sources: folders, manifests (columns ``audio`` or ``text``, and where wanted ``start`` and ``end`` in seconds),
            patterns ("calls/**/*.wav") and recordings; see :mod:`m3ser.inference.annotation.sources`.
        out: the table, ``.parquet`` (extra ``parquet``), ``.csv`` or ``.jsonl``, in a folder that is there.
        model: see :func:`m3ser.load`.
        text: where words come from. "auto": a manifest's where it has them, else transcribed; "given": a manifest's
            alone; "transcribed": all transcribed; None: the voice alone.
        transcriber: see :func:`m3ser.load`; one of your own has to be picklable for several workers.
        workers: processes, of one thread each. None: one per core, as far as there is enough to do; 1: this process.
        providers: see :func:`m3ser.load`.
        max_seconds: see :func:`m3ser.load`.
        overwrite: begin anew, whatever `out` and its journal hold.
        retry_failed: try again what failed before.
        progress: told how far it is.
        language: of the words, as a BCP 47 code, where a manifest's column language does not name it; None: as in
            :meth:`m3ser.Recogniser.predict`.
        engine: "local": on this machine; "ray": on a Ray cluster (extra ``ray``), which has to have m3ser and the
            recordings on each machine. The answers are the same, and either goes on with what the other began.
        ray_address: see :func:`m3ser.inference.cluster.ray_cluster`.
        profile: see :func:`m3ser.load`.
        adapt_by: a column of the manifests ("speaker"), or "folder" for the one that each recording lies in: what has
            the same there is judged with a profile of its own (:meth:`m3ser.Recogniser.learn`), learnt first from up to
            thirty of these recordings; where there are fewer than ten utterances, as anybody's. Profiles are kept, and
            not learnt anew when more recordings have come.
        neutral: with `adapt_by`: share of neutral recordings in each group, about, as in
            :meth:`m3ser.Recogniser.learn`.

    Raises:
        UsageError: impossible arguments; or `out` is there already and is of other settings, other recordings, or not
            of an annotation.
        DataError: a source holds nothing or has faults, or something cannot be written. What was answered is kept.
        BundleError, MissingExtraError: see :func:`m3ser.load`; Parquet needs the extra ``parquet``.
        M3serError: a worker could not begin.
    """
    begun = time.perf_counter()
    refuse_in_worker()
    out = Path(out)
    named = [sources] if isinstance(sources, (str, os.PathLike)) else list(sources)
    paths = [os.fspath(source) for source in named]
    _check(paths, out, text=text, workers=workers, max_seconds=max_seconds, engine=engine)
    if adapt_by is not None and profile is not None:
        raise UsageError("A profile for everybody and one for each: give profile or adapt_by, not both.")
    if neutral is not None and adapt_by is None:
        raise UsageError("neutral says how much of what adapt_by learns from is neutral; give adapt_by along with it.")
    language = None if language is None else language_code(language)
    listener = _transcriber(transcriber, text)
    bundle = open_bundle(model, profile)
    setup = Setup(bundle, SessionSettings(providers=tuple(providers)).providers, listener, max_seconds)
    heard_by = listener if listener is None or isinstance(listener, str) else listener.name
    settings: dict[str, Any] = {
        "m3ser": __version__,
        "model": bundle.manifest.full_name,
        "bundle": bundle.digest(),
        "text": text,
        "transcriber": heard_by,
        "providers": list(providers),
        "max_seconds": max_seconds,
        "language": language,
        "adapt_by": adapt_by,
        "neutral": neutral,
    }
    tell = progress or (lambda _: None)
    with claimed(out, settings, overwrite=overwrite) as folder:
        listing = Listing(
            folder / LIST, find_items(paths), words=text, progress=lambda count: tell(Progress("listing", count, 0))
        )
        begin(folder, settings, overwrite=overwrite)
        profiles = Profiles(adapt_by, folder / PROFILES, neutral=neutral)
        profiles.learn(listing.items, setup, lambda done, total: tell(Progress("listening", done, total)))
        with AnswerJournal(folder / ANSWERS) as journal:
            work = _Work(listing, journal, setup, text, tell, language, profiles)
            dropped = work.recall(out)
            if retry_failed:
                listing.retry_failed()
            failed_before = listing.failed
            work.answer(workers, engine, ray_address)
            tell(Progress("writing", listing.settled, len(listing), work.audio_seconds))
            failures = work.write(out)
    return Annotation(
        out=out,
        failures=failures,
        done=len(listing) - listing.failed,
        failed=listing.failed,
        failed_before=failed_before,
        answered=work.answered,
        seconds=time.perf_counter() - begun,
        audio_seconds=work.audio_seconds,
        dropped=dropped,
        transcriber=heard_by,
        groups=len(profiles),
        groups_without=len(profiles.without),
    )


class _Work:
    """One call's way from a list to a table."""

    def __init__(
        self,
        listing: Listing,
        journal: AnswerJournal,
        setup: Setup,
        words: Words,
        tell: Callable[[Progress], None],
        language: str | None,
        profiles: Profiles,
    ) -> None:
        self._listing = listing
        self._journal = journal
        self._setup = setup
        self._words = words
        self._tell = tell
        self._language = language
        self._profiles = profiles
        self._noted = False
        self.answered = 0
        self.audio_seconds = 0.0

    def recall(self, out: Path) -> int:
        """Take up what the journal knows; how much of it is no longer asked for.

        Raises:
            UsageError: all of it.
        """
        found = strange = 0
        for place, record in self._journal.records():
            if self._listing.settle(record["key"], place, failed="error" in record):
                found += 1
                self._noted |= "note" in record.get("result", ())
            else:
                strange += 1
        if strange and not found:
            raise UsageError(
                f"'{out}' was begun with other recordings, none of which is among these; name another file, or begin "
                "anew with --overwrite."
            )
        return strange

    def answer(self, workers: int | None, engine: Engine, ray_address: str | None) -> None:
        """Answer everything that waits."""
        self._say(())
        waiting = self._listing.waiting
        if not waiting:
            return
        count = processes_for(waiting, workers, _CHUNK)
        tasks = split(self._requests(), _CHUNK)
        if engine == "ray":
            from m3ser.inference.annotation.on_ray import answer_on_ray

            answers = answer_on_ray(
                self._setup, tasks, waiting=waiting, workers=workers, size=_CHUNK, address=ray_address
            )
        elif count == 1:
            answers = answer_here(self._setup, tasks)
        else:
            answers = answer_in_processes(self._setup, tasks, workers=count)
        with closing(answers):
            for some in answers:
                self._keep(some)

    def _requests(self) -> Iterator[tuple[int, Request]]:
        for key, item in self._listing.pending():
            request = request_for(item, self._words, self._language)
            if isinstance(request, str):
                self._keep([{"key": key, "error": request}])
            else:
                yield key, replace(request, profile=self._profiles.of(item))

    def _keep(self, answers: Sequence[Answer]) -> None:
        for answer, place in zip(answers, self._journal.append(answers), strict=True):
            self._listing.settle(answer["key"], place, failed="error" in answer)
            self.answered += 1
            if "result" in answer:
                self.audio_seconds += answer["result"]["duration"] or 0.0
                self._noted |= "note" in answer["result"]
        self._say(tuple(answer["error"] for answer in answers if "error" in answer))

    def _say(self, failures: tuple[str, ...]) -> None:
        self._tell(Progress("annotating", self._listing.settled, len(self._listing), self.audio_seconds, failures))

    def write(self, out: Path) -> Path | None:
        """Write both tables; where the one of failures is."""
        listing, read = self._listing, self._journal.read
        failures = failures_path(out)
        if listing.failed:
            failed = ((item, read(place)["error"]) for item, place in listing.settled_items(failed=True))
            write_failures(failures, failed, further=listing.further)
        results = ((item, read(place)["result"]) for item, place in listing.settled_items(failed=False))
        labels = self._setup.bundle.manifest.labels
        write_results(out, results, labels=labels, further=listing.further, noted=self._noted)
        if listing.failed:
            return failures
        with suppress(OSError):  # what failed in an earlier call
            failures.unlink()
        return None


def _check(
    paths: Sequence[str], out: Path, *, text: Words, workers: int | None, max_seconds: float, engine: Engine
) -> None:
    check_format(out)
    if not out.parent.is_dir():
        raise UsageError(f"'{out}' cannot be written: there is no folder '{out.parent}'.")
    if out.is_dir():
        raise UsageError(f"'{out}' is a folder; expected the name of a file.")
    if not paths:
        raise UsageError("Nothing to annotate: name folders, manifests, patterns or recordings.")
    if text not in (None, "auto", "given", "transcribed"):
        raise UsageError(f"There are no words of the kind '{text}'; known are auto, given, transcribed and None.")
    if text == "given" and not has_manifest(paths):
        raise UsageError("Given words stand in a manifest, and none was named.")
    if workers is not None and workers < 1:
        raise UsageError(f"workers is {workers}; it must be 1 or more, or None for one per core.")
    if not max_seconds > 0:
        raise UsageError(f"max_seconds is {max_seconds}; it must be above 0.")
    if engine not in ("local", "ray"):
        raise UsageError(f"There is no engine '{engine}'; known are local and ray.")


def _transcriber(wanted: Transcriber | str | None, words: Words) -> Transcriber | str | None:
    """What is to transcribe, by its name where it is one of ours."""
    if words not in ("auto", "transcribed"):
        return None
    if wanted == "auto":
        found = default_transcriber()
        return None if found is None else found.name
    return get_transcriber(wanted).name if isinstance(wanted, str) else wanted
