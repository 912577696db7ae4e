"""The page as people use it."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from m3ser import inference
from m3ser.inference.timeline import formats

pytestmark = pytest.mark.browser

Visit = Callable[..., Any]


def choose(page: Any, file: Path) -> None:
    page.set_input_files("#m3-recording input[type=file]", file)
    page.locator("#m3-recording").get_by_role("button", name="Play", exact=True).wait_for()


def ask(page: Any) -> str:
    page.get_by_role("button", name="Recognise the emotion").click()
    return told(page)


def told(page: Any) -> str:
    page.wait_for_selector("#m3-said :is(.m3-emotion, .m3-fault)")
    return str(page.inner_text("#m3-said"))


def download(page: Any, name: str) -> bytes:
    with page.expect_download() as arriving:
        page.get_by_role("link", name=f"Download as {name}").click()
    return Path(arriving.value.path()).read_bytes()


def test_an_uploaded_clip_is_heard_and_its_answer_can_be_taken_away(visit: Visit, clips: Path) -> None:
    page = visit()
    clip = clips / "1001_DFA_ANG_XX.wav"
    choose(page, clip)
    assert ask(page).startswith("Angry")
    assert page.get_by_role("row").count() == 5  # the head, and four emotions
    with page.expect_download() as arriving:
        page.get_by_role("link", name="Download as JSON").click()
    assert arriving.value.suggested_filename == "1001_DFA_ANG_XX.json"
    answer = json.loads(Path(arriving.value.path()).read_text(encoding="utf-8"))
    expected = inference.load("starter", transcriber=None).predict(clip).to_dict()
    assert answer["scores"] == pytest.approx(expected["scores"], abs=1e-5)
    assert answer == {**expected, "file": clip.name, "scores": answer["scores"]}
    assert download(page, "CSV").startswith(b"file,channel,start,end,label,angry,happy,sad,neutral,text\r\n")
    assert b"[angry " in download(page, "SRT")


def test_typed_words_are_shown_as_they_are_and_those_of_another_language_are_left_out(
    visit: Visit, clips: Path
) -> None:
    page = visit()
    choose(page, clips / "1001_DFA_NEU_XX.wav")
    field = page.get_by_label("What is said (optional)")
    words = "${1+1} {{value}} <img src=x onerror=alert(1)> don't forget a jacket"
    field.fill(words)
    ask(page)
    assert page.inner_text("#m3-shown .m3-words q").strip('“”"') == "$ don't forget a jacket"
    assert "{1+1} {{value}} <img src=x onerror=alert(1)>" in page.inner_text("#m3-shown")  # as what was left out
    field.fill("Ich habe heute leider überhaupt keine Zeit für dich.")
    page.get_by_role("button", name="Recognise the emotion").click()
    page.get_by_role("note").wait_for()
    assert "German" in page.get_by_role("note").inner_text()


def test_a_long_recording_becomes_a_timeline_as_the_command_line_writes_it(visit: Visit, long_recording: Path) -> None:
    pytest.importorskip("faster_whisper", reason="finds speech with the asr extra")
    page = visit()
    choose(page, long_recording)
    assert ask(page).startswith("Mostly")
    page.get_by_role("img", name="Emotions from 0:00").wait_for()
    assert page.get_by_role("table", name="Every utterance").get_by_role("row").count() == 5
    timeline = inference.load("starter", transcriber=None).timeline(long_recording, text=None)
    timeline.file = long_recording.name
    srt = "".join(formats.write(timeline, "srt"))
    assert download(page, "SRT").decode("utf-8") == srt


def test_a_broken_file_is_one_sentence(visit: Visit, tmp_path: Path) -> None:
    page = visit()
    broken = tmp_path / "broken.wav"
    broken.write_bytes(b"RIFF....WAVEfmt nothing of the kind")
    page.set_input_files("#m3-recording input[type=file]", broken)
    page.get_by_text("broken.wav").or_(
        page.locator("#m3-recording").get_by_role("button", name="Clear")
    ).first.wait_for()
    said = ask(page)
    assert said.startswith("That did not work. broken.wav")
    assert "Traceback" not in page.content()


def test_nothing_given_is_one_sentence(visit: Visit) -> None:
    assert "Record something or choose a file first" in ask(visit())


def test_an_actors_clip_is_tried_with_two_clicks(visit: Visit) -> None:
    page = visit()
    page.locator("#m3-examples").get_by_role("button", name="sad, 1066").click()
    page.locator("#m3-recording").get_by_role("button", name="Play", exact=True).wait_for()
    assert ask(page).startswith("Sad")


def test_a_recording_from_the_microphone(visit: Visit, clips: Path) -> None:
    page = visit(clips / "1001_DFA_ANG_XX.wav")
    page.get_by_role("button", name="Record audio").click()
    page.locator("#m3-recording").get_by_role("button", name="Record", exact=True).click()
    page.wait_for_timeout(3_500)  # longer than the clip
    with page.expect_request(lambda request: "/gradio_api/upload?" in request.url or request.url.endswith("/upload")):
        page.locator("#m3-recording").get_by_role("button", name="Stop").first.click()
    assert ask(page).startswith("Angry")


def test_who_asks_before_a_recording_has_arrived_means_that_recording(visit: Visit, clips: Path) -> None:
    page = visit()
    held: list[Any] = []
    page.route(re.compile(r"/gradio_api/upload\?"), lambda route: held.append(route))
    page.set_input_files("#m3-recording input[type=file]", clips / "1001_DFA_ANG_XX.wav")
    button = page.get_by_role("button", name="Recognise the emotion")
    page.wait_for_selector("#m3-button[aria-busy]")
    button.click()
    page.wait_for_timeout(500)
    assert "The answer will be here" in page.inner_text("#m3-said")
    held[0].continue_()
    assert told(page).startswith("Angry")
    assert button.get_attribute("aria-busy") is None


def test_live_mode_hears_the_microphone_and_gives_its_files(visit: Visit, long_recording: Path) -> None:
    pytest.importorskip("faster_whisper", reason="finds speech with the asr extra")
    page = visit(long_recording)
    page.get_by_role("tab", name="Live").click()
    page.get_by_role("button", name="Start listening").click()
    page.wait_for_selector(".m3-live .final >> nth=1")
    page.get_by_role("button", name="Stop listening").click()
    page.get_by_role("link", name="Download as JSONL").wait_for()
    heard = [json.loads(line) for line in download(page, "JSONL").decode("utf-8").splitlines()]
    assert len(heard) == page.locator(".m3-live .final").count() >= 2
    assert heard[0]["label"] == "angry"
    assert page.locator(".m3-live .provisional").count() == 0


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_telephone_needs_no_scrolling_to_the_side(visit: Visit, long_recording: Path, scheme: str) -> None:
    page = visit(viewport={"width": 375, "height": 800}, color_scheme=scheme)
    choose(page, long_recording)
    ask(page)
    assert page.evaluate("document.documentElement.scrollWidth") == 375
    ground = page.evaluate("getComputedStyle(document.body).backgroundColor")
    bright = sum(int(part) for part in ground[4:-1].split(",")[:3]) > 3 * 128
    assert bright == (scheme == "light")


def test_the_keyboard_is_enough(visit: Visit) -> None:
    page = visit()
    clip = page.locator("#m3-examples").get_by_role("button", name="sad, 1066")
    clip.focus()
    page.keyboard.press("Enter")
    page.locator("#m3-recording").get_by_role("button", name="Play", exact=True).wait_for()
    page.get_by_label("What is said (optional)").focus()
    reached = []
    for _ in range(8):
        page.keyboard.press("Tab")
        reached.append(page.evaluate("document.activeElement.innerText || document.activeElement.type"))
        if reached[-1] == "Recognise the emotion":
            break
    assert reached[0] == "checkbox"
    assert reached[-1] == "Recognise the emotion"
    page.keyboard.press("Enter")
    assert told(page).startswith("Sad")


def test_everything_has_a_role_and_a_name(visit: Visit, clips: Path) -> None:
    page = visit()
    choose(page, clips / "1001_DFA_ANG_XX.wav")
    ask(page)
    assert page.get_by_role("heading", level=1).inner_text() == "How does it sound?"
    assert page.get_by_role("status").filter(has_text="Angry").get_attribute("aria-live") == "polite"
    assert page.locator("html").get_attribute("lang") == "en"
    nameless = page.evaluate(
        """[...document.querySelectorAll("button, a[href], input:not([type=file]):not([hidden]), textarea")]
        .filter((one) => one.checkVisibility() && !(one.innerText || one.ariaLabel || one.title
            || one.labels?.length || one.closest("label")))
        .map((one) => one.outerHTML.slice(0, 200))"""
    )
    assert nameless == []
