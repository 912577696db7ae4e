"""The nouns: what cannot be, and that they travel to other processes."""

from __future__ import annotations

import copy
import pickle
from pathlib import Path

import pytest

from m3ser.corpora import Fold, Split, get_reader
from m3ser.errors import UsageError
from m3ser.schema import IEMOCAP4, EmotionScheme, Utterance, get_scheme


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
