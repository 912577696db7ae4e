"""Live speech: chunks of sound in, emotions out while somebody speaks."""

from __future__ import annotations

import logging
import math
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Protocol

import numpy as np
from numpy.typing import ArrayLike, NDArray

from m3ser.audio import SAMPLE_RATE, AudioSource
from m3ser.audio.resampling import Resampler
from m3ser.audio.samples import as_samples, to_mono
from m3ser.bundle import Bundle
from m3ser.errors import AudioContentError, M3serError, UsageError
from m3ser.inference.requests import TRANSCRIBE, TextRequest
from m3ser.inference.timeline import CutSettings, Segmenter
from m3ser.inference.timeline.segmenter import Cut
from m3ser.profile import Profile
from m3ser.schema import Prediction, Segment
from m3ser.text.language_codes import language_code

__all__ = ["Stream"]

_log = logging.getLogger("m3ser.inference")

# A provisional answer hears no more than this of a long utterance: what it costs must not grow with what was said.
_HEARD_SECONDS = 8.0
# Beyond what ends every utterance: voice activity runs on a few frames at a time.
_MARGIN_SECONDS = 0.5


class _Recogniser(Protocol):
    """What a stream needs of a :class:`~m3ser.inference.Recogniser`."""

    @property
    def bundle(self) -> Bundle: ...
    def predict(
        self,
        audio: AudioSource | None = None,
        *,
        text: TextRequest = TRANSCRIBE,
        language: str | None = None,
        sample_rate: float | None = None,
        profile: Profile | None = None,
    ) -> Prediction: ...


class Stream:
    """One stream of speech, recognised as it comes in; made by ``Recogniser.stream``. For one thread at a time.

    Utterances are cut as in a timeline, whatever the chunks: a final segment is what
    :meth:`m3ser.inference.Recogniser.timeline` gives for the same sound with the same cuts (scores within 1e-5). While
    somebody speaks there are provisional segments as well, of the voice alone, with ``final`` False; each is superseded
    by the next segment. Time is counted in samples, so that the machine's clock does not matter, and memory does not
    grow with the stream.

    Args:
        recogniser: what recognises an utterance.
        sample_rate: of the chunks, in Hz.
        text: left out, a final segment's words are transcribed where a transcriber is installed; None: voice alone.
        language: of the words, as in :meth:`m3ser.inference.Recogniser.predict`.
        profile: of all that is said, as there.
        cuts: how speech is cut into utterances.
        provisional_seconds: the least time between two provisional segments; None: none are made.
        make_segmenter: makes what cuts.

    Raises:
        UsageError: a number that makes no sense, no such language, a text in place of a choice, or a profile of another
            model.
        MissingExtraError: speech cannot be found (the ``asr`` extra).
    """

    def __init__(
        self,
        recogniser: _Recogniser,
        *,
        sample_rate: float = SAMPLE_RATE,
        text: TextRequest = TRANSCRIBE,
        language: str | None = None,
        profile: Profile | None = None,
        cuts: CutSettings | None = None,
        provisional_seconds: float | None = 0.5,
        make_segmenter: Callable[[CutSettings], Segmenter] = Segmenter,
    ) -> None:
        if isinstance(text, str):
            raise UsageError(
                "What will be said in a stream is not known beforehand: have it transcribed, or give None."
            )
        if not (isinstance(sample_rate, (int, float)) and math.isfinite(sample_rate) and sample_rate > 0):
            raise UsageError(f"sample_rate is {sample_rate}; expected Hz, above 0.")
        if provisional_seconds is not None and not provisional_seconds >= 0.1:
            raise UsageError(f"provisional_seconds is {provisional_seconds}; expected 0.1 or more, or None.")
        if profile is not None:
            recogniser.bundle.check_profile(profile)
        self._recogniser = recogniser
        self._sample_rate = sample_rate
        self._text = text
        self._language = None if language is None else language_code(language)
        self._profile = profile
        self._cuts = cuts or CutSettings()
        self._interval = None if provisional_seconds is None else round(provisional_seconds * SAMPLE_RATE)
        self._segmenter = make_segmenter(self._cuts)
        self._resampler = Resampler(sample_rate)
        self._finished = False
        self._last_provisional = 0  # in samples
        self._anticipated: tuple[tuple[int, int], Prediction | M3serError] | None = None
        # (place in samples, seconds to add from there on): sound that never came lasts, but has no samples.
        self._gaps = deque([(0, 0.0)])

    @property
    def seconds(self) -> float:
        """How long the stream has lasted, gaps included."""
        return self._at(self._segmenter.samples)

    def push(self, chunk: ArrayLike, *, provisional: bool = True) -> list[Segment]:
        """Take the next chunk.

        Args:
            chunk: (samples,) or (samples, channels) of any length, none included; floats in [-1, 1], or integers that
                are divided by their full scale.
            provisional: False: make no provisional segment now, for want of time; finals are the same.

        Returns:
            The utterances that are certain now, in order; then, where somebody speaks and it is time, what their
            emotion looks like so far.

        Raises:
            UsageError: not a waveform, or the stream was finished.
            AudioContentError: NaN or infinite samples; the chunk is not taken, and the stream can go on.
        """
        self._require_open()
        samples = to_mono(as_samples(chunk)).astype(np.float32, copy=False)
        if not np.isfinite(samples).all():
            raise AudioContentError("A chunk of the stream holds NaN or infinite samples; it was not taken.")
        return self._hear(self._resampler.push(samples), provisional=provisional)

    def skip(self, seconds: float) -> list[Segment]:
        """Say that the next `seconds` were lost: utterances end there, and what follows is that much later.

        Raises:
            UsageError: not a length, or the stream was finished.
        """
        self._require_open()
        if not (math.isfinite(seconds) and seconds >= 0):
            raise UsageError(f"A gap of {seconds} s; expected 0 or more.")
        rest = self._resampler.flush()
        self._resampler = Resampler(self._sample_rate)
        # So much silence ends whatever may still be open; longer, it need not be listened to.
        ending = self._cuts.pause_seconds + self._cuts.join_seconds + self._cuts.padding_seconds + _MARGIN_SECONDS
        silence = np.zeros(round(min(seconds, ending) * SAMPLE_RATE), np.float32)
        found = self._hear(np.concatenate([rest, silence]), provisional=False)
        if seconds > ending:
            shift = self._gaps[-1][1] + seconds - len(silence) / SAMPLE_RATE
            self._gaps.append((self._segmenter.samples, shift))
        return found

    def finish(self) -> list[Segment]:
        """End the stream.

        Returns:
            The utterances that remain.

        Raises:
            UsageError: it was finished before.
        """
        self._require_open()
        self._finished = True
        found = self._final(self._segmenter.push(self._resampler.flush()))
        return [*found, *self._final(self._segmenter.finish())]

    def _require_open(self) -> None:
        if self._finished:
            raise UsageError("This stream was finished; begin another one.")

    def _hear(self, samples: NDArray[np.float32], *, provisional: bool) -> list[Segment]:
        found = self._final(self._segmenter.push(samples))
        if provisional and (heard := self._provisional()) is not None:
            found.append(heard)
        self._anticipate()
        while len(self._gaps) > 1 and self._gaps[1][0] <= self._segmenter.settled:
            self._gaps.popleft()
        return found

    def _final(self, cuts: Sequence[Cut]) -> list[Segment]:
        found = (self._segment(cut, self._answer_to(cut)) for cut in cuts)
        return [segment for segment in found if segment is not None]

    def _anticipate(self) -> None:
        """Recognise the utterance that has ended while it may still be joined with the next one, which is rare.

        Its answer is then there when that is certain.
        """
        place = self._segmenter.ended
        if place is not None and (self._anticipated is None or self._anticipated[0] != place):
            self._anticipated = place, self._predicted(self._segmenter.part(*place), self._text)

    def _answer_to(self, cut: Cut) -> Prediction | M3serError:
        if self._anticipated is not None and self._anticipated[0] == (cut.start, cut.end):
            return self._anticipated[1]
        return self._predicted(cut.waveform, self._text)

    def _provisional(self) -> Segment | None:
        if self._interval is None:
            return None
        since, now = self._segmenter.speaking_since, self._segmenter.samples
        if since is None or now - max(since, self._last_provisional) < self._interval:
            return None
        cut = self._segmenter.speaking()
        assert cut is not None
        self._last_provisional = cut.end
        segment = self._segment(cut, self._predicted(cut.waveform[-round(_HEARD_SECONDS * SAMPLE_RATE) :], None))
        return None if segment is None else replace(segment, final=False)

    def _predicted(self, waveform: NDArray[np.float32], text: TextRequest) -> Prediction | M3serError:
        try:
            return self._recogniser.predict(
                waveform, text=text, language=self._language, sample_rate=SAMPLE_RATE, profile=self._profile
            )
        except M3serError as error:
            return error

    def _segment(self, cut: Cut, found: Prediction | M3serError) -> Segment | None:
        start, end = self._at(cut.start), self._at(cut.end)
        if isinstance(found, M3serError):
            # One utterance that cannot be used, too short for the model say, must not end the stream.
            _log.warning("The utterance from %.2f to %.2f s was left out: %s", start, end, found)
            return None
        return Segment(start=start, end=end, label=found.label, scores=found.scores, text=found.text, note=found.note)

    def _at(self, place: int) -> float:
        shift = next(seconds for first, seconds in reversed(self._gaps) if first <= place)
        return place / SAMPLE_RATE + shift
