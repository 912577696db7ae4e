"""Live speech on many connections at once: how late final segments are.

What a segment is late by is counted from the moment at which the chunk was sent that made it certain. Which one that is
tells the same stream here, without a service.
"""

from __future__ import annotations

import asyncio
import json
import statistics
import time
from pathlib import Path

import numpy as np
from websockets.asyncio.client import connect

import m3ser
from m3ser.audio import SAMPLE_RATE, load_waveform

__all__ = ["measured"]

CLIPS = Path(m3ser.__file__).parent / "bundled" / "clips"
CHUNK = SAMPLE_RATE // 10  # samples


def measured(port: int, count: int, seconds: float, spread: float) -> str:
    """What came of so many streams of so many seconds each, which begin one after the other within `spread` seconds.

    All say the same. With a spread of 0 all sentences end at one moment, as those of people do not.
    """
    chunks = _speech(seconds)
    certain = _certain(chunks)
    late, finals = asyncio.run(_together(port, count, chunks, certain, spread))
    if set(finals) != {len(certain)}:
        return f"streams:    LOST SEGMENTS: {len(certain)} were expected of each stream; found {sorted(set(finals))}"
    late.sort()
    return (
        f"streams:    {count} at a time, begun within {spread:g} s, "
        f"{len(chunks) * CHUNK / SAMPLE_RATE:.0f} s each in real time: "
        f"{len(late):,} final segments, none lost; late by median {1000 * statistics.median(late):.0f} ms, "
        f"p99 {1000 * late[int(0.99 * len(late))]:.0f} ms, at most {1000 * late[-1]:.0f} ms"
    )


def _speech(seconds: float) -> list[bytes]:
    """Chunks of 16-bit PCM: clips, with pauses between them."""
    pieces: list[np.ndarray] = []
    length = 0
    clips = sorted(CLIPS.glob("*.wav"))
    while length < seconds * SAMPLE_RATE:
        clip = load_waveform(clips[len(pieces) % len(clips)])
        pieces += [clip, np.zeros(3 * SAMPLE_RATE // 2, np.float32)]
        length += len(clip) + 3 * SAMPLE_RATE // 2
    sound = np.concatenate(pieces)[: round(seconds * SAMPLE_RATE)]
    pcm = (np.clip(sound, -1, 1) * 32767).astype("<i2")
    return [pcm[begin : begin + CHUNK].tobytes() for begin in range(0, len(pcm), CHUNK)]


def _certain(chunks: list[bytes]) -> list[int]:
    """For each final segment, the number of the chunk behind which it is certain."""
    stream = m3ser.load(transcriber=None).stream(text=None, provisional_seconds=None)
    found = []
    for number, chunk in enumerate(chunks):
        found += [number for _ in stream.push(np.frombuffer(chunk, "<i2"))]
    return found + [len(chunks) for _ in stream.finish()]


async def _together(
    port: int, count: int, chunks: list[bytes], certain: list[int], spread: float
) -> tuple[list[float], list[int]]:
    late: list[float] = []

    async def one(number: int) -> int:
        await asyncio.sleep(number * spread / count)
        sent: list[float] = []
        finals = 0
        async with connect(f"ws://127.0.0.1:{port}/v1/stream", max_size=1 << 20) as socket:
            start = {"type": "start", "sample_rate": SAMPLE_RATE, "encoding": "pcm_s16le", "transcribe": False}
            await socket.send(json.dumps(start))
            assert json.loads(await socket.recv())["type"] == "ready"

            async def speak() -> None:
                begin = time.perf_counter()
                for i, chunk in enumerate(chunks, start=1):
                    await asyncio.sleep(begin + i * CHUNK / SAMPLE_RATE - time.perf_counter())
                    sent.append(time.perf_counter())
                    await socket.send(chunk)
                sent.append(time.perf_counter())
                await socket.send(json.dumps({"type": "finish"}))

            speaking = asyncio.create_task(speak())
            async for message in socket:
                told = json.loads(message)
                if told["type"] == "segment" and told["final"]:
                    late.append(time.perf_counter() - sent[certain[finals]])
                    finals += 1
                elif told["type"] == "problem":
                    raise SystemExit(str(told))
                elif told["type"] == "done":
                    break
            await speaking
        return finals

    return late, list(await asyncio.gather(*(one(number) for number in range(count))))
