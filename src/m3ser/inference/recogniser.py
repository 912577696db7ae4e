"""From recordings and words to emotions."""

from __future__ import annotations

import itertools
import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any, Literal, overload

import numpy as np
from numpy.typing import NDArray

from m3ser.audio import SAMPLE_RATE, AudioSource, source_name
from m3ser.bundle import Bundle
from m3ser.errors import M3serError, UsageError
from m3ser.inference.graphs import SessionSettings
from m3ser.inference.learning import learn
from m3ser.inference.model import Model
from m3ser.inference.preparation import Preparation, Prepared
from m3ser.inference.requests import TRANSCRIBE, Request, TextRequest, as_request
from m3ser.inference.stream import Stream
from m3ser.inference.timeline import Channels, CutSettings, Timeline, TimelineSettings
from m3ser.profile import Profile
from m3ser.schema import Prediction
from m3ser.text.asr import Transcriber
from m3ser.text.timed import Spoken, read_words

__all__ = ["Recogniser"]

_LARGEST_CHUNK = 8  # utterances that are recognised together, at most
_DECODERS = 4  # threads that read files ahead, at most


class Recogniser:
    """Recognises the emotion of utterances with one bundle; several threads may use it at once.

    Made by :func:`~m3ser.inference.load`.

    Args:
        bundle: the opened bundle.
        settings: how ONNX Runtime is to run it.
        transcriber: see :func:`~m3ser.inference.load`.
        max_seconds: the longest recording to accept.
    """

    def __init__(
        self,
        bundle: Bundle,
        *,
        settings: SessionSettings,
        transcriber: Transcriber | str | None,
        max_seconds: float,
    ) -> None:
        self._bundle = bundle
        self._preparation = Preparation(bundle, transcriber=transcriber, max_seconds=max_seconds)
        self._model = Model(bundle, settings=settings, batch_frames=self._preparation.batch_frames)

    @property
    def name(self) -> str:
        """The bundle and its version: "starter@5"."""
        return self._bundle.manifest.full_name

    @property
    def labels(self) -> tuple[str, ...]:
        """The classes, in the order of the scores."""
        return self._bundle.manifest.labels

    @property
    def bundle(self) -> Bundle:
        """The bundle behind it."""
        return self._bundle

    @property
    def transcriber(self) -> Transcriber | None:
        """What turns speech into text where none is given; None: such recordings are judged by the voice alone."""
        return self._preparation.transcriber

    def __repr__(self) -> str:
        return f"<Recogniser {self.name}: {', '.join(self.labels)}>"

    def predict(
        self,
        audio: AudioSource | None = None,
        *,
        text: TextRequest = TRANSCRIBE,
        sample_rate: float | None = None,
        start: float | None = None,
        end: float | None = None,
        language: str | None = None,
        profile: Profile | None = None,
    ) -> Prediction:
        """Recognise the emotion of one utterance, from the voice, the words, or both.

        Args:
            audio: a path, encoded bytes, a binary file, or an array (samples,) or (samples, channels) with values in
                [-1, 1]; None: the text alone.
            text: what is said. Left out, it is transcribed where a transcriber is installed (see :attr:`transcriber`);
                None: the voice alone. A text of which cleaning leaves nothing counts as none.
            sample_rate: of an array, in Hz.
            start: where the utterance begins in the recording, in seconds; None: at its beginning.
            end: where it ends; None: at its end.
            language: of the words, as a BCP 47 code ("de"); None: it is recognised. Words in a language that the model
                was not trained to read are left out, and the voice alone is judged.
            profile: how who speaks usually sounds (:meth:`learn`), for this utterance in place of the one that the
                recogniser was loaded with; None: that one, if any.

        Returns:
            The prediction; its `text_source` says what was used, and its `note` why words were not. Where transcription
            fails, the voice alone is judged, and the logger ``m3ser.inference`` says why.

        Raises:
            UsageError: neither audio nor text, no such language, or a profile of another model.
            AudioError: the recording cannot be used.
            TextError: the text is not a string, or nothing is left of it that the model reads and there is no audio.
        """
        request = Request(
            audio, text=text, sample_rate=sample_rate, start=start, end=end, language=language, profile=profile
        )
        return self._model.predict([self._preparation.prepare(request)])[0]

    @overload
    def predict_batch(
        self, items: Iterable[Request | AudioSource], *, on_error: Literal["raise"] = "raise"
    ) -> list[Prediction]: ...

    @overload
    def predict_batch(
        self, items: Iterable[Request | AudioSource], *, on_error: Literal["return"]
    ) -> list[Prediction | M3serError]: ...

    def predict_batch(
        self, items: Iterable[Request | AudioSource], *, on_error: Literal["raise", "return"] = "raise"
    ) -> list[Prediction] | list[Prediction | M3serError]:
        """Recognise many utterances: the same numbers as one by one (within 1e-5), in less time.

        A model in int8, as the starter is, rounds what float32's last digit decides: where a processor adds up another
        shape in another order, its scores may differ by more (none was seen that does).

        Args:
            items: requests, or recordings to transcribe and recognise.
            on_error: "raise": the first failure, in the order of the items, is raised; "return": each failure takes its
                item's place in the list, and the other items are answered.

        Returns:
            One result per item, in the order given.

        Raises:
            UsageError: `items` is a single item, or `on_error` is neither of the two.
            M3serError: with "raise", the first item's that failed.
        """
        return list(self.predict_each(items, on_error=on_error))

    @overload
    def predict_each(
        self, items: Iterable[Request | AudioSource], *, on_error: Literal["raise"] = "raise"
    ) -> Iterator[Prediction]: ...

    @overload
    def predict_each(
        self, items: Iterable[Request | AudioSource], *, on_error: Literal["return"]
    ) -> Iterator[Prediction | M3serError]: ...

    @overload
    def predict_each(
        self, items: Iterable[Request | AudioSource], *, on_error: Literal["raise", "return"]
    ) -> Iterator[Any]: ...

    def predict_each(
        self, items: Iterable[Request | AudioSource], *, on_error: Literal["raise", "return"] = "raise"
    ) -> Iterator[Any]:
        """Recognise many utterances, yielding each result as soon as it and those before it are known.

        The next recordings are read and transcribed while the model works on the last ones. Items are taken from
        `items` only as far ahead as that needs, so that memory does not grow with their number.

        Args and raises as in :meth:`predict_batch`; with "raise", the results before the failure are yielded first.
        """
        if isinstance(items, (str, bytes, os.PathLike, np.ndarray, Request)):
            raise UsageError("These are not several items but one: use predict, or put it into a list.")
        if on_error not in ("raise", "return"):
            raise UsageError(f"on_error is '{on_error}'; it must be 'raise' or 'return'.")
        return self._each(iter(items), on_error=on_error)

    def predict_chunks(
        self, chunks: Iterable[Sequence[Request | AudioSource]]
    ) -> Iterator[list[Prediction | M3serError]]:
        """Recognise chunk after chunk: what goes through the model together is the caller's choice.

        While the model works on a chunk, one further thread reads and transcribes the next one.

        Args:
            chunks: a few items each. An empty chunk says that there is nothing more for the moment: what was read ahead
                is then answered before the next chunk is asked for.

        Yields:
            For each chunk that is not empty, a list with the prediction, or the failure, of each of its items.
        """
        pool = ThreadPoolExecutor(1, thread_name_prefix="m3ser-decode")
        try:
            ahead: deque[list[Future[Prepared]]] = deque()
            for chunk in chunks:
                if chunk:
                    ahead.append([pool.submit(self._prepare, item) for item in chunk])
                if ahead and (len(ahead) > 1 or not chunk):
                    yield self._settle([_outcome(future) for future in ahead.popleft()])
            while ahead:
                yield self._settle([_outcome(future) for future in ahead.popleft()])
        finally:
            pool.shutdown(wait=True, cancel_futures=True)

    def learn(
        self,
        recordings: Iterable[Request | AudioSource],
        *,
        name: str = "profile",
        neutral: float | None = None,
        on_failure: Callable[[M3serError], None] | None = None,
        progress: Callable[[int], None] | None = None,
    ) -> Profile:
        """Learn how a speaker, or a source of recordings, usually sounds, so that its recordings are judged better.

        .. code-block:: python

            anna = recogniser.learn(Path("anna").glob("*.wav"), name="anna")
            m3ser.load(profile=anna).predict("anna/new.wav")

        Ten utterances help, thirty are enough. They need no labels, but what most of them have in common is taken for
        usual: where they are not of all emotions about evenly, say how many of them are neutral. Recordings of more
        than 30 s are cut into utterances first, as by :meth:`timeline`.

        Args:
            recordings: of one person, or at least by one microphone or line; their words are not used.
            name: what predictions call the profile: letters, digits, ".", "_" and "-".
            neutral: share of neutral recordings among them, about: 1 where all are, 0.7 in common conversation; None:
                emotions are about even.
            on_failure: told of each recording that cannot be used; None: the first such is raised.
            progress: told how many recordings have been heard, after each.

        Returns:
            The profile, for :func:`~m3ser.inference.load`, or to be kept by its ``write``.

        Raises:
            UsageError: the model takes no profiles, or no such name or share.
            AudioError, MissingExtraError: a recording cannot be used.
            DataError: none of the recordings can be used, or there is none.
        """
        return learn(self, recordings, name=name, neutral=neutral, on_failure=on_failure, progress=progress)

    def timeline(
        self,
        audio: AudioSource,
        *,
        text: TextRequest = TRANSCRIBE,
        words: str | os.PathLike[str] | Iterable[Spoken] | None = None,
        sample_rate: float | None = None,
        start: float | None = None,
        end: float | None = None,
        channels: Channels = "mix",
        cuts: CutSettings | None = None,
        smooth: int = 0,
        journal: str | os.PathLike[str] | None = None,
        language: str | None = None,
        profile: Profile | None = None,
        adapt: bool = False,
        neutral: float | None = None,
    ) -> Timeline:
        """Emotions over time in a recording of any length: its speech cut into utterances, each recognised.

        It is read, cut and recognised while the result is iterated, in memory that does not grow with its length.

        Args:
            audio: as in :meth:`predict`.
            text: left out: every utterance is transcribed where a transcriber is installed; None: the voice alone.
            words: what is said and when, instead of transcribing: a file (:func:`m3ser.text.timed.read_words`), or
                phrases or words with their times; each word goes to the utterance that holds its middle.
            sample_rate: of an array, in Hz.
            start: where to begin, in seconds; None: at the beginning.
            end: where to stop; None: at the end.
            channels: "mix": their average; "split": each on its own (a caller, an agent).
            cuts: how speech is cut into utterances.
            smooth: neighbours on each side that an utterance's scores are averaged with
                (:func:`~m3ser.inference.timeline.smoothed`), 0 to 20.
            journal: a file in which every answer is kept, so that interrupted work goes on where it was; the recording
                has to be a file, too.
            language: of the words, as in :meth:`predict`.
            profile: of all channels, as in :meth:`predict`.
            adapt: learn first how each channel usually sounds (:meth:`learn`), from the recording itself, which is then
                read twice; a channel of fewer than ten utterances is judged as without this.
            neutral: with `adapt`: share of neutral utterances in each channel, about, as in :meth:`learn`.

        Returns:
            The :class:`~m3ser.inference.timeline.Timeline`: iterate it for :class:`~m3ser.schema.Segment`, in the order
            of time. Where nobody speaks there are none.

        Raises:
            UsageError: arguments that make no sense (`adapt` and `profile` together, too), a profile of another model,
                or `adapt` (or `neutral`) with a model that takes no profiles (or none that says so).
            TextError: `words` cannot be used.
        """
        spoken = None
        if words is not None:
            if text is not TRANSCRIBE:
                raise UsageError("Give words with times, or no text at all, but not both.")
            if isinstance(words, (str, os.PathLike)):
                spoken = tuple(read_words(words, recording=Path(source_name(audio) or "").stem))
            else:
                spoken = tuple(words)
        settings = TimelineSettings(
            text=text,
            words=spoken,
            start=start,
            end=end,
            channels=channels,
            cuts=cuts or CutSettings(),
            smooth=smooth,
            language=language,
            profile=profile,
            adapt=adapt,
            neutral=neutral,
        )
        return Timeline(self, audio, settings, sample_rate=sample_rate, journal=journal)

    def stream(
        self,
        *,
        sample_rate: float = SAMPLE_RATE,
        text: TextRequest = TRANSCRIBE,
        language: str | None = None,
        profile: Profile | None = None,
        cuts: CutSettings | None = None,
        provisional_seconds: float | None = 0.5,
    ) -> Stream:
        """Emotions of live speech: chunks in, provisional and final segments out.

        .. code-block:: python

            stream = recogniser.stream(sample_rate=48_000)
            for chunk in microphone:
                for segment in stream.push(chunk):
                    print(segment.final, segment.start, segment.label)

        Args and raises: see :class:`~m3ser.inference.stream.Stream`.
        """
        return Stream(
            self,
            sample_rate=sample_rate,
            text=text,
            language=language,
            profile=profile,
            cuts=cuts,
            provisional_seconds=provisional_seconds,
        )

    def voice_state(self, utterance: Request) -> NDArray[np.float64]:
        """The mean audio state (dim,) of one utterance, whatever the profile; what profiles are made of.

        Raises:
            AudioError, BundleError: as :meth:`predict`.
        """
        return self._model.voice(self._preparation.prepare(utterance))

    def _each(self, items: Iterator[Request | AudioSource], *, on_error: str) -> Iterator[Prediction | M3serError]:
        pool = ThreadPoolExecutor(min(_DECODERS, os.cpu_count() or 1), thread_name_prefix="m3ser-decode")
        try:
            ahead: deque[Future[Prepared]] = deque()
            # From one upwards: the first result comes at once, and soon whole chunks go through the model together.
            # What is recognised together is the same in every run, down to the last bit of the scores.
            for size in itertools.chain((1, 2, 4), itertools.repeat(_LARGEST_CHUNK)):
                wanted = 2 * _LARGEST_CHUNK - len(ahead)
                ahead.extend(pool.submit(self._prepare, item) for item in itertools.islice(items, wanted))
                if not ahead:
                    return
                chunk = [_outcome(ahead.popleft()) for _ in range(min(size, len(ahead)))]
                for result in self._settle(chunk):
                    if isinstance(result, M3serError) and on_error == "raise":
                        raise result
                    yield result
        finally:
            pool.shutdown(wait=True, cancel_futures=True)

    def _prepare(self, item: Request | AudioSource) -> Prepared:
        return self._preparation.prepare(as_request(item))

    def _settle(self, chunk: Sequence[Prepared | M3serError]) -> list[Prediction | M3serError]:
        """Answer what was prepared, leaving failures in their places."""
        ready = [item for item in chunk if isinstance(item, Prepared)]
        answers = iter(self._answer_or_fail(ready))
        return [next(answers) if isinstance(item, Prepared) else item for item in chunk]

    def _answer_or_fail(self, utterances: Sequence[Prepared]) -> Sequence[Prediction | M3serError]:
        try:
            return self._model.predict(utterances)
        except M3serError as error:
            if len(utterances) == 1:
                return [error]
            # One utterance too large for the memory must not take the others with it.
            return [answer for utterance in utterances for answer in self._answer_or_fail([utterance])]


def _outcome(future: Future[Prepared]) -> Prepared | M3serError:
    try:
        return future.result()
    except M3serError as error:
        return error
