"""Whisper through faster-whisper (CTranslate2): about a hundred languages, word times, models of every size.

Radford et al. (2022), "Robust Speech Recognition via Large-Scale Weak Supervision", arXiv:2212.04356.
"""

from __future__ import annotations

import threading
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np
from numpy.typing import NDArray

from m3ser.errors import MissingExtraError, TranscriptionError, UsageError
from m3ser.text.asr.protocol import TimedText, Transcript, checked
from m3ser.text.asr.voice_activity import SPEECH_THRESHOLD, speech_spans

if TYPE_CHECKING:
    import faster_whisper

__all__ = ["FasterWhisperTranscriber"]

DEFAULT_MODEL = "small"
"""Multilingual, 244 M parameters, 480 MB to download: the smallest that is dependable beyond English."""

ComputeType = Literal["int8", "int8_float32", "float32"]


class FasterWhisperTranscriber:
    """Speech to text by a Whisper model on the CPU.

    The weights are loaded at the first call. A size or a repository that is in the Hugging Face cache is taken from
    there without asking the network; else it is downloaded. Speech is found by Silero; where there is none, the text is
    empty. Decoding is by beam search at temperature 0, without the previous phrase as a prompt, so that one recording
    always gives the same text and one slip does not spread through the rest.

    Args:
        model: a size ("tiny.en", "small", "large-v3"), a folder with a CTranslate2 conversion, or the id of a
            repository that holds one ("Systran/faster-whisper-small").
        language: BCP 47 code of what is spoken; None: told from the first 30 s. English-only models ignore it.
        compute_type: "int8" is the fastest on a CPU; "float32" is exact, slower, and takes four times the memory.
        beam_size: hypotheses that are followed.

    Raises:
        MissingExtraError: faster-whisper is not installed.
        UsageError: no such model can exist: neither a known size, nor a folder, nor the form of a repository's id.
    """

    def __init__(
        self,
        model: str = DEFAULT_MODEL,
        *,
        language: str | None = None,
        compute_type: ComputeType = "int8",
        beam_size: int = 5,
    ) -> None:
        if find_spec("faster_whisper") is None:
            raise MissingExtraError("Transcribing with faster-whisper", "asr")
        self._model = model
        self._language = language
        self._compute_type = compute_type
        self._beam_size = beam_size
        self._lock = threading.Lock()
        self._engine: faster_whisper.WhisperModel | None = None
        if Path(model).is_dir():
            _check_folder(Path(model))
        elif "/" not in model:
            _check_size(model)

    @classmethod
    def is_installed(cls) -> bool:
        """Whether the package is there. Its weights come from the Hugging Face Hub, or from a folder."""
        return find_spec("faster_whisper") is not None

    @property
    def name(self) -> str:
        """The name of the family and the model as it was asked for: "faster-whisper:small"."""
        return f"faster-whisper:{self._model}"

    @property
    def languages(self) -> tuple[str, ...] | None:
        """English of the models whose names say so; of the others None: about a hundred."""
        return ("en",) if self._model.endswith(".en") else None

    def transcribe(self, waveform: NDArray[np.float32], *, language: str | None = None) -> Transcript:
        """See :class:`~m3ser.text.asr.protocol.LanguageTranscriber`; segments are Whisper's own phrases.

        Raises:
            TranscriptionError: it failed, or does not know the language.
        """
        waveform = checked(waveform)
        if not speech_spans(waveform):
            return Transcript(text="", segments=(), words=(), language=None, transcriber=self.name)
        engine = self._loaded()
        try:
            phrases, info = engine.transcribe(
                waveform,
                language=(language or self._language) if engine.model.is_multilingual else None,
                beam_size=self._beam_size,
                temperature=0.0,
                condition_on_previous_text=False,
                word_timestamps=True,
                vad_filter=True,
                vad_parameters={"threshold": SPEECH_THRESHOLD},
            )
            phrases = list(phrases)
        except (RuntimeError, ValueError) as error:
            raise TranscriptionError(f"{self.name} failed on a recording: {error}.") from error
        segments = tuple(_timed(phrase.start, phrase.end, phrase.text) for phrase in phrases if phrase.text.strip())
        spoken = (word for phrase in phrases for word in phrase.words or () if word.word.strip())
        words = tuple(_timed(word.start, word.end, word.word) for word in spoken)
        return Transcript(
            text=" ".join(segment.text for segment in segments),
            segments=segments,
            words=words,
            language=info.language,
            transcriber=self.name,
        )

    def _loaded(self) -> faster_whisper.WhisperModel:
        with self._lock:
            if self._engine is None:
                self._engine = self._load()
            return self._engine

    def _load(self) -> faster_whisper.WhisperModel:
        import faster_whisper

        folder = self._model if Path(self._model).is_dir() else _fetched(self._model)
        try:
            return faster_whisper.WhisperModel(folder, device="cpu", compute_type=self._compute_type)
        except Exception as error:  # CTranslate2 and tokenizers raise RuntimeError, ValueError and bare Exception
            raise TranscriptionError(f"faster-whisper could not load its model from {folder}: {error}.") from error


def _timed(start: float, end: float, text: str) -> TimedText:
    return TimedText(round(float(start), 3), round(float(end), 3), text.strip())


def _check_folder(folder: Path) -> None:
    # Without its own tokenizer.json, faster-whisper would look for one on the network.
    missing = [name for name in ("model.bin", "config.json", "tokenizer.json") if not (folder / name).is_file()]
    if missing:
        raise UsageError(f"{folder} is no CTranslate2 conversion of Whisper: it lacks {', '.join(missing)}.")


def _check_size(size: str) -> None:
    import faster_whisper

    known = faster_whisper.available_models()
    if size not in known:
        raise UsageError(
            f"faster-whisper has no model '{size}'; known are {', '.join(known)}, a folder, or a repository's id."
        )


def _fetched(model: str) -> str:
    """The folder in the Hugging Face cache that holds `model`, downloaded where it is not there yet."""
    import faster_whisper
    from huggingface_hub.errors import LocalEntryNotFoundError

    try:
        return str(faster_whisper.download_model(model, local_files_only=True))
    except LocalEntryNotFoundError:
        pass
    try:
        return str(faster_whisper.download_model(model))
    except Exception as error:  # besides its own, the hub lets through the errors of the HTTP library it happens to use
        reason = (str(error).strip() or type(error).__name__).splitlines()[0].rstrip(".")
        raise TranscriptionError(
            f"faster-whisper's model '{model}' is not in the Hugging Face cache, and downloading it failed: {reason}."
        ) from error
