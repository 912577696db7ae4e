"""How probable it is that somebody speaks, frame by frame: Silero, run as the sound comes in.

Silero VAD (version 6, 16 kHz) is a small recurrent network in ONNX form, inside the package faster-whisper. It is run
here by ONNX Runtime itself, with its state carried from block to block; faster-whisper and CTranslate2 are not
imported.
"""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from m3ser.errors import MissingExtraError

__all__ = ["FRAME", "SileroVoice", "Voice"]

FRAME = 512
"""Samples of a frame at 16 kHz: 32 ms."""

_CONTEXT = 64  # samples before a frame that the network hears with it
_STATE = (1, 1, 128)
# Frames of one run, always: how many are computed together may show in the last bit, and must not depend on the chunks
# that a caller happens to have. 128 ms are soon there, and larger runs are hardly faster.
_RUN = 4

# A quiet voice behind a loud one is hardly heard: the network remembers the loud one through seconds of silence. So it
# starts afresh in every pause of a second. Of the frames of speech that are found in each clip alone, it then finds, in
# the clips one after the other with pauses between them (pytest tests/inference/timeline/test_voice.py -k afresh -s):
#   the package's 13 clips    99.8% instead of 91.1%; no frame of speech in a pause, with it and without it
#   60 clips of EmoDB         99.9% instead of 99.2%; 14 frames of speech in pauses instead of 9
#   60 clips of RAVDESS       99.8% instead of 95.5%; none, with it and without it
# It was chosen on the package's clips; the other two were measured afterwards.
_AFRESH = 32  # frames
_QUIET = 0.2


class Voice(Protocol):
    """What hears speech in one stream of sound."""

    def push(self, waveform: NDArray[np.float32]) -> NDArray[np.float32]:
        """The probabilities of the frames that are complete with these samples, in order."""
        ...

    def finish(self) -> NDArray[np.float32]:
        """Those of the frames that remain; the last one is filled up with silence."""
        ...


class SileroVoice:
    """Silero on one stream of sound (mono, 16 kHz); the probabilities do not depend on how it is cut into chunks.

    Raises:
        MissingExtraError: faster-whisper is not installed, or is too old to have this network.
    """

    def __init__(self) -> None:
        self._session = _session()
        self._pending = np.empty(0, np.float32)
        self._context = np.zeros(_CONTEXT, np.float32)
        self._state = (np.zeros(_STATE, np.float32), np.zeros(_STATE, np.float32))
        self._quiet = 0  # frames since somebody spoke

    def push(self, waveform: NDArray[np.float32]) -> NDArray[np.float32]:
        """See :class:`Voice`; frames come four at a time.

        Args:
            waveform: (samples,) float32 in [-1, 1], of any length.
        """
        samples = np.concatenate([self._pending, np.asarray(waveform, np.float32)])
        whole = len(samples) // (FRAME * _RUN) * FRAME * _RUN
        self._pending = samples[whole:].copy()
        runs = samples[:whole].reshape(-1, _RUN, FRAME)
        return np.concatenate([np.empty(0, np.float32), *(self._run(frames) for frames in runs)])

    def finish(self) -> NDArray[np.float32]:
        """See :class:`Voice`."""
        count = -(-len(self._pending) // FRAME)
        if not count:
            return np.empty(0, np.float32)
        frames = np.zeros(_RUN * FRAME, np.float32)
        frames[: len(self._pending)] = self._pending
        self._pending = self._pending[:0]
        return self._run(frames.reshape(_RUN, FRAME))[:count]

    def _run(self, frames: NDArray[np.float32]) -> NDArray[np.float32]:
        before = np.concatenate([self._context[None], frames[:-1, -_CONTEXT:]])
        self._context = frames[-1, -_CONTEXT:].copy()
        heard = np.concatenate([before, frames], axis=1)
        h, c = self._state
        result, h, c = self._session.run(None, {"input": heard, "h": h, "c": c})
        self._state = (h, c)
        probabilities: NDArray[np.float32] = np.asarray(result, np.float32).reshape(-1)
        earlier = self._quiet
        for probability in probabilities:
            self._quiet = self._quiet + 1 if probability < _QUIET else 0
        if self._quiet >= _AFRESH > min(earlier, self._quiet - 1):
            self._state = (np.zeros(_STATE, np.float32), np.zeros(_STATE, np.float32))
        return probabilities


def _session() -> Any:
    spec = find_spec("faster_whisper")
    folders = [] if spec is None else spec.submodule_search_locations or []
    graphs = [graph for folder in folders if (graph := Path(folder) / "assets" / "silero_vad_v6.onnx").is_file()]
    if not graphs:
        raise MissingExtraError("Finding speech in a recording", "asr")
    import onnxruntime

    options = onnxruntime.SessionOptions()
    # So small a network is slowed down by threads; and the processor is free for the recogniser.
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 4
    return onnxruntime.InferenceSession(str(graphs[0]), options, providers=["CPUExecutionProvider"])
