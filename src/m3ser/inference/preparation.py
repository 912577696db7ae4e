"""From what a caller hands in to what the encoders take: decoding, log-mel features, words. No model runs here."""

from __future__ import annotations

import logging
import math
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from m3ser.audio import FRONT_ENDS, SAMPLE_RATE, AudioSource, FrontEnd, stream_waveform
from m3ser.audio.blockwise import Blockwise
from m3ser.audio.sources import can_be_read_again, source_label
from m3ser.batching import windows
from m3ser.bundle import Bundle
from m3ser.errors import AudioTooShortError, BundleError, M3serError, TextError
from m3ser.inference.languages import Reading, Words
from m3ser.inference.requests import TRANSCRIBE, Request
from m3ser.inference.windows import StreamedWindows
from m3ser.profile import Profile
from m3ser.schema import TextSource
from m3ser.text import CleanText, clean
from m3ser.text.asr import LanguageTranscriber, Transcriber, default_transcriber, get_transcriber, transcribe_in
from m3ser.text.language_codes import known_language

__all__ = ["Preparation", "Prepared"]

Windows: TypeAlias = "tuple[NDArray[np.float32], ...] | StreamedWindows"

# A recording beyond this is decoded twice, the second time while the encoder works, rather than held in memory.
_HELD_SECONDS = 120.0

_log = logging.getLogger("m3ser.inference")


@dataclass(frozen=True, eq=False)
class Prepared:
    """One utterance, ready for the encoders.

    Attributes:
        file: the recording as the caller named it.
        duration: seconds of sound; None: there is none.
        windows: features, each (frames, ...) and no longer than the audio encoder takes; empty: no sound. Those of a
            long recording are made when they are needed.
        text: the cleaned words; None: there are none.
        text_source: where they came from.
        removed: what cleaning took out of them.
        unread: cleaned words in a language that the model does not read, in place of `text`; None: there are none.
        language, note: see :class:`m3ser.schema.Prediction`.
        profile: see :class:`~m3ser.inference.Request`.
    """

    file: str | None
    duration: float | None
    windows: Windows
    text: str | None
    text_source: TextSource
    removed: tuple[str, ...]
    unread: str | None = None
    language: str | None = None
    note: str | None = None
    profile: Profile | None = None


class Preparation:
    """Prepares utterances as one bundle needs them. Several threads may use it at once.

    Args:
        bundle: the opened bundle.
        transcriber: "auto": the first one that is installed; the name of one; one itself; None: transcribe nothing.
        max_seconds: the longest recording that is accepted.

    Raises:
        BundleError: the bundle needs a front end that this m3ser does not have.
        UsageError, MissingExtraError: the transcriber that was asked for by name is unknown or not installed.
    """

    def __init__(self, bundle: Bundle, *, transcriber: Transcriber | str | None, max_seconds: float) -> None:
        audio = bundle.manifest.audio
        self._bundle = bundle
        self._reads = bundle.manifest.text is not None
        self._reading = Reading(bundle.manifest)
        self._name = bundle.manifest.full_name
        self._front_end: FrontEnd | None = None
        self._blockwise: Blockwise | None = None
        if audio is not None and audio.front_end not in FRONT_ENDS:
            raise BundleError(
                f"Bundle '{bundle.folder}' needs the front end '{audio.front_end}', which this m3ser does not have; it "
                f"has {', '.join(sorted(FRONT_ENDS))}."
            )
        if audio is not None:
            self._front_end = FRONT_ENDS[audio.front_end]
            self._blockwise = self._front_end.blockwise
            self._window = max(1, int(audio.max_seconds * self._front_end.frames_per_second))
        self._max_seconds = max_seconds
        self._lock = threading.Lock()
        # The default one is looked for when it is first needed: given text, or none, no transcriber is ever loaded.
        self._undecided = transcriber == "auto"
        self._transcriber: Transcriber | None = None
        if isinstance(transcriber, str):
            self._transcriber = None if self._undecided else get_transcriber(transcriber)
        else:
            self._transcriber = transcriber

    @property
    def transcriber(self) -> Transcriber | None:
        """What turns speech into text here; None: nothing does, or the model reads no words."""
        if not self._reads:
            return None
        with self._lock:
            if self._undecided:
                self._transcriber = default_transcriber()
                self._undecided = False
            return self._transcriber

    @property
    def batch_frames(self) -> int:
        """How many frames of features the audio encoder is best given at once; 0 where the model does not listen."""
        return 0 if self._front_end is None else self._front_end.batch_frames

    def prepare(self, request: Request) -> Prepared:
        """Decode, analyse, transcribe and clean one utterance.

        Raises:
            AudioError: the recording cannot be used.
            TextError: nothing is left that the model looks at: no recording, or no words that it reads.
            UsageError: the model does not take its profile.
        """
        if request.profile is not None:
            self._bundle.check_profile(request.profile)
        text = request.text if isinstance(request.text, str) and self._reads else None
        source: TextSource = "given"
        language, deaf = request.language, None
        duration: float | None = None
        stretches: Windows = ()
        if request.audio is not None:
            # What is transcribed has to be there as a whole.
            transcribing = request.text is TRANSCRIBE and self.transcriber is not None
            if transcribing and (deaf := self._deaf(language)) is not None:
                transcribing = False
            begin, rest = self._begin(request, held=transcribing)
            if rest is not None:
                duration, stretches = self._streamed(begin, rest, request)
            else:
                waveform = begin[0] if len(begin) == 1 else np.concatenate(begin)
                duration = len(waveform) / SAMPLE_RATE
                if self._front_end is not None:
                    stretches = self._windows(waveform, request.audio, self._front_end)
                if transcribing:
                    text, language = self._transcript(waveform, request.audio, language)
                    source = "transcribed"
        cleaned = CleanText("") if text is None else clean(text)
        words = self._reading.words(
            cleaned.text or None, language, certain=source == "transcribed", alone=not stretches
        )
        if words.read is None and not stretches:
            raise self._nothing_to_go_by(request, text, words, deaf)
        return Prepared(
            file=request.file,
            duration=duration,
            windows=stretches,
            text=words.read,
            text_source=source if words.read is not None else "none",
            removed=cleaned.removed,
            unread=words.unread,
            # What a transcriber took English for is of no use to anybody.
            language=words.language if words.note is not None else request.language,
            note=words.note or deaf,
            profile=request.profile,
        )

    def _deaf(self, language: str | None) -> str | None:
        """Why the transcriber would make nothing of a language, a sentence; None: it may well."""
        transcriber = self.transcriber
        understood = transcriber.languages if isinstance(transcriber, LanguageTranscriber) else None
        if language is None or transcriber is None or understood is None or language in understood:
            return None
        return self._reading.untranscribed(transcriber.name, understood, language)

    def _begin(
        self, request: Request, *, held: bool
    ) -> tuple[list[NDArray[np.float32]], Iterator[NDArray[np.float32]] | None]:
        """Decode all of a recording, or the beginning of a long one, and what will decode the rest of that.

        Args:
            request: whose recording it is.
            held: decode all of it, however long it is.
        """
        blocks = self._decoded(request)
        held = held or self._blockwise is None or request.audio is None or not can_be_read_again(request.audio)
        most = math.inf if held else _HELD_SECONDS * SAMPLE_RATE
        begin: list[NDArray[np.float32]] = []
        for block in blocks:
            begin.append(block)
            most -= len(block)
            if most < 0:
                return begin, blocks
        return begin, None

    def _decoded(self, request: Request) -> Iterator[NDArray[np.float32]]:
        assert request.audio is not None
        return stream_waveform(
            request.audio,
            sample_rate=request.sample_rate,
            start=request.start,
            end=request.end,
            max_seconds=self._max_seconds,
        )

    def _streamed(
        self, begin: list[NDArray[np.float32]], rest: Iterator[NDArray[np.float32]], request: Request
    ) -> tuple[float, StreamedWindows]:
        """Seconds of a long recording, and its windows."""
        assert request.audio is not None
        assert self._blockwise is not None
        samples = 0

        def counted() -> Iterator[NDArray[np.float32]]:
            nonlocal samples
            while begin:
                block = begin.pop(0)
                samples += len(block)
                yield block
            for block in rest:
                samples += len(block)
                yield block

        extent = self._blockwise.survey(counted())
        windows_ = StreamedWindows(
            lambda: self._decoded(request),
            self._blockwise,
            extent,
            longest=self._window,
            label=source_label(request.audio),
        )
        return samples / SAMPLE_RATE, windows_

    def _nothing_to_go_by(self, request: Request, text: str | None, words: Words, deaf: str | None) -> M3serError:
        if words.note is not None:
            return TextError(f"{words.note} There is no voice to go by: text {text!r}.")
        if deaf is not None and self._front_end is None:
            return TextError(f"There is nothing to go by. {deaf}")
        if self._front_end is None and text is None:
            what = "the recording" if request.audio is None else source_label(request.audio)
            return TextError(
                f"Model '{self._name}' reads words alone, and there are none with {what}: give the text, or install a "
                'transcriber (pip install "m3ser[asr]").'
            )
        if not self._reads:
            return TextError(f"Model '{self._name}' listens to the voice alone, and there is no recording.")
        return TextError(f"The text {text!r} holds no words, and there is no recording to go by.")

    def _windows(
        self, waveform: NDArray[np.float32], source: AudioSource, front_end: FrontEnd
    ) -> tuple[NDArray[np.float32], ...]:
        features = front_end.features(waveform)
        if not len(features):
            raise AudioTooShortError(
                f"{source_label(source)} lasts {len(waveform) / SAMPLE_RATE:.2f} s; this model needs at least "
                f"{front_end.min_samples / SAMPLE_RATE:.3g} s."
            )
        return tuple(windows(features, longest=self._window))

    def _transcript(
        self, waveform: NDArray[np.float32], source: AudioSource, language: str | None
    ) -> tuple[str | None, str | None]:
        """What is said in a recording, and its language as it was given or else found out."""
        transcriber = self.transcriber
        if transcriber is None:
            return None, language
        try:
            found = transcribe_in(transcriber, waveform, language)
        except M3serError as error:
            # The voice can still be judged, and the prediction says that its text is missing.
            _log.warning("%s was not transcribed, so the voice alone is used: %s", source_label(source), error)
            return None, language
        return found.text, language or known_language(found.language)
