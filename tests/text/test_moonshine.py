from __future__ import annotations

import sys
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from m3ser.errors import AudioContentError, MissingExtraError, TranscriptionError, UsageError
from m3ser.text.asr import MoonshineTranscriber, Transcriber

moonshine_voice = pytest.importorskip("moonshine_voice", reason="needs the asr extra")
pytest.importorskip("faster_whisper", reason="needs the asr extra")

Clips = list[tuple[NDArray[np.float32], str]]
WordErrors = Callable[[str, str], tuple[int, int]]


@pytest.fixture(scope="module")
def moonshine() -> MoonshineTranscriber:
    return MoonshineTranscriber()


def test_it_is_a_transcriber(moonshine: MoonshineTranscriber) -> None:
    assert isinstance(moonshine, Transcriber)
    assert moonshine.name == "moonshine"


def test_word_error_rate_of_the_demo_clips(
    moonshine: MoonshineTranscriber, clips: Clips, word_errors: WordErrors
) -> None:
    counts = [word_errors(said, moonshine.transcribe(waveform).text) for waveform, said in clips]
    errors, words = map(sum, zip(*counts, strict=True))
    assert words == 62
    assert errors / words <= 0.25  # 13 errors, 0.21, when this was written: acted, emotional speech


def test_a_clip_is_one_segment_around_its_speech(moonshine: MoonshineTranscriber, clips: Clips) -> None:
    waveform, said = clips[0]
    transcript = moonshine.transcribe(waveform)
    (segment,) = transcript.segments
    assert transcript.text == segment.text == said
    assert 0 <= segment.start < 0.5
    assert 1.5 < segment.end <= len(waveform) / 16_000
    assert (transcript.words, transcript.language, transcript.transcriber) == ((), "en", "moonshine")


def test_what_came_before_changes_nothing(moonshine: MoonshineTranscriber, clips: Clips) -> None:
    forward = [moonshine.transcribe(waveform) for waveform, _ in clips[4:11]]
    backward = [moonshine.transcribe(waveform) for waveform, _ in reversed(clips[4:11])]
    assert backward[::-1] == forward


@pytest.mark.skipif(not Path("/proc/self/task").is_dir(), reason="needs Linux's list of threads")
def test_its_engine_brings_no_threads_of_its_own(monkeypatch: pytest.MonkeyPatch, clips: Clips) -> None:
    monkeypatch.delenv("MOONSHINE_ORT_SINGLE_THREAD", raising=False)
    alone = MoonshineTranscriber()
    before = len(list(Path("/proc/self/task").iterdir()))
    assert alone._recognise(clips[0][0])
    assert len(list(Path("/proc/self/task").iterdir())) == before


def test_threads_may_share_it(moonshine: MoonshineTranscriber, clips: Clips) -> None:
    expected = [moonshine.transcribe(waveform) for waveform, _ in clips[4:11]]
    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(lambda clip: moonshine.transcribe(clip[0]), clips[4:11])) == expected


def test_read_speech(
    moonshine: MoonshineTranscriber, jfk: tuple[NDArray[np.float32], str], word_errors: WordErrors
) -> None:
    waveform, said = jfk
    errors, words = word_errors(said, moonshine.transcribe(waveform).text)
    assert errors <= 1
    assert words == 22


def test_a_long_recording_is_taken_phrase_by_phrase(
    moonshine: MoonshineTranscriber, clips: Clips, word_errors: WordErrors
) -> None:
    pause = np.zeros(16_000, dtype=np.float32)
    chosen = [clips[i] for i in (0, 8, 10, 9, 12, 2, 11)]
    parts = [part for waveform, _ in chosen for part in (waveform, pause)]
    waveform = np.concatenate(parts)
    assert len(waveform) > 15 * 16_000
    starts = np.cumsum([0] + [len(part) for part in parts]) / 16_000

    transcript = moonshine.transcribe(waveform)
    assert len(transcript.segments) == len(chosen)
    for index, segment in enumerate(transcript.segments):
        assert starts[2 * index] - 0.3 <= segment.start < segment.end <= starts[2 * index + 1] + 0.3
    errors, words = word_errors(" ".join(said for _, said in chosen), transcript.text)
    assert errors / words < 0.2


@pytest.mark.parametrize(
    "kind", ["none", "one sample", "a frame", "silence", "noise", "tone", "clicks", "long silence"]
)
def test_no_speech_no_text(moonshine: MoonshineTranscriber, kind: str) -> None:
    noise = np.random.default_rng(0).normal(0, 0.05, 48_000)
    waveform = {
        "none": np.zeros(0),
        "one sample": np.ones(1),
        "a frame": noise[:400],
        "silence": np.zeros(48_000),
        "noise": noise,
        "tone": 0.3 * np.sin(np.arange(48_000) * 0.2),
        "clicks": (np.arange(48_000) % 4_000 == 0) * 0.9,
        "long silence": np.zeros(16_000 * 40),
    }[kind].astype(np.float32)
    transcript = moonshine.transcribe(waveform)
    assert (transcript.text, transcript.segments) == ("", ())


def test_it_prints_nothing(moonshine: MoonshineTranscriber, clips: Clips, capfd: pytest.CaptureFixture[str]) -> None:
    for waveform in (
        clips[0][0],
        clips[0][0][4000:5000],
        np.clip(80 * clips[1][0], -1, 1),
        np.zeros(9, dtype=np.float32),
    ):
        MoonshineTranscriber().transcribe(waveform)
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("value", [np.zeros((2, 800), dtype=np.float32), np.float32(0), [0.0] * 800, "clip.wav"])
def test_only_mono_waveforms(moonshine: MoonshineTranscriber, value: object) -> None:
    with pytest.raises(UsageError, match=r"array of shape \(samples,\)"):
        moonshine.transcribe(value)  # type: ignore[arg-type]


def test_only_finite_samples(moonshine: MoonshineTranscriber) -> None:
    with pytest.raises(AudioContentError, match="NaN or infinite"):
        moonshine.transcribe(np.full(16_000, np.nan, dtype=np.float32))


def test_other_precisions_and_strides_give_the_same(moonshine: MoonshineTranscriber, clips: Clips) -> None:
    waveform = clips[0][0]
    expected = moonshine.transcribe(waveform)
    assert moonshine.transcribe(waveform.astype(np.float64)) == expected
    assert moonshine.transcribe(np.repeat(waveform, 2)[::2]) == expected


def test_loading_waits_for_the_first_call_and_happens_once(monkeypatch: pytest.MonkeyPatch, clips: Clips) -> None:
    loaded = []
    real = moonshine_voice.Transcriber

    def counted(*args: object, **options: object) -> object:
        loaded.append(threading.get_ident())
        return real(*args, **options)

    monkeypatch.setattr(moonshine_voice, "Transcriber", counted)
    transcriber = MoonshineTranscriber()
    assert loaded == []
    with ThreadPoolExecutor(3) as pool:
        list(pool.map(lambda clip: transcriber.transcribe(clip[0]), clips[:3]))
    assert len(loaded) == 1


def test_without_the_package(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "moonshine_voice", None)
    assert not MoonshineTranscriber.is_installed()
    with pytest.raises(MissingExtraError, match=r"Transcribing with Moonshine needs the 'asr' extra"):
        MoonshineTranscriber()


def test_without_silero(monkeypatch: pytest.MonkeyPatch, clips: Clips) -> None:
    monkeypatch.setitem(sys.modules, "faster_whisper", None)
    monkeypatch.setitem(sys.modules, "faster_whisper.vad", None)
    assert not MoonshineTranscriber.is_installed()
    with pytest.raises(MissingExtraError, match="'asr' extra"):
        MoonshineTranscriber().transcribe(clips[0][0])


def test_a_release_without_weights(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, clips: Clips) -> None:
    monkeypatch.setattr(moonshine_voice, "get_model_path", lambda name: tmp_path / name)
    with pytest.raises(TranscriptionError, match=r"without its tiny-en weights; 0\.1\.0 has them"):
        MoonshineTranscriber().transcribe(clips[0][0])


def test_damaged_weights(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, clips: Clips) -> None:
    for name in ("encoder_model.ort", "decoder_model_merged.ort", "tokenizer.bin"):
        (tmp_path / name).write_bytes(b"not weights")
    monkeypatch.setattr(moonshine_voice, "get_model_path", lambda name: tmp_path)
    with pytest.raises(TranscriptionError, match="Moonshine could not load its weights from"):
        MoonshineTranscriber().transcribe(clips[0][0])


def test_an_error_of_the_engine(monkeypatch: pytest.MonkeyPatch, clips: Clips) -> None:
    def fail(*args: object) -> None:
        raise moonshine_voice.MoonshineError("out of luck")

    monkeypatch.setattr(moonshine_voice.Transcriber, "transcribe_without_streaming", fail)
    with pytest.raises(TranscriptionError, match=r"Moonshine failed on 2\.\d s of speech: out of luck\."):
        MoonshineTranscriber().transcribe(clips[0][0])


def test_it_says_that_it_understands_english_alone() -> None:
    assert MoonshineTranscriber.languages == ("en",)
