"""Speech to text, behind one small protocol. Importing this room imports no recogniser."""

from __future__ import annotations

from m3ser.text.asr.faster_whisper import FasterWhisperTranscriber
from m3ser.text.asr.moonshine import MoonshineTranscriber
from m3ser.text.asr.protocol import LanguageTranscriber, TimedText, Transcriber, Transcript, transcribe_in
from m3ser.text.asr.registry import available_transcribers, default_transcriber, get_transcriber
from m3ser.text.asr.voice_activity import speech_spans

__all__ = [
    "FasterWhisperTranscriber",
    "LanguageTranscriber",
    "MoonshineTranscriber",
    "TimedText",
    "Transcriber",
    "Transcript",
    "available_transcribers",
    "default_transcriber",
    "get_transcriber",
    "speech_spans",
    "transcribe_in",
]
