from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("torch")

from m3ser.errors import AudioReadError
from m3ser.schema import Utterance
from m3ser.training.centre import Centre, Neutral, centre_of, recordings_by_group
from m3ser.training.states import Recording


def utterance(name: str, corpus: str, emotion: str, speaker: str | None = None) -> Utterance:
    return Utterance(audio=Path(name), emotion=emotion, speaker=speaker, extra={"corpus": corpus})


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
    assert found.mean.dtype == np.float32
    assert found.mean.tolist() == [np.float32((2 + 10 + 30) / 3), 1.0]
    assert found.neutral is None


def test_some_of_many_evenly() -> None:
    groups = recordings_by_group(utterance(f"{number}.wav", "a", "sad") for number in range(1, 11))
    told = []
    found = centre_of(groups, value, each=2, on_each=lambda: told.append(1))
    assert found is not None
    assert found.mean[0] == (1 + 6) / 2
    assert len(told) == 2


def test_recordings_that_cannot_be_used_are_left_out() -> None:
    def states(recording: Recording) -> np.ndarray:
        if recording.path.stem == "2":
            raise AudioReadError("broken")
        return np.zeros((0, 2), np.float32) if recording.path.stem == "3" else value(recording)

    groups = recordings_by_group(utterance(f"{number}.wav", "a", "sad") for number in (1, 2, 3))
    found = centre_of(groups, states)
    assert found is not None
    assert found.mean[0] == 1
    assert centre_of(recordings_by_group([utterance("2.wav", "a", "sad")]), states) is None
    assert centre_of({}, states) is None


def of_sources(offsets: dict[str, list[float]], speakers: dict[str, str] | None = None) -> Centre:
    """The centre of sources where neutral recordings differ from angry and happy ones by so much, around 1, 2, ..."""
    states = {}
    training = []
    for base, (source, offset) in enumerate(offsets.items(), 1):
        for emotion, differs in (("neutral", np.array(offset)), ("angry", np.array([0.5, 0.5])), ("happy", -0.5)):
            one = utterance(f"{source}-{emotion}.wav", (speakers or {}).get(source, source), emotion, source)
            training.append(one)
            states[Recording(one.audio)] = np.full((1, 2), base) + differs  # type: ignore[arg-type]
    found = centre_of(recordings_by_group(training), lambda recording: states[recording].astype(np.float32))
    assert found is not None
    return found


def test_how_neutral_recordings_differ_is_what_corpora_have_in_common() -> None:
    alike = of_sources({"a": [3.0, 0.0], "b": [3.0, 0.0]}).neutral
    assert alike is not None
    assert alike.share == pytest.approx(1 / 3)
    assert alike.offset.dtype == np.float32
    assert alike.offset.tolist() == pytest.approx([3.0, 0.0])
    # Of the average of two that differ a part is kept, in its direction; of that of opposites nothing is.
    part = of_sources({"a": [3.0, 3.0], "b": [3.0, -1.0]}).neutral
    assert part is not None
    assert 0.1 < part.offset[0] < 2.9
    assert part.offset[1] == pytest.approx(part.offset[0] / 3)
    opposite = of_sources({"a": [3.0, 3.0], "b": [-3.0, -3.0]}).neutral
    assert opposite is not None
    assert opposite.offset.tolist() == pytest.approx([0.0, 0.0])


def test_of_one_corpus_speakers_tell() -> None:
    same = {"anna": "a", "bert": "a"}
    found = of_sources({"anna": [3.0, 0.0], "bert": [3.0, 0.0]}, same).neutral
    assert found is not None
    assert found.offset.tolist() == pytest.approx([3.0, 0.0])
    assert of_sources({"anna": [3.0, 0.0]}).neutral is None


def test_speakers_of_several_corpora_may_be_called_alike() -> None:
    training = [
        utterance(f"{corpus}-{emotion}.wav", corpus, emotion, "01")
        for corpus, emotions in (("a", ("neutral", "sad")), ("b", ("sad", "happy")))
        for emotion in emotions
    ]
    found = centre_of(recordings_by_group(training), lambda _: np.ones((1, 2), np.float32))
    assert found is not None
    assert found.neutral is None  # one source alone has both


def test_a_profile_is_held_against_the_centre() -> None:
    centre = Centre(np.array([1.0, 1.0], np.float32), Neutral(np.array([2.0, 0.0], np.float32), share=0.25))
    usual = np.array([3.0, 3.0])
    assert centre.shift(usual, None).tolist() == [-2.0, -2.0]
    assert centre.shift(usual, 0.25).tolist() == [-2.0, -2.0]
    # All of it neutral: the mean of all moods is lower by three quarters of how neutral ones differ.
    assert centre.shift(usual, 1.0).tolist() == [-0.5, -2.0]
    assert Centre(centre.mean, None).shift(usual, 1.0).tolist() == [-2.0, -2.0]
