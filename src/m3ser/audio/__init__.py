"""Bytes -> waveform (16 kHz, mono, float32) -> log-mel features.

NumPy alone, and no torch: training and inference call the same functions.
"""

from __future__ import annotations

from m3ser.audio.decode import MIN_SAMPLES, AudioInfo, Blocks, load_waveform, open_blocks, probe, stream_waveform
from m3ser.audio.front_ends import FRONT_ENDS, FrontEnd
from m3ser.audio.kaldi import ast_log_mel, wav2vec2_bert_features
from m3ser.audio.resampling import SAMPLE_RATE, resample
from m3ser.audio.sources import AudioSource, source_name
from m3ser.audio.vggish import log_mel_examples, stream_log_mel_examples
from m3ser.audio.whisper import whisper_log_mel

__all__ = [
    "FRONT_ENDS",
    "MIN_SAMPLES",
    "SAMPLE_RATE",
    "AudioInfo",
    "AudioSource",
    "Blocks",
    "FrontEnd",
    "ast_log_mel",
    "load_waveform",
    "log_mel_examples",
    "open_blocks",
    "probe",
    "resample",
    "source_name",
    "stream_log_mel_examples",
    "stream_waveform",
    "wav2vec2_bert_features",
    "whisper_log_mel",
]
