from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from m3ser.corpora import PROTOCOLS, Corpus, audit, split_by_speaker
from m3ser.errors import DataError, UsageError
from m3ser.schema import Utterance


def utterance(split: str, *, audio: Path | str | None = None, text: str | None = None, **fields: object) -> Utterance:
    return Utterance(None if audio is None else Path(audio), "happy", text=text, split=split, **fields)  # type: ignore[arg-type]


def test_a_split_by_speaker_keeps_to_its_protocol_though_sentences_recur(voices) -> None:
    result = audit(split_by_speaker(voices(speakers=6), seed=0))
    assert result.violations("speaker") == ()
    assert {overlap.kind for overlap in result.overlaps} == {"script", "transcript"}
    assert {overlap.kind for overlap in result.violations("session+script")} == {"script", "transcript"}
    assert dict(result.speakers) == {"train": 4, "validation": 1, "test": 1}
    assert sum(result.utterances.values()) == 48
    assert result.notes == ("48 recordings are not there, so their content was not compared.",)
    result.require("speaker")


def test_shared_speakers_and_sessions_are_found() -> None:
    result = audit(
        [
            utterance("train", audio="a.wav", speaker="x", session="1"),
            utterance("test", audio="b.wav", speaker="x", session="1"),
            utterance("test", audio="c.wav", speaker="y", session="1"),
        ]
    )
    assert [str(violation) for violation in result.violations("session")] == [
        "speaker in train and test: x (2 utterances)",
        "session in train and test: 1 (3 utterances)",
    ]
    assert [violation.kind for violation in result.violations("speaker")] == ["speaker"]
    assert result.violations("random") == ()
    assert result.violations("paper") == ()
    with pytest.raises(DataError, match=r"1 violation of protocol 'speaker':\n  speaker in train and test: x"):
        result.require("speaker")


def test_identical_recordings_are_found_by_content(tmp_path: Path, write_wav: Callable[..., Path]) -> None:
    first = write_wav(tmp_path / "first.wav")
    copy = tmp_path / "copy.wav"
    copy.write_bytes(first.read_bytes())
    other = write_wav(tmp_path / "other.wav")  # of the same size
    assert other.stat().st_size == first.stat().st_size
    across = audit([utterance("train", audio=first), utterance("test", audio=copy), utterance("test", audio=other)])
    (overlap,) = across.violations("random")
    assert (overlap.kind, overlap.parts, overlap.utterances) == ("audio", ("test", "train"), 2)
    assert overlap.what == f"{copy} = {first}"
    within = audit([utterance("train", audio=first), utterance("train", audio=copy), utterance("test", audio=other)])
    assert [overlap.parts for overlap in within.overlaps] == [("train",)]
    assert within.violations("session+script") == ()


def test_stretches_of_one_recording_are_told_apart(tmp_path: Path, write_wav: Callable[..., Path]) -> None:
    path = write_wav(tmp_path / "long.wav")
    start, end = utterance("train", audio=path, end=0.02), utterance("test", audio=path, start=0.02)
    assert audit([start, end]).overlaps == ()
    assert [overlap.kind for overlap in audit([start, replace(start, split="test")]).overlaps] == ["audio"]


def test_the_identical_clips_of_ravdess_are_found(real: Callable[[str], Corpus]) -> None:
    takes = [replace(u, split="train" if u.extra["repetition"] == "01" else "test") for u in real("ravdess").utterances]
    (overlap,) = (overlap for overlap in audit(takes).violations("random") if overlap.kind == "audio")
    assert "03-01-03-01-02-01-07" in overlap.what
    assert "03-01-03-01-02-02-07" in overlap.what


def test_near_identical_transcripts_of_recordings_are_a_leak_only_where_scripts_count() -> None:
    result = audit(
        [
            utterance("train", audio="a.wav", text="Excuse me, do you have your forms?"),
            utterance("test", audio="b.wav", text="Excuse me. Do you have your forms with you?"),
            utterance("test", audio="c.wav", text="Yeah."),
            utterance("train", audio="d.wav", text="Yeah."),
        ]
    )
    (overlap,) = result.violations("session+script")
    assert overlap.kind == "transcript"
    assert overlap.similarity == pytest.approx(7 / 8)
    assert "(88% alike)" in str(overlap)
    assert result.violations("session") == ()


@pytest.mark.parametrize("paired", [True, False])
def test_recurring_sentences_without_a_voice_of_their_own_are_a_leak(paired: bool) -> None:
    audio, extra = ("a.wav", {"relation": "agree"}) if paired else (None, {})
    parts = [
        utterance("train", audio=audio, text="I have never been this sad", extra=extra, start=0.0),
        utterance("test", audio=audio, text="I've never been THIS sad", extra=extra, start=1.0),
        utterance("test", audio=audio, text="I have never been this sad!", extra=extra, start=2.0),
    ]
    assert [overlap.kind for overlap in audit(parts).violations("speaker")] == ["sentence"]
    assert audit([replace(u, split="train") for u in parts]).overlaps == ()


def test_utterances_in_no_part_are_refused(voices) -> None:
    with pytest.raises(DataError, match="40 of 40 utterances are in no part"):
        audit(voices())


def test_an_unknown_protocol_lists_the_known() -> None:
    with pytest.raises(UsageError, match="no protocol 'loso'; known are paper, random, speaker, session, session"):
        audit([]).violations("loso")
    assert set(PROTOCOLS) == {"paper", "random", "speaker", "session", "session+script", "corpus", "official"}


def test_importing_the_room_is_cheap() -> None:
    heavy = "torch transformers numpy scipy soundfile onnxruntime"
    code = f"import sys, m3ser.corpora; print([m for m in {heavy.split()} if m in sys.modules])"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout.strip() == "[]"
