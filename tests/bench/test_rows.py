"""The rows' own set-up, as small as it goes: each does the work that it claims to do."""

from __future__ import annotations

import os
import resource
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

from m3ser.audio import probe
from m3ser.bench import annotate, command, front_end, material, runtime, starter, timeline
from m3ser.bench.arithmetic import log_mel_flops, matrix_products, whole_products
from m3ser.bench.measure import timed
from m3ser.bench.rows import Ready
from m3ser.bench.worker import THREADS


@pytest.mark.parametrize("sample_rate", [16_000, 48_000])
def test_log_mel(sample_rate: int, monkeypatch: pytest.MonkeyPatch) -> None:
    ready = front_end.ours(seconds=1, sample_rate=sample_rate)
    assert timed(ready.run) > 0
    assert ready.audio_seconds == 1
    assert ready.flops == (log_mel_flops(96) if sample_rate == 16_000 else None)


def test_log_mel_of_the_peer() -> None:
    pytest.importorskip("torchvggish")
    assert timed(front_end.torchvggish(seconds=1, sample_rate=16_000).run) > 0


def test_the_count_of_a_log_mel_frame() -> None:
    # Window, FFT of 512 points, 236 bins between 125 and 7500 Hz, 64 bands.
    assert log_mel_flops(1) == 400 + 2.5 * 512 * 9 + 236 * 4 + 236 * 4 + 128
    assert log_mel_flops(7) == 7 * log_mel_flops(1)


@pytest.mark.parametrize("products", [matrix_products, whole_products])
def test_matrix_products_give_a_rate(products: Callable[..., Ready]) -> None:
    if products is whole_products:
        pytest.importorskip("onnx")
    ready = products(size=64, products=2)
    assert ready.flops == 2 * 64**3
    assert 1e6 < timed(ready.run) < 1e14


def test_the_starter_answers_each_clip_with_its_words(starter_bundle: None, monkeypatch: pytest.MonkeyPatch) -> None:
    from m3ser.inference import Recogniser

    asked: list[tuple[Any, Any]] = []
    plain = Recogniser.predict
    monkeypatch.setattr(
        Recogniser,
        "predict",
        lambda self, audio, **options: asked.append((audio, options["text"])) or plain(self, audio, **options),
    )
    one = starter.answers(count=2)
    assert timed(one.run) > 0
    first, second = material.clips()[:2]
    assert asked == [(first.path, first.text), (second.path, second.text)]
    assert one.audio_seconds == pytest.approx(sum(soundfile.info(clip.path).duration for clip in (first, second)))
    together = starter.answers(copies=2, batched=True, count=2)
    assert timed(together.run) > 0
    # The figure is for going through the clips once.
    assert together.audio_seconds == one.audio_seconds


@pytest.fixture
def starter_bundle(repository: Path) -> None:
    if not (repository / "src" / "m3ser" / "bundled" / "starter" / "bundle.json").is_file():
        pytest.skip("needs the bundled model, which this checkout does not have yet")


@pytest.mark.slow
def test_the_pipeline_hears_the_same_clips() -> None:
    pytest.importorskip("transformers")
    for batch_size in (1, 2):
        ready = starter.wav2vec2_pipeline(batch_size=batch_size, count=2, layers=1, hidden=48)
        assert timed(ready.run) > 0
        assert ready.audio_seconds == pytest.approx(
            sum(soundfile.info(clip.path).duration for clip in material.clips()[:2])
        )


@pytest.mark.slow
def test_transcribing() -> None:
    pytest.importorskip("moonshine_voice")
    pytest.importorskip("faster_whisper")
    assert timed(starter.transcribed(count=1).run) > 0


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(("precision", "most"), [("fp32", 1e-4), ("int8", 0.02)])
def test_graphs_and_eager_are_the_same_model(precision: str, most: float) -> None:
    for name in ("torch", "transformers", "onnxscript", "torchvggish"):
        pytest.importorskip(name)
    small: dict[str, Any] = {"layers": 1, "hidden": 64}
    inputs = runtime._inputs(5, seed=3)
    found = runtime.graph_logits(precision, **small)(inputs)
    one_by_one = [{kind: {n: v[i : i + 1] for n, v in part.items()} for kind, part in inputs.items()} for i in range(5)]
    expected = np.concatenate([*map(runtime.eager_logits(**small), one_by_one)])
    np.testing.assert_allclose(found, expected, atol=most)
    assert np.ptp(expected, axis=0).max() > most  # another utterance's answer would not pass


def test_a_recording_of_the_length_asked_for(tmp_path: Path) -> None:
    material.write_recording(tmp_path / "speech.flac", 31.5, sample_rate=16_000)
    info = probe(tmp_path / "speech.flac")
    assert (info.duration, info.sample_rate, info.channels) == (31.5, 16_000, 2)
    left, right = soundfile.read(tmp_path / "speech.flac", dtype="float32")[0].T
    np.testing.assert_array_equal(left, right)
    np.testing.assert_allclose(left, material.speech(31.5, 16_000), atol=1e-4)


@pytest.mark.skipif(not hasattr(os, "wait4"), reason="the system does not say what a process used")
def test_a_process_is_timed_and_weighed() -> None:
    size = 150_000_000
    seconds, memory = command.seconds_and_memory([sys.executable, "-c", f"import time; b = b'x' * {size}"])
    assert seconds > 0
    own = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)
    assert size < memory < max(size, own) + 300_000_000
    with pytest.raises(command.subprocess.CalledProcessError):
        command.seconds_and_memory([sys.executable, "-c", "raise SystemExit(3)"])


def test_imports_that_are_not_there() -> None:
    with pytest.raises(ModuleNotFoundError):
        command.imports(["sys", "a_package_that_is_not_there"])
    assert timed(command.imports(["json", "csv"]).run) > 0


def test_the_commands_answer(starter_bundle: None) -> None:
    """Each raises where the command fails."""
    assert timed(command.cold_answer().run) > 0
    assert timed(command.peak_memory(seconds=3.0).run) > 50e6


def test_files_a_second_leave_out_the_beginning_of_the_workers() -> None:
    heard = [(10.0, 8), (10.5, 16), (11.0, 24), (12.0, 40), (13.0, 56)]
    assert annotate.steady(heard, skipped=2) == (56 - 24) / 2
    assert annotate.steady(heard, skipped=9) == (56 - 24) / 2
    assert annotate.steady(heard[:2], skipped=9) == 16.0


def test_links_to_clips(tmp_path: Path) -> None:
    sources = material.clips()
    material.link_clips(tmp_path, len(sources) + 1)
    files = sorted(tmp_path.iterdir())
    assert len(files) == len(sources) + 1
    for file, source in zip(files, [*sources, sources[0]], strict=True):
        assert file.samefile(source.path)


def test_a_conversation_is_half_speech(tmp_path: Path) -> None:
    length = material.write_conversation(tmp_path / "talk.flac", 30.0)
    waveform, rate = soundfile.read(tmp_path / "talk.flac", dtype="float32")
    assert (len(waveform) / rate, rate) == (length, 16_000)
    assert 30 <= length < 40
    loud = np.abs(waveform[: 30 * rate].reshape(-1, 1_600)).max(axis=1) > 0.003  # the pauses are of 1e-4
    assert 0.3 < loud.mean() < 0.8


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(os, "wait4"), reason="the system does not say what a process used")
def test_annotating_in_every_way(starter_bundle: None, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in THREADS:
        monkeypatch.setenv(name, "2")
    assert timed(annotate.annotated(40, 1).run) > 0
    assert timed(annotate.annotated(20, 2).run) > 0
    assert timed(annotate.looped(2).run) > 0
    assert timed(annotate.peak_memory(3).run) > 50e6


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(os, "wait4"), reason="the system does not say what a process used")
def test_timelines_in_every_way(starter_bundle: None) -> None:
    pytest.importorskip("moonshine_voice")
    pytest.importorskip("faster_whisper")
    for transcribed in (False, True):
        ready = timeline.passes(8.0, transcribed=transcribed)
        assert timed(ready.run) > 0
        assert ready.audio_seconds is not None
        assert 8 <= ready.audio_seconds < 16
    assert 0 < timed(timeline.final_latency(10.0).run) < 10
    assert 0 < timed(timeline.provisional_cores(3.0).run) < 10
    assert timed(timeline.peak_memory(3.0).run) > 50e6
