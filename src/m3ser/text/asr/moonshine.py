"""Moonshine tiny (English): offline speech to text, its weights inside the package moonshine-voice 0.1.0.

Jeffries et al. (2024), "Moonshine: Speech Recognition for Live Transcription and Voice Commands", arXiv:2410.15608.
"""

from __future__ import annotations

import os
import threading
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from m3ser.errors import MissingExtraError, TranscriptionError
from m3ser.text.asr.protocol import SAMPLE_RATE, TimedText, Transcript, checked
from m3ser.text.asr.voice_activity import speech_spans

if TYPE_CHECKING:
    import moonshine_voice

__all__ = ["MoonshineTranscriber"]

_MODEL = "tiny-en"

_MAX_SECONDS = 15.0
"""Given to the model at once. A recording no longer than this is given whole, as cutting at its pauses costs words."""

_OPTIONS = {
    # Moonshine's own detector remembers earlier recordings, so that one recording would get another text depending on
    # what came before it; 0 leaves it out, and each piece is one line.
    "vad_threshold": "0.0",
    "vad_max_segment_duration": "60.0",
    # Otherwise every line brings its samples back as a list of Python floats.
    "return_audio_data": "false",
}


class MoonshineTranscriber:
    """Speech to text by Moonshine tiny. English; no word times, as their model is not in the package.

    The weights (44 MB) are loaded at the first call, in about a second. Speech is found by Silero
    (:func:`~m3ser.text.asr.voice_activity.speech_spans`); where there is none, the text is empty. Time and memory grow
    with the amount of speech, whatever the recording's length. One call at a time: threads that share it take turns. It
    runs on one thread, unless MOONSHINE_ORT_SINGLE_THREAD is 0 in the environment.

    Raises:
        MissingExtraError: moonshine-voice is not installed.
    """

    name = "moonshine"
    languages = ("en",)

    def __init__(self) -> None:
        if find_spec("moonshine_voice") is None:
            raise MissingExtraError("Transcribing with Moonshine", "asr")
        self._lock = threading.Lock()
        self._engine: moonshine_voice.Transcriber | None = None

    @classmethod
    def is_installed(cls) -> bool:
        """Whether the package is there, with its weights (releases after 0.1.0 come without), and Silero."""
        folder = _package_folder()
        weights = folder is not None and (folder / "assets" / _MODEL / "encoder_model.ort").is_file()
        return weights and find_spec("faster_whisper") is not None

    def transcribe(self, waveform: NDArray[np.float32], *, language: str | None = None) -> Transcript:  # noqa: ARG002
        """See :class:`~m3ser.text.asr.protocol.LanguageTranscriber`; segments are the stretches between pauses.

        Whatever is spoken becomes English words, with no sign of it in the result.
        """
        waveform = checked(waveform)
        spans = speech_spans(waveform, max_seconds=_MAX_SECONDS)
        pieces = spans
        if spans and len(waveform) <= _MAX_SECONDS * SAMPLE_RATE:
            spans, pieces = [(spans[0][0], spans[-1][1])], [(0, len(waveform))]
        segments = []
        for (start, end), (first, last) in zip(spans, pieces, strict=True):
            text = self._recognise(waveform[first:last])
            if text:
                segments.append(TimedText(start / SAMPLE_RATE, end / SAMPLE_RATE, text))
        return Transcript(
            text=" ".join(segment.text for segment in segments),
            segments=tuple(segments),
            words=(),
            language="en",
            transcriber=self.name,
        )

    def _recognise(self, piece: NDArray[np.float32]) -> str:
        from moonshine_voice import MoonshineError

        # The result lives inside the engine until its next call.
        with self._lock:
            if self._engine is None:
                self._engine = _load_engine()
            try:
                transcript = self._engine.transcribe_without_streaming(piece.tolist(), SAMPLE_RATE)
            except MoonshineError as error:
                seconds = len(piece) / SAMPLE_RATE
                raise TranscriptionError(f"Moonshine failed on {seconds:.1f} s of speech: {error}.") from error
        return " ".join(text for line in transcript.lines if (text := line.text.strip()))


def _package_folder() -> Path | None:
    spec = find_spec("moonshine_voice")
    return Path(spec.origin).parent if spec is not None and spec.origin is not None else None


def _load_engine() -> moonshine_voice.Transcriber:
    import moonshine_voice

    folder = moonshine_voice.get_model_path(_MODEL)
    if not (folder / "encoder_model.ort").is_file():
        raise TranscriptionError(
            f"moonshine-voice {moonshine_voice.__version__} comes without its {_MODEL} weights; "
            "0.1.0 has them: pip install moonshine-voice==0.1.0."
        )
    # With a thread per core its small products mostly wait for each other: on two cores they take twice the processor
    # time and are no sooner done. The library has no other way to say so, and looks when it loads a model.
    os.environ.setdefault("MOONSHINE_ORT_SINGLE_THREAD", "1")
    try:
        return moonshine_voice.Transcriber(folder, moonshine_voice.ModelArch.TINY, options=_OPTIONS)
    except moonshine_voice.MoonshineError as error:
        raise TranscriptionError(f"Moonshine could not load its weights from {folder}: {error}.") from error
