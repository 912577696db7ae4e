from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from m3ser.corpora import READERS
from m3ser.schema import SCHEMES

Run = Callable[..., Any]

NUMBERS = ["utterances", "speakers", "angry", "happy", "sad", "neutral", "split"]


def test_a_line_for_every_corpus(m3ser: Run) -> None:
    result = m3ser("corpora", "list", env={"COLUMNS": "100"})
    assert (result.exit_code, result.stderr) == (0, "")
    heading, *rows = result.stdout.splitlines()
    assert heading.split() == ["corpus", "kind", "lang", "licence", *NUMBERS]
    table = {row.split()[0]: row.split()[1:] for row in rows[: len(READERS)]}
    assert list(table) == list(READERS)
    assert table["emodb"] == ["speech", "de", "CC0-1.0", "535", "10", "127", "71", "62", "79", "no"]
    assert table["goemotions"] == ["text", "en", "Apache-2.0", "54,263", *"-----", "yes"]
    assert table["esd"][:4] == ["speech", "zh,en", "own", "terms"]


def test_narrow_terminals_do_without_the_licences(m3ser: Run) -> None:
    lines = m3ser("corpora", "list", env={"COLUMNS": "80"}).stdout.splitlines()
    assert lines[0].split() == ["corpus", "kind", "lang", *NUMBERS]
    assert all(len(line) <= 80 and "…" not in line for line in lines)
    assert lines[1].split()[0] == next(iter(READERS))


def test_everything_about_one(m3ser: Run) -> None:
    result = m3ser("corpora", "list", "crema-d", env={"COLUMNS": "100"})
    assert (result.exit_code, result.stderr) == (0, "")
    info = READERS["crema-d"].INFO
    words = " ".join(result.stdout.split())
    for shown in (info.title, info.citation, info.access, info.licence, info.layout, *info.notes):
        assert " ".join(shown.split()) in words
    assert "labels from intended or perceived" in words
    assert "DIS 1,271 disgusted left out disgusted" in words
    assert "iemocap4: angry 1,271, happy 1,271, sad 1,271, neutral 1,087" in words


@pytest.mark.parametrize("name", READERS)
def test_every_corpus_can_be_told_about(m3ser: Run, name: str) -> None:
    assert READERS[name].INFO.title.split()[0] in m3ser("corpora", "list", name, env={"COLUMNS": "80"}).stdout


def test_json_has_everything(m3ser: Run) -> None:
    records = [json.loads(line) for line in m3ser("corpora", "list", "--json").stdout.splitlines()]
    assert [record["name"] for record in records] == list(READERS)
    (record,) = [json.loads(line) for line in m3ser("corpora", "list", "jl-corpus", "--json").stdout.splitlines()]
    assert record in records
    assert record["counts"]["anxious"] == 240
    assert record["labels"]["anxious"] is None
    assert set(record["schemes"]) == set(SCHEMES)
    assert record["schemes"]["iemocap4"]["labels"]["excited"] == "happy"
    assert record["schemes"]["iemocap4"]["counts"] == {"angry": 240, "happy": 480, "sad": 240, "neutral": 240}


def test_an_unknown_corpus_is_bad_use(m3ser: Run) -> None:
    result = m3ser("corpora", "list", "iemocup")
    assert (result.exit_code, result.stdout) == (2, "")
    assert "no corpus reader 'iemocup'; known are crema-d" in result.stderr
