from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from m3ser.errors import AudioReadError, UsageError
from m3ser.inference.timeline import Timeline, formats
from m3ser.schema import Segment

Make = Callable[..., Timeline]
SCORES = {"angry": 0.7, "happy": 0.2, "sad": 0.06, "neutral": 0.04}
SEGMENTS = [
    Segment(0.5, 2.25, "angry", SCORES, 'No! "Never" --> <again> & again,\nGrüße'),
    Segment(2.25, 4.0, "angry", SCORES, None),
    Segment(3661.5, 3662.0005, "angry", SCORES, "An hour later."),
]
SPLIT = [
    Segment(1.0, 2.0, "angry", SCORES, "Hello.", 1),
    Segment(1.5, 3.0, "angry", SCORES, "Speaking.", 2),
]


def written(timeline: Timeline, form: str) -> str:
    return "".join(formats.write(timeline, form))


@pytest.mark.parametrize(("form", "demuxer"), [("srt", "srt"), ("vtt", "webvtt")])
def test_captions_are_read_by_ffmpeg(timeline_of: Make, form: str, demuxer: str) -> None:
    av = pytest.importorskip("av", reason="reads captions with FFmpeg (the media extra)")
    content = written(timeline_of(SEGMENTS, seconds=3663), form)
    with av.open(io.BytesIO(content.encode()), format=demuxer) as container:
        cues = [
            (packet.pts, packet.duration, bytes(packet).decode())
            for packet in container.demux(container.streams.subtitles[0])
            if packet.pts is not None
        ]
    assert [cue[:2] for cue in cues] == [(500, 1750), (2250, 1750), (3_661_500, 500)]
    assert cues[1][2] == "[angry 70%]"
    assert cues[2][2] == "[angry 70%] An hour later."
    assert "-->" not in cues[0][2]
    assert cues[0][2].endswith("again, Grüße")


def test_vtt_escapes_and_names_voices(timeline_of: Make) -> None:
    content = written(timeline_of(SEGMENTS), "vtt")
    assert content.startswith("WEBVTT\n\n00:00:00.500 --> 00:00:02.250\n")
    assert '[angry 70%] No! "Never" --&gt; &lt;again&gt; &amp; again, Grüße\n\n' in content
    assert "<v channel 2>[angry 70%] Speaking." in written(timeline_of(SPLIT), "vtt")
    assert "channel 2: [angry 70%] Speaking." in written(timeline_of(SPLIT), "srt")


@pytest.mark.parametrize("form", ["srt", "vtt", "textgrid"])
def test_what_is_written_can_be_given_as_words(timeline_of: Make, tmp_path: Path, form: str) -> None:
    from m3ser.text.timed import read_words

    path = tmp_path / f"out.{form}"
    path.write_text(written(timeline_of(SEGMENTS, seconds=3663), form), encoding="utf-8")
    spoken = read_words(path)
    assert (spoken[0].start, spoken[0].end) == (0.5, 2.25)
    assert spoken[-1].text.endswith("An hour later.")


def test_textgrids_are_read_by_praatio(timeline_of: Make, tmp_path: Path) -> None:
    textgrid = pytest.importorskip("praatio.textgrid", reason="reads TextGrids with praatio (the dev extra)")
    path = tmp_path / "out.TextGrid"
    path.write_text(written(timeline_of(SEGMENTS, seconds=3663), "textgrid"), encoding="utf-8")
    grid = textgrid.openTextgrid(str(path), includeEmptyIntervals=True, reportingMode="error")
    assert list(grid.tierNames) == ["words", "emotion"]
    assert grid.maxTimestamp == 3663
    words, emotion = (grid.getTier(name).entries for name in grid.tierNames)
    assert [tuple(entry) for entry in emotion] == [
        (0, 0.5, ""),
        (0.5, 2.25, "angry"),
        (2.25, 4, "angry"),
        (4, 3661.5, ""),
        (3661.5, 3662.0005, "angry"),
        (3662.0005, 3663, ""),
    ]
    assert words[1].label == 'No! "Never" --> <again> & again, Grüße'


def test_textgrids_have_tiers_for_each_channel_and_none_without_an_interval(timeline_of: Make, tmp_path: Path) -> None:
    textgrid = pytest.importorskip("praatio.textgrid", reason="reads TextGrids with praatio (the dev extra)")
    for segments, names in ((SPLIT, ["words 1", "emotion 1", "words 2", "emotion 2"]), ([], ["words", "emotion"])):
        path = tmp_path / f"{len(segments)}.TextGrid"
        path.write_text(written(timeline_of(segments), "textgrid"), encoding="utf-8")
        grid = textgrid.openTextgrid(str(path), includeEmptyIntervals=True, reportingMode="error")
        assert list(grid.tierNames) == names
        for name in names:
            entries = grid.getTier(name).entries
            assert (entries[0].start, entries[-1].end) == (0, 10)


def test_csv(timeline_of: Make) -> None:
    rows = list(csv.DictReader(io.StringIO(written(timeline_of(SEGMENTS), "csv"), newline="")))
    assert list(rows[0]) == ["file", "channel", "start", "end", "label", "angry", "happy", "sad", "neutral", "text"]
    assert (rows[0]["start"], rows[0]["end"], rows[0]["label"], rows[0]["happy"]) == (
        "0.500",
        "2.250",
        "angry",
        "0.200000",
    )
    assert rows[0]["text"] == SEGMENTS[0].text
    assert (rows[1]["text"], rows[1]["channel"]) == ("", "")
    split = list(csv.DictReader(io.StringIO(written(timeline_of(SPLIT), "csv"), newline="")))
    assert [row["channel"] for row in split] == ["1", "2"]


def test_audacity_labels_are_three_fields_between_tabs(timeline_of: Make) -> None:
    lines = written(timeline_of(SEGMENTS), "audacity").splitlines()
    fields = [line.split("\t") for line in lines]
    assert [len(one) for one in fields] == [3, 3, 3]
    assert [(float(one[0]), float(one[1])) for one in fields] == [(s.start, s.end) for s in SEGMENTS]
    assert fields[1][2] == "angry 70%"


def test_json_is_one_prediction_with_segments(timeline_of: Make) -> None:
    record = json.loads(written(timeline_of(SPLIT), "json"))
    assert list(record) == ["file", "duration", "label", "scores", "text", "text_source", "model", "segments"]
    assert (record["file"], record["duration"], record["label"]) == ("call.wav", 10.0, "angry")
    assert record["text"] == "Hello. Speaking."
    assert record["segments"][1] == {
        "start": 1.5,
        "end": 3.0,
        "text": "Speaking.",
        "label": "angry",
        "scores": SCORES,
        "channel": 2,
    }


def test_the_whole_is_the_average_by_length(timeline_of: Make) -> None:
    first = Segment(0, 3, "angry", {"angry": 1.0, "happy": 0.0, "sad": 0.0, "neutral": 0.0})
    second = Segment(5, 6, "sad", {"angry": 0.0, "happy": 0.0, "sad": 1.0, "neutral": 0.0})
    record = timeline_of([first, second]).to_dict()
    assert record["scores"] == {"angry": 0.75, "happy": 0.0, "sad": 0.25, "neutral": 0.0}
    empty = timeline_of([]).to_dict()
    assert (empty["label"], empty["scores"], empty["text"], empty["segments"]) == (None, {}, None, [])


@pytest.mark.parametrize("form", ["csv", "srt", "vtt", "audacity", "emotionml"])
def test_utterances_are_written_as_they_come(timeline_of: Make, form: str) -> None:
    timeline = timeline_of(SEGMENTS)
    taken: list[Any] = []

    def source() -> Any:
        for segment in SEGMENTS:
            taken.append(segment)
            yield segment

    timeline._run = source  # type: ignore[method-assign]
    for piece in formats.write(timeline, form):
        if "angry 70%" in piece or "call.wav" in piece:
            break
    assert len(taken) == 1


@pytest.mark.parametrize("form", sorted(formats.FORMATS))
def test_what_comes_before_a_break_is_written_whole(timeline_of: Make, form: str) -> None:
    timeline = timeline_of(SEGMENTS[:2])
    whole = written(timeline_of(SEGMENTS[:2]), form)

    def source() -> Any:
        yield from SEGMENTS[:2]
        raise AudioReadError("call.wav is truncated.")

    timeline._run = source  # type: ignore[method-assign]
    content = io.StringIO()
    with pytest.raises(AudioReadError):
        content.writelines(formats.write(timeline, form))
    assert content.getvalue() == whole


def test_an_unknown_format(timeline_of: Make) -> None:
    with pytest.raises(UsageError, match="no format 'doc'; known are json, csv"):
        formats.write(timeline_of([]), "doc")
