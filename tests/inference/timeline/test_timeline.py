from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

from m3ser import inference
from m3ser.errors import (
    AudioContentError,
    AudioReadError,
    AudioTooShortError,
    DataError,
    TranscriptionError,
    UsageError,
)
from m3ser.inference import CutSettings, Recogniser
from m3ser.schema import Segment
from m3ser.text.asr import Transcript
from m3ser.text.timed import Spoken

pytest.importorskip("faster_whisper", reason="hears with Silero (the asr extra)")


class Scribe:
    """A transcriber that writes down how long it was listening."""

    name = "scribe"

    def __init__(self) -> None:
        self.asked = 0

    def transcribe(self, waveform: Any) -> Transcript:
        self.asked += 1
        if self.asked % 4 == 3:
            raise TranscriptionError("It coughed.")
        text = "never again" if len(waveform) > 30_000 else "no"
        return Transcript(text=text, segments=(), words=(), language="en", transcriber=self.name)


def test_every_clip_is_an_utterance_and_scored_as_predict_scores_it(recogniser: Recogniser, recording: Any) -> None:
    timeline = recogniser.timeline(recording.path, text=None)
    found = list(timeline)
    assert len(found) == len(recording.places)
    for segment, (start, end) in zip(found, recording.places, strict=True):
        assert start <= 16_000 * (segment.start + segment.end) / 2 <= end
        alone = recogniser.predict(recording.path, text=None, start=segment.start, end=segment.end)
        assert segment.label == alone.label
        np.testing.assert_allclose(list(segment.scores.values()), list(alone.scores.values()), atol=1e-5)
        assert (segment.text, segment.channel) == (None, None)
    assert timeline.segments == found
    assert timeline.duration == timeline.heard == timeline.finished == len(recording.waveform) / 16_000
    assert timeline.text_source == "none"
    record = timeline.to_dict()
    assert (record["file"], record["model"], len(record["segments"])) == (str(recording.path), "tiny@3", len(found))
    json.dumps(record)


def test_it_can_be_iterated_once(recogniser: Recogniser, demo_clip: Path) -> None:
    timeline = recogniser.timeline(demo_clip, text=None)
    list(timeline)
    with pytest.raises(UsageError, match="iterated once"):
        iter(timeline)


def test_utterances_are_transcribed_and_a_failure_costs_only_the_words(
    tiny_folder: Path, recording: Any, caplog: pytest.LogCaptureFixture
) -> None:
    scribe = Scribe()
    timeline = inference.load(tiny_folder, transcriber=scribe, threads=1).timeline(recording.path)
    found = list(timeline)
    assert len(found) == scribe.asked == len(recording.places)
    assert {segment.text for segment in found} == {"no", "never again", None}
    assert sum(segment.text is None for segment in found) == len(found) // 4
    assert timeline.text_source == "transcribed"
    assert "It coughed." in caplog.text


def test_given_words_go_to_their_utterances(recogniser: Recogniser, recording: Any, tmp_path: Path) -> None:
    spoken = [Spoken(s / 16_000, e / 16_000, t) for (s, e), t in zip(recording.places, recording.texts, strict=True)]
    timeline = recogniser.timeline(recording.path, words=[*spoken, Spoken(0.0, 0.2, "nobody")])
    found = list(timeline)
    assert [segment.text for segment in found] == recording.texts
    assert timeline.text_source == "given"
    assert timeline.words_left_out == 1
    alone = recogniser.predict(recording.path, text=found[3].text, start=found[3].start, end=found[3].end)
    np.testing.assert_allclose(list(found[3].scores.values()), list(alone.scores.values()), atol=1e-5)

    path = tmp_path / "words.json"
    segments = [{"start": one.start, "end": one.end, "text": one.text} for one in spoken]
    path.write_text(json.dumps({"segments": segments}), encoding="utf-8")
    assert [segment.text for segment in recogniser.timeline(recording.path, words=path)] == recording.texts


def test_channels_are_kept_apart(recogniser: Recogniser, recording: Any, tmp_path: Path) -> None:
    shift = 16_000 * 3
    left = recording.waveform[: 16_000 * 20]
    right = np.concatenate([np.zeros(shift, np.float32), left])[: len(left)]
    path = tmp_path / "call.wav"
    soundfile.write(path, np.stack([left, right], axis=1), 16_000, "FLOAT")
    timeline = recogniser.timeline(path, text=None, channels="split")
    found = list(timeline)
    assert timeline.channels == 2
    assert [(s.start, s.channel) for s in found] == sorted((s.start, s.channel) for s in found)
    for channel, waveform in ((1, left), (2, right)):
        own = [s for s in found if s.channel == channel]
        alone = list(recogniser.timeline(waveform, text=None, sample_rate=16_000))
        assert [(s.start, s.end) for s in own] == [(s.start, s.end) for s in alone]
        np.testing.assert_allclose([s.scores["sad"] for s in own], [s.scores["sad"] for s in alone], atol=1e-5)
    assert found[0].to_dict()["channel"] == 1


def test_words_of_channels_and_words_of_none(recogniser: Recogniser, recording: Any) -> None:
    (start, end), left = recording.places[0], recording.waveform[: recording.places[0][1] + 24_000]
    both = np.stack([left, np.roll(left, 6_000)], axis=1)
    times = (start / 16_000 + 0.4, end / 16_000)
    words = [Spoken(*times, "mine", 1), Spoken(*times, "yours", 2)]
    found = list(recogniser.timeline(both, words=words, channels="split", sample_rate=16_000))
    assert [(s.channel, s.text) for s in found] == [(1, "mine"), (2, "yours")]
    found = list(recogniser.timeline(both, words=[Spoken(*times, "whose")], channels="split", sample_rate=16_000))
    assert [s.text for s in found] == ["whose", None]


def test_a_channel_that_falls_silent_holds_no_words_back(recogniser: Recogniser, recording: Any) -> None:
    left = np.concatenate([recording.waveform] * 3)
    right = np.zeros_like(left)
    end = recording.places[0][1]
    right[:end] = left[:end]
    words = [Spoken(s / 16_000, e / 16_000, t) for (s, e), t in zip(recording.places, recording.texts, strict=True)]
    both = np.stack([left, right], axis=1)
    timeline = recogniser.timeline(both, words=words, channels="split", sample_rate=16_000)
    stream = iter(timeline)
    assert [next(stream).channel for _ in range(3)] == [1, 2, 1]
    assert timeline.heard < len(left) / 16_000 / 2
    assert [segment.channel for segment in stream].count(2) == 0


def test_a_part_keeps_the_recordings_own_times(recogniser: Recogniser, recording: Any) -> None:
    whole = list(recogniser.timeline(recording.path, text=None))
    begin, end = recording.places[3][0] / 16_000 - 1.0, recording.places[6][1] / 16_000 + 1.0
    timeline = recogniser.timeline(recording.path, text=None, start=begin, end=end)
    found = list(timeline)
    assert len(found) == 4
    for one, two in zip(found, whole[3:7], strict=True):
        assert (one.start + one.end) / 2 == pytest.approx((two.start + two.end) / 2, abs=0.3)
    assert timeline.duration == pytest.approx(end - begin, abs=0.01)


def test_smoothing_is_asked_for(recogniser: Recogniser, recording: Any) -> None:
    plain = list(recogniser.timeline(recording.path, text=None))
    smooth = list(recogniser.timeline(recording.path, text=None, smooth=1))
    assert list(inference.timeline.smoothed(plain, 1)) != plain
    for one, two in zip(smooth, inference.timeline.smoothed(plain, 1), strict=True):
        np.testing.assert_allclose(list(one.scores.values()), list(two.scores.values()), atol=1e-5)


def test_interrupted_work_goes_on(tiny_folder: Path, recording: Any, tmp_path: Path) -> None:
    journal = tmp_path / "out.journal"
    whole = list(inference.load(tiny_folder, transcriber=Scribe(), threads=1).timeline(recording.path))
    first = Scribe()
    stream = iter(inference.load(tiny_folder, transcriber=first, threads=1).timeline(recording.path, journal=journal))
    begun = [next(stream) for _ in range(5)]
    stream.close()  # type: ignore[attr-defined]
    kept = [json.loads(line) for line in journal.read_text().splitlines()]
    assert 6 <= len(kept) < len(whole) + 1
    second = Scribe()
    second.asked = 100
    timeline = inference.load(tiny_folder, transcriber=second, threads=1).timeline(recording.path, journal=journal)
    found = list(timeline)
    assert timeline.resumed == len(kept) - 1
    assert second.asked - 100 == len(whole) - timeline.resumed
    assert found[:5] == begun
    assert [(s.start, s.end) for s in found] == [(s.start, s.end) for s in whole]
    again = inference.load(tiny_folder, transcriber=Scribe(), threads=1).timeline(recording.path, journal=journal)
    assert list(again) == found
    assert again.resumed == len(whole)


def test_another_recordings_journal_is_refused(
    recogniser: Recogniser, recording: Any, demo_clip: Path, tmp_path: Path
) -> None:
    journal = tmp_path / "out.journal"
    copy = tmp_path / "copy.wav"
    shutil.copy(demo_clip, copy)
    list(recogniser.timeline(demo_clip, text=None, journal=journal))
    # The same content under another name is the same recording.
    assert recogniser.timeline(copy, text=None, journal=journal).resumed == 0
    list(recogniser.timeline(copy, text=None, journal=journal))
    with pytest.raises(DataError, match=r"differing: recording\).*delete it to begin anew"):
        list(recogniser.timeline(recording.path, text=None, journal=journal))
    with pytest.raises(DataError, match="differing: cuts"):
        list(recogniser.timeline(demo_clip, text=None, journal=journal, cuts=CutSettings(max_seconds=9)))
    with pytest.raises(DataError, match="differing: words"):
        list(recogniser.timeline(demo_clip, words=[Spoken(0, 1, "no")], journal=journal))
    journal.write_text(journal.read_text().splitlines()[0] + '\n{"start": 1}\n')
    with pytest.raises(DataError, match="records that are no answers; delete it"):
        list(recogniser.timeline(demo_clip, text=None, journal=journal))
    with pytest.raises(UsageError, match="needs a recording that is a file"):
        recogniser.timeline(demo_clip.read_bytes(), journal=journal)


def test_silence_and_noise_are_empty_timelines(recogniser: Recogniser, sound: Any) -> None:
    for waveform in (np.zeros(80_000, np.float32), sound(5) * 0.1):
        timeline = recogniser.timeline(waveform, sample_rate=16_000, text=None)
        assert list(timeline) == []
        assert timeline.duration == 5.0
        assert timeline.to_dict()["segments"] == []


def test_what_comes_before_a_break_is_kept(recogniser: Recogniser, recording: Any, tmp_path: Path) -> None:
    whole = list(recogniser.timeline(recording.path, text=None))
    path = tmp_path / "cut.wav"
    soundfile.write(path, recording.waveform, 16_000, "PCM_16")
    content = path.read_bytes()
    path.write_bytes(content[: len(content) * 2 // 3])
    timeline = recogniser.timeline(path, text=None)
    found: list[Segment] = []
    with pytest.raises(AudioReadError, match=r"cut.wav is truncated or damaged: .* could be read"):
        found.extend(timeline)
    assert len(timeline.segments) >= len(whole) * 2 // 3 - 1
    for one, two in zip(timeline.segments[:-1], whole, strict=False):
        assert (one.start, one.end, one.label) == (two.start, two.end, two.label)
    assert timeline.duration == timeline.heard == pytest.approx(len(recording.waveform) * 2 / 3 / 16_000, abs=0.1)


def test_samples_that_are_no_numbers_end_it_there(recogniser: Recogniser, recording: Any) -> None:
    waveform = recording.waveform.copy()
    waveform[16_000 * 30] = np.nan
    timeline = recogniser.timeline(waveform, sample_rate=16_000, text=None)
    with pytest.raises(AudioContentError, match=r"NaN or infinite samples, the first at 30.000 s"):
        list(timeline)
    assert timeline.segments
    assert timeline.heard < 30


def test_bad_recordings(recogniser: Recogniser, tmp_path: Path) -> None:
    with pytest.raises(AudioTooShortError, match="expected at least 25 ms"):
        list(recogniser.timeline(np.ones(100, np.float32), sample_rate=16_000))
    with pytest.raises(AudioReadError, match="does not exist"):
        list(recogniser.timeline(tmp_path / "none.wav", text=None))
    (tmp_path / "text.wav").write_text("hello, hello, hello")
    with pytest.raises(AudioReadError, match="is not audio"):
        list(recogniser.timeline(tmp_path / "text.wav", text=None))


def test_bad_use(recogniser: Recogniser, demo_clip: Path) -> None:
    with pytest.raises(UsageError, match="needs times"):
        recogniser.timeline(demo_clip, text="I said no.")
    with pytest.raises(UsageError, match="expected 'mix' or 'split'"):
        recogniser.timeline(demo_clip, channels="left")  # type: ignore[arg-type]
    with pytest.raises(UsageError, match="expected 0 to 20"):
        recogniser.timeline(demo_clip, smooth=50)
    with pytest.raises(UsageError, match="not both"):
        recogniser.timeline(demo_clip, words=[], text=None)


def test_it_reads_no_further_than_it_must(recogniser: Recogniser, recording: Any) -> None:
    """A source that tells how far it was read: the first utterances come long before its end."""
    repeated = np.concatenate([recording.waveform] * 5)
    timeline = recogniser.timeline(repeated, sample_rate=16_000, text=None)
    stream: Iterator[Segment] = iter(timeline)
    next(stream)
    assert timeline.heard < len(repeated) / 16_000 / 2
    seen = []
    timeline.watch = lambda one: seen.append(one.finished)
    list(stream)
    assert seen == sorted(seen)
    assert seen[-1] == timeline.duration


def test_words_that_are_not_read_are_masked_and_noted(recogniser: Recogniser, recording: Any, tmp_path: Path) -> None:
    (first, last), *_ = recording.places
    words = [Spoken(first / 16_000, last / 16_000, "Das ist mir doch egal.")]
    journal = tmp_path / "j"
    alone = list(recogniser.timeline(recording.path, text=None))
    for resumed in (False, True):
        timeline = recogniser.timeline(recording.path, words=words, journal=journal)
        found = list(timeline)
        assert (timeline.resumed > 0) is resumed
        assert (found[0].text, alone[0].text) == ("Das ist mir doch egal.", None)
        for one, other in zip(found, alone, strict=True):
            np.testing.assert_allclose(list(one.scores.values()), list(other.scores.values()), atol=1e-5)
        assert found[0].note is not None
        assert [one.note for one in found[1:]] == [None] * (len(found) - 1)
        record = timeline.to_dict()
        assert (record["language"], record["text_source"]) == ("de", "none")
        assert record["note"].startswith(f"1 of {len(found)} utterances: The text was not used: it seems to be German")
        assert record["segments"][0]["note"] == found[0].note


def test_the_language_reaches_the_transcriber(tiny_folder: Path, recording: Any) -> None:
    class Linguist(Scribe):
        languages = ("de", "en")

        def transcribe(self, waveform: Any, *, language: str | None = None) -> Transcript:
            assert language == "de"
            return Transcript(text="nein", segments=(), words=(), language=language, transcriber=self.name)

    timeline = inference.load(tiny_folder, transcriber=Linguist()).timeline(recording.path, language="de-DE")
    found = list(timeline)
    assert {one.text for one in found} == {"nein"}
    assert timeline.notes == {found[0].note: len(found)}
    assert (timeline.note, timeline.language) == (found[0].note, "de")
    with pytest.raises(UsageError, match="is no code of a language"):
        inference.load(tiny_folder, transcriber=None).timeline(recording.path, language="german")
