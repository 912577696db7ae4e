from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

from m3ser.errors import UsageError

pytest.importorskip("faster_whisper", reason="hears with Silero (the asr extra)")

Run = Callable[..., Any]
CLIPS = ("1001_DFA_ANG_XX.wav", "1036_ITH_NEU_XX.wav", "1037_IOM_HAP_XX.wav")


@pytest.fixture(scope="module")
def call(demo_clips: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three clips with pauses of 1.5 s, on the left; on the right the same, 1 s later."""
    pause = np.zeros(24_000, np.float32)
    parts = [pause]
    for name in CLIPS:
        parts += [soundfile.read(demo_clips / name, dtype="float32")[0], pause]
    left = np.concatenate(parts)
    path = tmp_path_factory.mktemp("call") / "call.wav"
    soundfile.write(path, np.stack([left, np.roll(left, 16_000)], axis=1), 16_000)
    return path


@pytest.fixture(autouse=True)
def loaded_once(starter: Path, loaded: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Loading the model takes longer than most of these tests."""
    monkeypatch.setattr("m3ser.inference.load", lambda *arguments, **options: loaded)


@pytest.fixture(scope="module")
def loaded() -> Any:
    from m3ser import inference

    return inference.load(threads=1)


def test_lines_for_people(m3ser: Run, starter: Path, call: Path) -> None:
    result = m3ser("timeline", str(call), "--no-text", "--end", "5")
    assert result.exit_code == 0
    assert result.stderr == ""
    (line,) = result.stdout.splitlines()
    start, end, label, drawn, share = line.split()
    assert (start, end) == ("0:01.7", "0:04.4")
    assert (label, set(drawn) <= set("█▏▎▍▌▋▊▉"), share.endswith("%")) == ("angry", True, True)


def test_json_is_predicts_with_segments(m3ser: Run, starter: Path, call: Path) -> None:
    result = m3ser("timeline", str(call), "--no-text", "--json", "--channels", "split")
    assert (result.exit_code, result.stderr) == (0, "")
    record = json.loads(result.stdout)
    assert list(record) == ["file", "duration", "label", "scores", "text", "text_source", "model", "segments"]
    assert record["file"] == str(call)
    assert [segment["channel"] for segment in record["segments"]] == [1, 2] * 3
    first, second = record["segments"][:2]
    assert second["start"] - first["start"] == pytest.approx(1, abs=0.1)


def test_the_ending_of_out_tells_the_format(m3ser: Run, starter: Path, call: Path, tmp_path: Path) -> None:
    for name, begins in (
        ("a.csv", "file,channel,start"),
        ("a.srt", "1\n00:00:01,"),
        ("a.vtt", "WEBVTT\n\n00:00:01."),
        ("a.TextGrid", 'File type = "ooTextFile"'),
        ("a.txt", "1."),
        ("a.xml", "<?xml"),
        ("a.json", '{"file"'),
    ):
        out = tmp_path / name
        result = m3ser("timeline", str(call), "--no-text", "--end", "5", "--out", str(out))
        assert (result.exit_code, result.stdout, result.stderr) == (0, "", "")
        assert out.read_text(encoding="utf-8").startswith(begins)
        assert list(tmp_path.glob("*journal*")) == []
    out = tmp_path / "a.csv"
    assert m3ser("timeline", str(call), "--no-text", "--end", "5", "--out", str(out), "--srt").exit_code == 0
    assert out.read_text().startswith("1\n")


def test_given_words(m3ser: Run, starter: Path, call: Path, tmp_path: Path) -> None:
    words = tmp_path / "words.srt"
    words.write_text("1\n00:00:01,500 --> 00:00:03,700\nLeave me alone.\n\n2\n00:00:00,000 --> 00:00:00,100\nhm\n")
    result = m3ser("timeline", str(call), "--words", str(words), "--csv")
    assert result.exit_code == 0
    assert result.stderr == "m3ser: note: 1 words lie where no speech was found, and are left out.\n"
    rows = list(csv.DictReader(io.StringIO(result.stdout)))
    assert [row["text"] for row in rows] == ["Leave me alone.", "", ""]


def test_pictures(m3ser: Run, starter: Path, call: Path, tmp_path: Path) -> None:
    pytest.importorskip("matplotlib", reason="draws with matplotlib (the train extra)")
    page, image = tmp_path / "a.html", tmp_path / "a.PNG"
    for path in (page, image):
        result = m3ser("timeline", str(call), "--no-text", "--end", "5", "--plot", str(path))
        assert (result.exit_code, result.stderr) == (0, "")
        assert len(result.stdout.splitlines()) == 1
    assert "<title>call.wav</title>" in page.read_text(encoding="utf-8")
    assert image.read_bytes()[:4] == b"\x89PNG"


def test_standard_input(m3ser: Run, starter: Path, call: Path) -> None:
    result = m3ser("timeline", "-", "--no-text", "--json", "--end", "5", stdin=call.read_bytes())
    assert json.loads(result.stdout)["file"] == "-"


def test_interrupted_work_is_neither_lost_nor_overwritten(
    m3ser: Run, starter: Path, call: Path, tmp_path: Path
) -> None:
    out, journal = tmp_path / "a.json", tmp_path / "a.json.journal"
    options = ("timeline", str(call), "--no-text", "--out", str(out))
    assert m3ser(*options).exit_code == 0
    whole = json.loads(out.read_text())
    # What an interrupted run leaves: the first answer, made up here so as to be known again.
    from m3ser import inference

    stream = iter(inference.load().timeline(str(call), text=None, journal=journal))
    next(stream)
    stream.close()  # type: ignore[attr-defined]
    lines = journal.read_text().splitlines()
    record = json.loads(lines[1])
    record["answer"]["scores"] = {"angry": 0.0, "happy": 0.0, "sad": 1.0, "neutral": 0.0}
    journal.write_text(f"{lines[0]}\n{json.dumps(record)}\n")
    out.unlink()
    refused = m3ser(*options)
    assert refused.exit_code == 2
    assert "--resume goes on with it" in refused.stderr
    assert not out.exists()
    assert m3ser(*options, "--resume").exit_code == 0
    found = json.loads(out.read_text())["segments"]
    assert found[0]["label"] == "sad"
    assert found[1:] == whole["segments"][1:]
    assert not journal.exists()


def test_a_recording_that_breaks_off(m3ser: Run, starter: Path, call: Path, tmp_path: Path) -> None:
    cut = tmp_path / "cut.wav"
    content = call.read_bytes()
    cut.write_bytes(content[: len(content) // 2])
    out, page = tmp_path / "a.csv", tmp_path / "a.html"
    result = m3ser("timeline", str(cut), "--no-text", "--out", str(out), "--plot", str(page))
    assert result.exit_code == 1
    (sentence,) = result.stderr.splitlines()
    assert "is truncated or damaged" in sentence
    assert 1 <= len(out.read_text().splitlines()) - 1 <= 2
    assert "is truncated or damaged" in page.read_text(encoding="utf-8")
    lines = m3ser("timeline", str(cut), "--no-text")
    assert (lines.exit_code, len(lines.stdout.splitlines())) == (1, len(out.read_text().splitlines()) - 1)


@pytest.mark.parametrize("form", ["--json", "--csv", "--srt", "--vtt", "--textgrid", "--audacity", "--emotionml"])
def test_nobody_speaks(m3ser: Run, starter: Path, tmp_path: Path, form: str) -> None:
    path = tmp_path / "silent.wav"
    soundfile.write(path, np.zeros(32_000), 16_000)
    result = m3ser("timeline", str(path), "--no-text", form)
    assert result.exit_code == 0
    assert result.stderr == f"m3ser: note: no speech was found in {path} (2.0 s), so the timeline is empty.\n"
    if form == "--json":
        assert json.loads(result.stdout)["segments"] == []


def test_what_is_no_recording(m3ser: Run, starter: Path, tmp_path: Path) -> None:
    out = tmp_path / "a.json"
    short = io.BytesIO()
    soundfile.write(short, np.ones(300) / 2, 16_000, format="WAV")
    contents = {"none.wav": None, "text.wav": b"hello hello hello", "empty.wav": b"", "short.wav": short.getvalue()}
    for name, content in contents.items():
        path = tmp_path / name
        if content is not None:
            path.write_bytes(content)
        result = m3ser("timeline", str(path), "--no-text", "--out", str(out))
        assert result.exit_code == 1
        assert len(result.stderr.splitlines()) == 1
        assert name in result.stderr
        assert not out.exists()
        assert list(tmp_path.glob("*.journal")) == list(tmp_path.glob(".*.part")) == []


def test_options_reach_the_library(m3ser: Run, call: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[Any] = []

    def load(*arguments: Any, **options: Any) -> Any:
        asked.append((arguments, options))
        raise UsageError("That was all.")

    monkeypatch.setattr("m3ser.inference.load", load)
    options = ["--model", "other", "--transcriber", "faster-whisper:base", "--threads", "3", "--profile", "a.json"]
    assert m3ser("timeline", str(call), *options).exit_code == 2
    assert m3ser("timeline", str(call)).exit_code == 2
    assert asked == [
        (("other",), {"transcriber": "faster-whisper:base", "threads": 3, "profile": Path("a.json")}),
        (("starter",), {"transcriber": "auto", "threads": None, "profile": None}),
    ]


def test_malformed_words_are_one_sentence(m3ser: Run, starter: Path, call: Path, tmp_path: Path) -> None:
    words = tmp_path / "words.vtt"
    words.write_text("WEBVTT\n\n00:01 --> x\nhi\n")
    result = m3ser("timeline", str(call), "--words", str(words))
    assert (result.exit_code, result.stdout) == (1, "")
    assert result.stderr.startswith(f"m3ser: Words '{words}': line 3 ")


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (["--json", "--csv"], "--json and --csv are two formats"),
        (["--out", "a.doc"], "does not tell the format"),
        (["--plot", "a.gif"], "expected .png or .html"),
        (["--words", "a.srt", "--no-text"], "--no-text"),
        (["--words", "a.srt", "--transcriber", "moonshine"], "--transcriber"),
        (["--no-text", "--transcriber", "moonshine"], "--transcriber"),
        (["--words", "a.doc"], "expected one of .srt"),
        (["--resume"], "give --out"),
        (["--pause", "0.1"], "--pause is 0.1; expected at least twice --padding"),
        (["--longest", "500"], "--longest is 500"),
        (["--smooth", "21"], "--smooth"),
        (["--channels", "left"], "--channels"),
        (["--start", "3", "--end", "2", "--no-text"], "expected start before end"),
    ],
)
def test_what_makes_no_sense_is_bad_use(
    m3ser: Run, starter: Path, call: Path, arguments: list[str], named: str
) -> None:
    result = m3ser("timeline", str(call), *arguments)
    assert result.exit_code == 2
    assert result.stdout == ""
    assert named in result.stderr


def test_a_recording_of_few_utterances_cannot_be_adapted_to(m3ser: Run, starter: Path, call: Path) -> None:
    usual = m3ser("timeline", str(call), "--no-text", "--json", "--channels", "split")
    result = m3ser("timeline", str(call), "--no-text", "--json", "--channels", "split", "--adapt")
    assert result.exit_code == 0
    said = "channels 1 and 2 have too few utterances to learn from (below 10); judged as anybody's."
    assert result.stderr == f"m3ser: note: {said}\n"
    found = json.loads(result.stdout)
    assert found.pop("note") == said[0].upper() + said[1:]
    assert found == json.loads(usual.stdout)


def test_a_recording_is_adapted_to(m3ser: Run, starter: Path, demo_clips: Path, tmp_path: Path) -> None:
    pause = np.zeros(24_000, np.float32)
    parts = [part for clip in sorted(demo_clips.glob("*.wav")) for part in (pause, soundfile.read(clip)[0])]
    soundfile.write(tmp_path / "long.wav", np.concatenate([*parts, pause]), 16_000)
    result = m3ser("timeline", str(tmp_path / "long.wav"), "--no-text", "--json", "--adapt")
    assert (result.exit_code, result.stderr) == (0, "")
    found = json.loads(result.stdout)
    assert found["model"].endswith("+own")
    assert "note" not in found


def test_two_profiles_and_no_file(m3ser: Run, starter: Path, call: Path) -> None:
    result = m3ser("timeline", str(call), "--adapt", "--profile", "anna.json")
    assert result.exit_code == 2
    assert "--adapt makes a profile of the recording, and --profile brings one" in result.stderr.replace("\n", " ")
    result = m3ser("timeline", "-", "--adapt")
    assert result.exit_code == 2
    assert "--adapt reads the recording twice" in result.stderr.replace("\n", " ")
