"""The whole standing evaluation of a recipe, group by group; what is there already is not computed again.

The folder of an evaluation holds::

    recipe.yaml      what is evaluated
    shares/          a training on the recipe's own split: its validation part chooses between recipes
    speaker/         trainings with groups of speakers left out, one for all corpora at once
    corpus/          trainings with a corpus left out
    answers/         what the models said, a file for each question
    standing.json    the scores
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cached_property, partial
from pathlib import Path
from types import MappingProxyType
from typing import Any

from m3ser.corpora import disjoint_sentences, get_reader
from m3ser.errors import M3serError, RecipeError, UsageError
from m3ser.evaluation import PredictionTable, concatenate, write_predictions
from m3ser.files import write_whole
from m3ser.schema import Utterance
from m3ser.training.corpus import read_corpora, without_copies
from m3ser.training.provenance import facts
from m3ser.training.recipe import PairedRecipe, Recipe
from m3ser.training.recipe_file import load_recipe
from m3ser.training.run_folder import open_run
from m3ser.training.standing import questions as asked
from m3ser.training.standing import scores as scored
from m3ser.training.standing.folds import HeldOut, Kept, train_folds
from m3ser.training.standing.profiles import profiled
from m3ser.training.standing.questions import Question

__all__ = ["GROUPS", "STANDING", "evaluate_standing", "record_group"]

STANDING = "standing.json"


class _Evaluation:
    """One recipe's trainings, begun when a group first needs them."""

    def __init__(self, recipe: Recipe, data: PairedRecipe, out: Path, cache: Path) -> None:
        self.recipe = recipe
        self.data = data
        self.out = out
        self.cache = cache
        self.scheme = data.emotion_scheme

    @property
    def language(self) -> str:
        """Of the words that the model reads."""
        return "en" if self.recipe.bundle is None else self.recipe.bundle.language

    @property
    def hears_frozen(self) -> bool:
        """Whether voices can be judged with profiles: see :meth:`HeldOut.answers`."""
        encoder = self.recipe.audio_encoder
        return encoder is not None and not (encoder.learns or encoder.mixes)

    @cached_property
    def texts(self) -> list[Utterance]:
        """The labelled sentences, none in two parts."""
        read = read_corpora(self.data.root, self.data.sentences)
        return disjoint_sentences(u for u in read if self.scheme.class_of(u.emotion) is not None)[0]

    @cached_property
    def elsewhere(self) -> list[Utterance]:
        """The recordings of those of the first starter's corpora that this recipe never trains with."""
        usual = load_recipe("starter/first").data
        assert isinstance(usual, PairedRecipe)
        folders = {name: folder for name, folder in usual.voices.items() if name not in self.data.voices}
        there = {name: folder for name, folder in folders.items() if (self.data.root / folder).is_dir()}
        read = read_corpora(self.data.root, there)
        return without_copies(u for u in read if self.scheme.class_of(u.emotion) is not None)

    @cached_property
    def chosen(self) -> HeldOut:
        """On the recipe's own split."""
        return self._trained("shares")

    @cached_property
    def speaker(self) -> HeldOut:
        """Speakers left out."""
        return self._trained("speaker")

    @cached_property
    def corpus(self) -> HeldOut:
        """Corpora left out."""
        return self._trained("corpus")

    def _trained(self, kept: Kept) -> HeldOut:
        return train_folds(self.recipe, kept, self.out / kept, cache=self.cache)

    def ask(
        self, held_out: HeldOut, questions: Callable[[tuple[Utterance, ...]], Sequence[Question]], *, about: str
    ) -> dict[str, PredictionTable]:
        """The answers, which are kept: everything that is reported can be computed from them again."""
        found = held_out.answers(questions)
        for name, table in found.items():
            file = f"{about}, {name}".replace("/", " per ") + ".csv"
            write_predictions(self.out / "answers" / file, table, comment=held_out.prepared.comment)
        return found


_USUAL = "30 of the speaker"
"""The profile that recipes are chosen by, too."""


def _choice(one: _Evaluation) -> dict[str, Any]:
    """What recipes are chosen by: the validation part of their own split, on which epochs and temperatures are, too."""

    def questions(pairs: tuple[Utterance, ...]) -> list[Question]:
        heard = asked.voices_of(pairs, "validation")
        own = [question for question in profiled(heard, one.scheme) if question.name == _USUAL]
        return [
            asked.voice(heard, one.scheme),
            *(own if one.hears_frozen else ()),
            *asked.pairs(heard, one.texts, one.scheme),
            *asked.plain_words(heard, one.scheme),
        ]

    found = one.ask(one.chosen, questions, about="choice")
    return {
        "voice": scored.by_corpus(found["voice"]),
        **({_USUAL: scored.with_profile(found["voice"], found[_USUAL])} if _USUAL in found else {}),
        "words": scored.scores(found["words"]),
        **scored.paired_scores(found["voice"], found["pairs"]),
        **{name: scored.cost_of_words(found["voice"], found[name]) for name in ("CREMA-D's words", "statements")},
    }


def _speakers(one: _Evaluation) -> dict[str, Any]:
    """(a) and (e): voices alone of people whom the model never heard, in corpora that it knows."""
    found = one.ask(
        one.speaker, lambda pairs: [asked.voice(asked.voices_of(pairs, "test"), one.scheme)], about="speakers"
    )
    return scored.by_corpus(found["voice"])


def _corpora(one: _Evaluation) -> dict[str, Any]:
    """(b): voices alone of a corpus that the model never heard; and with the words that they really say.

    Each of the recipe's corpora is left out in turn, where it has several; of others that are there, all that they hold
    is asked of the model of its own split.
    """

    def questions(heard: Sequence[Utterance]) -> list[Question]:
        return [asked.voice(heard, one.scheme), asked.own_words(heard, one.scheme, language=one.language)]

    answers = _of_unseen_corpora(one, questions)
    found = scored.by_corpus(answers["voice"])
    own = [scores["ua"] for name, scores in found.items() if name != "all"]
    return {**found, "mean": sum(own) / len(own), **_own_words(answers)}


def _of_unseen_corpora(
    one: _Evaluation, questions: Callable[[Sequence[Utterance]], Sequence[Question]], *, about: str = ""
) -> dict[str, PredictionTable]:
    """The answers about recordings of corpora that the model of a fold has not met; see :func:`_corpora`."""
    parts = []
    if len(one.data.voices) > 1 or not one.elsewhere:
        heard = one.ask(one.corpus, lambda pairs: questions(asked.voices_of(pairs, "test")), about=f"{about}corpora")
        parts.append(heard)
    if one.elsewhere:
        parts.append(one.ask(one.chosen, lambda _: questions(one.elsewhere), about=f"{about}other corpora"))
    names = dict.fromkeys(name for part in parts for name in part)
    return {name: concatenate([part[name] for part in parts if name in part]) for name in names}


def _texts(one: _Evaluation) -> dict[str, Any]:
    """(c): sentences alone, by the models of (a)."""
    found = {}
    for name in _TEXTS:
        folder = one.data.root / _TEXTS[name]
        if not folder.is_dir():
            continue
        read = get_reader(name).read(folder).utterances
        kept = [u for u in read if u.split == "test" and one.scheme.class_of(u.emotion) is not None]
        question = asked.sentences(name, kept, one.scheme)
        found[name] = scored.scores(one.ask(one.speaker, lambda _, q=question: [q], about="texts")[name])  # type: ignore[misc]
    return found


def _pairs(one: _Evaluation) -> dict[str, Any]:
    """(d): a paired (semi-synthetic) corpus of unseen speakers and sentences; and words that tell nothing."""

    def questions(pairs: tuple[Utterance, ...]) -> list[Question]:
        heard = asked.voices_of(pairs, "test")
        return [
            asked.voice(heard, one.scheme),
            *asked.pairs(heard, one.texts, one.scheme),
            asked.own_words(heard, one.scheme, language=one.language),
        ]

    found = one.ask(one.speaker, questions, about="pairs")
    return {
        "voice": scored.scores(found["voice"]),
        "words": scored.scores(found["words"]),
        **scored.paired_scores(found["voice"], found["pairs"]),
        **scored.half_missing(found["voice"], found["words"], found["pairs"]),
        **_own_words(found),
    }


def _robustness(one: _Evaluation) -> dict[str, Any]:
    """(f): some of the voices of (a), degraded."""
    found = one.ask(
        one.speaker, lambda pairs: asked.degraded(asked.voices_of(pairs, "test"), one.scheme), about="robustness"
    )
    return scored.degradation_losses(found)


def _profiles(one: _Evaluation) -> dict[str, Any]:
    """(h): the voices of (a) and of (b), with profiles of their speakers or corpora."""

    def questions(heard: Sequence[Utterance]) -> list[Question]:
        return profiled(heard, one.scheme)

    speakers = one.ask(one.speaker, lambda pairs: questions(asked.voices_of(pairs, "test")), about="profiles, speakers")
    corpora = _of_unseen_corpora(one, questions, about="profiles, ")
    found: dict[str, Any] = {}
    for title, answers in (("unseen speakers", speakers), ("unseen corpora", corpora)):
        plain = answers.pop("voice")
        found[title] = {
            "none": scored.by_corpus(plain),
            **{name: scored.with_profile(plain, table) for name, table in answers.items()},
        }
    return found


def _own_words(answers: Mapping[str, PredictionTable]) -> dict[str, Any]:
    """Of corpora in the language that the model reads."""
    if "own words" not in answers:
        return {}
    return {"own words": scored.cost_of_words(answers["voice"], answers["own words"])}


_TEXTS = {"goemotions": "text/goemotions", "meld": "text/meld"}

GROUPS: Mapping[str, Callable[[_Evaluation], dict[str, Any]]] = MappingProxyType(
    {
        "choice": _choice,
        "speakers": _speakers,
        "corpora": _corpora,
        "texts": _texts,
        "pairs": _pairs,
        "robustness": _robustness,
        "profiles": _profiles,
    }
)
"""What can be asked for, in the order in which it is done."""


def evaluate_standing(
    recipe: Recipe,
    out: str | Path,
    *,
    cache: str | Path,
    only: Sequence[str] = (),
    again: bool = False,
    on_group: Callable[[str, Mapping[str, Any]], None] | None = None,
) -> dict[str, Any]:
    """Ask a recipe's models the standing questions, and keep the scores in ``standing.json``.

    Args:
        recipe: with a paired corpus.
        out: the folder of this evaluation; groups that are finished there are read, not computed.
        cache: folder for the frozen encoders' states.
        only: names of :data:`GROUPS`; none: all.
        again: ask anew where a group is finished; its trainings stay.
        on_group: told each group's scores when it is finished.

    Returns:
        What ``standing.json`` holds. A group that could not be computed is under "failed", with the sentence why.

    Raises:
        UsageError: there is no such group.
        RecipeError: the folder is of another recipe, or the recipe has no paired corpus.
    """
    if strange := [name for name in only if name not in GROUPS]:
        raise UsageError(f"There is no group '{strange[0]}'; known are {', '.join(GROUPS)}.")
    if not isinstance(recipe.data, PairedRecipe):
        raise RecipeError(f"Recipe '{recipe.name}' has data of kind '{recipe.data.kind}'; a starter needs paired data.")
    out = Path(out)
    one = _Evaluation(recipe, recipe.data, out, Path(cache))
    record: dict[str, Any] = {}
    for name in [name for name in GROUPS if not only or name in only]:
        record = record_group(recipe, out, name, partial(GROUPS[name], one), again=again)
        if on_group is not None and name in record["groups"]:
            on_group(name, record["groups"][name]["scores"])
    return record


def record_group(
    recipe: Recipe, out: Path, name: str, compute: Callable[[], dict[str, Any]], *, again: bool = False
) -> dict[str, Any]:
    """The record of `recipe` with the group called `name`, which is computed where it is not there yet, or `again`.

    Raises:
        RecipeError: the folder is of another recipe.
    """
    open_run(out, recipe, resume=True)
    record = _read_record(out)
    if again or name not in record["groups"]:
        started = time.monotonic()
        found: dict[str, Any] | None = None
        failed = ""
        try:
            found = compute()
        except M3serError as error:
            # One group may fail where others can be had, and a failure is a result, too.
            failed = str(error)
        # Read again: other groups may have been finished beside this one, by other processes.
        record = {**_read_record(out), "begun": record["begun"]}
        if found is None:
            record["failed"][name] = failed
        else:
            record["failed"].pop(name, None)
            record["groups"][name] = {"scores": found, "seconds": round(time.monotonic() - started, 1)}
        # The command names folders of this machine, which a record that is kept for others has no use for.
        record["facts"] = {key: value for key, value in facts().items() if key != "command"}
    # Also of a record that is there: what an experiment showed is written into its recipe afterwards.
    record |= {"recipe": recipe.name, "expected": recipe.expected, "changes": _changes(recipe)}
    # In one order, however they came about, so that a record that is kept shows what has changed.
    groups = record["groups"]
    record["groups"] = {one: groups[one] for one in dict.fromkeys([*GROUPS, *groups]) if one in groups}
    write_whole(out / STANDING, json.dumps(record, indent=2) + "\n")
    return record


def _read_record(out: Path) -> dict[str, Any]:
    file = out / STANDING
    if not file.is_file():
        return {"begun": facts()["finished"], "groups": {}, "failed": {}}
    record: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
    return record


def _changes(recipe: Recipe) -> dict[str, str]:
    """Key -> value, where the recipe differs from the first starter's in what its model learns."""
    own, usual = (dict(_flat(one.model_dump(mode="json"))) for one in (recipe, load_recipe("starter/first")))
    keys = [key for key in {**usual, **own} if not key.startswith(_UNTOLD) and own.get(key) != usual.get(key)]
    return {key: str(own.get(key)) for key in keys}


_UNTOLD = ("name", "expected", "data.root", "bundle.")


def _flat(part: Mapping[str, Any], above: str = "") -> Iterator[tuple[str, Any]]:
    for key, value in part.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{above}{key}.")
        else:
            yield f"{above}{key}", value
