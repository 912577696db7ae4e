"""VGGish log-mel examples (Hershey et al. 2017, "CNN architectures for large-scale audio classification").

Follows the front end of the AudioSet release (tensorflow/models, research/audioset/vggish), in single precision.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from m3ser.audio.decode import stream_waveform
from m3ser.audio.resampling import SAMPLE_RATE, resample
from m3ser.audio.samples import as_samples, to_mono
from m3ser.audio.sources import AudioSource
from m3ser.audio.spectrum import MelSpectrum, triangular_filters

__all__ = [
    "BANDS",
    "EXAMPLE_FRAMES",
    "EXAMPLE_HOP",
    "EXAMPLE_SAMPLES",
    "blocks_of_examples",
    "log_mel_examples",
    "stream_log_mel_examples",
]

WINDOW_LENGTH = SAMPLE_RATE * 25 // 1000  # 400 samples: 25 ms
HOP = SAMPLE_RATE * 10 // 1000  # 160 samples: 10 ms
FFT_LENGTH = 1 << (WINDOW_LENGTH - 1).bit_length()  # 512 points: the next power of two
BANDS = 64
LOWEST = 125.0  # Hz, lower edge of the first band
HIGHEST = 7500.0  # Hz, upper edge of the last band
LOG_OFFSET = 0.01  # added before the logarithm, so that silence stays finite
EXAMPLE_FRAMES = 96  # frames in an example: 0.96 s
EXAMPLE_HOP = EXAMPLE_FRAMES * HOP  # 15,360 samples between examples, which do not overlap
EXAMPLE_SAMPLES = EXAMPLE_HOP - HOP + WINDOW_LENGTH  # 15,600 samples that the first example needs


def log_mel_examples(waveform: ArrayLike, sample_rate: float, *, threads: int | None = None) -> NDArray[np.float32]:
    """The VGGish input of a waveform: ``ln(mel + 0.01)`` in examples of 0.96 s that do not overlap.

    Magnitude spectra of 25 ms every 10 ms (periodic Hann, 512 points, no centring), 64 HTK mel bands from 125 to
    7500 Hz. What is left over after the last whole example is dropped.

    At 16 kHz the result equals torchvggish 0.2, which computes in double precision, within 1e-4 on speech (3e-7 on
    average; 2e-3 in silent bands beside a pure tone at full scale). At other rates torchvggish resamples with resampy,
    whose pass band ends a little lower than soxr's. On speech at 22.05, 44.1 and 48 kHz the two differ by 0.005 on
    average: by less than 0.01 in the first 62 bands, and by up to 0.7 in the last two (above 7.1 kHz), which resampy
    has begun to cut. Speech at 8 kHz holds nothing above 4 kHz; around that edge they differ by up to 2.5, by 0.04 on
    average.

    Args:
        waveform: (samples,) or (samples, channels), float in [-1, 1], or integers, taken as fractions of full scale.
            Channels are averaged.
        sample_rate: its rate in Hz.
        threads: how many compute the spectra; None: as many as there are cores, but one for each minute of sound at
            most. The result does not depend on it.

    Returns:
        (examples, 96, 64) float32; ``(samples at 16 kHz - 240) // 15360`` examples: 15,600 samples give 1, fewer
        give 0.
    """
    samples = as_samples(waveform)
    if sample_rate == SAMPLE_RATE:
        return _examples(to_mono(samples, keep_double=True), threads)
    return _examples(resample(to_mono(samples), sample_rate), threads)


def stream_log_mel_examples(
    source: AudioSource,
    *,
    sample_rate: float | None = None,
    start: float | None = None,
    end: float | None = None,
    max_seconds: float | None = None,
    block_seconds: float = 30.0,
) -> Iterator[NDArray[np.float32]]:
    """The VGGish examples of a recording of any length, in blocks, in bounded memory.

    Joined along the first axis, the blocks equal ``log_mel_examples(load_waveform(source, ...), SAMPLE_RATE)``.

    Args:
        source: as in :func:`m3ser.audio.load_waveform`, like all that follow but the last.
        sample_rate: Hz; for arrays, and only for them.
        start: where the part to decode begins, in seconds.
        end: where it ends, in seconds.
        max_seconds: refuse anything longer.
        block_seconds: about how much sound one block covers.

    Yields:
        (examples, 96, 64) float32, at least one example; no block at all for less than one example (0.975 s).

    Raises:
        AudioError: as :func:`m3ser.audio.stream_waveform`, while iterating.
    """
    yield from blocks_of_examples(
        stream_waveform(
            source, sample_rate=sample_rate, start=start, end=end, max_seconds=max_seconds, block_seconds=block_seconds
        )
    )


def blocks_of_examples(blocks: Iterable[NDArray[np.float32]]) -> Iterator[NDArray[np.float32]]:
    """The examples of a waveform at 16 kHz that comes in blocks; joined, they are those of the whole.

    Args:
        blocks: (samples,) each.

    Yields:
        (examples, 96, 64) float32, at least one example.
    """
    pending = np.empty(0, dtype=np.float32)
    for block in blocks:
        pending = np.concatenate([pending, block])
        examples = _examples(pending, threads=1)  # whoever streams has the next step to do meanwhile
        if len(examples):
            yield examples
            pending = pending[len(examples) * EXAMPLE_HOP :]


def _examples(samples: NDArray[np.floating[Any]], threads: int | None) -> NDArray[np.float32]:
    spectrum = _spectrum()
    count = spectrum.frame_count(len(samples)) // EXAMPLE_FRAMES
    whole = samples[: count * EXAMPLE_HOP - HOP + WINDOW_LENGTH] if count else samples[:0]
    mel = spectrum(whole, threads=threads)
    return mel.reshape(count, EXAMPLE_FRAMES, BANDS)


@cache
def _spectrum() -> MelSpectrum:
    bins = _htk_mel(np.linspace(0.0, SAMPLE_RATE / 2, FFT_LENGTH // 2 + 1))
    edges = np.linspace(_htk_mel(LOWEST), _htk_mel(HIGHEST), BANDS + 2)
    # The triangles are straight on the mel scale; the release keeps the constant component out of every band.
    filters = triangular_filters(bins, edges)
    filters[0] = 0.0
    return MelSpectrum(
        window_length=WINDOW_LENGTH, hop=HOP, fft_length=FFT_LENGTH, filters=filters, finish=_take_logarithm
    )


def _take_logarithm(mel: NDArray[np.float32]) -> None:
    mel += np.float32(LOG_OFFSET)
    np.log(mel, out=mel)


def _htk_mel(hertz: ArrayLike) -> NDArray[np.float64]:
    return np.asarray(1127.0 * np.log1p(np.asarray(hertz, dtype=np.float64) / 700.0))
