"""Log-mel spectra as Kaldi computes them, and as two families of models read them.

Sources: Povey et al., "The Kaldi speech recognition toolkit" (2011), ``compute-fbank-feats``; Gong et al., "AST: Audio
spectrogram transformer" (2021); Barrault et al., "Seamless" (2023), for wav2vec2-BERT. Dither is left out.
"""

from __future__ import annotations

from functools import cache
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from m3ser.audio.resampling import SAMPLE_RATE
from m3ser.audio.spectrum import triangular_filters

__all__ = [
    "AST_BANDS",
    "AST_PADDING",
    "BERT_BANDS",
    "HOP",
    "STACKED",
    "WINDOW_LENGTH",
    "ast_log_mel",
    "filter_bank",
    "wav2vec2_bert_features",
]

WINDOW_LENGTH = SAMPLE_RATE * 25 // 1000  # 400 samples: 25 ms
HOP = SAMPLE_RATE * 10 // 1000  # 160 samples: 10 ms
AST_BANDS = 128
STACKED = 2  # frames of 10 ms in one of wav2vec2-BERT's

_FFT_LENGTH = 512
_PREEMPHASIS = 0.97
_LOWEST_HERTZ = 20.0
_FLOOR = float(np.finfo(np.float32).eps)
_BLOCK_FRAMES = 512
# Mean and twice the deviation of the log-mel values of AudioSet, by which AST was trained.
_AST_MEAN, _AST_SPREAD = -4.2677393, 2 * 4.5689974
AST_PADDING = -_AST_MEAN / _AST_SPREAD
"""What stands behind an utterance in its input: it was trained with a logarithm of 0 there, not with silence."""
BERT_BANDS = 80
_BERT_SCALE = 32768.0  # it was trained on 16-bit samples
_LEAST_VARIANCE = 1e-7


def filter_bank(
    waveform: NDArray[np.float32], *, bands: int, window: Literal["hann", "povey"] = "povey"
) -> NDArray[np.float64]:
    """Logarithm of the power in mel bands from 20 Hz to 8 kHz.

    Frames of 25 ms every 10 ms, not centred; each without its mean, with pre-emphasis 0.97, windowed.

    Args:
        waveform: (samples,) at 16 kHz.
        bands: how many.
        window: ``povey`` is the Hann window to the power of 0.85.

    Returns:
        (frames, bands), no frame for less than 25 ms.
    """
    if len(waveform) < WINDOW_LENGTH:
        return np.empty((0, bands))
    frames = np.lib.stride_tricks.sliding_window_view(waveform, WINDOW_LENGTH)[::HOP]
    found = np.empty((len(frames), bands))
    shape, filters = _window(window), _filters(bands)
    for start in range(0, len(frames), _BLOCK_FRAMES):  # an hour at once would take gigabytes
        block = frames[start : start + _BLOCK_FRAMES].astype(np.float64)
        block -= block.mean(axis=1, keepdims=True)
        block[:, 1:] -= _PREEMPHASIS * block[:, :-1]
        block[:, 0] *= 1 - _PREEMPHASIS
        power = np.abs(np.fft.rfft(block * shape, _FFT_LENGTH, axis=1)) ** 2
        found[start : start + _BLOCK_FRAMES] = np.log(np.maximum(power @ filters, _FLOOR))
    return found


def ast_log_mel(waveform: NDArray[np.float32]) -> NDArray[np.float32]:
    """What an audio spectrogram transformer reads: (frames, 128) float32, mostly in [-1.5, 1]."""
    return ((filter_bank(waveform, bands=AST_BANDS, window="hann") - _AST_MEAN) / _AST_SPREAD).astype(np.float32)


def wav2vec2_bert_features(waveform: NDArray[np.float32]) -> NDArray[np.float32]:
    """What wav2vec2-BERT reads: 80 bands, each with mean 0 and variance 1 over the utterance, two frames side by side.

    Returns:
        (frames // 2, 160) float32; a last frame without a partner is left out, after the mean and variance were taken.
    """
    mel = filter_bank(waveform * np.float32(_BERT_SCALE), bands=BERT_BANDS)
    pairs = len(mel) // STACKED
    if pairs:
        mel = (mel - mel.mean(axis=0)) / np.sqrt(mel.var(axis=0, ddof=1) + _LEAST_VARIANCE)
    return mel[: pairs * STACKED].reshape(pairs, STACKED * BERT_BANDS).astype(np.float32)


@cache
def _window(name: Literal["hann", "povey"]) -> NDArray[np.float64]:
    hann: NDArray[np.float64] = np.hanning(WINDOW_LENGTH)
    return hann if name == "hann" else hann**0.85


@cache
def _filters(bands: int) -> NDArray[np.float64]:
    """(bins, bands), the triangles straight on the mel scale."""
    edges = np.linspace(_mel(_LOWEST_HERTZ), _mel(SAMPLE_RATE / 2), bands + 2)
    bins = np.array([_mel(i * SAMPLE_RATE / _FFT_LENGTH) for i in range(_FFT_LENGTH // 2 + 1)])
    return triangular_filters(bins, edges)


def _mel(hertz: float) -> float:
    return 1127.0 * float(np.log1p(hertz / 700.0))
