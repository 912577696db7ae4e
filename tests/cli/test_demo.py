from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

Run = Callable[..., Any]


def test_each_clip_has_its_truth_answer_verdict_words_and_time(
    m3ser: Run, fake: Any, demo_rows: list[dict[str, str]]
) -> None:
    result = m3ser("demo")
    assert result.exit_code == 0
    assert result.stderr == ""
    intro, blank, head, *lines = result.stdout.splitlines()
    assert intro.startswith(f"{len(demo_rows)} clips of acted speech")
    assert (blank, head.split()) == ("", ["clip", "truth", "model"])
    for row in demo_rows:
        answer, words = lines.pop(0), lines.pop(0)
        verdict = "right" if row["emotion"] == "angry" else "wrong"
        assert re.fullmatch(rf"{row['audio']}  {row['emotion']} +angry +█+\S? +81%  {verdict} +\d+\.\d\d s", answer)
        assert words == '  "Don\'t forget a jacket."  neutral 11%, happy 6%, sad 2%'


def test_the_summary_counts_and_makes_no_claims(m3ser: Run, fake: Any, demo_rows: list[dict[str, str]]) -> None:
    summary = " ".join(m3ser("demo").stdout.rpartition("\n\n")[2].split())
    right = Counter(row["emotion"] for row in demo_rows)["angry"]
    assert summary.startswith(f"{right} of {len(demo_rows)} right. A demo, not an evaluation:")
    assert f"{2.2711 * len(demo_rows):.1f} s of speech in " in summary
    assert "Model starter@5 (3m-ser-ln), CC-BY-NC-SA-4.0. Clips: CREMA-D, ODbL 1.0." in summary
    assert summary.endswith("Next: m3ser predict your.wav")


def test_it_fits_eighty_columns(m3ser: Run, fake: Any) -> None:
    assert max(len(line) for line in m3ser("demo").stdout.splitlines()) <= 80


def test_without_words_it_says_so(m3ser: Run, fake: Any) -> None:
    result = m3ser("demo", "--no-text")
    assert "  voice alone  neutral 11%" in result.stdout
    assert "Don't" not in result.stdout
    assert result.stderr == ""
    fake.transcriber = None
    result = m3ser("demo")
    assert "  voice alone  neutral 11%" in result.stdout
    (note,) = result.stderr.splitlines()
    assert "m3ser[asr]" in note


def test_json_is_a_prediction_with_truth_verdict_and_time(
    m3ser: Run, fake: Any, demo_rows: list[dict[str, str]]
) -> None:
    records = [json.loads(line) for line in m3ser("demo", "--json").stdout.splitlines()]
    assert [(record["file"], record["truth"]) for record in records] == [
        (row["audio"], row["emotion"]) for row in demo_rows
    ]
    for record in records:
        assert list(record)[-3:] == ["truth", "right", "seconds"]
        assert record["right"] is (record["truth"] == record["label"])
        assert record["seconds"] >= 0


@pytest.mark.slow
def test_the_real_model_answers_every_clip(starter: Path, process: Run, demo_rows: list[dict[str, str]]) -> None:
    result = process("demo", "--json", "--no-text")
    assert (result.returncode, result.stderr) == (0, b"")
    records = [json.loads(line) for line in result.stdout.splitlines()]
    assert [record["file"] for record in records] == [row["audio"] for row in demo_rows]
    for record in records:
        assert sum(record["scores"].values()) == pytest.approx(1, abs=1e-4)
        assert record["label"] == max(record["scores"], key=record["scores"].get)
        assert (record["text"], record["text_source"]) == (None, "none")
    # Above chance by a wide margin; the scores proper are in the model card.
    assert sum(record["right"] for record in records) >= len(records) / 2
