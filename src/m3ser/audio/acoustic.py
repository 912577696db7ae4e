"""Hand-made acoustic features through openSMILE: MFCC and the functionals of eGeMAPS.

Sources: Young et al., "The HTK Book" (MFCC_E_D_A, as in openSMILE's set MFCC12_E_D_A); Eyben et al., "The Geneva
minimalistic acoustic parameter set (GeMAPS) for voice research and affective computing" (IEEE TAC 2016).

openSMILE is a package of its own (extra `acoustic`), under audEERING's research licence.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from m3ser.audio.resampling import SAMPLE_RATE
from m3ser.errors import needing

if TYPE_CHECKING:
    import opensmile

__all__ = ["EGEMAPS_SAMPLES", "FUNCTIONALS", "HOP", "WINDOW", "egemaps", "mfcc39", "mfcc40", "with_functionals"]

WINDOW = SAMPLE_RATE * 25 // 1000  # 400 samples: 25 ms
HOP = SAMPLE_RATE * 10 // 1000  # 160 samples: 10 ms
FUNCTIONALS = 88
EGEMAPS_SAMPLES = SAMPLE_RATE * 60 // 1000  # 960 samples: one of the 60 ms frames that pitch is measured in

_CONFIG = Path(__file__).with_name("mfcc.conf")


def mfcc39(waveform: NDArray[np.float32]) -> NDArray[np.float32]:
    """MFCC 1 to 12 (26 bands, lifter 22) and log energy, their deltas, and the deltas of these.

    Args:
        waveform: (samples,) at 16 kHz, in [-1, 1].

    Returns:
        (frames, 39) float32, one frame every 10 ms, none for less than 25 ms.

    Raises:
        MissingExtraError: openSMILE is not installed.
    """
    return _features(_extractor("mfcc39"), waveform, width=39, shortest=WINDOW)


def mfcc40(waveform: NDArray[np.float32]) -> NDArray[np.float32]:
    """MFCC 0 to 39 of 40 mel bands, without liftering: (frames, 40); see :func:`mfcc39`."""
    return _features(_extractor("mfcc40"), waveform, width=40, shortest=WINDOW)


def egemaps(waveform: NDArray[np.float32]) -> NDArray[np.float32]:
    """The 88 functionals of eGeMAPS, version 2, over the whole waveform: (1, 88), or (0, 88) for less than 60 ms.

    Arguments and errors as :func:`mfcc39`.
    """
    return _features(_extractor("egemaps"), waveform, width=FUNCTIONALS, shortest=EGEMAPS_SAMPLES)


def with_functionals(frames: NDArray[np.float32], waveform: NDArray[np.float32]) -> NDArray[np.float32]:
    """`frames` (frames, width) with the functionals of `waveform` behind each: (frames, width + 88).

    What is too short for functionals gives no frame.
    """
    functionals = egemaps(waveform)
    if not len(functionals):
        return np.empty((0, frames.shape[1] + FUNCTIONALS), np.float32)
    return np.concatenate([frames, np.broadcast_to(functionals, (len(frames), FUNCTIONALS))], axis=1)


def _features(
    extractor: opensmile.Smile, waveform: NDArray[np.float32], *, width: int, shortest: int
) -> NDArray[np.float32]:
    if len(waveform) < shortest:
        return np.empty((0, width), np.float32)
    # openSMILE is handed 16-bit samples; 1.0 is one step more than they reach, and would come out as -1.0.
    signal = np.minimum(waveform, np.float32(32767 / 32768))
    found: NDArray[Any] = extractor.process_signal(signal, SAMPLE_RATE).to_numpy()
    return np.ascontiguousarray(found, dtype=np.float32)


@cache
def _extractor(name: str) -> opensmile.Smile:
    """Set up once; each call runs an openSMILE of its own, so that threads may share it."""
    with needing("acoustic", "Computing MFCC and eGeMAPS functionals"):
        import opensmile
    if name == "egemaps":
        return opensmile.Smile(opensmile.FeatureSet.eGeMAPSv02, opensmile.FeatureLevel.Functionals)
    if name == "mfcc39":
        return opensmile.Smile(str(_CONFIG), "lld")
    options = {"bandCount": "40", "firstMfcc": "0", "lastMfcc": "39", "lifter": "0", "zeroFirst": "0"}
    return opensmile.Smile(str(_CONFIG), "cepstra", options=options)
