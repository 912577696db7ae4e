"""What the page's button does, from what a visitor gave to what is shown; the bundled model answers."""

from __future__ import annotations

import base64
import csv
import io
import json
import logging
import re
import shutil
import wave
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("gradio", reason="needs the serve extra")

import anyio
import anyio.to_thread

from m3ser.inference import Recogniser
from m3ser.serving.page.asking import LONG_SECONDS
from m3ser.serving.page.layout import Handlers
from m3ser.serving.page.service import ServedPage
from m3ser.serving.page.uploads import Uploads

Press = Callable[..., list[tuple[str, str, str]]]


@pytest.fixture(scope="module")
def uploads() -> Iterator[Uploads]:
    made = Uploads(2_000_000)
    yield made
    made.close()


@pytest.fixture(scope="module")
def press(app: Any, uploads: Uploads) -> Press:
    """The button: press(recording, text="...") is everything that is shown, one after the other."""

    def pressed(
        recording: Path | str | None = None, *, text: str = "", alone: bool = False, shape: str = "auto"
    ) -> list[tuple[str, str, str]]:
        path = recording
        if isinstance(recording, Path):
            path = shutil.copy(recording, uploads.folder / recording.name)
        handlers = Handlers(ServedPage(app.state.service), uploads)

        def all_of_it() -> list[tuple[str, str, str]]:
            return list(handlers.ask(None if path is None else str(path), text, alone, shape))

        return anyio.run(anyio.to_thread.run_sync, all_of_it)

    return pressed


@pytest.fixture(scope="module")
def long_recording(demo_clip: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One clip again and again, for a little longer than one utterance may be."""
    path = tmp_path_factory.mktemp("sound") / "long.wav"
    with wave.open(str(demo_clip)) as clip, wave.open(str(path), "wb") as out:
        out.setparams(clip.getparams())
        content = clip.readframes(clip.getnframes())
        while out.getnframes() <= LONG_SECONDS * clip.getframerate():
            out.writeframes(content)
    return path


def files_in(html: str) -> dict[str, str]:
    """The downloads, by the names that a browser gives them."""
    links = re.findall(r'download="([^"]+)" href="data:[^"]*;base64,([^"]+)"', html)
    return {name: base64.b64decode(content).decode("utf-8") for name, content in links}


def test_a_clip_is_answered_as_by_predict(press: Press, recogniser: Recogniser, demo_clip: Path) -> None:
    *before, (said, shown, across) = press(demo_clip)
    assert ["Listening" in first for first, _, _ in before] == [True]
    assert "Angry" in said
    assert shown.count('<th scope="row">') == 4
    assert "No words: the voice alone was used." in shown
    assert across == ""
    files = files_in(shown)
    expected = replace(recogniser.predict(demo_clip), file=demo_clip.name).to_dict()
    found = json.loads(files[f"{demo_clip.stem}.json"])
    assert found == {**expected, "scores": pytest.approx(expected["scores"], abs=1e-5)}
    (row,) = csv.DictReader(io.StringIO(files[f"{demo_clip.stem}.csv"]))
    assert float(row["angry"]) == pytest.approx(expected["scores"]["angry"], abs=1e-3)
    assert files[f"{demo_clip.stem}.srt"].startswith("1\n00:00:00,000 --> 00:00:02,")


def test_words_alone_are_an_answer_without_captions(press: Press) -> None:
    ((said, shown, _),) = press(text="I am so happy for you, this is wonderful!")
    assert "Happy" in said
    assert "typed in" in shown
    assert {name.rpartition(".")[2] for name in files_in(shown)} == {"json", "csv"}


def test_the_voice_alone_leaves_typed_words_out(press: Press, demo_clip: Path) -> None:
    alone = press(demo_clip, text="I am so happy for you!", alone=True)[-1]
    both = press(demo_clip, text="I am so happy for you!")[-1]
    assert "happy for you" not in alone[1]
    assert "happy for you" in both[1]
    assert json.loads(files_in(alone[1])[f"{demo_clip.stem}.json"])["text_source"] == "none"


def test_what_visitors_type_stays_text(press: Press) -> None:
    ((_, shown, _),) = press(text="what a <img src=x onerror=alert(1)> day &amp; \u202eevening")
    assert "<img" not in shown
    assert "\u202e" not in shown


def test_a_long_recording_becomes_a_timeline(press: Press, long_recording: Path) -> None:
    pytest.importorskip("faster_whisper", reason="finds speech with the asr extra")
    *before, (said, shown, across) = press(long_recording)
    assert re.search(r"Listening: 0:\d\d of 0:1\d", before[-1][0])
    assert "Mostly" in said
    assert "<svg" in across
    assert set(files_in(shown)) == {"long.json", "long.csv", "long.srt"}
    assert "Mostly" not in press(long_recording, shape="whole")[-1][0]


def test_silence_has_no_utterance(press: Press, tmp_path: Path) -> None:
    pytest.importorskip("faster_whisper", reason="finds speech with the asr extra")
    path = tmp_path / "silence.wav"
    with wave.open(str(path), "wb") as out:
        out.setparams((1, 2, 16_000, 0, "NONE", ""))
        out.writeframes(bytes(2 * 16_000 * 2))
    assert "No speech was found" in press(path, shape="time")[-1][0]


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        ({}, "Record something or choose a file first, or type some words."),
        ({"text": "  "}, "Record something or choose a file first"),
        ({"text": "word " * 2_000}, "The words have 10,000 characters; at most 5,000 are taken."),
        ({"recording": "/etc/hostname"}, "The recording is no longer here"),
    ],
    ids=["nothing", "blank words", "too many words", "no upload"],
)
def test_what_cannot_be_answered_is_one_sentence(press: Press, given: dict[str, Any], sentence: str) -> None:
    ((said, shown, across),) = press(given.pop("recording", None), **given)
    assert "That did not work." in said
    assert sentence in said
    assert shown == across == ""


def test_words_have_no_place_in_time(press: Press, demo_clip: Path) -> None:
    ((said, _, _),) = press(demo_clip, text="Don't forget a jacket.", shape="time")
    assert "leave the words empty" in said


def test_a_broken_file_is_named(press: Press, tmp_path: Path) -> None:
    path = tmp_path / "<b>.wav"
    path.write_bytes(b"RIFF....WAVEfmt ")
    said = press(path)[-1][0]
    assert "That did not work. &lt;b&gt;.wav" in re.sub(r"</?strong>", "", said)


def test_a_fault_of_ours_is_said_to_be_ours(
    press: Press, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def broken(*_: Any, **__: Any) -> None:
        raise ValueError("a secret")

    monkeypatch.setattr(ServedPage, "predict", broken)
    with caplog.at_level(logging.ERROR, "m3ser.serving"):
        ((said, _, _),) = press(text="Hello")
    assert "not your recording" in said
    assert "secret" not in said
    assert "a secret" in caplog.text
