from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("torch")

from m3ser.errors import AudioReadError
from m3ser.schema import Utterance
from m3ser.training.centre import centre_of, recordings_by_group
from m3ser.training.states import Recording


def utterance(name: str, corpus: str, emotion: str) -> Utterance:
    return Utterance(audio=Path(name), emotion=emotion, extra={"corpus": corpus})


def value(recording: Recording) -> np.ndarray:
    """States whose mean is the number that the recording is called by; the longer, the larger it is."""
    number = int(recording.path.stem)
    return np.array([[number - 1.0, 0.0], [number + 1.0, 2.0]] * number, np.float32)


def test_every_emotion_of_every_corpus_weighs_the_same() -> None:
    many = [utterance(f"{number}.wav", "large", "angry") for number in (1, 2, 3)]
    others = [utterance("10.wav", "large", "sad"), utterance("30.wav", "small", "angry")]
    # In a paired corpus a recording is there with several sentences.
    groups = recordings_by_group([*many, *many, *others, Utterance(audio=None, emotion="sad", text="no")])
    assert [len(recordings) for recordings in groups.values()] == [3, 1, 1]
    found = centre_of(groups, value)
    assert found is not None
    assert found.dtype == np.float32
    assert found.tolist() == [(2 + 10 + 30) / 3, 1.0]


def test_some_of_many_evenly() -> None:
    groups = recordings_by_group(utterance(f"{number}.wav", "a", "sad") for number in range(1, 11))
    told = []
    found = centre_of(groups, value, each=2, on_each=lambda: told.append(1))
    assert found is not None
    assert found[0] == (1 + 6) / 2
    assert len(told) == 2


def test_recordings_that_cannot_be_used_are_left_out() -> None:
    def states(recording: Recording) -> np.ndarray:
        if recording.path.stem == "2":
            raise AudioReadError("broken")
        return np.zeros((0, 2), np.float32) if recording.path.stem == "3" else value(recording)

    groups = recordings_by_group(utterance(f"{number}.wav", "a", "sad") for number in (1, 2, 3))
    found = centre_of(groups, states)
    assert found is not None
    assert found[0] == 1
    assert centre_of(recordings_by_group([utterance("2.wav", "a", "sad")]), states) is None
    assert centre_of({}, states) is None
