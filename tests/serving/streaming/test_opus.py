"""Opus in pieces as browsers record it, in a process that may crash or hang without harm."""

from __future__ import annotations

import asyncio
import os
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from m3ser.audio import SAMPLE_RATE, load_waveform
from m3ser.audio.resampling import resample
from m3ser.errors import AudioReadError, M3serError
from m3ser.serving.problems import ProblemError
from m3ser.serving.streaming.opus import OpusDecoder

pytest.importorskip("av", reason="needs PyAV, the 'media' extra")


class Taken:
    """What came out of a decoder."""

    def __init__(self) -> None:
        self.pieces: list[NDArray[np.float32]] = []

    async def __call__(self, samples: NDArray[np.float32]) -> None:
        self.pieces.append(samples)

    @property
    def samples(self) -> NDArray[np.float32]:
        return np.concatenate(self.pieces)


def decode(data: bytes, size: int, **options: Any) -> NDArray[np.float32]:
    async def run() -> NDArray[np.float32]:
        taken = Taken()
        decoder = OpusDecoder(taken, **options)
        try:
            for place in range(0, len(data), size):
                await decoder.feed(data[place : place + size])
            await decoder.finish()
        finally:
            await decoder.close()
        return taken.samples

    return asyncio.run(run())


@pytest.mark.parametrize("size", [700, 10**9])
def test_samples_are_those_of_the_file(webm: bytes, size: int) -> None:
    samples = decode(webm, size)
    assert samples.shape[1] == 1
    np.testing.assert_array_equal(resample(samples[:, 0], 48_000), load_waveform(webm))


def test_ogg_is_read_as_well(ogg: bytes, speech: Any) -> None:
    heard = resample(decode(ogg, 3000)[:, 0], 48_000)
    assert abs(len(heard) - len(speech)) < 1000
    likeness = [np.corrcoef(heard[lag : lag + 30_000], speech[:30_000])[0, 1] for lag in range(400)]
    assert max(likeness) > 0.97


def test_both_channels_come_through(to_opus: Any, speech: Any) -> None:
    assert decode(to_opus(speech, "webm", layout="stereo"), 5000).shape[1] == 2


def test_sound_comes_out_while_the_rest_is_still_to_come(webm: bytes) -> None:
    """As a microphone's: nothing waits for the end of the file."""

    async def run() -> int:
        taken = Taken()
        decoder = OpusDecoder(taken)
        try:
            for place in range(0, len(webm) // 2, 500):
                await decoder.feed(webm[place : place + 500])
            while not taken.pieces or sum(map(len, taken.pieces)) < 48_000:
                await asyncio.sleep(0.01)
        finally:
            await decoder.close()
        return sum(map(len, taken.pieces))

    assert asyncio.run(asyncio.wait_for(run(), 30)) >= 48_000


@pytest.mark.parametrize("data", [b"RIFF....WAVEfmt ", b"Og"])
def test_what_is_no_container_is_refused_before_anything_is_started(data: bytes) -> None:
    with pytest.raises(AudioReadError, match=r"begins with b'.*'; expected an Ogg or WebM file\."):
        decode(data, 100, program=("/nowhere",))


def test_damage_is_a_sentence() -> None:
    with pytest.raises(AudioReadError, match="The Opus stream is damaged"):
        decode(b"OggS" + bytes(5000), 1000)


def test_another_codec_is_refused(speech: Any, to_opus: Any) -> None:
    data = to_opus(speech, "matroska", codec="flac")
    with pytest.raises(AudioReadError, match="holds no Opus track"):
        decode(data, 1000)


def program(tmp_path: Path, text: str) -> tuple[str, ...]:
    path = tmp_path / "decoder.py"
    path.write_text(text)
    return (sys.executable, str(path))


def test_a_crash_is_a_sentence(tmp_path: Path) -> None:
    crashing = program(tmp_path, "import os\nos.read(0, 9)\nos.kill(os.getpid(), 11)\n")
    with pytest.raises(AudioReadError, match="made its decoder crash"):
        decode(b"OggS" + bytes(500), 100, program=crashing)


@pytest.mark.parametrize("reads", [True, False])
def test_a_hang_is_ended(tmp_path: Path, reads: bool) -> None:
    """Whether it still takes what comes or not; the process is gone afterwards."""
    note = tmp_path / "pid"
    text = f"import os, time\nopen({str(note)!r}, 'w').write(str(os.getpid()))\n"
    hanging = program(tmp_path, text + ("while os.read(0, 9999): pass\n" if reads else "") + "time.sleep(600)\n")
    with pytest.raises(ProblemError, match="made its decoder hang") as caught:
        decode(b"OggS" + bytes(1_000_000), 100_000, program=hanging, hang_seconds=1.5)
    assert caught.value.problem.status == 504
    with pytest.raises(ProcessLookupError):
        os.kill(int(note.read_text()), 0)


def test_a_slow_taker_slows_the_decoder(ogg: bytes) -> None:
    """Nothing is decoded ahead but what the pipes hold."""

    async def run() -> None:
        room = asyncio.Event()
        seen = 0

        async def take(samples: NDArray[np.float32]) -> None:
            nonlocal seen
            seen += len(samples)
            await room.wait()

        decoder = OpusDecoder(take)
        try:
            feeding = asyncio.ensure_future(decoder.feed(ogg * 30))
            while not seen:
                await asyncio.sleep(0.01)
            decoder._hang_seconds = 0.1  # from now on, for starting takes longer
            done, _ = await asyncio.wait({feeding}, timeout=1.2)
            assert not done, "it waits, and that is no hang"
            assert seen < SAMPLE_RATE
            feeding.cancel()
        finally:
            await decoder.close()

    asyncio.run(run())


def test_what_the_taker_raises_comes_out(webm: bytes) -> None:
    async def refuse(samples: NDArray[np.float32]) -> None:
        raise M3serError("Enough.")

    async def run() -> None:
        decoder = OpusDecoder(refuse)
        try:
            await decoder.feed(webm)
            await decoder.finish()
        finally:
            await decoder.close()

    with pytest.raises(M3serError, match="Enough"):
        asyncio.run(run())
