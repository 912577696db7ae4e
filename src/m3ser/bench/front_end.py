"""Rows: the VGGish front end beside torchvggish, whose NumPy code is the published one."""

from __future__ import annotations

from m3ser.bench.arithmetic import log_mel_flops
from m3ser.bench.measure import repeated
from m3ser.bench.rows import Ready, Row, Side

__all__ = ["ROWS", "ours", "torchvggish"]

_SHORT, _LONG = 3, 60  # seconds
_PEER = 'pip install "m3ser[dev]"'
_NO_LIMIT = "how much arithmetic resampling needs depends on its filters, which differ"


def ours(seconds: int, sample_rate: int) -> Ready:
    """``log_mel_examples`` of float32 speech."""
    from m3ser.audio import log_mel_examples
    from m3ser.bench.material import speech

    waveform = speech(seconds, sample_rate)
    flops = log_mel_flops(96 * len(log_mel_examples(waveform, sample_rate))) if sample_rate == 16_000 else None
    run = repeated(lambda: log_mel_examples(waveform, sample_rate), _times(seconds))
    return Ready(run, audio_seconds=seconds, flops=flops)


def torchvggish(seconds: int, sample_rate: int) -> Ready:
    """``waveform_to_examples`` of float64 speech, which is what it works in."""
    import numpy as np
    from torchvggish import vggish_input

    from m3ser.bench.material import speech

    waveform = speech(seconds, sample_rate).astype(np.float64)
    run = repeated(
        lambda: vggish_input.waveform_to_examples(waveform, sample_rate, return_tensor=False), _times(seconds)
    )
    return Ready(run, audio_seconds=seconds)


def _times(seconds: int) -> int:
    return 10 if seconds < _LONG else 1


def _row(seconds: int, sample_rate: int, aim: float) -> Row:
    options = {"seconds": seconds, "sample_rate": sample_rate}
    resampled = sample_rate != 16_000
    return Row(
        name=f"log-mel-{sample_rate // 1000}k-{seconds}s",
        what=f"VGGish log-mel of {seconds} s at {sample_rate // 1000} kHz" + ", resampling included" * resampled,
        ours=Side("m3ser", f"{__name__}:ours", options),
        peer=Side("torchvggish", f"{__name__}:torchvggish", options, install=_PEER),
        aim=aim,
        no_limit=_NO_LIMIT if resampled else "",
    )


ROWS = (_row(_SHORT, 16_000, 8), _row(_LONG, 16_000, 8), _row(_SHORT, 48_000, 15), _row(_LONG, 48_000, 15))
"""The front end from both rates, of a clip and of a minute."""
