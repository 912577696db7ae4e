"""What a report says of its runs in words, and in facts that are no scores."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from m3ser.evaluation.report.evaluations import Asked
from m3ser.evaluation.report.results import Judged, Results
from m3ser.evaluation.report.runs import PAIRED, Run
from m3ser.evaluation.report.tables import Table, given, share
from m3ser.page import Cell

__all__ = [
    "audit_sentence",
    "commands",
    "comparison_sentences",
    "data_table",
    "evaluation_table",
    "headline",
    "notices",
    "provenance_table",
    "selection_sentence",
]


def headline(one: Judged) -> list[tuple[str, Cell]]:
    """The few numbers of a run to see first."""
    return [
        ("UA (balanced accuracy)", share(one.own.unweighted_accuracy)),
        ("WA (accuracy)", share(one.own.weighted_accuracy)),
        ("utterances", one.utterances[one.condition]),
        ("speakers", one.own.speakers),
        *((("folds", len(one.run.folds)), ("seeds", len(one.run.seeds))) if one.run.asked is None else ()),
    ]


def notices(one: Judged) -> list[str]:
    """What nobody may overlook about a run's scores."""
    run = one.run
    said = []
    if run.optimistic:
        if run.asked is not None:
            why = "see the notes on its data"
        elif run.protocol == "paper":
            why = "speakers are in both halves, and the best epoch was chosen on the test part"
        else:
            why = "there is no validation part"
        said.append(f"{one.name}: {run.optimistic} ({why}). Expect less of new speakers.")
    if run.paired:
        said.append(f"{one.name}: {PAIRED}. Nobody ever said these words in these voices.")
    return said


def selection_sentence(run: Run) -> str:
    """What was chosen on what."""
    own = given(run.conditions[0])
    if all(one.selected_on == "validation" for one in run.trainings):
        chosen = f"Of each training the epoch with the best UA on its validation part, given {own}, was kept."
    else:
        chosen = (
            f"Of each training the epoch with the best UA on the test part itself, given {own}, was kept, which makes "
            "the scores optimistic."
        )
    calibrated = any(one.temperatures for one in run.trainings)
    return chosen + (
        " Probabilities are calibrated by temperatures that were fitted on the validation part."
        if calibrated
        else " Probabilities are as the model gives them: there was no validation part to calibrate them on."
    )


def audit_sentence(run: Run, *, found: bool) -> str:
    """How the leakage audit is to be read."""
    head = (
        "Before each training its parts were searched for speakers, sessions, scripts, recordings and texts that they "
        "share. "
    )
    if not found:
        return f"{head}They share none."
    if run.protocol == "paper":
        return f"{head}The published procedure allows all of it, and every line below makes its test easier."
    return (
        f"{head}What protocol '{run.protocol}' does not allow would have stopped the training; this is what it allows."
    )


def comparison_sentences(results: Results) -> list[str]:
    """What is to be said of every other run beside the first."""
    said = [
        one.sentence() + (f" ({one.note[0].upper()}{one.note[1:]}.)" if one.note else "") for one in results.comparisons
    ]
    baseline = results.runs[0].name
    said += [f"{name} is not compared with {baseline}: {why}" for name, why in results.not_compared.items()]
    return said


def data_table(run: Run) -> Table:
    """Where the utterances come from."""
    data = run.recipe["data"]
    licences: dict[str, str] = {}
    for one in run.trainings:
        licences |= {str(name): str(value) for name, value in (one.facts.get("licences") or {}).items()}
    corpora = dict.fromkeys(name for one in run.folds for part in one.parts.values() for name in part.corpora)
    corpora |= dict.fromkeys(licences)
    pairs: list[tuple[str, Cell]] = [
        ("corpora", ", ".join(corpora) or None),
        ("manifest", None if data.get("manifest") is None else str(data["manifest"])),
        ("licences", ", ".join(f"{name}: {licences.get(name, 'not on record')}" for name in corpora) or None),
        ("classes", f"{', '.join(run.predictions.labels)} (scheme {data.get('scheme')})"),
        ("protocol", f"{run.protocol}, seed {data.get('seed')}"),
        ("fingerprint of all utterances", _one(run, "corpus_fingerprint")),
        *(("about the data", comment) for comment in dict.fromkeys(one.comment for one in run.folds) if comment),
        *(("note", note) for note in run.notes),
    ]
    return _facts("What the run was trained and tested on", pairs)


def evaluation_table(run: Run, asked: Asked) -> Table:
    """What an evaluation asked, and what is to be known of it."""
    errors = asked.transcripts
    pairs: list[tuple[str, Cell]] = [
        ("model", asked.model[0]),
        ("SHA-256 of the model", asked.model[1]),
        ("manifest", asked.manifest[0]),
        ("SHA-256 of the manifest", asked.manifest[1]),
        ("part", asked.part or "all rows"),
        ("corpora", ", ".join(sorted(set(run.predictions.extra.get("corpus", ())) - {""})) or None),
        ("classes", f"{', '.join(run.predictions.labels)} (scheme {asked.scheme})"),
        ("transcribed by", asked.transcriber),
        (
            "word error rate of the transcripts",
            None if errors is None else f"{share(errors['word_error_rate'])} of {errors['words']:,} words",
        ),
        ("utterances that could not be used", asked.failed),
        *(("note", note) for note in run.notes),
    ]
    return _facts("What the model was judged on", pairs)


def provenance_table(run: Run) -> Table:
    """What it was made with and how long it took."""
    if run.asked is not None:
        known = [(name, str(run.asked.facts[name])) for name in ("m3ser", "finished") if name in run.asked.facts]
        return _facts("How the evaluation was made", known)
    seconds = [float(one.facts["seconds"]) for one in run.trainings if "seconds" in one.facts]
    memory = [int(one.facts["peak_memory"]) for one in run.trainings if one.facts.get("peak_memory")]
    packages: dict[str, dict[str, None]] = {}
    for one in run.trainings:
        for name, version in (one.facts.get("packages") or {}).items():
            packages.setdefault(str(name), {})[str(version)] = None
    own = dict.fromkeys(
        f"{name} (SHA-256 {str(digest)[:12]})"
        for one in run.trainings
        for name, digest in (one.facts.get("own_models") or {}).items()
    )
    revision = _one(run, "git")
    changed = " (with changes that are not committed)" if revision and "+" in revision else ""
    pairs: list[tuple[str, Cell]] = [
        ("m3ser", _one(run, "m3ser")),
        ("git revision", None if revision is None else f"{revision}{changed}"),
        ("models of one's own (M3SER_MODELS)", ", ".join(own) or None),
        ("Python", _one(run, "python")),
        ("packages", ", ".join(f"{name} {' or '.join(versions)}" for name, versions in packages.items()) or None),
        ("system", _one(run, "system")),
        ("device", _one(run, "device")),
        ("threads", _one(run, "threads")),
        ("processes", _one(run, "processes")),
        ("trainings", len(run.trainings)),
        ("time", f"{_duration(sum(seconds))}, all trainings together" if seconds else None),
        ("peak memory", _size(max(memory)) if memory else None),
        ("finished", _latest(run)),
    ]
    return _facts("How the run was made", pairs)


def commands(run: Run) -> tuple[str, ...]:
    """What made the run, and makes it again; several where its folds were trained by several commands."""
    if run.asked is not None:
        return tuple(str(run.asked.facts[name]) for name in ("command",) if name in run.asked.facts)
    return tuple(_values(run, "command"))


def _facts(caption: str, pairs: Iterable[tuple[str, Cell]]) -> Table:
    rows = tuple((name, value) for name, value in pairs if value is not None)
    return Table(caption, ("what", "is"), rows, prose=frozenset({1}))


def _values(run: Run, name: str) -> Iterator[str]:
    """The different values of a fact, in the order of the trainings."""
    found: dict[Any, None] = dict.fromkeys(
        str(one.facts[name]) for one in run.trainings if one.facts.get(name) is not None
    )
    yield from found


def _one(run: Run, name: str) -> str | None:
    """A fact that is one for all trainings, as a rule; where it is not, its values."""
    return ", ".join(_values(run, name)) or None


def _latest(run: Run) -> str | None:
    """The facts are written at the end of a training, with the time of that."""
    return max(_values(run, "finished"), default=None)


def _duration(seconds: float) -> str:
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min {rest} s"


def _size(count: int) -> str:
    return f"{count / 2**30:.1f} GiB" if count >= 2**30 else f"{count / 2**20:.0f} MiB"
