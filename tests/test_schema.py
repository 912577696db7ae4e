"""The nouns: what cannot be, and that they travel to other processes."""

from __future__ import annotations

import copy
import pickle
from pathlib import Path

import pytest

from m3ser.corpora import Fold, Split, get_reader
from m3ser.errors import UsageError
from m3ser.schema import BASIC7, IEMOCAP4, EmotionScheme, Prediction, Segment, Utterance, get_scheme


def test_what_an_utterance_holds_survives_another_process() -> None:
    one = Utterance(Path("a.wav"), "angry", text="no", extra={"gender": "female"})
    split = Split("speaker", 1, (one,), (Fold("first", ("train",)),), {"too short": 3}, ("a note",), IEMOCAP4)
    for value in (one, split, get_reader("ravdess").INFO):
        again = pickle.loads(pickle.dumps(value))
        assert again == value
        assert copy.deepcopy(value) == value
    with pytest.raises(TypeError):
        pickle.loads(pickle.dumps(one)).extra["gender"] = "male"


def test_an_utterance_is_heard_or_read() -> None:
    with pytest.raises(UsageError, match="needs audio, text or both"):
        Utterance(None, "angry")


def test_schemes_spell_emotions_the_one_way() -> None:
    with pytest.raises(UsageError, match="names \\['furious'\\]; known emotions are angry, "):
        EmotionScheme("mine", ("furious", "sad"))
    with pytest.raises(UsageError, match="no emotion scheme 'mine'; known are iemocap4"):
        get_scheme("mine")


SEVEN = {
    "angry": 0.1,
    "happy": 0.2,
    "sad": 0.05,
    "neutral": 0.25,
    "fearful": 0.1,
    "disgusted": 0.05,
    "surprised": 0.25,
}


def test_valence_and_arousal_follow_from_the_scores() -> None:
    said = Prediction("neutral", SEVEN, 1.0, None, "none", "tiny@1:basic7")
    assert said.valence == pytest.approx(0.2 + 0.25 + 0.25)
    assert said.arousal == pytest.approx(0.1 + 0.2 + 0.1 + 0.25)
    told = Segment(0.0, 1.0, "neutral", SEVEN).to_dict()
    for found in (said.to_dict(), told):
        assert (found["valence"], found["arousal"]) == (0.7, 0.65)


def test_four_classes_are_too_few_to_tell_them_in_json() -> None:
    said = Prediction("happy", {"angry": 0.1, "happy": 0.9, "sad": 0.0, "neutral": 0.0}, 1.0, None, "none", "tiny@1")
    assert said.valence == pytest.approx(0.9)
    assert {"valence", "arousal"}.isdisjoint(said.to_dict())


def test_every_basic_class_is_of_one_side() -> None:
    """What is neither positive nor of high arousal is negative and of low arousal, never both at once by mistake."""
    sides = {}
    for emotion in BASIC7.classes:
        alone = Segment(0.0, 1.0, emotion, {emotion: 1.0})
        sides[emotion] = (alone.valence, alone.arousal)
    assert sides == {
        "angry": (0, 1),
        "happy": (1, 1),
        "sad": (0, 0),
        "neutral": (1, 0),
        "fearful": (0, 1),
        "disgusted": (0, 0),
        "surprised": (1, 1),
    }
