"""What the page says of itself, and how it says that something failed."""

from __future__ import annotations

import logging
from collections.abc import Sequence

from m3ser.page import Html
from m3ser.serving.problems import INTERNAL, problem_of
from m3ser.text.language_codes import language_name

__all__ = ["ABOUT", "INTRO", "LIVE", "LOGIN", "about_words", "sentence_for"]

INTRO = Html(
    "<h1>How does it sound?</h1>"
    "<p>m3ser hears a voice and reads its words, and says which emotion they sound like. "
    "Record a sentence or choose a file, then press the button.</p>"
)

ABOUT = Html(
    "<h2>Before you trust it</h2>"
    "<ul>"
    "<li><strong>Nothing leaves the machine that runs this page.</strong> Recordings are kept there for 15 minutes so "
    "that you can ask again, and are then deleted; words and answers are not kept at all. This page loads nothing from "
    "anywhere else.</li>"
    "<li><strong>It hears how something sounds, not what somebody feels.</strong> The model learnt from acted speech "
    "of a few dozen people. On your voice, your language or your microphone it may be wrong, and sure of it.</li>"
    "<li><strong>Decide nothing about people with it:</strong> not hiring, grading, policing, insurance or health. In "
    "the EU, inferring emotions at work and in education is prohibited, with few exceptions.</li>"
    "</ul>"
)

LIVE = Html(
    "<p>Speak, and see what each sentence sounds like while you go on. The sound goes to the machine that runs this "
    "page, and is not kept.</p>"
)

LOGIN = "Any name, and an API key of this service as the password."

_BUG = "Something went wrong inside the service, and its log says what. It is not your recording's fault."


def about_words(*, transcribes: bool, languages: Sequence[str] | None) -> str:
    """What happens where no words are typed in.

    Args:
        transcribes: whether they are transcribed then.
        languages: codes of those that are; None: too many to list.
    """
    if not transcribes:
        return "Left empty, the voice alone is used: nothing that transcribes is installed here."
    if languages is None:
        return "Left empty, they are transcribed."
    names = ", ".join(language_name(code) for code in languages)
    return f"Left empty, they are transcribed. The transcriber knows {names}; in other languages use the voice alone."


def sentence_for(error: Exception, log: logging.Logger) -> str:
    """What a visitor is told of a failure; a bug is one line to them, and a trace in the log."""
    problem = problem_of(error)
    if problem is not INTERNAL:
        return problem.detail
    log.error("The page failed", exc_info=error)
    return _BUG
