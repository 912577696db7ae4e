"""Downloads of what a browser heard live: it hands back what it was sent, or something else altogether."""

from __future__ import annotations

import base64
import json
import math
import re
from typing import Any

import pytest

pytest.importorskip("fastapi", reason="needs the serve extra")

from m3ser.errors import UsageError
from m3ser.serving.page.heard import heard_links
from m3ser.serving.page.texts import about_words

SCORES = {"angry": 0.7, "happy": 0.1, "sad": 0.1, "neutral": 0.1}
SAID: dict[str, Any] = {"start": 0.5, "end": 2.0, "label": "angry", "scores": SCORES, "text": "Don't <forget>."}


def test_what_was_heard_can_be_taken_away() -> None:
    links = heard_links([SAID, {**SAID, "start": 3.0, "end": 4.5, "text": None}])
    found = dict(re.findall(r'download="live\.(\w+)" href="data:[^"]*;base64,([^"]+)"', links))
    files = {ending: base64.b64decode(content).decode("utf-8") for ending, content in found.items()}
    first, second = (json.loads(line) for line in files["jsonl"].splitlines())
    assert first["text"] == SAID["text"]
    assert (second["start"], second["end"], second["label"], second["final"]) == (3.0, 4.5, "angry", True)
    assert files["srt"].count("-->") == 2
    assert len(files["csv"].splitlines()) == 3


def test_nothing_heard_is_no_link() -> None:
    assert heard_links([]) == ""


@pytest.mark.parametrize(
    "said",
    [
        None,
        "text",
        [SAID] * 2_001,
        ["text"],
        [{}],
        [{**SAID, "start": -1.0}],
        [{**SAID, "end": math.nan}],
        [{**SAID, "label": "joy"}],
        [{**SAID, "label": ["angry"]}],
        [{**SAID, "scores": {"<script>": 1.0}, "label": "<script>"}],
        [{**SAID, "scores": {**SCORES, "angry": "1"}}],
        [{**SAID, "text": "x" * 10_001}],
        [{**SAID, "note": 1}],
    ],
)
def test_anything_else_is_one_sentence(said: object) -> None:
    with pytest.raises(UsageError):
        heard_links(said)


def test_the_page_says_which_languages_are_transcribed() -> None:
    assert "voice alone" in about_words(transcribes=False, languages=None)
    assert "knows English;" in about_words(transcribes=True, languages=("en",))
    assert "knows English, German;" in about_words(transcribes=True, languages=("en", "de"))
    assert about_words(transcribes=True, languages=None) == "Left empty, they are transcribed."
