"""The front ends by name: what training and inference both call, and bundles and encoders refer to."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from m3ser.audio import acoustic, blockwise, kaldi, vggish, waveform, whisper
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
        extra: the extra whose packages it needs; None: it does without.
        blockwise: the same features of a recording that comes in blocks; None: it has to be there as a whole.
        batch_seconds: of sound that an encoder reads at once, padding included. What reads whole utterances leaves the
            processor's caches with more; examples stand alone, and wide layers behind them take many as soon as few.
    """

    name: str
    features: Callable[[NDArray[np.float32]], NDArray[np.float32]]
    feature_shape: tuple[int, ...]
    hop: int
    min_samples: int
    extra: str | None = None
    blockwise: blockwise.Blockwise | None = None
    batch_seconds: float = 8.0

    @property
    def frames_per_second(self) -> float:
        """Steps in a second of sound."""
        return SAMPLE_RATE / self.hop

    @property
    def batch_frames(self) -> int:
        """Steps in `batch_seconds`."""
        return int(self.batch_seconds * self.frames_per_second)


# One thread each: who works through many recordings has other threads at work on the next ones.


def _vggish_features(samples: NDArray[np.float32]) -> NDArray[np.float32]:
    return vggish.log_mel_examples(samples, SAMPLE_RATE, threads=1)


def _whisper80_features(samples: NDArray[np.float32]) -> NDArray[np.float32]:
    return whisper.whisper_log_mel(samples, threads=1)


def _whisper128_features(samples: NDArray[np.float32]) -> NDArray[np.float32]:
    return whisper.whisper_log_mel(samples, bands=whisper.MORE_BANDS, threads=1)


def _mfcc39_and_egemaps(samples: NDArray[np.float32]) -> NDArray[np.float32]:
    return acoustic.with_functionals(acoustic.mfcc39(samples), samples)


def _mfcc40_and_egemaps(samples: NDArray[np.float32]) -> NDArray[np.float32]:
    return acoustic.with_functionals(acoustic.mfcc40(samples), samples)


_FUNCTIONALS = acoustic.FUNCTIONALS
# One step for the whole recording: as if the next one came after more than a prediction ever takes.
_NEVER = SAMPLE_RATE * 3600

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
                blockwise=blockwise.EXAMPLES,
                batch_seconds=30.0,
            ),
            FrontEnd(
                name="whisper80",
                features=_whisper80_features,
                feature_shape=(whisper.BANDS,),
                hop=whisper.HOP,
                min_samples=whisper.HOP,
                blockwise=blockwise.whisper_blockwise(whisper.BANDS),
            ),
            FrontEnd(
                name="whisper128",
                features=_whisper128_features,
                feature_shape=(whisper.MORE_BANDS,),
                hop=whisper.HOP,
                min_samples=whisper.HOP,
                blockwise=blockwise.whisper_blockwise(whisper.MORE_BANDS),
            ),
            FrontEnd("waveform", waveform.as_it_is, (), hop=1, min_samples=1, blockwise=blockwise.SAMPLES),
            FrontEnd("waveform-normalised", waveform.normalised, feature_shape=(), hop=1, min_samples=1),
            FrontEnd(
                name="wav2vec2-bert",
                features=kaldi.wav2vec2_bert_features,
                feature_shape=(kaldi.STACKED * kaldi.BERT_BANDS,),
                hop=kaldi.STACKED * kaldi.HOP,
                min_samples=kaldi.WINDOW_LENGTH + (kaldi.STACKED - 1) * kaldi.HOP,
            ),
            FrontEnd("ast", kaldi.ast_log_mel, (kaldi.AST_BANDS,), kaldi.HOP, kaldi.WINDOW_LENGTH),
            FrontEnd("mfcc39", acoustic.mfcc39, (39,), acoustic.HOP, acoustic.WINDOW, "acoustic"),
            FrontEnd("mfcc40", acoustic.mfcc40, (40,), acoustic.HOP, acoustic.WINDOW, "acoustic"),
            FrontEnd("egemaps", acoustic.egemaps, (_FUNCTIONALS,), _NEVER, acoustic.EGEMAPS_SAMPLES, "acoustic"),
            FrontEnd(
                name="mfcc39+egemaps",
                features=_mfcc39_and_egemaps,
                feature_shape=(39 + _FUNCTIONALS,),
                hop=acoustic.HOP,
                min_samples=acoustic.EGEMAPS_SAMPLES,
                extra="acoustic",
            ),
            FrontEnd(
                name="mfcc40+egemaps",
                features=_mfcc40_and_egemaps,
                feature_shape=(40 + _FUNCTIONALS,),
                hop=acoustic.HOP,
                min_samples=acoustic.EGEMAPS_SAMPLES,
                extra="acoustic",
            ),
        )
    }
)
"""Every front end by its name."""
