"""The page in Gradio's terms: what is where, and which handler answers what."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from html import escape
from pathlib import Path
from typing import Any, cast

import gradio as gr

from m3ser.errors import UsageError
from m3ser.inference.timeline.drawing.layout import look_of
from m3ser.schema import EMOTIONS
from m3ser.serving.page.answer import Answer, fault
from m3ser.serving.page.asking import LONG_SECONDS, Question, Shape, answers
from m3ser.serving.page.examples import examples
from m3ser.serving.page.heard import heard_links
from m3ser.serving.page.service import PageService
from m3ser.serving.page.texts import ABOUT, INTRO, LIVE, about_words, sentence_for
from m3ser.serving.page.uploads import Uploads
from m3ser.serving.service import Recording

__all__ = ["Handlers", "build"]

_log = logging.getLogger("m3ser.serving")

_AT_ONCE = 2  # questions that are answered at a time: the others see their place in the queue
_QUEUE = 32
_SHAPES: list[tuple[str, Shape]] = [("Automatic", "auto"), ("One emotion", "whole"), ("Over time", "time")]
_NOTHING_YET = '<p class="m3-small">The answer will be here.</p>'
_TAKEN = "() => { document.dispatchEvent(new Event('m3-taken')); }"  # page.js asks what was asked meanwhile
_GONE = "The recording is no longer here: recordings are deleted after 15 minutes; record or choose it again."


class Handlers:
    """What happens when somebody presses something. Nothing that they call raises: failures are sentences to show.

    Args:
        service: what answers.
        uploads: where recordings are.
    """

    def __init__(self, service: PageService, uploads: Uploads) -> None:
        self._service = service
        self._uploads = uploads

    def ask(self, path: str | None, text: str | None, voice_alone: bool, shape: str) -> Iterator[tuple[str, str, str]]:
        """The button: how far the work has come, and the answer; each as :class:`Answer` has its parts."""
        try:
            for answer in answers(self._service, self._question(path, text, voice_alone=voice_alone, shape=shape)):
                yield _parts(answer)
        except Exception as error:  # noqa: BLE001 - shown as a sentence, and logged where it is a bug
            yield _parts(fault(sentence_for(error, _log)))

    def links(self, said: Any) -> str:
        """Links to what a browser heard live."""
        try:
            return heard_links(said)
        except Exception as error:  # noqa: BLE001 - as above
            return fault(sentence_for(error, _log)).said

    def _question(self, path: str | None, text: str | None, *, voice_alone: bool, shape: str) -> Question:
        recording = None
        if path is not None:
            content = self._uploads.read(path)
            if content is None:
                raise UsageError(_GONE)
            recording = Recording(content, name=Path(path).name)
        return Question(
            recording,
            text=text or "",
            voice_alone=bool(voice_alone),
            shape=cast(Shape, shape if shape in dict(_SHAPES).values() else "auto"),
        )


def build(service: PageService, uploads: Uploads, *, asks_key: bool) -> gr.Blocks:
    """The page, for Gradio to mount.

    Args:
        service: what answers.
        uploads: where recordings are.
        asks_key: whether ``/v1/stream``, which live mode uses, asks for a key.
    """
    handlers = Handlers(service, uploads)
    blocks: gr.Blocks
    with gr.Blocks(analytics_enabled=False, title="m3ser: emotion in speech") as blocks:
        _html(INTRO, "m3-intro")
        with gr.Tabs():
            with gr.Tab("A recording"):
                _recording(handlers, service)
            with gr.Tab("Live"):
                _live(handlers, asks_key=asks_key)
        _html(ABOUT, "m3-about")
    blocks.queue(max_size=_QUEUE, default_concurrency_limit=_AT_ONCE, api_open=False)
    return blocks


def _recording(handlers: Handlers, service: PageService) -> None:
    words = about_words(transcribes=service.transcribes, languages=service.languages)
    with gr.Row():
        with gr.Column(elem_id="m3-ask"):
            recording = gr.Audio(
                label="Your recording", type="filepath", editable=False, buttons=[], elem_id="m3-recording"
            )
            text = gr.Textbox(label="What is said (optional)", info=words, lines=1, max_lines=4, elem_id="m3-words")
            alone = gr.Checkbox(label="Voice alone: leave the words out")
            shape = gr.Radio(
                _SHAPES,
                value="auto",
                label="Answer",
                info=f"Automatic: over time where the recording is longer than {LONG_SECONDS:.0f} seconds.",
            )
            button = gr.Button("Recognise the emotion", variant="primary", elem_id="m3-button")
        with gr.Column(elem_id="m3-answer"):
            _html('<h2 class="m3-hidden">Answer</h2>')
            said = _html(_NOTHING_YET, "m3-said")
            shown = _html("", "m3-shown")
    across = _html("", "m3-across")
    clips = examples()
    picked = gr.Dataset(
        components=[gr.Textbox(visible=False, render=False)],
        samples=[[clip.label] for clip in clips],
        type="index",
        samples_per_page=len(clips),
        label="Or try an actor: the emotion that was asked for, and the speaker",
        elem_id="m3-examples",
    )
    picked.click(lambda index: str(clips[index].path), picked, recording, api_visibility="private")
    question, answer = [recording, text, alone, shape], [said, shown, across]
    quietly = {"show_progress": "hidden", "api_visibility": "private"}
    emptied = recording.change(None, None, answer, js=f"() => [{_NOTHING_YET!r}, '', '']", api_visibility="private")
    emptied.then(None, None, None, js=_TAKEN, api_visibility="private")
    gr.on([button.click, text.submit], handlers.ask, question, answer, concurrency_id="ask", **quietly)


def _live(handlers: Handlers, *, asks_key: bool) -> None:
    colours = escape(json.dumps({emotion: look_of(emotion).colour for emotion in EMOTIONS}))
    key = '<label>API key <input class="m3-key" type="password" autocomplete="off"></label>' if asks_key else ""

    def links(said: Any) -> str:  # Gradio marks what it serves, and a bound method takes no mark
        return handlers.links(said)

    gr.HTML(
        f"{LIVE}{key}"
        '<label><input class="m3-alone" type="checkbox"> Voice alone: leave the words out</label>'
        '<p><button class="m3-talk" type="button" aria-pressed="false">Start listening</button></p>'
        '<p class="m3-status m3-small" role="status"></p><h2 class="m3-hidden">What was heard</h2>'
        f'<ol class="m3-live" role="log" aria-label="What was heard" data-colours="{colours}"></ol>'
        '<div class="m3-links"></div>',
        elem_id="m3-live",
        apply_default_css=False,
        js_on_load=(Path(__file__).parent / "live.js").read_text(encoding="utf-8"),
        server_functions=[links],
    )


def _parts(answer: Answer) -> tuple[str, str, str]:
    return answer.said, answer.shown, answer.across


def _html(value: str, name: str | None = None) -> gr.HTML:
    return gr.HTML(value, elem_id=name, apply_default_css=False, js_on_load=None)
