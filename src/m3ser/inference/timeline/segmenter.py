"""Speech cut into utterances while it comes in. The rules are :class:`~m3ser.inference.timeline.CutSettings`'s."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from m3ser.audio import SAMPLE_RATE
from m3ser.inference.timeline.settings import CutSettings
from m3ser.inference.timeline.voice import FRAME, SileroVoice, Voice

__all__ = ["Cut", "Segmenter"]

_HYSTERESIS = 0.15  # speech ends at a probability lower by this than the one it begins at, as Silero's authors have it
_LEAST_QUIET = 0.01
_AT_ONCE = 10 * SAMPLE_RATE  # samples that are looked at together, however long the chunk is
_DIP = 8  # frames: the quarter of a second whose mean probability decides where speech is split


@dataclass(frozen=True, eq=False)
class Cut:
    """One utterance as it was cut.

    Attributes:
        start, end: in samples at 16 kHz from the beginning of the stream, padding included.
        waveform: (end - start,) float32.
    """

    start: int
    end: int
    waveform: NDArray[np.float32]


@dataclass(frozen=True)
class _Span:
    """A stretch of speech in frames; `opened`, `closed`: whether it begins and ends at a pause, and not at a split."""

    start: int
    end: int
    opened: bool = True
    closed: bool = True

    @property
    def frames(self) -> int:
        return self.end - self.start


class Segmenter:
    """Takes one stream of sound in chunks of any size and gives its utterances, each as soon as it is certain.

    The utterances are the same however the stream is cut into chunks. Memory: what has not been given away yet, which
    is at most about twice `max_seconds` of sound.

    Args:
        settings: the rules' numbers.
        voice: makes what hears speech; left out: Silero.

    Raises:
        MissingExtraError: Silero is not installed.
    """

    def __init__(self, settings: CutSettings | None = None, *, voice: Callable[[], Voice] = SileroVoice) -> None:
        self.settings = settings = settings or CutSettings()
        self._voice = voice()
        self._quiet = max(settings.threshold - _HYSTERESIS, _LEAST_QUIET)
        self._pause = _frames(settings.pause_seconds)
        self._join = _frames(settings.join_seconds)
        self._shortest = _frames(settings.min_seconds)
        self._longest = _frames(settings.max_seconds)
        self._noise = _frames(settings.noise_seconds)
        self._padding = round(settings.padding_seconds * SAMPLE_RATE)
        self._sound = _Sound()
        self._frame = 0  # how many frames have been judged
        self._open: _Span | None = None  # speech that goes on; its end is behind its last frame of speech
        self._probabilities: deque[float] = deque()  # of the frames since its start
        self._held: _Span | None = None  # an utterance that may still be joined with what follows
        self._ready: list[_Span] = []

    @property
    def samples(self) -> int:
        """How many samples have been taken."""
        return self._sound.end

    @property
    def settled(self) -> int:
        """The place, in samples, before which no utterance will begin any more."""
        waiting = self._ready[0] if self._ready else self._held or self._open
        return max(0, (self._frame if waiting is None else waiting.start) * FRAME - self._padding)

    @property
    def speaking_since(self) -> int | None:
        """Where the speech that goes on began, in samples; None where nobody speaks."""
        return None if self._open is None else self._open.start * FRAME

    def speaking(self) -> Cut | None:
        """The utterance that goes on, as far as it has been heard; None where nobody speaks."""
        if self._open is None:
            return None
        start, _ = self._place(self._open)
        return Cut(start, self._sound.end, self._sound.part(start, self._sound.end))

    @property
    def ended(self) -> tuple[int, int] | None:
        """Where the utterance is that has ended, unless what is said next is joined to it; None where there is none.

        In samples, padding included. It is mostly what comes out as certain next, with the same samples.
        """
        if self._held is None:
            return None
        start, end = self._place(self._held)
        return None if end > self._sound.end else (start, end)

    def part(self, start: int, end: int) -> NDArray[np.float32]:
        """The samples of a place that is not settled yet."""
        return self._sound.part(start, end)

    def push(self, waveform: NDArray[np.float32]) -> list[Cut]:
        """The utterances that are certain once these samples are known.

        Args:
            waveform: (samples,) float32, mono, 16 kHz; any length.
        """
        cuts = []
        for first in range(0, len(waveform), _AT_ONCE):
            chunk = np.asarray(waveform[first : first + _AT_ONCE], np.float32)
            self._sound.append(chunk)
            self._take_in(self._voice.push(chunk))
            cuts += self._cuts(complete=False)
        return cuts

    def finish(self) -> list[Cut]:
        """The utterances that remain at the end of the stream."""
        self._take_in(self._voice.finish())
        if self._open is not None:
            self._close()
        self._let_go()
        return self._cuts(complete=True)

    def _take_in(self, probabilities: Iterable[float]) -> None:
        for probability in probabilities:
            self._judge(float(probability))

    def _judge(self, probability: float) -> None:
        """One more frame."""
        here = self._frame
        self._frame += 1
        span = self._open
        if span is None:
            if probability >= self.settings.threshold:
                self._open = _Span(here, here + 1)
                self._probabilities = deque([probability])
            elif self._held is not None and here + 1 - self._held.end >= self._join:
                self._let_go()
            return
        self._probabilities.append(probability)
        # A weak frame keeps speech going; behind quiet ones it takes a strong one to count as speech again.
        if probability >= self.settings.threshold or (probability >= self._quiet and span.end == here):
            self._open = span = replace(span, end=here + 1)
        if span.frames > self._longest:
            self._split(span)
        elif here + 1 - span.end >= self._pause:
            self._close()
        elif self._held is not None and not self._may_join(self._held, span):
            self._let_go()

    def _may_join(self, held: _Span, span: _Span) -> bool:
        """Whether `held` can still be joined with `span`, which goes on."""
        short = held.frames < self._shortest or span.frames < self._shortest
        return short and span.start - held.end < self._join and span.end - held.start <= self._longest

    def _split(self, span: _Span) -> None:
        third = span.frames // 3
        sums = np.concatenate([[0.0], np.cumsum(np.fromiter(self._probabilities, np.float64))])
        firsts = np.arange(third - _DIP // 2, 2 * third - _DIP // 2 + 1)
        means = (sums[firsts + _DIP] - sums[firsts]).round(9)
        first = int(firsts[np.flatnonzero(means == means.min())[-1]])
        place = span.start + first + _DIP // 2
        self._finished(_Span(span.start, place, span.opened, closed=False))
        for _ in range(place - span.start):
            self._probabilities.popleft()
        self._open = _Span(place, span.end, opened=False)

    def _close(self) -> None:
        span, self._open = self._open, None
        self._probabilities.clear()
        if span is not None and (span.frames >= self._noise or not span.opened):
            self._finished(span)
        if self._held is not None and self._frame - self._held.end >= self._join:
            self._let_go()

    def _finished(self, span: _Span) -> None:
        """`span` goes no further: joined with what is held, or held in its place."""
        held = self._held
        if held is not None and self._may_join(held, span):
            self._held = replace(held, end=span.end, closed=span.closed)
            return
        self._let_go()
        self._held = span

    def _let_go(self) -> None:
        if self._held is not None:
            self._ready.append(self._held)
            self._held = None

    def _cuts(self, *, complete: bool) -> list[Cut]:
        """What can be given away; `complete`: there is no more sound to come."""
        cuts = []
        while self._ready:
            start, end = self._place(self._ready[0])
            if not complete and end > self._sound.end:
                break  # the end of an utterance is padded, and those samples are not there yet
            end = min(end, self._sound.end)
            cuts.append(Cut(start, end, self._sound.part(start, end)))
            self._ready.pop(0)
        self._sound.forget(self.settled)
        return cuts

    def _place(self, span: _Span) -> tuple[int, int]:
        """Where its utterance begins and ends, in samples, padding included; the end may be still to come."""
        start = max(0, span.start * FRAME - (self._padding if span.opened else 0))
        return start, span.end * FRAME + (self._padding if span.closed else 0)


class _Sound:
    """The samples that may still be asked for."""

    def __init__(self) -> None:
        self._chunks: deque[NDArray[np.float32]] = deque()
        self._first = 0  # place of the first sample that is kept
        self.end = 0

    def append(self, chunk: NDArray[np.float32]) -> None:
        if len(chunk):
            self._chunks.append(chunk.copy())  # a caller may fill its array anew
            self.end += len(chunk)

    def part(self, start: int, end: int) -> NDArray[np.float32]:
        pieces = []
        place = self._first
        for chunk in self._chunks:
            if place >= end:
                break
            piece = chunk[max(0, start - place) : end - place]
            if len(piece):
                pieces.append(piece)
            place += len(chunk)
        return np.concatenate(pieces)

    def forget(self, before: int) -> None:
        while self._chunks and self._first + len(self._chunks[0]) <= before:
            self._first += len(self._chunks.popleft())


def _frames(seconds: float) -> int:
    return round(seconds * SAMPLE_RATE / FRAME)
