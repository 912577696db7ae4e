"""Live speech: whatever the chunks, the finals are a timeline's."""

from __future__ import annotations

import itertools
from collections import deque
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from m3ser import inference
from m3ser.errors import AudioContentError, UsageError
from m3ser.inference import Recogniser, Stream
from m3ser.schema import Prediction, Segment

from ..conftest import AUDIO_DIM


class Echo:
    """A recogniser that writes down how much it was given, and refuses what is very short."""

    def __init__(self) -> None:
        self.asked: list[tuple[int, Any]] = []

    def predict(
        self,
        audio: Any = None,
        *,
        text: Any = None,
        language: Any = None,
        sample_rate: float | None = None,
        profile: Any = None,
    ) -> Prediction:
        assert sample_rate == 16_000
        assert profile is None
        self.language = language
        self.asked.append((len(audio), text))
        if len(audio) < 12_000:
            raise AudioContentError("Too short.")
        share = min(1.0, len(audio) / 240_000)
        return Prediction("sad", {"sad": share, "angry": 1 - share}, len(audio) / 16_000, None, "none", "echo@1")


def speech(*lengths: float) -> NDArray[np.float32]:
    """Silence and speech in turn, in seconds, as the scripted voice hears it."""
    return np.concatenate([np.full(round(s * 16_000), i % 2, np.float32) for i, s in enumerate(lengths)])


@pytest.fixture
def make_stream(scripted: Any) -> Any:
    return lambda recogniser, **options: Stream(recogniser, make_segmenter=scripted, **options)


def run(stream: Stream, waveform: NDArray[Any], sizes: list[int]) -> list[Segment]:
    found: list[Segment] = []
    place = 0
    for size in itertools.cycle(sizes):
        if place >= len(waveform):
            break
        found += stream.push(waveform[place : place + size])
        place += size
    return found + stream.finish()


@pytest.fixture
def silero() -> None:
    pytest.importorskip("faster_whisper", reason="hears with Silero (the asr extra)")


@pytest.mark.usefixtures("silero")
@pytest.mark.parametrize("sizes", [[160], [7, 0, 9000], [10**9]])
def test_finals_are_those_of_a_timeline(recogniser: Recogniser, recording: Any, sizes: list[int]) -> None:
    waveform = recording.waveform[: recording.places[3][1] + 24_000]
    expected = list(recogniser.timeline(waveform, sample_rate=16_000, text=None))
    found = run(recogniser.stream(text=None, provisional_seconds=None), waveform, sizes)
    assert len(found) == 4
    assert [(s.start, s.end, s.label, s.final) for s in found] == [(s.start, s.end, s.label, True) for s in expected]
    for one, other in zip(found, expected, strict=True):
        np.testing.assert_allclose(list(one.scores.values()), list(other.scores.values()), atol=1e-5)


@pytest.mark.usefixtures("silero")
def test_finals_by_a_profile_are_those_of_a_timeline(
    write_adaptable: Callable[..., Path], recording: Any, demo_clip: Path
) -> None:
    plain = inference.load(write_adaptable(np.ones(AUDIO_DIM, np.float32)), transcriber=None, threads=1)
    anna = plain.learn([demo_clip], name="anna")
    waveform = recording.waveform[: recording.places[1][1] + 24_000]
    expected = list(plain.timeline(waveform, sample_rate=16_000, text=None, profile=anna))
    found = run(plain.stream(text=None, profile=anna), waveform, [1600])
    finals = [segment for segment in found if segment.final]
    for one, other in zip(finals, expected, strict=True):
        assert one.scores == pytest.approx(other.scores, abs=1e-5)
    usual = [one for one in run(plain.stream(text=None), waveform, [1600]) if one.final]
    assert finals[0].scores != pytest.approx(usual[0].scores, abs=1e-3)
    # A guess hears the voice alone, and by the same profile.
    guess = next(segment for segment in found if not segment.final)
    heard = waveform[round(guess.start * 16_000) : round(guess.end * 16_000)]
    alone = plain.predict(heard, sample_rate=16_000, text=None, profile=anna)
    assert guess.scores == pytest.approx(alone.scores, abs=1e-5)


def test_a_profile_of_another_model_begins_no_stream(
    write_adaptable: Callable[..., Path], recogniser: Recogniser, demo_clip: Path
) -> None:
    plain = inference.load(write_adaptable(np.ones(AUDIO_DIM, np.float32)), transcriber=None, threads=1)
    anna = plain.learn([demo_clip], name="anna")
    with pytest.raises(UsageError, match=r"^Model 'tiny@3' takes no profiles"):
        recogniser.stream(text=None, profile=anna)
    with pytest.raises(UsageError, match="whose audio encoder is not that of tiny@3"):
        plain.stream(text=None, profile=anna.model_copy(update={"encoder": "00" * 32}))


@pytest.mark.usefixtures("silero")
def test_other_rates_channels_and_integers(recogniser: Recogniser, recording: Any) -> None:
    import soxr

    at_48k = soxr.resample(recording.waveform[: recording.places[1][1] + 24_000], 16_000, 48_000)
    both = (np.stack([at_48k, at_48k], axis=1) * 32_767).clip(-32_768, 32_767).astype(np.int16)
    expected = list(recogniser.timeline(both, sample_rate=48_000, text=None))
    found = run(recogniser.stream(sample_rate=48_000, text=None, provisional_seconds=None), both, [4_800])
    assert len(found) == 2
    assert [(s.start, s.end, s.label) for s in found] == [(s.start, s.end, s.label) for s in expected]


def test_while_somebody_speaks_there_are_provisional_segments(make_stream: Any) -> None:
    found = run(make_stream(Echo(), text=None), speech(1, 4, 3), [800])
    assert [s.final for s in found] == [False] * (len(found) - 1) + [True]
    provisional = found[:-1]
    assert 7 <= len(provisional) <= 9
    assert all(s.start == found[-1].start for s in provisional)
    assert (np.diff([s.end for s in provisional]) >= 0.5 - 1e-6).all()
    assert "final" not in found[-1].to_dict()
    assert found[0].to_dict()["final"] is False


def test_they_are_no_more_frequent_than_asked_for_and_may_be_left_out(make_stream: Any) -> None:
    rare = run(make_stream(Echo(), text=None, provisional_seconds=2.0), speech(1, 6, 3), [800])
    assert 2 <= len(rare) - 1 <= 3
    assert len(run(make_stream(Echo(), text=None, provisional_seconds=None), speech(1, 6, 3), [800])) == 1


def test_a_provisional_segment_hears_a_bounded_stretch_and_the_voice_alone(make_stream: Any) -> None:
    echo = Echo()
    run(make_stream(echo), speech(1, 14, 3), [1600])
    *provisional, (length, text) = echo.asked
    assert max(length for length, _ in provisional) == 8 * 16_000
    assert all(text is None for _, text in provisional)
    assert length > 14 * 16_000
    assert text is not None  # it would be transcribed


def test_sound_is_gathered_only_for_what_is_asked(make_stream: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    echo, stream, gathered = Echo(), make_stream(Echo()), []
    stream._recogniser = echo
    speaking = stream._segmenter.speaking
    monkeypatch.setattr(stream._segmenter, "speaking", lambda: gathered.append(1) or speaking())
    run(stream, speech(1, 6, 3), [160])
    assert len(gathered) == len(echo.asked) - 1  # all but the final one


def test_the_language_of_the_words_is_passed_on(make_stream: Any) -> None:
    echo = Echo()
    run(make_stream(echo, language="deu"), speech(1, 2, 3), [1600])
    assert echo.language == "de"
    with pytest.raises(UsageError, match="language"):
        make_stream(echo, language="klingonisch")


def test_what_was_lost_ends_an_utterance_and_lasts(make_stream: Any) -> None:
    stream = make_stream(Echo(), text=None, provisional_seconds=None)
    assert stream.push(speech(1, 2)) == []
    (before,) = stream.skip(3600)
    assert (before.start, before.end) == (pytest.approx(0.8, abs=0.04), pytest.approx(3.2, abs=0.04))
    assert stream.seconds == pytest.approx(3603)
    (after,) = [*stream.push(speech(1, 2, 3)), *stream.finish()]
    assert (after.start, after.end) == (pytest.approx(3603.8, abs=0.04), pytest.approx(3606.2, abs=0.04))


def test_short_losses_are_silence(make_stream: Any) -> None:
    stream = make_stream(Echo(), text=None, provisional_seconds=None)
    stream.push(speech(1, 2))
    assert stream.skip(0.2) == []
    (whole,) = [*stream.push(speech(0, 2, 3)), *stream.finish()]
    assert whole.end - whole.start == pytest.approx(4.6, abs=0.08)


def test_an_utterance_that_cannot_be_used_does_not_end_the_stream(make_stream: Any, caplog: Any) -> None:
    found = run(make_stream(Echo(), text=None, provisional_seconds=None), speech(1, 0.2, 3, 2, 3), [1600])
    assert len(found) == 1
    assert "was left out: Too short." in caplog.text


def test_a_bad_chunk_is_refused_and_the_stream_goes_on(make_stream: Any) -> None:
    stream = make_stream(Echo(), text=None, provisional_seconds=None)
    stream.push(speech(1, 2))
    with pytest.raises(AudioContentError, match="was not taken"):
        stream.push(np.array([np.nan], np.float32))
    with pytest.raises(UsageError, match="not a waveform"):
        stream.push(np.zeros((2, 2, 2), np.float32))
    assert len([*stream.push(speech(3)), *stream.finish()]) == 1


def test_after_its_end_there_is_nothing_more(make_stream: Any) -> None:
    stream = make_stream(Echo(), text=None)
    stream.finish()
    for go_on in (stream.finish, lambda: stream.push(speech(1)), lambda: stream.skip(1)):
        with pytest.raises(UsageError, match="was finished"):
            go_on()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"text": "hello"}, "not known beforehand"),
        ({"sample_rate": 0}, "sample_rate is 0"),
        ({"sample_rate": float("nan")}, "sample_rate is nan"),
        ({"provisional_seconds": 0.01}, "expected 0.1 or more"),
    ],
)
def test_options_that_make_no_sense(make_stream: Any, options: Any, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        make_stream(Echo(), **options)


def test_a_gap_is_a_length(make_stream: Any) -> None:
    for seconds in (-1, float("inf"), float("nan")):
        with pytest.raises(UsageError, match="A gap of"):
            make_stream(Echo()).skip(seconds)


def kept(thing: Any, seen: set[int]) -> int:
    """Samples, numbers and items that an object of ours holds on to, however deep."""
    if id(thing) in seen:
        return 0
    seen.add(id(thing))
    if isinstance(thing, np.ndarray):
        return kept(thing.base, seen) if thing.base is not None else thing.size
    if isinstance(thing, (list, tuple, deque, dict)):
        items = [*thing.items()] if isinstance(thing, dict) else thing
        return len(items) + sum(kept(item, seen) for item in items)
    if isinstance(thing, Echo):
        return 0
    fields = getattr(thing, "__dict__", {}) if type(thing).__module__.startswith(("m3ser", "conftest", "tests")) else {}
    return sum(kept(value, seen) for value in fields.values())


def long_sound(kind: str) -> Iterator[NDArray[np.float32] | float]:
    """Chunks, and the seconds that were lost between them."""
    if kind == "an hour of silence":
        yield from itertools.repeat(np.zeros(8000, np.float32), 7_200)
    elif kind == "twenty minutes of speech without a pause":
        yield from itertools.repeat(np.ones(8000, np.float32), 2_400)
    elif kind == "an hour of late and lost chunks":
        rng = np.random.default_rng(0)
        talk = np.tile(speech(2, 3, 2, 8), 240)
        place = 0
        while place < len(talk):
            size = int(rng.choice([1, 160, 1600, 160_000]))
            yield talk[place : place + size]
            place += size
            if rng.random() < 0.1:
                yield float(rng.choice([0.05, 2.0, 3600.0]))


@pytest.mark.parametrize(
    "kind", ["an hour of silence", "twenty minutes of speech without a pause", "an hour of late and lost chunks"]
)
def test_what_is_kept_does_not_grow_with_the_stream(make_stream: Any, kind: str) -> None:
    stream = make_stream(Echo(), text=None)
    most: list[int] = []
    finals = 0
    for number, piece in enumerate(long_sound(kind)):
        found = stream.skip(piece) if isinstance(piece, float) else stream.push(piece)
        finals += sum(segment.final for segment in found)
        if number % 7 == 0:
            most.append(kept(stream, set()))
    assert stream.seconds >= 1200 - 1e-6
    assert (finals > 90) == (kind != "an hour of silence")
    # An utterance of the greatest length (15 s), a chunk (10 s at most), and the probabilities of its frames.
    assert max(most) < 26 * 16_000
    assert max(most[len(most) // 2 :]) <= 1.05 * max(most[: len(most) // 2])


def test_an_answer_is_there_when_its_utterance_is_certain(make_stream: Any) -> None:
    """Half a second passes between an utterance's pause and the moment when nothing can be joined to it any more."""
    recogniser = Echo()
    stream = make_stream(recogniser, provisional_seconds=None)
    sound = speech(0.5, 2.0, 3.0)
    for first in range(0, len(sound), 1600):
        before = len(recogniser.asked)
        if stream.push(sound[first : first + 1600]):
            assert len(recogniser.asked) == before == 1
            break
    else:
        pytest.fail("there was no final")
    assert stream.finish() == []
    assert len(recogniser.asked) == 1


def test_what_is_joined_after_all_is_answered_as_a_whole(make_stream: Any) -> None:
    recogniser = Echo()
    # The second one is short and soon behind the first: they are one utterance.
    found = run(make_stream(recogniser, provisional_seconds=None), speech(0.5, 2.0, 0.7, 0.6, 3.0), [1600])
    assert len(found) == 1
    assert found[0].end - found[0].start == pytest.approx(2.0 + 0.7 + 0.6 + 0.4, abs=0.07)
    lengths = [length for length, _ in recogniser.asked]
    assert len(lengths) == 2
    assert found[0].scores["sad"] == max(lengths) / 240_000
    whole = Echo()
    assert run(make_stream(whole, provisional_seconds=None), speech(0.5, 2.0, 0.7, 0.6, 3.0), [10**9]) == found
