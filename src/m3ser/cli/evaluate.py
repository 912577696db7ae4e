"""``m3ser evaluate``: how good a model is on labelled speech, with given and with transcribed words."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime, timezone
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

import m3ser
from m3ser.cli.evaluation_scores import print_scores
from m3ser.cli.model_options import AdaptBy, Neutral, ProfileFile, check_profiles
from m3ser.cli.progress import LateProgress
from m3ser.cli.research_options import DEFAULT_CACHE, Cache
from m3ser.cli.terminal import complain, json_line
from m3ser.errors import UsageError, needing
from m3ser.schema import get_scheme

if TYPE_CHECKING:
    from m3ser.evaluation import Respondent
    from m3ser.evaluation.judging import Audience
    from m3ser.schema import Utterance
    from m3ser.text.asr import Transcriber

__all__ = ["evaluate"]

KINDS = ("audio", "text", "both")
TEXTS = ("given", "transcribed")
PARTS = ("train", "validation", "test")
MAX_SECONDS = 600.0
"""The longest recording that is taken for one utterance, as in prediction."""


def evaluate(
    model: Annotated[
        str,
        typer.Argument(
            metavar="MODEL",
            show_default=False,
            help="A bundle (its name, folder or Hugging Face Hub id; see m3ser models), or the folder of a training.",
        ),
    ],
    manifest: Annotated[
        Path, typer.Argument(metavar="MANIFEST", show_default=False, help="Labelled utterances, as CSV or JSON Lines.")
    ],
    part: Annotated[
        str | None,
        typer.Option(
            "--part",
            metavar="NAME",
            show_default=False,
            help="Judge this part of the manifest alone: train, validation or test. Left out: all rows.",
        ),
    ] = None,
    conditions: Annotated[
        list[str] | None,
        typer.Option(
            "--condition",
            metavar="NAME",
            show_default=False,
            help="What the model is given: audio, text or both; may be repeated. Left out: all that there is.",
        ),
    ] = None,
    texts: Annotated[
        list[str] | None,
        typer.Option(
            "--text",
            metavar="SOURCE",
            show_default=False,
            help="Where the words come from: given (in the manifest) or transcribed (from the recordings); repeat it "
            "for both, side by side. Left out: given.",
        ),
    ] = None,
    transcriber: Annotated[
        str | None,
        typer.Option(
            "--transcriber",
            metavar="NAME",
            show_default=False,
            help="What transcribes: moonshine (English, the default) or faster-whisper:SIZE (downloaded once).",
        ),
    ] = None,
    scheme: Annotated[
        str | None,
        typer.Option(
            "--scheme",
            metavar="NAME",
            show_default=False,
            help="Judge by the classes of this emotion scheme, iemocap4 or basic7. Left out: the model's own.",
        ),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(
            "--out",
            metavar="FOLDER",
            show_default=False,
            help="Keep predictions, transcripts and scores here, for m3ser compare and report. Left out: nothing "
            "is kept.",
        ),
    ] = None,
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on with the evaluation in FOLDER, if any; what failed is tried again.")
    ] = False,
    cache: Cache = DEFAULT_CACHE,
    profile: ProfileFile = None,
    adapt_by: AdaptBy = None,
    neutral: Neutral = None,
    threads: Annotated[
        int | None,
        typer.Option("--threads", metavar="N", min=1, help="Of a bundle. Default: one per physical core."),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the scores as one JSON object.")] = False,
) -> None:
    """Judge a model on labelled speech.

    A model of voice and words is judged by the voice alone, the words alone, and both, as far as the manifest has them.
    Words that a speech recogniser understood make conditions of their own, text-transcribed and both-transcribed; where
    it understood nothing, both-transcribed is the voice alone, as in m3ser predict. Its word error rate is shown where
    the manifest has the words as well. Utterances of an emotion that the model has no class for are left out, and
    counted.

    With --adapt-by, for bundles, each value of that column is judged with a profile learnt from up to thirty of its own
    recordings, of those that are judged; where there are fewer than ten utterances, as anybody's.

    A recording that cannot be used is one sentence on stderr, and a line of failures.csv in --out; the others are still
    judged, and the exit code is 1. Needs the train extra.
    """
    check_profiles(profile, adapt_by, neutral)
    sources = _checked(part, conditions, texts, transcriber=transcriber, out=out, resume=resume)
    with needing("train", "Evaluating"):  # what is missing should be said before the work, not after it
        import jiwer  # noqa: F401
        import sklearn.metrics  # noqa: F401
    from m3ser.corpora import read_part
    from m3ser.evaluation.judging import judge

    listener = _transcriber(transcriber) if "transcribed" in sources else None
    labelled = read_part(manifest, part)
    with _opened(model, cache=cache, threads=threads, profile=profile, adapt_by=adapt_by) as (respondent, audience):
        if adapt_by is not None:
            _adapt(respondent, labelled.utterances, adapt_by, neutral)
        verdict = judge(
            respondent,
            labelled,
            manifest,
            audience=audience,
            max_seconds=MAX_SECONDS,
            part=part,
            kinds=conditions or (),
            texts=sources,
            scheme=None if scheme is None else get_scheme(scheme),
            transcriber=listener,
            out=out,
            resume=resume,
            made=_made(),
        )
    if as_json:
        json_line({**verdict.asked, **verdict.to_dict(), "out": None if out is None else str(out)})
    else:
        print_scores(verdict.scores, verdict.transcripts, verdict.notes)
        if out is not None:
            complain(f"the predictions are in {out}; m3ser compare {out} OTHER tells whether two models differ.")
    if verdict.failures:
        raise typer.Exit(1)


def _checked(
    part: str | None,
    conditions: list[str] | None,
    texts: list[str] | None,
    *,
    transcriber: str | None,
    out: Path | None,
    resume: bool,
) -> tuple[str, ...]:
    """Where words are to come from; raises UsageError for what makes no sense."""
    for option, values, known in (
        ("--part", [] if part is None else [part], PARTS),
        ("--condition", conditions or [], KINDS),
        ("--text", texts or [], TEXTS),
    ):
        for value in values:
            if value not in known:
                raise UsageError(f"{option} is '{value}'; expected {', '.join(known[:-1])} or {known[-1]}.")
    if transcriber is not None and "transcribed" not in (texts or []):
        raise UsageError("--transcriber has nothing to do without --text transcribed.")
    if resume and out is None:
        raise UsageError("--resume goes on with what is in a folder; name it by --out.")
    return tuple(text for text in TEXTS if text in (texts or ["given"]))


@contextmanager
def _opened(
    model: str, *, cache: Path, threads: int | None, profile: Path | None, adapt_by: str | None
) -> Iterator[tuple[Respondent, Audience]]:
    """The bundle or training that is meant, and who watches it; libraries draw no bars of theirs meanwhile."""
    from m3ser import inference

    by_name = any(bundle.name == model for bundle in inference.list_bundles())
    if by_name or not (Path(model) / "recipe.yaml").is_file():
        recogniser = inference.load(model, transcriber=None, threads=threads, max_seconds=MAX_SECONDS, profile=profile)
        yield inference.BundleRespondent(recogniser), _Watcher()
        return
    for option, given in (("--profile", profile), ("--adapt-by", adapt_by)):
        if given is not None:
            raise UsageError(
                f"{option} is for bundles, and '{model}' is a training; m3ser export makes a bundle of it."
            )
    with needing("train", "Judging a training"):
        from m3ser.training.evaluating import RunRespondent
        from m3ser.training.progress import quiet_libraries
    with quiet_libraries():
        # A training's encoders show by themselves how far they are.
        yield RunRespondent(model, cache=cache), _Watcher(hidden=("judging",))


def _adapt(respondent: Respondent, utterances: Sequence[Utterance], by: str, neutral: float | None) -> None:
    """Learn how everybody sounds, and say for whom that is not known."""
    from m3ser.inference import BundleRespondent
    from m3ser.inference.groups import ENOUGH
    from m3ser.profile import FEW

    assert isinstance(respondent, BundleRespondent)
    with LateProgress("listening", 0) as progress:
        respondent.adapt(utterances, by=by, neutral=neutral, progress=progress.update)
    groups = respondent.groups
    without = sum(profile is None for profile in groups.values())
    few = f" {without:,} have too few utterances (below {FEW}), and are judged as anybody's." if without else ""
    complain(f"note: a profile for each of {len(groups):,} ({by}), of up to {ENOUGH} recordings of theirs.{few}")


class _Watcher:
    """Bars for what takes long, and sentences for what fails, on stderr: an Audience of the evaluation.

    Args:
        hidden: work that is not shown.
    """

    def __init__(self, *, hidden: Sequence[str] = ()) -> None:
        self._hidden = hidden
        self._progress: LateProgress | None = None

    @contextmanager
    def working(self, what: str, total: int, unit: str) -> Iterator[Callable[[], None]]:
        with LateProgress(what, total, unit=unit, shown=what not in self._hidden) as self._progress:
            yield self._progress.advance

    def failed(self, sentence: str) -> None:
        assert self._progress is not None, "nothing fails where nothing is done"
        with self._progress.paused():
            complain(sentence)


def _transcriber(name: str | None) -> Transcriber:
    from m3ser.text.asr import default_transcriber, get_transcriber

    found = default_transcriber() if name is None else get_transcriber(name)
    # Asked for by name, Moonshine says in its own words what it lacks.
    return found if found is not None else get_transcriber("moonshine")


def _made() -> dict[str, str]:
    """With what the scores were made, and how they are made again."""
    return {
        "m3ser": m3ser.__version__,
        "command": shlex.join(["m3ser", *sys.argv[1:]]),
        "finished": datetime.now(timezone.utc).isoformat(timespec="seconds"),
    }
