"""The page in Gradio's terms: what is where, and which handler answers what."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

import gradio as gr

from m3ser.page import Html
from m3ser.serving.page.answer import Answer, fault
from m3ser.serving.page.asking import LONG_SECONDS, Question, Shape, answers
from m3ser.serving.page.examples import examples
from m3ser.serving.page.live import MOST_SECONDS, MOST_SESSIONS, LiveSessions
from m3ser.serving.page.service import PageService
from m3ser.serving.page.texts import ABOUT, EXAMPLES, INTRO, LIVE, sentence_for
from m3ser.serving.page.uploads import Uploads

__all__ = ["Handlers", "build"]

_log = logging.getLogger("m3ser.serving")

_AT_ONCE = 2  # questions that are answered at a time: the others see their place in the queue
_QUEUE = 32
_SHAPES: list[tuple[str, Shape]] = [("Automatic", "auto"), ("One emotion", "whole"), ("Over time", "time")]
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
        self._live = LiveSessions(service)

    def ask(self, path: str | None, text: str | None, voice_alone: bool, shape: str) -> Iterator[tuple[str, str]]:
        """The button: how far the work has come, and the answer; each as what is said, and what is shown below."""
        try:
            for answer in answers(self._service, self._question(path, text, voice_alone=voice_alone, shape=shape)):
                yield answer.said, answer.shown
        except Exception as error:  # noqa: BLE001 - shown as a sentence, and logged where it is a bug
            yield _both(fault(sentence_for(error, _log)))

    def hear(self, path: str | None, voice_alone: bool, request: gr.Request) -> Any:
        """A chunk from the microphone: what was heard up to now."""
        chunk = None if path is None else self._uploads.take(path, keep=False)
        if chunk is None:
            return gr.skip()
        try:
            shown = self._live.push(_visitor(request), chunk, voice_alone=voice_alone)
        except Exception as error:  # noqa: BLE001 - as above
            return fault(sentence_for(error, _log)).said
        return gr.skip() if shown is None else shown

    def stop(self, request: gr.Request) -> Any:
        """The end of live mode: everything that was heard, with downloads."""
        try:
            shown = self._live.finish(_visitor(request))
        except Exception as error:  # noqa: BLE001 - as above
            return fault(sentence_for(error, _log)).said
        return gr.skip() if shown is None else shown

    def _question(self, path: str | None, text: str | None, *, voice_alone: bool, shape: str) -> Question:
        recording = None
        if path is not None:
            recording = self._uploads.take(path, keep=True)
            if recording is None:
                raise UsageError(_GONE)
        return Question(
            recording,
            name=None if path is None else Path(path).name,
            text=text or "",
            voice_alone=bool(voice_alone),
            shape=cast(Shape, shape if shape in dict(_SHAPES).values() else "auto"),
        )
