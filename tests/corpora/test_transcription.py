from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import soundfile
from numpy.typing import NDArray

from m3ser.corpora import transcribe
from m3ser.errors import AudioError, M3serError, TranscriptionError
from m3ser.files import Journal
from m3ser.schema import Utterance
from m3ser.text.asr import Transcript


class Counting:
    """Understands how long a recording is, in tenths of a second; fails on those of exactly one second."""

    name = "counting"

    def __init__(self) -> None:
        self.heard: list[int] = []  # threads share it

    def transcribe(self, waveform: NDArray[np.float32]) -> Transcript:
        tenths = round(len(waveform) / 1600)
        self.heard.append(tenths)
        if tenths == 10:
            raise TranscriptionError("The recogniser failed.")
        text = "[noise]" if tenths == 1 else f"{tenths} (sighs)"
        return Transcript(text, (), (), "en", self.name)


@pytest.fixture
def utterances(tmp_path: Path) -> list[Utterance]:
    """Of 0.1 to 1.2 seconds; then a stretch of a recording, twice, words alone, and no audio."""
    found = []
    for tenths in range(1, 13):
        path = tmp_path / f"{tenths}.wav"
        soundfile.write(path, np.random.default_rng(tenths).normal(scale=0.1, size=1600 * tenths), 16_000)
        found.append(Utterance(path, "sad"))
    (tmp_path / "junk.wav").write_bytes(b"junk")
    stretch = Utterance(tmp_path / "12.wav", "sad", start=0.2, end=0.5)
    return [*found, stretch, stretch, Utterance(None, "sad", text="Oh."), Utterance(tmp_path / "junk.wav", "sad")]


def test_each_recording_is_transcribed_once_and_kept_at_once(utterances: list[Utterance], tmp_path: Path) -> None:
    names = [f"u{i}" for i in range(len(utterances))]
    counting = Counting()
    with Journal(tmp_path / "t.jsonl") as journal:
        stream = transcribe(utterances, names, counting, journal=journal, max_seconds=1.15)
        assert [next(stream), next(stream)] == [("u0", ""), ("u1", "2")]
        assert [one["text"] for one in journal.records] == ["", "2"]
        stream.close()
    assert len((tmp_path / "t.jsonl").read_text().splitlines()) == 2

    counting = Counting()
    with Journal(tmp_path / "t.jsonl") as journal:
        found = dict(transcribe(utterances, names, counting, journal=journal, max_seconds=1.15))
    assert "u14" not in found  # words alone
    errors = {name: text for name, text in found.items() if isinstance(text, M3serError)}
    assert set(errors) == {"u9", "u11", "u15"}
    assert isinstance(errors["u9"], TranscriptionError)
    assert isinstance(errors["u11"], AudioError)  # 1.2 s where 1.15 are accepted
    assert "junk.wav" in str(errors["u15"])
    expected = {f"u{i}": str(i + 1) for i in range(1, 11) if i != 9}
    assert {name: text for name, text in found.items() if name not in errors} == {
        "u0": "",
        **expected,
        "u12": "3",
        "u13": "3",
    }
    assert len(counting.heard) == 10  # 12 recordings and a stretch, less two that were known and one that is too long

    counting = Counting()
    with Journal(tmp_path / "t.jsonl") as journal:
        assert len(dict(transcribe(utterances, names, counting, journal=journal, max_seconds=1.15))) == len(found)
    assert counting.heard == [10]  # what failed is tried again
