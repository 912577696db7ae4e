"""What the model of each fold is asked, whatever its recipe: the same recordings, pairs and sentences every time."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from m3ser.corpora import pair, plain_sentences
from m3ser.corpora.crema_d import SENTENCES
from m3ser.corpora.drawing import shuffled, uniform
from m3ser.schema import EmotionScheme, Utterance
from m3ser.training.examples import Example
from m3ser.training.judging import Asked, ask
from m3ser.training.standing.degradations import DEGRADATIONS, Degraded
from m3ser.training.states import Recording

__all__ = [
    "PAIRS",
    "PER_GROUP",
    "SHARES",
    "Drawn",
    "Question",
    "degraded",
    "own_words",
    "pairs",
    "plain_words",
    "sentences",
    "voice",
    "voices_of",
]

SHARES = {"agree": 0.5, "neutral": 0.25, "conflict": 0.25}
"""Of the pairs that are tested, whatever a recipe trains with: what is measured must not depend on it."""

PAIRS = 4
"""Sentences that each recording is tested with."""

PER_GROUP = 4
"""Recordings of each corpus and class in each fold that are degraded."""

_SEED = 0


@dataclass(frozen=True)
class Drawn:
    """What a profile is made of.

    Attributes:
        recordings: empty: there are none, and so no profile.
        neutral: share of neutral ones that the profile says; None: it says nothing.
    """

    recordings: tuple[Recording, ...]
    neutral: float | None = None


@dataclass(frozen=True)
class Question:
    """One thing that a model is asked.

    Attributes:
        name: the same in every fold ("voice", "noise at 5 dB").
        asked: the examples.
        profiles: each example's profile (:mod:`m3ser.training.standing.profiles`); None: it is judged without one.
    """

    name: str
    asked: Asked
    profiles: tuple[Drawn, ...] | None = None


def voices_of(utterances: Iterable[Utterance], part: str) -> tuple[Utterance, ...]:
    """The recordings of one part of a paired corpus, each once, with what is really said in them as ``text``."""
    found: dict[Recording, Utterance] = {}
    for one in utterances:
        if one.split == part and one.audio is not None:
            extra = {name: value for name, value in one.extra.items() if name not in _OF_A_PAIR}
            own = replace(one, text=one.extra.get("spoken"), extra=extra)
            found.setdefault(Recording(one.audio, one.start, one.end), own)
    return tuple(found.values())


def voice(voices: Sequence[Utterance], scheme: EmotionScheme) -> Question:
    """The voices alone."""
    return Question("voice", ask("audio", voices, _names(voices), scheme))


def pairs(voices: Sequence[Utterance], texts: Sequence[Utterance], scheme: EmotionScheme) -> list[Question]:
    """The voices with sentences of their part, in :data:`SHARES`, and these sentences alone.

    A pair is called after voice and sentence.
    """
    made = pair(voices, texts, scheme=scheme, shares=SHARES, per_clip=PAIRS, seed=_SEED).utterances
    names = [f"{name}+{u.extra['text_id']}" for name, u in zip(_names(made), made, strict=True)]
    return [Question("pairs", ask("both", made, names, scheme)), Question("words", ask("text", made, names, scheme))]


def own_words(voices: Sequence[Utterance], scheme: EmotionScheme, *, language: str) -> Question:
    """The voices with what they really say, where that is in the language that the model reads."""
    kept = [u for u in voices if u.text is not None and u.language == language]
    return Question("own words", ask("both", kept, _names(kept), scheme))


def plain_words(voices: Sequence[Utterance], scheme: EmotionScheme) -> list[Question]:
    """The voices with words that tell nothing, one sentence each, by the voice's name.

    Sentences that CREMA-D's actors say in every emotion; and statements that are in no training part.
    """
    statements = tuple(u.text for u in plain_sentences() if u.split == "validation")
    found = []
    for title, texts in (("CREMA-D's words", tuple(SENTENCES.values())), ("statements", statements)):
        names = _names(voices)
        made = [
            replace(u, text=texts[int(uniform(_SEED, title, name) * len(texts))])
            for u, name in zip(voices, names, strict=True)
        ]
        found.append(Question(title, ask("both", made, names, scheme)))
    return found


def sentences(name: str, texts: Sequence[Utterance], scheme: EmotionScheme) -> Question:
    """Sentences alone; each stands for itself in the bootstrap."""
    names = _names(texts)
    asked = ask("text", texts, names, scheme)
    return Question(name, replace(asked, speakers=asked.names))


def degraded(voices: Sequence[Utterance], scheme: EmotionScheme) -> list[Question]:
    """Some of the voices, as they are ("clean") and under every degradation."""
    groups: defaultdict[tuple[str, str | None], list[Utterance]] = defaultdict(list)
    for one in shuffled(voices, _SEED, "degraded", name=lambda u: u.extra.get("id")):
        groups[one.extra.get("corpus", ""), scheme.class_of(one.emotion)].append(one)
    chosen = [one for group in groups.values() for one in group[:PER_GROUP]]
    clean = ask("audio", chosen, _names(chosen), scheme)
    return [
        Question("clean", clean),
        *(Question(how, replace(clean, examples=_degraded(clean, how))) for how in DEGRADATIONS),
    ]


def _degraded(asked: Asked, how: str) -> tuple[Example, ...]:
    made = []
    for example in asked.examples:
        assert example.audio is not None
        heard = example.audio
        made.append(replace(example, audio=Degraded(heard.path, heard.start, heard.end, how)))
    return tuple(made)


_OF_A_PAIR = ("relation", "text_emotion", "text_corpus", "text_id", "text_language")


def _names(utterances: Sequence[Utterance]) -> list[str]:
    return [f"{u.extra.get('corpus', '')}/{u.extra.get('id', i)}" for i, u in enumerate(utterances)]
