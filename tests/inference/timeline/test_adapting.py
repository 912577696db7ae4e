"""A timeline that is judged by a profile, and one that learns first how its recording sounds."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

from m3ser import inference
from m3ser.errors import AudioReadError, DataError, UsageError
from m3ser.inference import Recogniser, Request
from m3ser.inference.timeline import Timeline, formats
from m3ser.profile import Profile
from m3ser.schema import Segment

from ..conftest import AUDIO_DIM

pytest.importorskip("faster_whisper", reason="hears with Silero (the asr extra)")

FEWER = 3  # utterances on the second channel


@pytest.fixture(scope="module")
def adaptable(write_adaptable: Callable[..., Path]) -> Recogniser:
    centre = np.random.default_rng(4).normal(size=AUDIO_DIM).astype(np.float32)
    return inference.load(write_adaptable(centre), transcriber=None, threads=1)


@pytest.fixture(scope="module")
def call(recording: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """All clips on the left, the first few on the right."""
    right = recording.waveform.copy()
    right[recording.places[FEWER - 1][1] + 8000 :] = 0.0
    path = tmp_path_factory.mktemp("adapting") / "call.flac"
    soundfile.write(path, np.stack([recording.waveform, right], axis=1), 16_000, "PCM_16")
    return path


@pytest.fixture(scope="module")
def anna(adaptable: Recogniser, demo_clips: Path) -> Profile:
    return adaptable.learn(sorted(demo_clips.glob("*.wav"))[:3], name="anna")


def learnt(recogniser: Recogniser, path: Path, segments: list[Segment]) -> Profile:
    """What the utterances of some segments teach, one by one."""
    channel = soundfile.read(path, dtype="float32", always_2d=True)[0][:, (segments[0].channel or 1) - 1]
    places = [(round(one.start * 16_000), round(one.end * 16_000)) for one in segments]
    clips = [Request(channel[start:end], text=None, sample_rate=16_000) for start, end in places]
    return recogniser.learn(clips, name="own")


def test_each_channel_is_judged_by_its_own_profile(adaptable: Recogniser, call: Path) -> None:
    usual = list(adaptable.timeline(call, text=None, channels="split"))
    timeline = adaptable.timeline(call, text=None, channels="split", adapt=True)
    found = list(timeline)
    assert [(one.start, one.end, one.channel) for one in found] == [(one.start, one.end, one.channel) for one in usual]
    left = [one for one in found if one.channel == 1]
    assert (len(left), len(found) - len(left)) == (13, FEWER)
    own = learnt(adaptable, call, left)
    whole = soundfile.read(call, dtype="float32")[0][:, 0]
    for segment in left:
        clip = whole[round(segment.start * 16_000) : round(segment.end * 16_000)]
        alone = adaptable.predict(clip, sample_rate=16_000, text=None, profile=own)
        np.testing.assert_allclose(list(segment.scores.values()), list(alone.scores.values()), atol=1e-5)
    # The other channel has too few to learn from.
    assert [one.scores for one in found if one.channel == 2] == [
        pytest.approx(one.scores, abs=1e-5) for one in usual if one.channel == 2
    ]
    assert any(one.scores != pytest.approx(two.scores, abs=1e-3) for one, two in zip(found, usual, strict=True))
    record = timeline.to_dict()
    assert record["model"] == timeline.model == "tiny@3+own"
    assert record["note"] == "Channel 2 has too few utterances to learn from (below 10); judged as anybody's."


@pytest.mark.parametrize("form", ["emotionml", "json"])
def test_documents_name_the_profile(adaptable: Recogniser, recording: Any, form: str) -> None:
    assert "tiny@3+own" in "".join(formats.write(adaptable.timeline(recording.path, text=None, adapt=True), form))
    assert "+own" not in "".join(formats.write(adaptable.timeline(recording.path, text=None), form))


def test_too_few_utterances_leave_everything_as_it_is(adaptable: Recogniser, recording: Any) -> None:
    short = recording.waveform[: recording.places[FEWER - 1][1] + 8000]
    usual = list(adaptable.timeline(short, sample_rate=16_000, text=None))
    timeline = adaptable.timeline(short, sample_rate=16_000, text=None, adapt=True)
    assert list(timeline) == usual
    assert timeline.model == "tiny@3"
    assert timeline.note == "The recording has too few utterances to learn from (below 10); judged as anybody's."


def test_several_channels_without_enough(adaptable: Recogniser, recording: Any) -> None:
    short = recording.waveform[: recording.places[FEWER - 1][1] + 8000]
    both = np.stack([short, short], axis=1)
    timeline = adaptable.timeline(both, sample_rate=16_000, text=None, adapt=True, channels="split")
    assert len(list(timeline)) == 2 * FEWER
    assert timeline.note == "Channels 1 and 2 have too few utterances to learn from (below 10); judged as anybody's."


def test_part_of_a_recording_learns_from_that_part(adaptable: Recogniser, recording: Any) -> None:
    begin = (recording.places[1][1] + 8000) / 16_000
    timeline = adaptable.timeline(recording.path, text=None, start=begin, adapt=True)
    found = list(timeline)
    assert len(found) == 11
    own = learnt(adaptable, recording.path, found)
    alone = adaptable.predict(recording.path, text=None, start=found[0].start, end=found[0].end, profile=own)
    np.testing.assert_allclose(list(found[0].scores.values()), list(alone.scores.values()), atol=1e-5)


def test_it_tells_how_far_it_has_listened(adaptable: Recogniser, recording: Any) -> None:
    timeline = adaptable.timeline(recording.path, text=None, adapt=True)
    told: list[tuple[bool, float, float]] = []
    timeline.watch = lambda one: told.append((one.adapting, one.heard, one.finished))
    list(timeline)
    heard = [seconds for adapting, seconds, _ in told if adapting]
    assert heard == sorted(heard)
    assert heard[-1] == timeline.duration
    assert all(finished == 0.0 for adapting, _, finished in told if adapting)
    stages = [adapting for adapting, _, _ in told]
    assert stages == sorted(stages, reverse=True)
    assert told[-1][::2] == (False, timeline.duration)


def test_a_recording_that_breaks_off_is_learnt_from_up_to_there(
    adaptable: Recogniser, recording: Any, tmp_path: Path
) -> None:
    cut = tmp_path / "cut.flac"
    content = recording.path.read_bytes()
    cut.write_bytes(content[: len(content) * 9 // 10])
    timeline = adaptable.timeline(cut, text=None, adapt=True)
    with pytest.raises(AudioReadError, match=r"cut\.flac"):
        list(timeline)
    assert len(timeline.segments) >= 10
    assert timeline.model == "tiny@3+own"
    assert timeline.note is None


def test_interrupted_work_goes_on_with_the_same_profile(adaptable: Recogniser, recording: Any, tmp_path: Path) -> None:
    journal = tmp_path / "kept.journal"
    whole = list(adaptable.timeline(recording.path, text=None, adapt=True))
    begun = iter(adaptable.timeline(recording.path, text=None, adapt=True, journal=journal))
    first = [next(begun), next(begun)]
    begun.close()  # type: ignore[attr-defined]
    with pytest.raises(DataError, match=r"differing: adapt\)"):
        list(adaptable.timeline(recording.path, text=None, journal=shutil.copy(journal, tmp_path / "copy.journal")))
    again = adaptable.timeline(recording.path, text=None, adapt=True, journal=journal)
    found = list(again)
    assert again.resumed >= 2
    assert found[:2] == first
    for one, two in zip(found, whole, strict=True):
        assert one.scores == pytest.approx(two.scores, abs=1e-5)
    assert json.loads(journal.read_text().splitlines()[0])["timeline"]["adapt"] is True


def test_too_few_utterances_leave_the_recognisers_profile(adaptable: Recogniser, anna: Profile, recording: Any) -> None:
    annas = inference.load(adaptable.bundle.folder, transcriber=None, threads=1, profile=anna)
    short = recording.waveform[: recording.places[FEWER - 1][1] + 8000]
    timeline = annas.timeline(short, sample_rate=16_000, text=None, adapt=True)
    assert list(timeline) == list(annas.timeline(short, sample_rate=16_000, text=None))
    assert timeline.model == "tiny@3+anna"
    assert timeline.note == (
        "The recording has too few utterances to learn from (below 10); judged by the profile anna."
    )


def test_neutral_speech_is_made_up_for(write_adaptable: Callable[..., Path], recording: Any, tmp_path: Path) -> None:
    rng = np.random.default_rng(4)
    telling = inference.load(write_adaptable(*rng.normal(size=(2, AUDIO_DIM)).astype(np.float32)), transcriber=None)
    segments = list(telling.timeline(recording.path, text=None))
    own = learnt(telling, recording.path, segments).model_copy(update={"neutral": 0.7})
    journal = tmp_path / "kept.journal"
    wanted = telling.timeline(recording.path, text=None, profile=own)
    for one, other in zip(
        telling.timeline(recording.path, text=None, adapt=True, neutral=0.7, journal=journal), wanted, strict=True
    ):
        assert one.scores == pytest.approx(other.scores, abs=1e-4)
    with pytest.raises(DataError, match=r"differing: neutral\)"):
        list(telling.timeline(recording.path, text=None, adapt=True, journal=journal))
    with pytest.raises(UsageError, match=r"^neutral says how much of what adapt learns from is neutral; give adapt"):
        telling.timeline(recording.path, text=None, neutral=0.7)


def test_what_cannot_adapt(adaptable: Recogniser, recogniser: Recogniser, recording: Any) -> None:
    with pytest.raises(UsageError, match=r"^Model 'tiny@3' takes no profiles"):
        recogniser.timeline(recording.path, text=None, adapt=True)
    with recording.path.open("rb") as file, pytest.raises(UsageError, match="read twice"):
        adaptable.timeline(file, text=None, adapt=True)


def test_nobody_speaks(adaptable: Recogniser) -> None:
    noise = 1e-3 * np.random.default_rng(0).normal(size=48_000).astype(np.float32)
    timeline: Timeline = adaptable.timeline(noise, sample_rate=16_000, text=None, adapt=True)
    assert list(timeline) == []
    assert timeline.to_dict()["label"] is None


def test_a_profile_for_a_whole_timeline(adaptable: Recogniser, anna: Profile, recording: Any) -> None:
    """In place of the recogniser's own."""
    annas = inference.load(adaptable.bundle.folder, transcriber=None, threads=1, profile=anna)
    wanted = annas.timeline(recording.path, text=None)
    timeline = adaptable.timeline(recording.path, text=None, profile=anna)
    for one, other in zip(timeline, wanted, strict=True):
        assert one.scores == pytest.approx(other.scores, abs=1e-5)
    assert timeline.model == timeline.to_dict()["model"] == wanted.model == "tiny@3+anna"
    assert timeline.note is None
    bert = anna.model_copy(update={"name": "bert", "mean": tuple(value + 1 for value in anna.mean)})
    berts = list(annas.timeline(recording.path, text=None, profile=bert))
    assert any(
        one.scores != pytest.approx(other.scores, abs=1e-3) for one, other in zip(berts, timeline.segments, strict=True)
    )


def test_a_journal_is_of_one_profile(adaptable: Recogniser, anna: Profile, recording: Any, tmp_path: Path) -> None:
    journal = tmp_path / "kept.journal"
    begun = iter(adaptable.timeline(recording.path, text=None, profile=anna, journal=journal))
    next(begun)
    begun.close()  # type: ignore[attr-defined]
    other = anna.model_copy(update={"mean": tuple(value + 1 for value in anna.mean)})
    for profile in (None, other):
        with pytest.raises(DataError, match=r"differing: profile\)"):
            list(adaptable.timeline(recording.path, text=None, profile=profile, journal=journal))
    again = adaptable.timeline(recording.path, text=None, profile=anna, journal=journal)
    assert len(list(again)) > again.resumed >= 1


def test_profiles_that_a_timeline_does_not_take(
    adaptable: Recogniser, recogniser: Recogniser, anna: Profile, recording: Any
) -> None:
    with pytest.raises(UsageError, match=r"^adapt makes a profile of the recording, and profile brings one; give one"):
        adaptable.timeline(recording.path, text=None, profile=anna, adapt=True)
    with pytest.raises(UsageError, match=r"^Model 'tiny@3' takes no profiles"):
        recogniser.timeline(recording.path, text=None, profile=anna)
    other = anna.model_copy(update={"encoder": "00" * 32})
    with pytest.raises(UsageError, match="whose audio encoder is not that of tiny@3"):
        adaptable.timeline(recording.path, text=None, profile=other)
