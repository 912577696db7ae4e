"""Whisper's log-mel spectrum (Radford et al. 2022, "Robust speech recognition via large-scale weak supervision").

Follows ``openai/whisper`` (audio.py), in single precision like it, except that an utterance is not padded to 30 s: the
model that reads it masks.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import cache

import numpy as np
from numpy.typing import NDArray

from m3ser.audio.resampling import SAMPLE_RATE
from m3ser.audio.spectrum import MelSpectrum, triangular_filters

__all__ = [
    "BANDS",
    "HOP",
    "MORE_BANDS",
    "whisper_log_mel",
    "whisper_logarithms",
    "whisper_mel_filters",
    "whisper_range",
]

WINDOW_LENGTH = SAMPLE_RATE * 25 // 1000  # 400 samples: 25 ms, also the points of the FFT
HOP = SAMPLE_RATE * 10 // 1000  # 160 samples: 10 ms
BANDS = 80
MORE_BANDS = 128  # from large-v3 on
POWER_FLOOR = 1e-10  # smallest power that is told from silence
DYNAMIC_RANGE = 8.0  # powers of ten below the utterance's loudest band; what is weaker is raised to that

_FRAMES = 960  # made at a time where a recording comes in blocks: a multiple of what the spectrum has in flight

# Slaney's mel scale (Auditory Toolbox, 1998): straight below 1 kHz, logarithmic above.
_HERTZ_PER_MEL = 200.0 / 3.0
_BREAK_HERTZ = 1000.0
_BREAK_MEL = _BREAK_HERTZ / _HERTZ_PER_MEL  # 15
_LOG_STEP = np.log(6.4) / 27.0  # 27 mels from 1 kHz to 6.4 kHz


def whisper_log_mel(
    waveform: NDArray[np.float32], *, bands: int = BANDS, threads: int | None = None
) -> NDArray[np.float32]:
    """Whisper's input for one utterance.

    Power spectra of 25 ms every 10 ms, centred (the ends are mirrored); mel bands from 0 to 8 kHz; log10, no weaker
    than 8 below the utterance's maximum; then ``(x + 4) / 4``.

    Args:
        waveform: (samples,) at 16 kHz, in [-1, 1].
        bands: 80, or 128 for the models from large-v3 on.
        threads: as in :func:`m3ser.audio.log_mel_examples`.

    Returns:
        (samples // 160, bands) float32, mostly in [-1, 1.5].
    """
    frames = len(waveform) // HOP
    if not frames:
        return np.empty((0, bands), dtype=np.float32)
    # The frame centred on the very end is dropped, as in the reference.
    mel = _spectrum(bands)(np.pad(waveform, WINDOW_LENGTH // 2, mode="reflect"), threads=threads)[:frames]
    return whisper_range(mel, mel.max())


def whisper_logarithms(blocks: Iterable[NDArray[np.float32]], *, bands: int = BANDS) -> Iterator[NDArray[np.float32]]:
    """:func:`whisper_log_mel` up to the logarithm, of a recording that comes in blocks; joined, it is the whole one's.

    What is left to do needs the utterance's maximum: :func:`whisper_range`.

    Args:
        blocks: (samples,) each, at 16 kHz; the first one of more than 200 samples.
        bands: as for :func:`whisper_log_mel`.

    Yields:
        (frames, bands) float32.
    """
    spectrum = _spectrum(bands)
    half = WINDOW_LENGTH // 2
    pending = np.empty(0, dtype=np.float32)  # samples from the first frame on that is not made yet
    samples = frames = 0
    for block in blocks:
        # Before the first sample, and below behind the last, the signal is mirrored.
        pending = np.concatenate([pending, block] if samples else [block[half:0:-1], block])
        samples += len(block)
        # As many frames at a time as the spectrum makes in one go.
        count = (1 + (len(pending) - WINDOW_LENGTH) // HOP) // _FRAMES * _FRAMES
        if count > 0:
            yield spectrum(pending[: (count - 1) * HOP + WINDOW_LENGTH])
            pending = pending[count * HOP :]
            frames += count
    if samples // HOP > frames:
        yield spectrum(np.concatenate([pending, pending[-2 : -2 - half : -1]]))[: samples // HOP - frames]


def whisper_range(logarithms: NDArray[np.float32], peak: np.float32) -> NDArray[np.float32]:
    """The rest of :func:`whisper_log_mel`, in place.

    Args:
        logarithms: (frames, bands), of :func:`whisper_logarithms`.
        peak: the largest of them in the whole utterance.

    Returns:
        (frames, bands) float32.
    """
    np.maximum(logarithms, peak - np.float32(DYNAMIC_RANGE), out=logarithms)
    logarithms += np.float32(4.0)
    logarithms /= np.float32(4.0)
    return logarithms


def whisper_mel_filters(bands: int = BANDS) -> NDArray[np.float64]:
    """Whisper's triangular bands, each of the same area: (201 bins, bands), in 1 / Hz."""
    mels = np.linspace(0.0, _slaney_mel(SAMPLE_RATE / 2), bands + 2)
    edges = np.where(
        mels < _BREAK_MEL, mels * _HERTZ_PER_MEL, _BREAK_HERTZ * np.exp((mels - _BREAK_MEL) * _LOG_STEP)
    )  # in Hz: here the triangles are straight on the frequency axis
    bins = np.linspace(0.0, SAMPLE_RATE / 2, WINDOW_LENGTH // 2 + 1)
    widths = edges[2:] - edges[:-2]
    return triangular_filters(bins, edges) * (2.0 / widths)


def _slaney_mel(hertz: float) -> float:
    """Position on Slaney's scale of a frequency above its break at 1 kHz."""
    return _BREAK_MEL + float(np.log(hertz / _BREAK_HERTZ) / _LOG_STEP)


@cache
def _spectrum(bands: int) -> MelSpectrum:
    return MelSpectrum(
        window_length=WINDOW_LENGTH,
        hop=HOP,
        fft_length=WINDOW_LENGTH,
        filters=whisper_mel_filters(bands),
        power=True,
        finish=_take_logarithm,
    )


def _take_logarithm(mel: NDArray[np.float32]) -> None:
    np.maximum(mel, np.float32(POWER_FLOOR), out=mel)
    np.log10(mel, out=mel)
