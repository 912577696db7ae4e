from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from m3ser import inference
from m3ser.errors import BundleError, MissingExtraError, UsageError

CPU = ("CPUExecutionProvider",)
KEYS = ["file", "duration", "label", "scores", "text", "text_source", "model", "segments"]
"""The example of a prediction in the design, key by key."""

Run = Callable[..., Any]


def test_a_table_tells_file_length_label_words_and_scores(m3ser: Run, fake: Any) -> None:
    result = m3ser("predict", "clip.wav")
    assert result.exit_code == 0
    assert result.stderr == ""
    head, words, *scores = result.stdout.splitlines()
    assert head == "clip.wav  2.27 s  angry"
    assert words == '  "Don\'t forget a jacket." (transcribed)'
    assert [line.split()[0] for line in scores[:4]] == ["angry", "happy", "sad", "neutral"]
    assert [line.split()[-1] for line in scores[:4]] == ["81.2%", "6.1%", "2.0%", "10.7%"]
    lengths = [line.count("█") for line in scores[:4]]
    assert lengths[0] > lengths[3] > lengths[1] > lengths[2] > 0


@pytest.mark.parametrize(
    ("options", "text"),
    [(["--text", "I said no."], "I said no."), (["--no-text"], None), ([], inference.TRANSCRIBE)],
)
def test_the_recogniser_is_asked_for_what_the_options_say(m3ser: Run, fake: Any, options: list[str], text: Any) -> None:
    assert m3ser("predict", "clip.wav", *options).exit_code == 0
    (request,) = fake.asked
    assert request.audio == "clip.wav"
    assert request.text is text or request.text == text
    assert (request.start, request.end) == (None, None)
    assert fake.loaded_with == {
        "model": "starter",
        "transcriber": "auto",
        "threads": None,
        "max_seconds": inference.loading.MAX_SECONDS,
        "providers": CPU,
        "profile": None,
    }


def test_options_reach_the_library(m3ser: Run, fake: Any) -> None:
    of_model = ["--model", "other", "--threads", "3", "--provider", "XProvider"]
    options = [*of_model, "--transcriber", "faster-whisper:base", "--max-seconds", "3600", "--profile", "anna.json"]
    assert m3ser("predict", "a.wav", "b.wav", *options, "--start", "0.5", "--end", "2").exit_code == 0
    assert fake.loaded_with == {
        "model": "other",
        "transcriber": "faster-whisper:base",
        "threads": 3,
        "max_seconds": 3600,
        "providers": ["XProvider"],
        "profile": Path("anna.json"),
    }
    assert [(request.start, request.end) for request in fake.asked] == [(0.5, 2.0)] * 2


def test_json_is_one_object_a_line_with_the_keys_of_the_design(m3ser: Run, fake: Any) -> None:
    result = m3ser("predict", "--json", "a.wav", "b.wav")
    assert result.exit_code == 0
    assert result.stderr == ""
    records = [json.loads(line) for line in result.stdout.splitlines()]
    assert [record["file"] for record in records] == ["a.wav", "b.wav"]
    for record in records:
        assert list(record) == KEYS
        assert record["scores"] == {"angry": 0.8123, "happy": 0.061, "sad": 0.02, "neutral": 0.1067}
        assert (record["duration"], record["label"], record["text_source"]) == (2.271, "angry", "transcribed")


def test_json_is_what_the_library_prints(m3ser: Run, fake: Any) -> None:
    expected = fake.predict("Grüße.wav", text="Grüß dich!").to_json()
    assert m3ser("predict", "--json", "Grüße.wav", "--text", "Grüß dich!").stdout == f"{expected}\n"


def test_failed_files_do_not_stop_the_others(m3ser: Run, fake: Any) -> None:
    result = m3ser("predict", "bad1.wav", "good.wav", "bad2.wav")
    assert result.exit_code == 1
    assert result.stdout.startswith("good.wav  2.27 s  angry\n")
    assert result.stderr.splitlines() == ["m3ser: bad1.wav is not audio.", "m3ser: bad2.wav is not audio."]


def test_in_json_a_failed_file_keeps_its_line(m3ser: Run, fake: Any) -> None:
    result = m3ser("predict", "--json", "good.wav", "bad.wav", "fine.wav")
    assert result.exit_code == 1
    records = [json.loads(line) for line in result.stdout.splitlines()]
    assert [record["file"] for record in records] == ["good.wav", "bad.wav", "fine.wav"]
    assert records[1] == {"file": "bad.wav", "error": "bad.wav is not audio."}
    assert result.stderr == "m3ser: bad.wav is not audio.\n"


def test_standard_input_is_a_recording(m3ser: Run, fake: Any) -> None:
    result = m3ser("predict", "--json", "-", stdin=b"RIFF...")
    assert result.exit_code == 0
    assert fake.heard == [b"RIFF..."]
    assert json.loads(result.stdout)["file"] == "-"


def test_text_alone(m3ser: Run, fake: Any) -> None:
    result = m3ser("predict", "--text", "I said no.")
    assert result.exit_code == 0
    assert fake.asked[0].audio is None
    assert result.stdout.splitlines()[:2] == ["text alone  angry", '  "I said no." (given)']
    record = json.loads(m3ser("predict", "--text", "I said no.", "--json").stdout)
    assert (record["file"], record["duration"], record["text"]) == (None, None, "I said no.")


def test_the_voice_alone_is_said(m3ser: Run, fake: Any) -> None:
    assert "no text: the voice alone" in m3ser("predict", "clip.wav", "--no-text").stdout


def test_without_a_transcriber_one_line_says_so(m3ser: Run, fake: Any) -> None:
    fake.transcriber = None
    result = m3ser("predict", "a.wav", "b.wav", "--json")
    assert result.exit_code == 0
    (note,) = result.stderr.splitlines()
    assert "the voice alone" in note
    assert 'pip install "m3ser[asr]"' in note
    assert [json.loads(line)["text_source"] for line in result.stdout.splitlines()] == ["none", "none"]
    for options in (["--text", "I said no."], ["--no-text"]):
        assert m3ser("predict", "a.wav", *options).stderr == ""


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (["a.wav", "b.wav", "--text", "I said no."], "2 were named"),
        (["a.wav", "--text", "I said no.", "--no-text"], "--no-text"),
        (["a.wav", "--text", "  "], "empty"),
        (["a.wav", "--text", "I said no.", "--transcriber", "moonshine"], "--text"),
        (["a.wav", "--no-text", "--transcriber", "moonshine"], "--no-text"),
        ([], "Nothing to recognise"),
        (["--no-text"], "Nothing to recognise"),
        (["--text", "I said no.", "--start", "1"], "--start"),
        (["a.wav", "--start", "2", "--end", "1"], "--end 1 is not after --start 2"),
        (["-", "a.wav", "-"], "Standard input"),
    ],
)
def test_what_contradicts_itself_is_bad_use(m3ser: Run, fake: Any, arguments: list[str], named: str) -> None:
    result = m3ser("predict", *arguments)
    assert result.exit_code == 2
    assert result.stdout == ""
    assert fake.loaded_with == {}
    (sentence,) = result.stderr.splitlines()
    assert sentence.startswith("m3ser: ")
    assert named in sentence


@pytest.mark.parametrize("arguments", [["--threads", "0"], ["--threads", "many"], ["--start", "-1"], ["--frobnicate"]])
def test_what_cannot_be_parsed_is_bad_use(m3ser: Run, fake: Any, arguments: list[str]) -> None:
    result = m3ser("predict", "a.wav", *arguments)
    assert result.exit_code == 2
    assert result.stdout == ""
    assert arguments[0] in result.stderr


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (BundleError("Bundle 'x' is damaged."), 1),
        (MissingExtraError("Transcribing", "asr"), 1),
        (UsageError("There is no model 'x'; known are starter."), 2),
    ],
)
def test_a_model_that_cannot_be_loaded_is_one_sentence(
    m3ser: Run, monkeypatch: pytest.MonkeyPatch, error: Exception, code: int
) -> None:
    def load(*args: Any, **options: Any) -> Any:
        raise error

    monkeypatch.setattr("m3ser.inference.load", load)
    result = m3ser("predict", "a.wav", "--model", "x")
    assert result.exit_code == code
    assert result.stdout == ""
    assert result.stderr == f"m3ser: {error}\n"


@pytest.mark.parametrize("columns", [20, 40, 80, 100, 200])
def test_lines_keep_to_the_terminal(m3ser: Run, fake: Any, columns: int) -> None:
    name = "a rather long folder name/" * 3 + "clip.wav"
    result = m3ser("predict", name, env={"COLUMNS": str(columns)})
    widths = [len(line) for line in result.stdout.splitlines()]
    # Below forty columns the bars keep their least width.
    assert max(widths) <= max(min(columns, 100), 40)
    assert "81.2%" in result.stdout


def test_markup_in_a_name_is_a_name(m3ser: Run, fake: Any) -> None:
    assert m3ser("predict", "[bold]:smile:[/].wav", "--no-text").stdout.startswith("[bold]:smile:[/].wav  2.27 s")


def test_the_language_reaches_the_library(m3ser: Run, fake: Any) -> None:
    assert m3ser("predict", "a.wav", "b.wav", "--language", "de-AT").exit_code == 0
    assert m3ser("predict", "--text", "Nein.", "--language", "ger").exit_code == 0
    assert [request.language for request in fake.asked] == ["de", "de", "de"]


@pytest.mark.parametrize("verb", [("predict",), ("timeline",), ("annotate", "--out", "out.csv")])
def test_no_language_is_bad_use(m3ser: Run, fake: Any, verb: tuple[str, ...]) -> None:
    result = m3ser(*verb, "a.wav", "--language", "german")
    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr.splitlines() == [
        "m3ser: 'german' is no code of a language; expected one of ISO 639-1, such as en, de or pt-BR."
    ]
    result = m3ser(*verb, "a.wav", "--language", "de", "--no-text")
    assert result.exit_code == 2
    assert "--language is that of the words and --no-text says to use none" in result.stderr
    assert fake.asked == []
