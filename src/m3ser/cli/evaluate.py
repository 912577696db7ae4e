"""``m3ser evaluate``: how good a model is on labelled speech, with given and with transcribed words."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from m3ser.cli.evaluation_notes import of_conditions, of_corpora, of_parts, of_scheme, of_training, of_transcripts
from m3ser.cli.evaluation_scores import print_scores
from m3ser.cli.progress import LateProgress
from m3ser.cli.research_options import DEFAULT_CACHE, Cache
from m3ser.cli.terminal import complain, json_line
from m3ser.errors import DataError, M3serError, UsageError, needing
from m3ser.schema import EmotionScheme, get_scheme

if TYPE_CHECKING:
    from m3ser.corpora import LabelledPart
    from m3ser.evaluation import EvaluationFolder, PredictionTable, Question, Respondent, WordErrors
    from m3ser.text.asr import Transcriber

__all__ = ["evaluate"]

KINDS = ("audio", "text", "both")
TEXTS = ("given", "transcribed")
PARTS = ("train", "validation", "test")
MAX_SECONDS = 600.0
"""The longest recording that is taken for one utterance, as in prediction."""

Failures = dict[tuple[str, str], None]
"""Utterance and what is wrong with it, each pair once, in the order in which they were found."""


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
            help="Keep predictions, transcripts and scores here, for m3ser compare too. Left out: nothing is kept.",
        ),
    ] = None,
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on with the evaluation in FOLDER, if any; what failed is tried again.")
    ] = False,
    cache: Cache = DEFAULT_CACHE,
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

    A recording that cannot be used is one sentence on stderr, and a line of failures.csv in --out; the others are still
    judged, and the exit code is 1. Needs the train extra.
    """
    sources = _checked(part, conditions, texts, transcriber=transcriber, out=out, resume=resume)
    with needing("train", "Evaluating"):  # what is missing should be said before the work, not after it
        import jiwer  # noqa: F401
        import sklearn.metrics  # noqa: F401
    from m3ser.corpora import read_part
    from m3ser.evaluation import EvaluationFolder, conditions_for

    listener = _transcriber(transcriber) if "transcribed" in sources else None
    labelled = read_part(manifest, part)
    with _opened(model, cache=cache, threads=threads) as respondent:
        judged_by = get_scheme(scheme) if scheme is not None else respondent.scheme
        possible = conditions_for(respondent.modalities, sources)
        wanted = [name for name in possible if not conditions or name.partition("-")[0] in conditions]
        if not wanted:
            raise UsageError(
                f"{respondent.name} cannot be judged under {', '.join(conditions or ())}, only under "
                f"{', '.join(possible)}."
            )
        asked = {
            "model": respondent.name,
            "model_sha256": respondent.fingerprint,
            "manifest": manifest.name,
            "manifest_sha256": _digest(manifest),
            "part": part,
            "conditions": wanted,
            "scheme": judged_by.name,
            "transcriber": None if listener is None else listener.name,
        }
        notes = [
            *of_parts(labelled, part),
            *of_training(respondent.trained_on(labelled.utterances)),
            *of_corpora(labelled, respondent.data),
            *of_scheme(labelled, judged_by, respondent.labels),
        ]
        failures: Failures = {}
        errors: WordErrors | None = None
        with EvaluationFolder(out, asked, resume=resume) as folder:
            try:
                understood: dict[str, str] = {}
                if listener is not None:
                    understood = _transcripts(labelled, listener, folder, failures)
                    errors = _word_errors(labelled, understood)
                    notes += of_transcripts(labelled, understood, listener.name)
                laid_out = _laid_out(labelled, wanted, judged_by, understood, demanded=bool(conditions))
                notes += of_conditions(labelled, list(laid_out), judged_by)
                table = _asked(respondent, laid_out, judged_by, folder, failures)
            finally:
                folder.keep_failures(list(failures))
            found = {name: table.where(condition=name).evaluate() for name in dict.fromkeys(table.conditions)}
            scores = {
                "conditions": {name: one.to_dict() for name, one in found.items()},
                "transcripts": None if errors is None else errors.to_dict(),
                "failed": len({utterance for utterance, _ in failures}),
                "notes": notes,
            }
            folder.finish(table, scores, comment=labelled.comment)
    if as_json:
        json_line({**asked, **scores, "out": None if out is None else str(out)})
    else:
        print_scores(found, errors, notes)
        if out is not None:
            complain(f"the predictions are in {out}; m3ser compare {out} OTHER tells whether two models differ.")
    if failures:
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
def _opened(model: str, *, cache: Path, threads: int | None) -> Iterator[Respondent]:
    """The bundle or training that is meant; libraries draw no bars of theirs meanwhile."""
    from m3ser import inference

    by_name = any(bundle.name == model for bundle in inference.list_bundles())
    if by_name or not (Path(model) / "recipe.yaml").is_file():
        recogniser = inference.load(model, transcriber=None, threads=threads, max_seconds=MAX_SECONDS)
        yield inference.BundleRespondent(recogniser)
        return
    with needing("train", "Judging a training"):
        from m3ser.training.evaluating import RunRespondent
        from m3ser.training.progress import quiet_libraries
    with quiet_libraries():
        yield RunRespondent(model, cache=cache)


def _transcriber(name: str | None) -> Transcriber:
    from m3ser.text.asr import default_transcriber, get_transcriber

    found = default_transcriber() if name is None else get_transcriber(name)
    # Asked for by name, Moonshine says in its own words what it lacks.
    return found if found is not None else get_transcriber("moonshine")


def _digest(path: Path) -> str:
    import hashlib

    return hashlib.sha256(path.read_bytes()).hexdigest()


def _transcripts(
    labelled: LabelledPart, transcriber: Transcriber, folder: EvaluationFolder, failures: Failures
) -> dict[str, str]:
    """Utterance -> what was understood of it."""
    from m3ser.corpora import transcribe

    total = sum(utterance.audio is not None for utterance in labelled.utterances)
    understood: dict[str, str] = {}
    with LateProgress("transcribing", total, unit="files") as progress:
        for name, text in transcribe(
            labelled.utterances, labelled.names, transcriber, journal=folder.transcripts, max_seconds=MAX_SECONDS
        ):
            if isinstance(text, M3serError):
                with progress.paused():
                    _fail(name, text, failures)
            else:
                understood[name] = text
            progress.advance()
    return understood


def _word_errors(labelled: LabelledPart, understood: dict[str, str]) -> WordErrors | None:
    """Of the utterances whose words are in the manifest; None where there are none.

    In a paired corpus the words are not what is said.
    """
    from m3ser.evaluation import word_errors

    pairs = [
        (utterance.text, understood[name])
        for utterance, name in zip(labelled.utterances, labelled.names, strict=True)
        if utterance.text is not None and name in understood and "relation" not in utterance.extra
    ]
    return word_errors([said for said, _ in pairs], [heard for _, heard in pairs]) if pairs else None


def _laid_out(
    labelled: LabelledPart,
    conditions: Sequence[str],
    scheme: EmotionScheme,
    understood: dict[str, str],
    *,
    demanded: bool,
) -> dict[str, tuple[Question, ...]]:
    """The questions under each condition; conditions under which there are none are left out, unless `demanded`.

    Raises:
        DataError: there are none.
    """
    from m3ser.evaluation import questions

    found = {
        condition: questions(
            labelled.utterances, labelled.names, condition=condition, scheme=scheme, transcripts=understood
        )
        for condition in conditions
    }
    empty = [condition for condition, asked in found.items() if not asked]
    if len(empty) == len(found) or (empty and demanded):
        raise DataError(
            f"Nothing in the manifest can be judged under {', '.join(empty)}; expected utterances with voice or words, "
            f"as that needs, of {', '.join(scheme.classes)}."
        )
    return {condition: asked for condition, asked in found.items() if asked}


def _asked(
    respondent: Respondent,
    laid_out: dict[str, tuple[Question, ...]],
    scheme: EmotionScheme,
    folder: EvaluationFolder,
    failures: Failures,
) -> PredictionTable:
    """What the model says of everything that it can be asked.

    Raises:
        DataError: nothing could be judged.
    """
    from m3ser.evaluation import answers, tabulate
    from m3ser.inference import BundleRespondent

    asked = [question for group in laid_out.values() for question in group]
    answered = {}
    # A training's encoders show by themselves how far they are.
    shown = isinstance(respondent, BundleRespondent)
    with LateProgress("judging", len(asked), unit="utterances", shown=shown) as progress:
        for question, shares in answers(respondent, asked, scheme=scheme, journal=folder.answers):
            if isinstance(shares, M3serError):
                with progress.paused():
                    _fail(question.utterance, shares, failures)
            else:
                answered[question.utterance, question.condition] = shares
            progress.advance()
    if not answered:
        raise DataError("Nothing could be judged: none of the recordings or texts could be used.")
    rows = [(q, answered[q.utterance, q.condition]) for q in asked if (q.utterance, q.condition) in answered]
    return tabulate(rows, scheme=scheme, fold=respondent.fold, seed=respondent.seed)


def _fail(utterance: str, error: M3serError, failures: Failures) -> None:
    """Says a failure once, however many conditions and utterances it is met under."""
    if str(error) not in {problem for _, problem in failures}:
        complain(str(error))
    failures[utterance, str(error)] = None
