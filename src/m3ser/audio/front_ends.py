"""The front ends by name: what training and inference both call, and bundles and encoders refer to."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from m3ser.audio import vggish, whisper
from m3ser.audio.resampling import SAMPLE_RATE

__all__ = ["FRONT_ENDS", "FrontEnd"]


@dataclass(frozen=True)
class FrontEnd:
    """How a waveform becomes what an audio encoder reads.

    Attributes:
        name: its key in :data:`FRONT_ENDS`.
        features: (samples,) float32 mono at 16 kHz -> (steps, *feature_shape) float32.
        feature_shape: shape of one step.
        hop: samples from one step to the next.
        min_samples: samples that the first step needs; fewer give no step.
    """

    name: str
    features: Callable[[NDArray[np.float32]], NDArray[np.float32]]
    feature_shape: tuple[int, ...]
    hop: int
    min_samples: int

    @property
    def frames_per_second(self) -> float:
        """Steps in a second of sound."""
        return SAMPLE_RATE / self.hop


def _vggish_features(waveform: NDArray[np.float32]) -> NDArray[np.float32]:
    return vggish.log_mel_examples(waveform, SAMPLE_RATE)


FRONT_ENDS: Mapping[str, FrontEnd] = MappingProxyType(
    {
        front_end.name: front_end
        for front_end in (
            FrontEnd(
                name="vggish",
                features=_vggish_features,
                feature_shape=(vggish.EXAMPLE_FRAMES, vggish.BANDS),
                hop=vggish.EXAMPLE_HOP,
                min_samples=vggish.EXAMPLE_SAMPLES,
            ),
            FrontEnd(
                name="whisper80",
                features=whisper.whisper_log_mel,
                feature_shape=(whisper.BANDS,),
                hop=whisper.HOP,
                min_samples=whisper.HOP,
            ),
        )
    }
)
"""Every front end by its name."""
