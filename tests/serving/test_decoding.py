from __future__ import annotations

import io
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

from m3ser.audio import load_waveform
from m3ser.errors import AudioContentError, AudioReadError, AudioTooLongError, AudioTooShortError, M3serError
from m3ser.serving.decoding import DecoderPool
from m3ser.serving.problems import ProblemError

ODD_WORKER = (sys.executable, str(Path(__file__).with_name("odd_worker.py")))


def recording(samples: Any, rate: int = 16_000, form: str = "WAV", subtype: str | None = None) -> bytes:
    file = io.BytesIO()
    soundfile.write(file, samples, rate, format=form, subtype=subtype)
    return file.getvalue()


@pytest.fixture(scope="module")
def restarts() -> list[str]:
    return []


@pytest.fixture(scope="module")
def pool(restarts: list[str]) -> Iterator[DecoderPool]:
    made = DecoderPool(
        size=1,
        max_seconds=20.0,
        max_bytes=2_000_000,
        time_limit=0.5,
        restarted=restarts.append,
        command=ODD_WORKER,
    )
    made.start()
    yield made
    made.stop()


@pytest.fixture
def clip(demo_clip: Path) -> bytes:
    return demo_clip.read_bytes()


def test_a_waveform_is_what_decoding_here_gives(pool: DecoderPool, clip: bytes) -> None:
    np.testing.assert_array_equal(pool.decode(clip, name="a.wav").result(), load_waveform(clip))


@pytest.mark.parametrize(
    ("content", "reason", "kind"),
    [
        (b"hang", "hung", ProblemError),
        (b"crash", "crashed", AudioReadError),
        (b"nonsense", "crashed", AudioReadError),
        (b"shapeless", "crashed", AudioReadError),
    ],
)
def test_what_ends_a_decoder_has_failed_alone(
    pool: DecoderPool, restarts: list[str], clip: bytes, content: bytes, reason: str, kind: type[Exception]
) -> None:
    restarts.clear()
    bad, good = pool.decode(content, name="bad.wav"), pool.decode(clip)
    with pytest.raises(kind, match=r"^bad\.wav"):
        bad.result()
    assert len(good.result()) > 16_000
    assert restarts == [reason]


def test_memory_is_limited(pool: DecoderPool, restarts: list[str]) -> None:
    restarts.clear()
    with pytest.raises(AudioReadError, match=r"^big\.wav takes more memory"):
        pool.decode(b"memory", name="big.wav").result()
    assert not restarts


@pytest.mark.parametrize(
    ("content", "kind"),
    [
        (b"", AudioTooShortError),
        (b"\x89PNG\r\n" + b"0" * 300, AudioReadError),
        (recording(np.full(16_000, np.nan), subtype="FLOAT"), AudioContentError),
        (recording(np.zeros(16_000)), AudioContentError),
        (recording(np.zeros(100)), AudioTooShortError),
        (recording(np.zeros(8_000 * 600), 8_000, form="FLAC"), AudioTooLongError),
    ],
    ids=["empty", "a picture", "NaN", "silent", "short", "ten minutes of silence in FLAC"],
)
def test_bad_recordings_raise_what_they_raise_here(pool: DecoderPool, content: bytes, kind: type[M3serError]) -> None:
    with pytest.raises(kind) as found:
        pool.decode(content, name="x").result()
    assert type(found.value) is kind
    assert str(found.value).startswith("x ")


def test_a_header_that_hides_hours_is_found_out_while_decoding(pool: DecoderPool) -> None:
    content = bytearray(recording(np.zeros(8_000 * 600), 8_000, form="FLAC"))
    content[21] &= 0xF0  # STREAMINFO's count of samples: unknown
    content[22:26] = bytes(4)
    with pytest.raises(AudioTooLongError, match="longer than 20 s"):
        pool.decode(bytes(content)).result()


def test_a_truncated_recording_is_refused(pool: DecoderPool, clip: bytes) -> None:
    with pytest.raises(AudioReadError, match="truncated"):
        pool.decode(clip[: len(clip) // 2]).result()


def test_channels_are_kept_apart_where_that_is_asked_for(pool: DecoderPool) -> None:
    tones = np.sin(np.outer(np.arange(16_000), [0.1, 0.2])) * [0.5, 0.1]
    content = recording(tones)
    apart = pool.decode(content, apart=True).result()
    assert apart.shape == (16_000, 2)
    np.testing.assert_allclose(apart, tones, atol=1e-4)
    np.testing.assert_allclose(pool.decode(content).result(), tones.mean(axis=1), atol=1e-4)
    assert pool.decode(recording(np.zeros(16_000)), apart=True).result().shape == (16_000, 1)


def test_silence_is_a_recording_where_it_may_be(pool: DecoderPool) -> None:
    waveform = pool.decode(recording(np.zeros(16_000)), may_be_silent=True).result()
    assert waveform.shape == (16_000,)
    with pytest.raises(AudioTooLongError):
        pool.decode(recording(np.zeros(16_000 * 30)), may_be_silent=True).result()


def test_what_is_cancelled_before_its_turn_is_not_decoded(pool: DecoderPool, clip: bytes) -> None:
    first = pool.decode(b"hang")
    waiting = pool.decode(b"crash")
    assert waiting.cancel()
    with pytest.raises(ProblemError):
        first.result()
    assert len(pool.decode(clip).result())


def test_a_decoder_knows_no_secrets(monkeypatch: pytest.MonkeyPatch) -> None:
    from m3ser.serving.decoding import pool as module

    monkeypatch.setenv("SECRET_TOKEN", "x")
    assert "SECRET_TOKEN" not in module._environment()


def test_stopping_ends_the_processes_and_those_who_wait(clip: bytes) -> None:
    pool = DecoderPool(size=1, max_seconds=20, max_bytes=2_000_000, time_limit=30, command=ODD_WORKER)
    pool.start()
    process = pool._decoders[0]._process
    assert process is not None
    busy, waiting = pool.decode(b"hang"), pool.decode(clip)
    while not busy.running():
        time.sleep(0.01)
    pool.stop()
    assert process.poll() is not None
    with pytest.raises(M3serError, match="being stopped"):
        busy.result()
    assert waiting.cancelled()


def test_a_decoder_that_cannot_begin_is_one_sentence() -> None:
    pool = DecoderPool(size=1, max_seconds=20, max_bytes=1, time_limit=1, command=(sys.executable, "-c", "pass"))
    with pytest.raises(M3serError, match="ended while it began"):
        pool.start()
    pool.stop()


def test_a_decoder_ends_with_its_parent() -> None:
    limits = '{"memory": 1000000000, "content": 100, "seconds": 5}'
    read, write = os.pipe()
    child = subprocess.Popen(
        [sys.executable, "-m", "m3ser.serving.decoding.worker", limits], stdin=read, stdout=subprocess.DEVNULL
    )
    os.close(read)
    os.close(write)
    assert child.wait(60) == 0
