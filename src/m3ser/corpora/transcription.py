"""What a speech recogniser makes of a corpus's recordings, kept as it comes."""

from __future__ import annotations

import itertools
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

from m3ser.errors import M3serError
from m3ser.files import Journal
from m3ser.schema import Utterance

if TYPE_CHECKING:
    from m3ser.text.asr import Transcriber

__all__ = ["transcribe"]

_AHEAD = 8  # recordings that are read before their turn, at most
_THREADS = 2

_Stretch: TypeAlias = "tuple[Path, float | None, float | None, str | None]"


def transcribe(
    utterances: Sequence[Utterance],
    names: Sequence[str],
    transcriber: Transcriber,
    *,
    journal: Journal,
    max_seconds: float,
) -> Iterator[tuple[str, str | M3serError]]:
    """The words of each utterance that has a recording, by its name: "" where nothing was understood, or why not.

    What `journal` has already is not transcribed again; every new text is written there before it is yielded. What
    failed is not, so that another attempt tries it anew. A recording that several utterances share is transcribed
    once. Texts are cleaned (:func:`m3ser.text.clean`). A transcriber that can be told the language is.

    Args:
        utterances: with their recordings.
        names: what each is called.
        transcriber: what turns speech into text.
        journal: what was transcribed before, and where texts go.
        max_seconds: the longest recording that is accepted.
    """
    known = {str(one["utterance"]): str(one["text"]) for one in journal.records}
    sharing: dict[_Stretch, list[str]] = {}
    for utterance, name in zip(utterances, names, strict=True):
        if utterance.audio is not None:
            sharing.setdefault((utterance.audio, utterance.start, utterance.end, utterance.language), []).append(name)
    waiting = []
    for stretch, called in sharing.items():
        if called[0] in known:
            yield from ((name, known[called[0]]) for name in called)
        else:
            waiting.append(stretch)
    for stretch, text in zip(waiting, _texts(waiting, transcriber, max_seconds), strict=True):
        called = sharing[stretch]
        if not isinstance(text, M3serError):
            journal.append({"utterance": called[0], "text": text, "transcriber": transcriber.name})
        yield from ((name, text) for name in called)


def _texts(stretches: Sequence[_Stretch], transcriber: Transcriber, max_seconds: float) -> Iterator[str | M3serError]:
    """The words of each, in order; the next recordings are read while one is being understood."""
    # Listing corpora does without NumPy, which these two bring.
    from m3ser.audio import load_waveform
    from m3ser.text import clean
    from m3ser.text.asr import transcribe_in
    from m3ser.text.language_codes import known_language

    def text_of(stretch: _Stretch) -> str:
        path, start, end, language = stretch
        waveform = load_waveform(path, start=start, end=end, max_seconds=max_seconds)
        return clean(transcribe_in(transcriber, waveform, known_language(language)).text).text

    pool = ThreadPoolExecutor(_THREADS, thread_name_prefix="m3ser-transcribe")
    try:
        ahead: deque[Future[str]] = deque()
        coming = iter(stretches)
        while True:
            ahead.extend(pool.submit(text_of, one) for one in itertools.islice(coming, _AHEAD - len(ahead)))
            if not ahead:
                return
            yield _outcome(ahead.popleft())
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


def _outcome(future: Future[str]) -> str | M3serError:
    try:
        return future.result()
    except M3serError as error:
        return error
