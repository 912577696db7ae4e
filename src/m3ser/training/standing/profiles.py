"""Voices judged with a profile of their speaker or corpus (:mod:`m3ser.profile`): who is in it, and what it does.

No recording is in the profile that it is judged with, but where that is what is asked; and the labels of those in it
are not used, but to draw them, and for how many are neutral where the profile says so.
"""

from __future__ import annotations

import zlib
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from m3ser.schema import EmotionScheme, Utterance
from m3ser.training.centre import centre_of, recordings_by_group
from m3ser.training.encoding import Material
from m3ser.training.examples import Example
from m3ser.training.standing.questions import Drawn, Question, voice
from m3ser.training.states import Recording

__all__ = ["KINDS", "moved", "profiled"]

_NEUTRAL = 0.7
"""Share of the calm ones where most are, as in conversation."""


@dataclass(frozen=True)
class _Kind:
    """Which recordings are in a profile.

    Attributes:
        by: "speaker" or "corpus": whose recordings they are.
        most: how many of them; None: all.
        neutral: share of neutral ones that they are drawn with; None: as they come.
        said: share of neutral ones that the profile says, or "so": that which it has; None: it says nothing.
        itself: whether the one that is judged is among them, as where a recording's own utterances are learnt from.
    """

    by: str
    most: int | None = None
    neutral: float | None = None
    said: float | Literal["so"] | None = None
    itself: bool = False


KINDS: Mapping[str, _Kind] = MappingProxyType(
    {
        "the speaker": _Kind("speaker"),
        "30 of the speaker": _Kind("speaker", 30),
        "10 of the speaker": _Kind("speaker", 10),
        "10 of the speaker, itself among them": _Kind("speaker", 10, itself=True),
        "10 of the speaker, said to be 70% neutral": _Kind("speaker", 10, said=_NEUTRAL),
        "10 of the speaker, 70% neutral": _Kind("speaker", 10, _NEUTRAL),
        "10 of the speaker, 70% neutral and said so": _Kind("speaker", 10, _NEUTRAL, said="so"),
        "10 of the speaker, all neutral": _Kind("speaker", 10, 1.0),
        "10 of the speaker, all neutral and said so": _Kind("speaker", 10, 1.0, said="so"),
        "the corpus": _Kind("corpus"),
        "30 of the corpus": _Kind("corpus", 30),
        "30 of the corpus, 70% neutral": _Kind("corpus", 30, _NEUTRAL),
        "30 of the corpus, 70% neutral and said so": _Kind("corpus", 30, _NEUTRAL, said="so"),
    }
)
"""What a profile is of -> which recordings are in it."""


def profiled(voices: Sequence[Utterance], scheme: EmotionScheme) -> list[Question]:
    """The voices without a profile ("voice"), and with every kind of one."""
    asked = voice(voices, scheme)
    return [asked, *(replace(asked, name=name, profiles=_drawn(asked, kind)) for name, kind in KINDS.items())]


def moved(
    question: Question, material: Material, training: Iterable[Utterance]
) -> Mapping[Recording, NDArray[np.float32]]:
    """The audio states of each recording that is asked about, moved as its profile says.

    Args:
        question: with profiles; who has said nothing else has an empty one, and is judged without.
        material: states of all recordings, by a frozen encoder.
        training: the utterances that the model was trained on.
    """
    assert question.profiles is not None
    assert material.audio is not None
    states = material.audio
    centre = centre_of(recordings_by_group(training), lambda recording: states[recording])
    assert centre is not None
    heard = {one: states[one] for one in map(_recording, question.asked.examples)}
    means = {recording: found.mean(axis=0, dtype=np.float64) for recording, found in heard.items()}

    def shift(profile: Drawn) -> NDArray[np.float64]:
        return centre.shift(np.mean([means[one] for one in profile.recordings], axis=0), profile.neutral)

    return {
        recording: (found + shift(profile)).astype(np.float32) if profile.recordings else found
        for (recording, found), profile in zip(heard.items(), question.profiles, strict=True)
    }


def _drawn(question: Question, kind: _Kind) -> tuple[Drawn, ...]:
    asked = question.asked
    groups: defaultdict[str, list[int]] = defaultdict(list)
    owners = [_owner(one, kind.by) for one in asked.utterances]
    for place, owner in enumerate(owners):
        groups[owner].append(place)
    neutral = np.array([one.emotion == "neutral" for one in asked.utterances])
    made = []
    for place, (owner, name) in enumerate(zip(owners, asked.names, strict=True)):
        others = np.array([other for other in groups[owner] if other != place], np.int64)
        chosen = _chosen(others, neutral[others], kind, np.random.default_rng(zlib.crc32(name.encode()))).tolist()
        if kind.itself and chosen:
            chosen = [place, *chosen[1:]] if len(chosen) == kind.most else [place, *chosen]
        said = kind.said
        if said == "so":
            said = float(neutral[chosen].mean()) if chosen else None
        made.append(Drawn(tuple(_recording(asked.examples[other]) for other in chosen), said))
    return tuple(made)


def _chosen(
    others: NDArray[np.int64], neutral: NDArray[np.bool_], kind: _Kind, rng: np.random.Generator
) -> NDArray[np.int64]:
    weights = np.ones(len(others))
    if kind.neutral is not None:
        weights[neutral] = kind.neutral / max(1, neutral.sum())
        weights[~neutral] = (1 - kind.neutral) / max(1, (~neutral).sum())
    # Of few neutral recordings as many as there are.
    most = min(kind.most or len(others), int((weights > 0).sum()))
    return rng.choice(others, most, replace=False, p=weights / weights.sum()) if most else others[:0]


def _owner(utterance: Utterance, by: str) -> str:
    corpus = utterance.extra.get("corpus", "")
    return corpus if by == "corpus" else f"{corpus}/{utterance.speaker}"


def _recording(example: Example) -> Recording:
    assert example.audio is not None
    return example.audio
