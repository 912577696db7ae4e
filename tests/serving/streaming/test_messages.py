"""What a client may say, and the sentence where it says something else."""

from __future__ import annotations

import json

import pytest

from m3ser.schema import Segment
from m3ser.serving.problems import INTERNAL, Problem, ProblemError
from m3ser.serving.streaming.messages import (
    FINISH,
    Gap,
    Start,
    close_code,
    close_reason,
    parse,
    parse_start,
    segment_message,
)


def refusal(text: str, *, first: bool = True) -> str:
    with pytest.raises(ProblemError) as caught:
        (parse_start if first else parse)(text)
    assert (caught.value.problem.status, caught.value.problem.cause) == (400, "bad-message")
    sentence = str(caught.value)
    assert sentence.endswith(".")
    assert len(sentence) < 250
    return sentence


def test_a_start_has_sensible_defaults() -> None:
    assert parse_start('{"type": "start"}') == Start()


def test_everything_that_a_start_may_say() -> None:
    said = {
        "type": "start",
        "sample_rate": 48_000,
        "encoding": "pcm_s16le",
        "channels": 2,
        "transcribe": True,
        "language": "de-AT",
        "profile": "anna",
        "provisional_seconds": None,
        "offset": 12.5,
        "api_key": "a secret",
    }
    start = parse_start(json.dumps(said))
    assert start == Start(48_000, "pcm_s16le", 2, True, "de", "anna", None, 12.5, "a secret")
    assert "a secret" not in repr(start)


def test_opus_states_its_own_rate_and_channels() -> None:
    start = parse_start('{"type": "start", "encoding": "opus"}')
    assert (start.sample_rate, start.channels) == (None, None)
    for name in ("sample_rate", "channels"):
        assert refusal(json.dumps({"type": "start", "encoding": "opus", name: 1})).startswith(f"{name} is given for")


@pytest.mark.parametrize(
    ("said", "sentence"),
    [
        ({"sample_rate": 100}, "sample_rate is 100; expected a whole number from 4000 to 192000 Hz."),
        ({"sample_rate": 16000.5}, "sample_rate is 16000.5; expected"),
        ({"sample_rate": True}, "sample_rate is true; expected"),
        ({"channels": 3}, "channels is 3; expected a whole number from 1 to 2."),
        ({"encoding": "mp3"}, "encoding is 'mp3'; expected 'pcm_s16le' or 'opus'."),
        ({"encoding": ["opus"]}, "encoding is"),
        ({"transcribe": "yes"}, "transcribe is 'yes'; expected true or false."),
        ({"language": "klingonisch", "transcribe": True}, "'klingonisch' is no code of a language"),
        ({"language": 5, "transcribe": True}, "5 is no code of a language"),
        ({"language": "de", "transcribe": False}, "language is that of the words, and none are transcribed"),
        ({"provisional_seconds": 0.01}, "provisional_seconds is 0.01; expected 0.1 to 60 s, or null."),
        ({"offset": -1}, "offset is -1; expected 0 to 1e+09 s."),
        ({"offset": "now"}, "offset is 'now'; expected"),
        ({"profile": 5}, "profile is 5; expected the name of one, or null."),
        ({"profile": ["anna"]}, 'profile is ["anna"]; expected'),
        ({"api_key": 5}, "api_key is not a string."),
        ({"model": "another"}, "A start message has the key 'model'; known are api_key, channels, "),
    ],
)
def test_a_start_that_makes_no_sense(said: dict[str, object], sentence: str) -> None:
    assert refusal(json.dumps({"type": "start", **said})).startswith(sentence)


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("hello", "A text message is not JSON"),
        ("", "A text message is not JSON"),
        ("[" * 4000, "A text message is not JSON"),
        ('{"type": "start", "offset": NaN}', "A text message is not JSON"),
        ('{"type": "start", "offset": 1e999}', "offset is Infinity; expected"),
        ("[1]", "A text message is not a JSON object"),
        ("{}", "The first message has type null; expected 'start'."),
        ('{"type": "finish"}', "The first message has type 'finish'; expected 'start'."),
        (json.dumps({"type": "x" * 4000}), "The first message has type 'xxx"),
    ],
)
def test_what_is_no_start_at_all(text: str, sentence: str) -> None:
    assert refusal(text).startswith(sentence)


def test_behind_the_start() -> None:
    assert parse('{"type": "gap", "seconds": 2}') == Gap(2.0)
    assert parse('{"type": "finish"}') is FINISH


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ('{"type": "gap"}', "The gap's seconds is null; expected 0 to"),
        ('{"type": "gap", "seconds": -1}', "The gap's seconds is -1; expected"),
        (
            '{"type": "gap", "seconds": 1, "reason": "x"}',
            "A gap message has the key 'reason'; known are seconds, type.",
        ),
        ('{"type": "finish", "now": true}', "A finish message has the key 'now'; known are type."),
        ('{"type": "start"}', "A message has type 'start'; expected 'gap', 'finish', or"),
    ],
)
def test_what_may_not_stand_behind_the_start(text: str, sentence: str) -> None:
    assert refusal(text, first=False).startswith(sentence)


def test_a_segment_is_a_timelines_and_says_whether_it_is_final() -> None:
    segment = Segment(1.25, 3.5, "sad", {"sad": 0.75, "angry": 0.25}, text="Oh.")
    assert segment_message(segment, 10.0) == {
        "type": "segment",
        "start": 11.25,
        "end": 13.5,
        "text": "Oh.",
        "label": "sad",
        "scores": {"sad": 0.75, "angry": 0.25},
        "final": True,
    }
    assert segment_message(Segment(0, 1, "sad", {"sad": 1.0}, final=False), 0.0)["final"] is False


@pytest.mark.parametrize(
    ("problem", "code"),
    [
        (INTERNAL, 1011),
        (Problem(503, "too-many-streams", "All are taken."), 1013),
        (Problem(503, "stopping", "The service is stopping."), 1012),
        (Problem(504, "decoder-hung", "It hung."), 1011),
        (Problem(400, "bad-message", "No."), 4400),
        (Problem(413, "audio-too-long", "Too long."), 4413),
    ],
)
def test_each_problem_has_a_close_code(problem: Problem, code: int) -> None:
    assert close_code(problem) == code


def test_the_reason_fits_into_a_close_frame() -> None:
    reason = close_reason(Problem(400, "bad-message", "ü" * 100))
    assert len(reason.encode()) <= 123
    assert reason == "ü" * 61
