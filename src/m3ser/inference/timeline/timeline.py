"""A recording of any length as a row of utterances with their emotions."""

from __future__ import annotations

import logging
import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import asdict, dataclass
from typing import Any, Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from m3ser.audio import MIN_SAMPLES, SAMPLE_RATE, AudioSource, Blocks, open_blocks, source_name
from m3ser.audio.sources import can_be_read_again
from m3ser.bundle import Bundle
from m3ser.errors import M3serError, UsageError
from m3ser.inference.requests import TRANSCRIBE, Request
from m3ser.inference.timeline.adapting import own_profiles, unadapted
from m3ser.inference.timeline.alignment import Alignment
from m3ser.inference.timeline.cutting import ChannelCut, Cutting
from m3ser.inference.timeline.envelope import Envelope
from m3ser.inference.timeline.given_words import given_words
from m3ser.inference.timeline.kept import KeptAnswers, file_digest
from m3ser.inference.timeline.segmenter import Segmenter
from m3ser.inference.timeline.settings import CutSettings, TimelineSettings
from m3ser.inference.timeline.smoothing import smoothed
from m3ser.profile import Profile
from m3ser.schema import Prediction, Segment, TextSource
from m3ser.text.asr import Transcriber

__all__ = ["Timeline"]

_log = logging.getLogger("m3ser.inference")


class _Recogniser(Protocol):
    """What a timeline needs of a :class:`~m3ser.inference.Recogniser`."""

    @property
    def name(self) -> str: ...
    @property
    def labels(self) -> tuple[str, ...]: ...
    @property
    def bundle(self) -> Bundle: ...
    @property
    def transcriber(self) -> Transcriber | None: ...
    def voice_state(self, utterance: Request) -> NDArray[np.float64]: ...
    def predict_each(
        self, items: Iterable[Request | AudioSource], *, on_error: Literal["return"]
    ) -> Iterator[Prediction | M3serError]: ...


@dataclass(eq=False)
class _Asked:
    """One utterance on its way: its place in seconds of the recording, and what is known of it."""

    cut: tuple[int, int]
    start: float
    end: float
    channel: int | None
    kept: Mapping[str, Any] | None = None


class Timeline:
    """The utterances of one recording, recognised while they are asked for; made by ``Recogniser.timeline``.

    Iterating yields :class:`~m3ser.schema.Segment` in the order of time and can be done once. Everything else is there
    afterwards, and up to then says how far it has come.

    Attributes:
        file: the recording as the caller named it; None for arrays.
        duration: its length in seconds (of the part that was asked for), as stated and, at the end, as read; None until
            it is known.
        segments: those that have been yielded.
        channels: how many channels were kept apart; 1 where they were mixed.
        adapting: whether the recording is still being heard for the first time, to learn how each channel sounds.
        finished: seconds of the recording that are done with.
        watch: is called with the timeline whenever `finished` (while `adapting`: `heard`) has grown; None: nothing is.
        skipped: utterances that could not be recognised.
        resumed: utterances that were taken from the journal.
        notes: why words were not used (:class:`~m3ser.schema.Prediction`), each with the number of its utterances;
            :attr:`note` says the rest, too.
    """

    def __init__(
        self,
        recogniser: _Recogniser,
        audio: AudioSource,
        settings: TimelineSettings,
        *,
        sample_rate: float | None = None,
        journal: str | os.PathLike[str] | None = None,
        make_segmenter: Callable[[CutSettings], Segmenter] = Segmenter,
    ) -> None:
        self._recogniser = recogniser
        self._audio = audio
        self._settings = settings
        self._sample_rate = sample_rate
        self._journal = journal
        self._make_segmenter = make_segmenter
        self._begun = False
        self._cutting: Cutting | None = None
        self._alignment = None if settings.words is None else Alignment(settings.words)
        self._sources: set[TextSource] = set()
        self._languages: dict[str | None, int] = {}
        self._profiles: Sequence[Profile | None] = ()
        self.file = source_name(audio)
        self.duration: float | None = None
        self.segments: list[Segment] = []
        self.channels = 1
        self.adapting = False
        self.finished = 0.0
        self.watch: Callable[[Timeline], None] | None = None
        self.skipped = 0
        self.resumed = 0
        self.notes: dict[str, int] = {}
        if journal is not None and not isinstance(audio, (str, os.PathLike)):
            raise UsageError("A journal needs a recording that is a file, to know it again.")
        if settings.profile is not None:
            recogniser.bundle.check_profile(settings.profile)
        if settings.adapt:
            recogniser.bundle.require_adaptable(settings.neutral)
            if not can_be_read_again(audio):
                raise UsageError("To adapt to a recording it is read twice, which a stream cannot be; give a file.")

    @property
    def heard(self) -> float:
        """Seconds of the recording that have been read."""
        return 0.0 if self._cutting is None else self._cutting.seconds

    @property
    def has_begun(self) -> bool:
        """Whether enough has been read to be kept, should the recording break off: at least 25 ms."""
        return self.heard >= MIN_SAMPLES / SAMPLE_RATE

    @property
    def envelopes(self) -> Sequence[Envelope]:
        """One a channel, of what has been read."""
        return () if self._cutting is None else self._cutting.envelopes

    @property
    def labels(self) -> tuple[str, ...]:
        """The model's classes, in the order of the scores."""
        return self._recogniser.labels

    @property
    def model(self) -> str:
        """Name and version of the bundle, and of a profile, where there is one (the recording's own: "+own")."""
        used = self._settings.profile or next(filter(None, self._profiles), None)
        return self._recogniser.name if used is None else self._recogniser.bundle.with_profile(used).manifest.full_name

    @property
    def offset(self) -> float:
        """Where the part that was asked for begins in the recording, in seconds."""
        return self._settings.start or 0.0

    @property
    def words_left_out(self) -> int:
        """How many of the given words lie where no speech was found; known at the end."""
        return 0 if self._alignment is None else self._alignment.left_out

    @property
    def text_source(self) -> TextSource:
        """Where the utterances' words came from; ``none`` where no utterance has any."""
        return next(iter(self._sources - {"none"}), "none")

    @property
    def language(self) -> str | None:
        """Of the words: as it was given, or the one that most utterances are in whose words are not read."""
        given = self._settings.language
        return given or max(self._languages, key=lambda code: self._languages[code], default=None)

    @property
    def note(self) -> str | None:
        """What is to be known of its utterances, as one text; None where there is nothing."""
        whole = len(self.segments)
        notes = [
            note if count == whole else f"{count:,} of {whole:,} utterances: {note}"
            for note, count in self.notes.items()
        ]
        if self._profiles:
            notes += unadapted(
                self._profiles,
                split=self._settings.channels == "split",
                instead=self._recogniser.bundle.profile,
            )
        return " ".join(notes) or None

    def __iter__(self) -> Iterator[Segment]:
        """The utterances, each as soon as it is recognised.

        Raises:
            AudioError: the recording cannot be used; where it breaks off, behind the utterances before that.
            MissingExtraError: speech cannot be found (the ``asr`` extra), or the format needs ``media``.
            DataError: the journal cannot be used.
            UsageError: it has been iterated before.
        """
        if self._begun:
            raise UsageError("A timeline can be iterated once; its segments are kept.")
        self._begun = True
        return self._run()

    def _run(self) -> Iterator[Segment]:
        settings = self._settings
        if settings.adapt:
            self._adapt()
        with self._opened() as blocks:
            self.duration, self.channels = blocks.duration, blocks.channels
            with KeptAnswers(self._journal, {} if self._journal is None else self._key()) as kept:
                self.resumed = len(kept)
                for segment in smoothed(self._recognised(blocks, kept), settings.smooth):
                    self.segments.append(segment)
                    yield segment
        self.duration = self.heard
        self._tell(self.heard)

    def _opened(self) -> AbstractContextManager[Blocks]:
        return open_blocks(
            self._audio,
            sample_rate=self._sample_rate,
            start=self._settings.start,
            end=self._settings.end,
            split=self._settings.channels == "split",
        )

    def _adapt(self) -> None:
        """Learn how each channel usually sounds, as far as the recording can be read."""
        self.adapting = True
        with self._opened() as blocks:
            self.duration, self.channels = blocks.duration, blocks.channels
            self._cutting = Cutting(
                blocks, lambda: self._make_segmenter(self._settings.cuts), lambda: self._tell(self.finished)
            )
            self._profiles = own_profiles(
                self._recogniser, self._cutting, channels=blocks.channels, neutral=self._settings.neutral
            )
        self.adapting = False
        self._cutting = None

    def _recognised(self, blocks: Blocks, kept: KeptAnswers) -> Iterator[Segment]:
        waiting: deque[_Asked] = deque()

        def heard() -> None:
            if not waiting:
                self._tell(self.heard)

        self._cutting = Cutting(blocks, lambda: self._make_segmenter(self._settings.cuts), heard)
        fault: list[M3serError] = []

        def requests(cuts: Iterator[tuple[ChannelCut, str | None]]) -> Iterator[Request]:
            try:
                for one, text in cuts:
                    asked = self._asked(one, kept)
                    waiting.append(asked)
                    if asked.kept is None:
                        words = text if self._alignment is not None else self._settings.text
                        yield Request(
                            one.cut.waveform,
                            text=words,
                            sample_rate=SAMPLE_RATE,
                            language=self._settings.language,
                            profile=self._profiles[one.channel] if self._profiles else self._settings.profile,
                        )
            except M3serError as error:
                fault.append(error)  # what is on its way is answered first

        for result in self._recogniser.predict_each(requests(self._with_text()), on_error="return"):
            while waiting[0].kept is not None:
                yield from self._answered(waiting.popleft())
            asked = waiting.popleft()
            asked.kept = self._keep(asked, result, kept)
            yield from self._answered(asked)
        while waiting:
            yield from self._answered(waiting.popleft())
        if fault:
            self.duration = self.heard
            raise fault[0]

    def _with_text(self) -> Iterator[tuple[ChannelCut, str | None]]:
        assert self._cutting is not None
        if self._alignment is None:
            return ((one, None) for one in self._cutting)
        return given_words(self._cutting, self._alignment, seconds=self._seconds, apart=self.channels > 1)

    def _seconds(self, samples: int) -> float:
        return self.offset + samples / SAMPLE_RATE

    def _asked(self, one: ChannelCut, kept: KeptAnswers) -> _Asked:
        return _Asked(
            cut=one.place,
            start=self._seconds(one.cut.start),
            end=self._seconds(one.cut.end),
            channel=one.channel + 1 if self._settings.channels == "split" else None,
            kept=kept.get(one.place),
        )

    def _keep(self, asked: _Asked, result: Prediction | M3serError, kept: KeptAnswers) -> dict[str, Any]:
        if isinstance(result, M3serError):
            answer: dict[str, Any] = {"error": str(result)}
            _log.warning("The utterance from %.2f to %.2f s was left out: %s", asked.start, asked.end, result)
        else:
            answer = {"scores": dict(result.scores), "text": result.text, "text_source": result.text_source}
            if result.note is not None:
                answer |= {"note": result.note, "language": result.language}
        kept.keep(asked.cut, answer)
        return answer

    def _answered(self, asked: _Asked) -> Iterator[Segment]:
        answer = asked.kept
        assert answer is not None
        if "error" in answer:
            self.skipped += 1
            return
        scores: dict[str, float] = answer["scores"]
        self._sources.add(answer["text_source"])
        note = answer.get("note")
        if note is not None:
            self.notes[note] = self.notes.get(note, 0) + 1
            self._languages[answer["language"]] = self._languages.get(answer["language"], 0) + 1
        self._tell(asked.end - self.offset)
        yield Segment(
            start=asked.start,
            end=asked.end,
            label=max(scores, key=lambda label: scores[label]),
            scores=scores,
            text=answer["text"],
            channel=asked.channel,
            note=note,
        )

    def _tell(self, finished: float) -> None:
        self.finished = max(self.finished, finished)
        if self.watch is not None:
            self.watch(self)

    def _key(self) -> dict[str, Any]:
        """Everything that the answers depend on."""
        assert isinstance(self._audio, (str, os.PathLike))
        settings = self._settings
        transcriber = None
        if settings.words is None and settings.text is TRANSCRIBE:
            transcriber = getattr(self._recogniser.transcriber, "name", None)
        return {
            "format": 1,
            "recording": file_digest(self._audio),
            "model": self._recogniser.name,
            "bundle": self._recogniser.bundle.digest(),
            "transcriber": transcriber,
            "words": None if settings.words is None else [[w.start, w.end, w.text, w.channel] for w in settings.words],
            "part": [settings.start, settings.end],
            "channels": settings.channels,
            "cuts": asdict(settings.cuts),
            **({} if settings.language is None else {"language": settings.language}),
            **({"adapt": True} if settings.adapt else {}),
            **({} if settings.neutral is None else {"neutral": settings.neutral}),
            **({} if settings.profile is None else {"profile": settings.profile.digest()}),
        }

    def to_dict(self) -> dict[str, Any]:
        """The whole recording in the layout of a prediction, its ``segments`` filled.

        ``scores`` are the segments' average, weighted by their length; where no speech was found, ``label`` is None and
        ``scores`` is empty.
        """
        whole = sum(segment.end - segment.start for segment in self.segments)
        scores = {
            label: sum((s.end - s.start) * s.scores[label] for s in self.segments) / whole
            for label in (self.segments[0].scores if self.segments else ())
        }
        prediction = Prediction(
            label=max(scores, key=lambda label: scores[label], default=""),
            scores=scores,
            duration=self.duration,
            text=" ".join(segment.text for segment in self.segments if segment.text) or None,
            text_source=self.text_source,
            model=self.model,
            file=self.file,
            segments=tuple(self.segments),
            language=self.language,
            note=self.note,
        )
        return {**prediction.to_dict(), "label": prediction.label or None}
