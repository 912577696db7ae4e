"""Who is in the profiles that voices are judged with, and what they do to the states."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("torch")

from m3ser.schema import IEMOCAP4, Utterance
from m3ser.training.encoding import Material
from m3ser.training.standing.profiles import KINDS, moved, profiled
from m3ser.training.states import Recording

EMOTIONS = ("angry", "happy", "sad", "neutral")
COUNT = 48  # of each speaker


def voices(corpora: dict[str, tuple[str, ...]]) -> list[Utterance]:
    return [
        Utterance(
            audio=Path(f"{corpus}/{speaker}/{number}.wav"),
            emotion=EMOTIONS[number % 4],
            speaker=speaker,
            split="test",
            extra={"corpus": corpus, "id": f"{speaker}-{number}"},
        )
        for corpus, speakers in corpora.items()
        for speaker in speakers
        for number in range(COUNT)
    ]


HEARD = voices({"emodb": ("03", "08"), "emovo": ("03",)})


def test_nobody_is_in_the_own_profile_or_in_a_strangers() -> None:
    plain, *others = profiled(HEARD, IEMOCAP4)
    assert (plain.name, plain.profiles) == ("voice", None)
    assert [one.name for one in others] == list(KINDS)
    sizes = {}
    for question in others:
        assert question.profiles is not None
        assert question.asked is plain.asked
        depth = 2 if "speaker" in question.name else 1
        for example, profile in zip(question.asked.examples, question.profiles, strict=True):
            assert example.audio is not None
            assert (example.audio in profile.recordings) is ("itself" in question.name)
            assert len(set(profile.recordings)) == len(profile.recordings)
            assert {one.path.parts[:depth] for one in profile.recordings} == {example.audio.path.parts[:depth]}
            sizes.setdefault(question.name, set()).add(len(profile.recordings))
    assert sizes["the speaker"] == {COUNT - 1}
    assert sizes["30 of the speaker"] == sizes["30 of the corpus"] == {30}
    assert sizes["10 of the speaker"] == sizes["10 of the speaker, 70% neutral"] == {10}
    assert sizes["10 of the speaker, itself among them"] == {10}
    assert sizes["the corpus"] == {COUNT - 1, 2 * COUNT - 1}


def test_shares_of_neutral_ones() -> None:
    neutral = {Recording(one.audio) for one in HEARD if one.emotion == "neutral" and one.audio is not None}
    found = {
        question.name: np.mean([one in neutral for profile in question.profiles for one in profile.recordings])
        for question in profiled(HEARD, IEMOCAP4)
        if question.profiles is not None
    }
    assert found["10 of the speaker, all neutral"] == 1
    # Drawn without being put back, from 12 of 48: somewhat fewer than the share that they are drawn with.
    assert 0.5 < found["10 of the speaker, 70% neutral"] < 0.72
    assert found["10 of the speaker"] == pytest.approx(0.25, abs=0.05)


def test_profiles_say_how_much_of_them_is_neutral() -> None:
    neutral = {Recording(one.audio) for one in HEARD if one.emotion == "neutral" and one.audio is not None}
    questions = {question.name: question.profiles for question in profiled(HEARD, IEMOCAP4)}
    for silent in ("10 of the speaker", "10 of the speaker, 70% neutral"):
        assert {one.neutral for one in questions[silent] or ()} == {None}
    assert {one.neutral for one in questions["10 of the speaker, said to be 70% neutral"] or ()} == {0.7}
    for name in ("10 of the speaker, 70% neutral and said so", "10 of the speaker, all neutral and said so"):
        found = questions[name]
        assert found
        for profile, same in zip(found, questions[name.removesuffix(" and said so")] or (), strict=True):
            assert profile.recordings == same.recordings
            assert profile.neutral == np.mean([one in neutral for one in profile.recordings])


def test_draws_are_the_same_every_time() -> None:
    again = {question.name: question.profiles for question in profiled(list(HEARD), IEMOCAP4)}
    assert again == {question.name: question.profiles for question in profiled(HEARD, IEMOCAP4)}


def test_states_are_moved_to_the_centre_of_training() -> None:
    rng = np.random.default_rng(0)
    training = [
        Utterance(audio=Path(f"train/{n}.wav"), emotion=EMOTIONS[n % 4], extra={"corpus": "a"}) for n in range(8)
    ]
    recordings = [Recording(one.audio) for one in (*HEARD, *training) if one.audio is not None]
    states = {one: rng.normal(size=(rng.integers(1, 5), 3)).astype(np.float32) for one in recordings}
    question = next(one for one in profiled(HEARD, IEMOCAP4) if one.name == "10 of the speaker")
    found = moved(question, Material(states, None, {}), training)
    centre = np.mean([states[Recording(one.audio)].mean(axis=0) for one in training if one.audio], axis=0)
    assert question.profiles is not None
    for example, profile in zip(question.asked.examples, question.profiles, strict=True):
        assert example.audio is not None
        usual = np.mean([states[one].mean(axis=0) for one in profile.recordings], axis=0)
        np.testing.assert_allclose(found[example.audio], states[example.audio] + centre - usual, atol=1e-5)


def test_who_has_said_nothing_else_is_judged_without_a_profile() -> None:
    alone = [HEARD[0]]
    for question in profiled(alone, IEMOCAP4)[1:]:
        assert [one.recordings for one in question.profiles or ()] == [()]
        heard = Recording(alone[0].audio)  # type: ignore[arg-type]
        states = {heard: np.ones((2, 3), np.float32)}
        assert moved(question, Material(states, None, {}), alone)[heard].tolist() == states[heard].tolist()
