"""Recordings of any kind -> mono float32 waveforms at 16 kHz.

What a recording is gets decided by its content: libsndfile is asked first, then FFmpeg (PyAV). Everything is decoded,
mixed and resampled block by block, so that only the caller decides how much is in memory at a time.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from m3ser.audio.resampling import SAMPLE_RATE, Resampler
from m3ser.audio.sources import AudioSource, is_array, source_label
from m3ser.errors import (
    AudioContentError,
    AudioTooLongError,
    AudioTooShortError,
    UsageError,
)

__all__ = ["MIN_SAMPLES", "AudioInfo", "load_waveform", "probe", "stream_waveform"]
