"""The model card of a bundle: what it is, what it was trained on, what it may be used for, and how well it does."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from m3ser.bundle import Manifest, Temperature
from m3ser.corpora import CorpusInfo
from m3ser.evaluation import Evaluation
from m3ser.schema import EmotionScheme
from m3ser.training.scoring import Scores

__all__ = ["Answer", "model_card"]


@dataclass(frozen=True)
class Answer:
    """What the model itself, or one of its heads, answers, and how well.

    Attributes:
        scheme: its classes.
        temperature: fitted on the validation part.
        scores: of the exported graphs on the speakers and sentences that nothing was chosen by.
        before_export: of the model as trained, on the same; what is different, the stored precision has cost.
    """

    scheme: EmotionScheme
    temperature: Temperature
    scores: Scores
    before_export: Scores


def model_card(
    manifest: Manifest,
    answers: Sequence[Answer],
    *,
    comment: str,
    infos: Sequence[CorpusInfo],
    command: str,
    taught: Sequence[str] = (),
    standing: str = "",
) -> str:
    """The card as Markdown; every number in it comes from `answers` or `standing`.

    Args:
        manifest: of the bundle, as far as it is filled in.
        answers: the model's own, and its heads'.
        comment: what the paired corpus says of itself.
        infos: the corpora.
        command: what makes this bundle again.
        taught: a sentence about each encoder that had been trained before.
        standing: a part of the card from :func:`m3ser.evaluation.report.experiments.standing_tables`; empty: none.
    """
    own, *others = answers
    data = "\n".join(f"- {info.title}, {info.licence}. {info.citation}" for info in infos)
    versions = ", ".join(f"{name} {version}" for name, version in manifest.created_by.items())
    heads = "".join(
        f"\n## Scores of `{manifest.name}:{one.scheme.name}`\n\n"
        f"The same encoders with a head for {', '.join(one.scheme.classes)}.\nIt was trained after the model, whose "
        "own answers it leaves as they are, and judged on the same speakers.\nClasses that a group lacks are not "
        f"counted in its UA.\n\n{_scores(one)}\n"
        for one in others
    )
    return f"""# {manifest.full_name}

Model for {manifest.description}.

Classes: {", ".join(manifest.labels)}. Architecture: `{manifest.architecture}`; the encoders' weights
are {_STORED[manifest.precision]}.

**Licence of the weights: {manifest.licence}**, because of the corpora below. Where that is a non-commercial licence,
the weights are for non-commercial use; the m3ser code is not bound by it.

## What it is for, and what not

For finding out how something was said where a mistake does little harm and people know of it: research, searching
recordings, teaching, prototypes. It tells what actors' voices and forum comments like these are called, not what
somebody feels.

Not for deciding about people: not for hiring, grading, policing, insuring or diagnosing, and not for watching anybody
who has not agreed to it. Recordings of voices are personal data; ask those who speak. In the European Union the AI Act
(Regulation (EU) 2024/1689) forbids inferring emotions at work and in education but for medical or safety reasons
(Article 5), and obliges whoever uses such systems elsewhere to tell the people concerned (Article 50). Other laws may
say more.

## Trained on

{data}

{comment[0].upper()}{comment[1:]}.

No speaker and no sentence of the words is in two of train, validation and test; the sentences that the
speakers really spoke are few and recur in all parts. The best epoch and the temperatures were chosen on validation.
{"".join(f"{sentence}{chr(10)}" for sentence in taught)}
Made by (data folder as in the recipe's head), with {versions}:

    {command}

## Scores on unseen speakers

Speakers and sentences of the test part, which nothing was chosen by; measured on the exported graphs; 95% intervals by
bootstrap over the unit named. "Both" is **paired (semi-synthetic)**: real voices with real sentences that they never
said. Its numbers say how voice and words are weighed against each other, and nothing about any real corpus of
conversation.

{_scores(own)}
{heads}
{_STANDING.format(tables=standing) if standing else ""}\
## Known failures

The voices are acted, and few; the words are English comments from a web forum. Other recordings, spontaneous speech
above all, will be recognised less well than the tables say: docs/experiments.md of m3ser tells by how much for corpora
that were left out, for noise, telephones and rooms.{_profiles(manifest)}

{_failures(own.scores)}
"""


def _profiles(manifest: Manifest) -> str:
    if manifest.audio is None or manifest.audio.centre is None:
        return ""
    return """ A profile of who speaks, made of unlabelled recordings by
`m3ser adapt`, makes up for much of it (docs/profiles.md)."""


_STORED = {
    "fp32": "float32",
    "fp16": "stored as float16 and widened to float32 when loaded",
    "int8-weights": "stored as int8 and widened to float32 when loaded",
    "int8": "int8, and their products those of whole numbers",
}

_STANDING = """\
{tables}
These are of the same recipe, trained with the speakers or the corpus in question left out: not of the weights in this
bundle, which know them.

"""


def _scores(answer: Answer) -> str:
    """Table and remarks of one answer."""
    scores, before = answer.scores, answer.before_export
    rows = [
        ("voice alone", scores.audio, "speakers"),
        *((f"voice alone, {name}", one, "speakers") for name, one in scores.corpora.items()),
        *((f"voice alone, language {name}", one, "speakers") for name, one in scores.languages.items()),
        *((f"voice alone, {name} speakers", one, "speakers") for name, one in scores.genders.items()),
        ("words alone (GoEmotions test sentences)", scores.text, "sentences"),
        ("both, all pairs", scores.both, "speakers"),
        *((f"both, {_RELATIONS[name]}", one, "speakers") for name, one in scores.relations.items()),
    ]
    cost = max(
        abs(after.unweighted_accuracy - earlier.unweighted_accuracy)
        for after, earlier in ((scores.audio, before.audio), (scores.text, before.text), (scores.both, before.both))
    )
    table = "\n".join(_row(title, one, unit) for title, one, unit in rows)
    return f"""\
| condition | n | UA (unweighted accuracy = balanced accuracy) | WA (weighted accuracy = accuracy) | ECE |
|---|---:|---:|---:|---:|
{table}

{_flips(scores)}
Speakers differ a great deal and are few, so the intervals are wide. Storing and exporting the weights changes UA by at
most {100 * cost:.2f} points in the three conditions."""


def _failures(scores: Scores) -> str:
    if not scores.mistakes:
        return "Every recording of the test part was recognised by the voice alone."
    lines = "\n".join(
        f"- `{one.name}`: recorded as {one.emotion}, heard as {one.heard}, with a probability of {one.probability:.2f}"
        for one in scores.mistakes
    )
    return f"Of each class, the recording of the test part that was got wrong with the most conviction:\n\n{lines}"


_RELATIONS = {
    "agree": "words that agree with the voice",
    "neutral": "neutral words",
    "conflict": "words that conflict with the voice",
    "plain": "plain statements",
}


def _row(title: str, one: Evaluation, unit: str) -> str:
    cells = [title, f"{one.utterances} ({one.speakers} {unit if one.speakers != 1 else unit.removesuffix('s')})"]
    for name in ("unweighted_accuracy", "weighted_accuracy"):
        interval = one.intervals.get(name)  # a single speaker has none
        between = "" if interval is None else f" ({100 * interval.low:.1f} to {_percent(interval.high)})"
        cells.append(_percent(getattr(one, name)) + between)
    cells.append(_percent(one.expected_calibration_error))
    return f"| {' | '.join(cells)} |"


def _flips(scores: Scores) -> str:
    if scores.conflict_flips is None or scores.flip_rate is None:
        return "No conflicting pair's voice was recognised rightly when heard alone, so there was nothing to turn."
    interval = scores.flip_interval
    between = "" if interval is None else f" ({100 * interval[0]:.1f} to {_percent(interval[1])})"
    return (
        f"Conflicting words turn {_percent(scores.flip_rate)}{between} of the right answers from the\nvoice into wrong "
        f"ones (n = {scores.conflict_flips.utterances} pairs of {scores.conflict_flips.speakers} speakers)."
    )


def _percent(share: float) -> str:
    return f"{100 * share:.1f}%"
