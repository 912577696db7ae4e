"""Where somebody speaks: Silero VAD, as it comes with faster-whisper.

A recogniser that is given noise writes words all the same ("Thank you for watching!"), so it is asked for speech alone.
Silero starts every recording afresh: the same recording always gives the same spans. (Moonshine's own detector carries
its state from one recording to the next.)
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from m3ser.errors import needing
from m3ser.text.asr.protocol import SAMPLE_RATE

__all__ = ["SPEECH_THRESHOLD", "speech_spans"]

SPEECH_THRESHOLD = 0.35
"""Speech probability from which a 32 ms frame counts as speech. Silero's usual 0.5 misses some clips of emotional
corpora, whispered or sobbed, that this finds; noise stays below both."""

_BLOCK_SECONDS = 300.0
"""Searched at a time, which bounds the memory: Silero's wrapper copies what it is given several times over."""


def speech_spans(
    waveform: NDArray[np.float32],
    *,
    threshold: float = SPEECH_THRESHOLD,
    min_silence_seconds: float = 0.5,
    max_seconds: float = 15.0,
    padding_seconds: float = 0.2,
) -> list[tuple[int, int]]:
    """The stretches of speech in a recording of any length, in order and without overlap.

    Args:
        waveform: (samples,) float32, mono, 16 kHz.
        threshold: speech probability in [0, 1] from which a 32 ms frame counts as speech.
        min_silence_seconds: a pause at least this long ends a stretch.
        max_seconds: a longer stretch is cut at its last pause, or where it reaches this length.
        padding_seconds: kept before and after each stretch, where there is room.

    Returns:
        (start, end) in samples; each is at least 0.1 s long.

    Raises:
        MissingExtraError: faster-whisper is not installed.
    """
    with needing("asr", "Finding speech in a recording"):
        from faster_whisper.vad import VadOptions, get_speech_timestamps

    options = VadOptions(
        threshold=threshold,
        min_speech_duration_ms=100,
        min_silence_duration_ms=round(1000 * min_silence_seconds),
        max_speech_duration_s=max_seconds,
        speech_pad_ms=round(1000 * padding_seconds),
    )
    block = round(_BLOCK_SECONDS * SAMPLE_RATE)
    undecided = round((min_silence_seconds + padding_seconds) * SAMPLE_RATE)
    spans: list[tuple[int, int]] = []
    begin = 0
    while begin < len(waveform):
        end = min(begin + block, len(waveform))
        found = [(begin + s["start"], begin + s["end"]) for s in get_speech_timestamps(waveform[begin:end], options)]
        begin = end
        if end < len(waveform) and found and found[-1][1] > end - undecided:
            # This stretch may go on in the next block: search from its beginning.
            begin = found.pop()[0]
        spans += found
    return spans
