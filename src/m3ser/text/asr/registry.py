"""Speech recognisers by name."""

from __future__ import annotations

from m3ser.errors import UsageError
from m3ser.text.asr.faster_whisper import FasterWhisperTranscriber
from m3ser.text.asr.moonshine import MoonshineTranscriber
from m3ser.text.asr.protocol import Transcriber

__all__ = ["available_transcribers", "default_transcriber", "get_transcriber"]

_BY_NAME: dict[str, type[MoonshineTranscriber | FasterWhisperTranscriber]] = {
    "moonshine": MoonshineTranscriber,
    "faster-whisper": FasterWhisperTranscriber,
}


def get_transcriber(name: str) -> Transcriber:
    """The recogniser of that name; its weights are loaded when it is first used.

    Args:
        name: "moonshine", "faster-whisper", or "faster-whisper:MODEL" where MODEL is a size ("tiny.en"), a folder
            with a CTranslate2 conversion of Whisper, or a repository's id on the Hugging Face Hub.

    Raises:
        UsageError: there is no such recogniser, or no such size of it.
        MissingExtraError: its package is not installed.
    """
    family, colon, model = name.partition(":")
    if name == "moonshine":
        return MoonshineTranscriber()
    if family == "faster-whisper" and (model or not colon):
        return FasterWhisperTranscriber(model) if model else FasterWhisperTranscriber()
    raise UsageError(f"There is no transcriber '{name}'; known are {', '.join(_BY_NAME)} and faster-whisper:MODEL.")


def available_transcribers() -> tuple[str, ...]:
    """The names of the recognisers whose packages are installed."""
    return tuple(name for name, transcriber in _BY_NAME.items() if transcriber.is_installed())


def default_transcriber() -> Transcriber | None:
    """Moonshine where it is installed with its weights, else None.

    Never faster-whisper, which would begin with a download that nobody asked for.
    """
    return MoonshineTranscriber() if MoonshineTranscriber.is_installed() else None
